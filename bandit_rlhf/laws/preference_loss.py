"""Laws D: losses of preferences, in the margin and over the population of pairs.

The margin h is how much more the policy than the reference prefers the chosen string. Facts are
formulas in p, h, beta and eps, such as "log(p/(1-p))/beta".

>>> round(formula("log(p/(1-p))/beta", p=0.75, beta=0.5), 4)
2.1972
"""

import math

import numpy as np

from bandit_rlhf.laws.gradient import slope
from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.source import Source


def formula(text, **values):
    """The value of a formula such as "-beta/(1+exp(beta*h))"; a number as it is."""
    names = {"log": math.log, "exp": math.exp, "tanh": math.tanh, **values}
    return float(eval(str(text), {"__builtins__": {}}, names))


def at_margin(h):
    """Arguments of one pair with margin h, of strings of one token: pi of both, ref of both."""
    pair = [-4 + h / 2, -4 - h / 2, -4.0, -4.0, 1.0, 1.0]
    return [np.array([x]) for x in pair]


def at(f, h):
    """The loss of one pair at margin h."""
    return np.sum(f(*at_margin(h)))


def rise(f, h):
    """dl/dh at margin h, by raising the chosen and lowering the rejected string."""
    one = np.ones(1)
    return (slope(f, 0, one, *at_margin(h)) - slope(f, 1, one, *at_margin(h))) / 2


def value_at_zero(f, at_zero, beta, eps):
    """D1: the loss where the policy is the reference."""
    expected = formula(at_zero, beta=beta, eps=eps)
    return at(f, 0.0), expected, 1 + np.abs(expected)


def antisymmetric(f, h, antisymmetry, beta, eps):
    """D2: l(h) - l(-h) is h times the declared slope."""
    expected = h * formula(antisymmetry, beta=beta, eps=eps)
    up, down = at(f, h), at(f, -h)
    return up - down, expected, 4 + np.abs(up) + np.abs(down)


def shifted(f, arrays, chosen, rejected):
    """D3: shifting policy and reference together changes nothing."""
    moved = list(arrays)
    for place, by in ((0, chosen), (1, rejected), (2, chosen), (3, rejected)):
        moved[place] = arrays[place] - by
    size = sum(np.abs(x).sum() for x in (*arrays, *moved))
    return f(*moved), f(*arrays), size + np.abs(f(*arrays)).sum()


def stationary(f, p, argmin, beta, eps, flip):
    """D4: with p the chance to be preferred, p l(h) + (1-p) l(-h) is least at the declared h."""
    h = formula(argmin, p=p, beta=beta, eps=eps)
    seen = p * (1 - flip) + (1 - p) * flip
    terms = np.array([seen * rise(f, h), -(1 - seen) * rise(f, -h)])
    bend = seen * (rise(f, h + 0.25) - rise(f, h)) + (1 - seen) * (rise(f, 0.25 - h) - rise(f, -h))
    size = np.abs(terms).sum() + np.abs(at(f, h)) + np.abs(at(f, -h))
    return [terms.sum(), min(bend, 0.0)], [0.0, 0.0], size


def population(f, ref, rewards, beta):
    """D5: with Bradley-Terry preferences the population loss is stationary at ref exp(r/beta)/Z."""
    tilted = np.log(ref) + rewards / beta
    log_pi = tilted - np.log(np.exp(tilted).sum())
    got, size = np.zeros(len(ref)), 0.0
    for a in range(len(ref)):
        for b in set(range(len(ref))) - {a}:
            chance = ref[a] * ref[b] / (1 + np.exp(rewards[b] - rewards[a]))
            pair = [np.array([x]) for x in (log_pi[a], log_pi[b], np.log(ref[a]), np.log(ref[b]))]
            for place, string in ((0, a), (1, b)):
                weight = chance * slope(f, place, np.ones(1), *pair)
                got += weight * (np.eye(len(ref))[string] - np.exp(log_pi))
                size += np.abs(weight) + chance * np.abs(f(*pair)).sum()
    return got, np.zeros(len(ref)), size


def derivative(f, h, derivative, likelihood, beta, eps):
    """D6: dl/dh is the declared one, less a likelihood's weight for the chosen string."""
    expected = formula(derivative, h=h, beta=beta, eps=eps)
    got = [slope(f, place, np.ones(1), *at_margin(h)) for place in (0, 1)]
    return got, [expected - likelihood, -expected], 1 + np.abs(expected) + np.abs(at(f, h))


