"""Laws E of the law that RLHF aims at: the Gibbs optimum, its inverse, its steps, its support.

>>> half = np.array([0.5, 0.5])
>>> tilted(half, np.array([0.0, np.log(3.0)]), 1.0).round(6).tolist()
[0.25, 0.75]
"""

import numpy as np

from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.source import Source


def tilted(reference, reward, beta):
    """Proportional to ref exp(r / beta), by its definition."""
    weights = reference * np.exp(reward / beta)
    return weights / weights.sum()


def divergence(law, reference):
    """KL of laws, by its definition; 0 ln 0 = 0."""
    real = law > 0
    return float(np.sum(law[real] * np.log(law[real] / reference[real])))


def gibbs_identity(f, reference, reward, beta, rival):
    """E1: E_pi r - beta KL(pi||ref) = beta ln Z - beta KL(pi||optimum), for a rival pi."""
    log_z = np.log(np.sum(reference * np.exp(reward / beta)))
    got = beta * log_z - beta * divergence(rival, f(reference, reward, beta))
    expected = rival @ reward - beta * divergence(rival, reference)
    return got, expected, 1 + np.abs(reward).sum() + 4 * beta * (1 + np.abs(log_z))


def log_ratio(f, reference, reward, beta):
    """E2: beta ln(optimum/ref) is the reward, up to a constant."""
    got = beta * np.log(f(reference, reward, beta) / reference)
    return got - got[0], reward - reward[0], 4 * beta + 2 * np.abs(reward).sum()


def shifted(f, reference, reward, beta, shift):
    """E3: a constant added to the rewards changes nothing."""
    expected = f(reference, reward, beta)
    return f(reference, reward + shift, beta), expected, 1 + (np.abs(shift) + 8) / beta


def composed(f, reference, reward, beta, steps):
    """E4: k steps of the natural gradient, each a tilt at k beta, are one tilt at beta."""
    law = reference
    for _ in range(steps):
        law = f(law, reward, steps * beta)
    return law, f(reference, reward, beta), 4 * steps * (1 + np.abs(reward).max() / beta)


def entropy_bonus(f, reference, reward, beta, tau):
    """E5: with an entropy bonus, proportional to ref^(beta/(beta+tau)) exp(r/(beta+tau))."""
    weights = reference ** (beta / (beta + tau)) * np.exp(reward / (beta + tau))
    expected = weights / weights.sum()
    return f(reference, reward, beta, tau=tau), expected, 8 + 4 * np.abs(reward).max() / beta


def support(f, reference, reward, beta, absent):
    """E6: strings that the reference never says have probability 0, all others more."""
    reference = np.where(absent, 0.0, reference) / reference[~absent].sum()
    got = f(reference, reward, beta) > 0
    return got.astype(float), (~absent).astype(float), 1.0


def amplified(f, reference, odds, beta):
    """E7: with rewards ln(odds), the optimum's odds are the people's to the power 1/beta."""
    got = f(reference, np.log(odds), beta) / reference
    expected = odds ** (1 / beta)
    return got / got[0], expected / expected[0], (8 + 4 / beta) * expected / expected[0]


def merged(f, reference, reward, beta):
    """E8: two strings of one reward, merged before or after: the same law."""
    split = np.append(reference, reference[-1]) * np.append(
        np.ones(len(reference) - 1), [0.25, 0.75]
    )
    law = f(split, np.append(reward, reward[-1]), beta)
    got = np.append(law[:-2], law[-2] + law[-1])
    return got, f(reference, reward, beta), 4 + 4 * np.abs(reward).max() / beta


def tilted_dice(f, safe, weight):
    """E9: of conversations (safe; risky and lost; risky and won), the optimum tilts the coin.

    With exp(r / beta) = 1 for lost, `weight` for won: given the risky move, the user's fair coin
    falls well with probability weight / (1 + weight), though nobody can choose that.
    """
    law = f(np.array([0.5, 0.25, 0.25]), np.log(np.array([safe, 1.0, weight])), 1.0)
    got = [law[0], law[2] / (law[1] + law[2])]
    total = safe / 2 + (1 + weight) / 4
    return got, [safe / 2 / total, weight / (1 + weight)], 8.0


def _problem(source: Source) -> Case:
    strings = source.integer("strings", 2, 4)
    return {
        "reference": source.law("ref", strings),
        "reward": source.numbers("r", strings),
        "beta": source.choice("beta", (1.0, 0.5, 2.0, 0.75)),
    }