def even_labels(f):
    """D7: labels smoothed by 1/2 say nothing, so there is no gradient at margin 0."""
    pair = at_margin(0.0)

    def smoothed(*arrays):
        return f(*arrays, label_smoothing=0.5)

    up, down = list(pair), list(pair)
    up[0], down[0] = pair[0] + 0.25, pair[0] - 0.25
    return np.sum(smoothed(*up) - smoothed(*down)), 0.0, 4 + np.abs(np.sum(smoothed(*pair)))


def monotone(f, chosen, rejected):
    """D8: where the pair is not yet in order, the loss falls in the chosen, rises in the other."""
    pair = [np.array([x]) for x in (-4 - chosen, -4 + rejected, -4.0, -4.0, 1.0, 1.0)]
    got = [slope(f, place, np.ones(1), *pair) for place in (0, 1)]
    return [max(got[0], 0.0), min(got[1], 0.0)], [0.0, 0.0], 1 + np.abs(got).sum()


def mean_of_tokens(f, h, times):
    """D9: strings `times` as long, each token as likely, have the same loss."""
    short = at_margin(h)
    got, expected = f(*(times * x for x in short)), f(*short)
    return got, expected, 1 + np.abs(expected) + times * 16


def mean_of_pairs(f, arrays, reduction):
    """U5: the loss of a batch is the mean (or the sum) of the losses of its pairs."""
    alone = [f(*(x[i : i + 1] for x in arrays)) for i in range(len(arrays[0]))]
    expected = np.sum(alone) / (len(alone) if reduction == "mean" else 1)
    return f(*arrays), expected, np.abs(alone).sum()


def finite(f, chosen, rejected):
    """U6: a finite value for log-probabilities of -1000."""
    pair = [np.array([x]) for x in (chosen, rejected, rejected, chosen, 1.0, 1.0)]
    return np.isfinite(f(*pair)).astype(float).sum(), 1.0, 1.0


def finite_slopes(f, chosen, rejected):
    """U6: finite gradients for log-probabilities of -1000."""
    pair = [np.array([x]) for x in (chosen, rejected, rejected, chosen, 1.0, 1.0)]
    got = [slope(f, place, np.ones(1), *pair) for place in (0, 1)]
    return np.isfinite(got).astype(float), np.ones(2), 1.0


MARGINS = (0.5, -0.5, 1.0, -1.0, 2.0, -2.0, 0.0)


def _margin(source: Source) -> Case:
    return {"h": source.choice("h", MARGINS)}


def _nothing(source: Source) -> Case:
    return {}


def _chance(source: Source) -> Case:
    return {"p": source.choice("p", (0.5, 0.75, 0.25, 0.625, 0.375))}


def _pairs(source: Source, arrays: int = 6) -> tuple[np.ndarray, ...]:
    pairs = source.integer("pairs", 2, 3)
    lengths = [2 + np.abs(source.numbers("length", pairs)) for _ in range(2)]
    logs = [-1 - np.abs(source.numbers("lp", pairs)) for _ in range(4)]
    return (*logs, *lengths)[:arrays]


def _shifted(source: Source) -> Case:
    arrays = _pairs(source)
    by = [1 + np.abs(source.numbers("shift", len(arrays[0]))) for _ in range(2)]
    return {"arrays": arrays, "chosen": by[0], "rejected": by[1]}


def _population(source: Source) -> Case:
    return {"ref": source.law("ref", 3), "rewards": source.numbers("r", 3) / 8}


def _apart(source: Source) -> Case:
    step = (0.25, 0.5, 1.0, 2.0)
    return {"chosen": source.choice("chosen", step), "rejected": source.choice("rejected", step)}


def _batch(source: Source) -> Case:
    return {"arrays": _pairs(source)}


def _far(source: Source) -> Case:
    ends = (-1000.0, -1.0)
    return {"chosen": source.choice("chosen", ends), "rejected": source.choice("rejected", ends)}


def _longer(source: Source) -> Case:
    return {**_margin(source), "times": source.integer("times", 2, 4)}


DEFINITION = "a definition"
BY_DIFFERENCES = {
    "differentiates": True,
    "rounding": 512.0,
    "tolerance": "rounding of the terms, and of differences of order eight",
}


def _law(name, claim, title, statement, oracle, draw, body, **more):
    return Law(
        id=name,
        kind="preference_loss",
        claim=claim,
        title=title,
        statement=statement,
        oracle=oracle,
        draw=draw,
        body=body,
        **more,
    )


LAWS = (
    _law(
        "D1",
        "value_at_zero",
        "the declared value at margin 0",
        r"\ell(0)=\ell_0",
        "the declaration",
        _nothing,
        value_at_zero,
        why_no_theorem=DEFINITION,
        facts=("at_zero",),
        known_facts={"beta": 1.0, "eps": 0.0},
    ),
    _law(
        "D2",
        "antisymmetric",
        "the odd part is linear in the margin",
        r"\ell(h)-\ell(-h)=s\,h",
        "the declared slope",
        _margin,
        antisymmetric,
        why_no_theorem="ln sigma(x) - ln sigma(-x) = x and its like, by definition of the loss",
        facts=("antisymmetry",),
        known_facts={"beta": 1.0, "eps": 0.0},
    ),
    _law(
        "D3",
        "shift_invariant",
        "policy and reference may be shifted together",
        r"\ell(\pi+c,\mathrm{ref}+c)=\ell(\pi,\mathrm{ref})",
        "the same loss, unshifted; shifts are dyadic, hence exact",
        _shifted,
        shifted,
        theorem=("13",),
    ),
    _law(
        "D4",
        "argmin",
        "least at the declared margin",
        r"\arg\min_h\,p\,\ell(h)+(1-p)\,\ell(-h)=h^*(p)",
        "stationarity and convexity there",
        _chance,
        stationary,
        theorem=("12",),
        facts=("argmin",),
        known_facts={"beta": 1.0, "eps": 0.0, "flip": 0.0},
        **BY_DIFFERENCES,
    ),
    _law(
        "D5",
        "gibbs",
        "the population minimiser is the Gibbs law",
        r"\nabla\,\mathbb{E}_{a,b\sim\mathrm{ref},\,\mathrm{BT}(r)}[\ell]=0\ \text{at}\ "
        r"\mathrm{ref}\,e^{r/\beta}/Z",
        "sum over all pairs, in the logits",
        _population,
        population,
        theorem=("10", "12"),
        facts=("beta",),
        **BY_DIFFERENCES,
    ),
    _law(
        "D6",
        "gradient",
        "the declared derivative in the margin",
        r"\partial\ell/\partial h=\ell'(h)",
        "the declared formula",
        _margin,
        derivative,
        why_no_theorem="the calculus of one declared function",
        facts=("derivative",),
        known_facts={"likelihood": 0.0, "beta": 1.0, "eps": 0.0},
        **BY_DIFFERENCES,
    ),
    _law(
        "D7",
        "smoothing",
        "labels smoothed by one half teach nothing at margin 0",
        r"\epsilon=\tfrac12\Rightarrow\ell(h)=\ell(-h)",
        "the loss mirrored",
        _nothing,
        even_labels,
        why_no_theorem="(a + b)/2 = (b + a)/2",
        takes=("label_smoothing",),
    ),
    _law(
        "D8",
        "monotone",
        "falls in the chosen, rises in the rejected log-probability",
        r"\partial\ell/\partial\ln\pi(y_w)\le0\le\partial\ell/\partial\ln\pi(y_l)\ "
        r"\text{where the pair is not in order}",
        "signs of the derivatives",
        _apart,
        monotone,
        why_no_theorem="a sign of a declared function",
        differentiates=True,
    ),
    _law(
        "D9",
        "reduction",
        "the mean over tokens, not their sum",
        r"\ell(c\ln\pi,c|y|)=\ell(\ln\pi,|y|)",
        "the loss of shorter strings",
        _longer,
        mean_of_tokens,
        why_no_theorem=DEFINITION,
        takes=("chosen_length", "rejected_length"),
    ),
    _law(
        "U5",
        "",
        "a pairwise loss is the mean of its pairs",
        r"L=\tfrac1n\sum_i\ell_i",
        "the losses of single pairs",
        _batch,
        mean_of_pairs,
        why_no_theorem=DEFINITION,
        facts=("reduction",),
    ),
    *(
        _law(
            name,
            "finite",
            f"a finite {what} for log-probabilities of -1000",
            statement,
            "finiteness",
            _far,
            body,
            why_no_theorem="about floating point: the real function is finite",
            battery=(
                {"chosen": -1000.0, "rejected": -1.0},
                {"chosen": -1.0, "rejected": -1000.0},
            ),
            differentiates=body is finite_slopes,
        )
        for name, what, statement, body in (
            ("U6", "value", r"|\ell|<\infty", finite),
            ("U6-gradient", "gradient", r"|\nabla\ell|<\infty", finite_slopes),
        )
    ),
)