def _rival(source: Source) -> Case:
    case = _problem(source)
    return case | {"rival": source.law("rival", len(case["reward"]))}


def _shift(source: Source) -> Case:
    return _problem(source) | {"shift": source.choice("shift", (1.0, -2.0, 16.0))}


def _steps(source: Source) -> Case:
    return _problem(source) | {"steps": source.integer("steps", 2, 4)}


def _bonus(source: Source) -> Case:
    return _problem(source) | {"tau": source.choice("tau", (1.0, 0.25, 2.0))}


def _absent(source: Source) -> Case:
    case = _problem(source)
    return case | {"absent": np.arange(len(case["reward"])) == source.integer("absent", 0, 1)}


def _odds(source: Source) -> Case:
    case = _problem(source)
    del case["reward"]
    return case | {"odds": 8 * source.law("odds", len(case["reference"]))}


def _dice(source: Source) -> Case:
    return {
        "safe": source.choice("safe", (2.0, 1.0, 8.0)),
        "weight": source.choice("w", (4.0, 3.0)),
    }


def _law(name, claim, title, statement, oracle, theorem, draw, body, **more):
    return Law(
        id=name,
        kind="optimum",
        claim=claim,
        title=title,
        statement=statement,
        oracle=oracle,
        theorem=theorem,
        draw=draw,
        body=body,
        **more,
    )


LAWS = (
    _law(
        "E1",
        "gibbs",
        "no law does better, and each falls short by its divergence from the optimum",
        r"\mathbb E_\pi r-\beta\,\mathrm{KL}(\pi\|\mathrm{ref})"
        r"=\beta\ln Z-\beta\,\mathrm{KL}(\pi\|f)",
        "both sides as sums over strings, for another law",
        ("10",),
        _rival,
        gibbs_identity,
    ),
    _law(
        "E2",
        "log_ratio",
        "its log-ratios are the rewards, up to a constant",
        r"\beta\ln\frac{f(y)}{\mathrm{ref}(y)}-\beta\ln\frac{f(y')}{\mathrm{ref}(y')}=r(y)-r(y')",
        "the rewards",
        ("12",),
        _problem,
        log_ratio,
    ),
    _law(
        "E3",
        "shift_invariant",
        "a constant added to the rewards changes nothing",
        r"f(\mathrm{ref},r+c)=f(\mathrm{ref},r)",
        "the same function, unshifted",
        ("13",),
        _shift,
        shifted,
    ),
    _law(
        "E4",
        "composes",
        "steps of the natural gradient follow the Gibbs path",
        r"f(\cdot,r,k\beta)^{\circ k}(\mathrm{ref})=f(\mathrm{ref},r,\beta)",
        "the same function in one step",
        ("14",),
        _steps,
        composed,
    ),
    _law(
        "E5",
        "entropy_bonus",
        "with an entropy bonus it is flatter, in a known way",
        r"f\propto\mathrm{ref}^{\beta/(\beta+\tau)}e^{r/(\beta+\tau)}",
        "the closed form",
        ("15",),
        _bonus,
        entropy_bonus,
        takes=("tau",),
    ),
    _law(
        "E6",
        "support",
        "it says exactly what the reference may say",
        r"f(y)=0\iff\mathrm{ref}(y)=0",
        "the support of the reference",
        ("25",),
        _absent,
        support,
    ),
    _law(
        "E7",
        "amplifies",
        "odds are the people's to the power 1/beta",
        r"\frac{f(y)}{f(y')}=\frac{\mathrm{ref}(y)}{\mathrm{ref}(y')}\,\mathrm{odds}^{1/\beta}",
        "powers of the odds",
        ("23",),
        _odds,
        amplified,
    ),
    _law(
        "E8",
        "mergeable",
        "strings of equal reward may be merged before or after",
        r"f(\mathrm{ref}\circ m^{-1})=f(\mathrm{ref})\circ m^{-1}",
        "the same function on merged strings",
        ("26",),
        _problem,
        merged,
    ),
    _law(
        "E9",
        "dialogue",
        "over whole conversations it tilts the user's dice",
        r"f(\mathrm{won}\mid\mathrm{risky})=\frac{e^{r/\beta}}{1+e^{r/\beta}}\ne\tfrac12",
        "the closed form",
        ("32",),
        _dice,
        tilted_dice,
    ),
)
