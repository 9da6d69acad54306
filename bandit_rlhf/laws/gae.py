"""Laws G: advantages of steps, whitening and the critic's loss, judged by loops and exact sums.

>>> one = np.ones(1)
>>> advantages_of(np.array([1.0, 1.0]), np.zeros(2), 0.0, 1.0, 1.0).tolist()
[2.0, 1.0]
"""

import itertools

import numpy as np

from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.source import Source


def advantages_of(rewards, values, final, gamma, lam):
    """A_t = delta_t + gamma lam A_(t+1) along one episode without pads, by a loop from its end."""
    result, later, ahead = np.zeros(len(rewards)), 0.0, final
    for t in reversed(range(len(rewards))):
        later = rewards[t] + gamma * ahead - values[t] + gamma * lam * later
        result[t], ahead = later, values[t]
    return result


def expected_table(rewards, values, mask, final, gamma, lam):
    """The same for each row of a table, its pads taken out and put back as 0."""
    result = np.zeros(rewards.shape)
    for i, real in enumerate(mask):
        result[i, real] = advantages_of(rewards[i, real], values[i, real], final[i], gamma, lam)
    return result


def monte_carlo(f, rewards, values, mask, final, gamma):
    """G1: at lambda = 1, the discounted return to come minus the value."""
    got = np.where(mask, f(rewards, values, mask, final_value=final, gamma=gamma, lam=1.0)[0], 0)
    expected = np.zeros(rewards.shape)
    for i, real in enumerate(mask):
        gains = np.append(rewards[i, real], final[i])
        for place, t in enumerate(np.flatnonzero(real)):
            powers = gamma ** np.arange(len(gains) - place)
            expected[i, t] = powers @ gains[place:] - values[i, t]
    return got, expected, np.abs(rewards).sum() + np.abs(values).sum() + np.abs(final).sum()


def td_error(f, rewards, values, mask, final, gamma):
    """G2: at lambda = 0, the error of one step."""
    got = np.where(mask, f(rewards, values, mask, final_value=final, gamma=gamma, lam=0.0)[0], 0)
    expected = expected_table(rewards, values, mask, final, gamma, 0.0)
    return got, expected, np.abs(rewards).sum() + np.abs(values).sum() + np.abs(final).sum()


def recursion(f, rewards, values, mask, final, gamma, lam):
    """G3: A_t = delta_t + gamma lambda A_(t+1)."""
    got = np.where(mask, f(rewards, values, mask, final_value=final, gamma=gamma, lam=lam)[0], 0)
    expected = expected_table(rewards, values, mask, final, gamma, lam)
    return got, expected, np.abs(rewards).sum() + np.abs(values).sum() + np.abs(final).sum()


def wrong_critic(f, rewards, values, mask, final, error, gamma, lam):
    """G10: a critic off by e is off by -e_t + (1-lambda) gamma sum_l (gamma lambda)^(l-1) e_(t+l).

    At lambda = 1 only its own error is left, which no gradient sees: the bias of the policy
    gradient is that of the sum.
    """
    settings = {"final_value": final, "gamma": gamma, "lam": lam}
    clean, wrong = (f(rewards, values + e, mask, **settings)[0] for e in (0 * error, error))
    expected = np.zeros(rewards.shape)
    for i, real in enumerate(mask):
        off, steps = error[i, real], np.flatnonzero(real)
        for k, t in enumerate(steps):
            later = sum((gamma * lam) ** m * e for m, e in enumerate(off[k + 1 :]))
            expected[i, t] = -off[k] + (1 - lam) * gamma * later
    size = sum(np.abs(x).sum() for x in (rewards, values, error, final))
    return np.where(mask, wrong - clean, 0), expected, 4 * size


def mean_zero(f, policy, rewards, final, gamma, lam):
    """G4: with the values of the policy itself, E[A_t | s_t] = 0 at every prefix."""
    strings = list(itertools.product((0, 1), repeat=2))
    later = [policy[1 + a] @ (rewards[1 + a] + gamma * final[2 * a : 2 * a + 2]) for a in (0, 1)]
    first = policy[0] @ (rewards[0] + gamma * np.array(later))
    gains = np.array([[rewards[0, a], rewards[1 + a, b]] for a, b in strings])
    values = np.array([[first, later[a]] for a, _ in strings])
    mask = np.ones(gains.shape, dtype=bool)
    found = f(gains, values, mask, final_value=final, gamma=gamma, lam=lam)[0]
    got = np.zeros(3)
    for (a, b), step in zip(strings, found, strict=True):
        got[0] += policy[0, a] * policy[1 + a, b] * step[0]
        got[1 + a] += policy[1 + a, b] * step[1]
    return got, np.zeros(3), 1 + np.abs(found).sum() + np.abs(values).sum()


def return_is_sum(f, rewards, values, mask, final, gamma, lam):
    """G5: returns are advantages plus values."""
    parts = f(rewards, values, mask, final_value=final, gamma=gamma, lam=lam)
    expected = np.where(mask, parts[0] + values, 0)
    return np.where(mask, parts[-1], 0), expected, np.abs(parts[0]).sum() + np.abs(values).sum()


def separate(f, rewards, values, mask, final, gamma, lam):
    """G6: each row gets what it gets alone; what comes after a cut enters its last step."""
    settings = {"gamma": gamma, "lam": lam}
    got = np.where(mask, f(rewards, values, mask, final_value=final, **settings)[0], 0)
    ended = f(rewards, values, mask, **settings)[0]
    expected, last = np.zeros(got.shape), np.zeros(len(mask))
    for i, real in enumerate(mask):
        row = [x[i : i + 1] for x in (rewards, values, mask)]
        expected[i] = np.where(real, f(*row, final_value=final[i : i + 1], **settings)[0][0], 0)
        end = np.flatnonzero(real)[-1]
        last[i] = got[i, end] - ended[i, end]
    size = 1 + np.abs(rewards).sum() + np.abs(values).sum() + np.abs(final).sum()
    return np.append(got, last), np.append(expected, gamma * final), size


def compressed(f, rewards, values, mask, gamma, lam):
    """G7: taking masked tokens out changes nothing; the next real token is the next step."""
    got = np.where(mask, f(rewards, values, mask, gamma=gamma, lam=lam)[0], 0)
    expected = np.zeros(rewards.shape)
    for i, real in enumerate(mask):
        row = rewards[i : i + 1, real], values[i : i + 1, real]
        expected[i, real] = f(*row, np.ones(row[0].shape, dtype=bool), gamma=gamma, lam=lam)[0][0]
    return got, expected, np.abs(rewards).sum() + np.abs(values).sum()


def standardised(f, values, mask, ddof, mean):
    """G8: over participating tokens, the declared mean (0 or kept) and variance 1; pads are 0."""
    got, real = f(values, mask), values[mask]
    white = (real - real.mean()) / np.sqrt(real.var() * len(real) / (len(real) - ddof))
    expected = np.zeros(values.shape)
    expected[mask] = white + (real.mean() if mean == "kept" else 0.0)
    return got, expected, 10 + np.abs(white).sum() + np.abs(values).sum()


def pessimistic(f, value, old, target):
    """G9: the clipped loss of a token is never below the unclipped one."""
    mask = np.ones((1, 1), dtype=bool)
    free, loss = f(value, value, target, mask), f(value, old, target, mask)
    return min(loss - free, 0.0), 0.0, 1 + np.abs(loss) + np.abs(free)


def larger_square(f, value, old, target, clip, scale):
    """G9: the loss of a token is the larger of the squares before and after the cut."""
    near = old + np.clip(value - old, -clip, clip)
    expected = scale * np.maximum((value - target) ** 2, (near - target) ** 2).sum()
    got = f(value, old, target, np.ones((1, 1), dtype=bool))
    return got, expected, np.abs(expected) + (np.abs(value) + np.abs(target) + 1).sum() ** 2


FRACTIONS = (0.5, 0.75, 0.9375, 0.25, 1.0)


def _table(source: Source) -> Case:
    shape = source.integer("strings", 2, 3), source.integer("tokens", 2, 3)
    return {
        "rewards": source.numbers("r", *shape),
        "values": source.numbers("v", *shape),
        "mask": source.mask("mask", *shape),
        "gamma": source.choice("gamma", FRACTIONS),
    }


def _final(source: Source) -> Case:
    """Some strings cut, with a value to come, and some ended, with 0."""
    case = _table(source)
    rows = len(case["mask"])
    cut = np.array([source.flag("cut") for _ in range(rows)])
    return case | {"final": np.where(cut, source.numbers("final", rows), 0.0)}


def _general(source: Source) -> Case:
    return {**_final(source), "lam": source.choice("lam", FRACTIONS)}


def _off(source: Source) -> Case:
    case = _general(source)
    return case | {"error": source.numbers("e", *case["mask"].shape)}


def _without_final(source: Source) -> Case:
    return {**_table(source), "lam": source.choice("lam", FRACTIONS)}


def _world(source: Source) -> Case:
    return {
        "policy": source.law("p", 3, 2),
        "rewards": source.numbers("r", 3, 2),
        "final": source.numbers("final", 4),
        "gamma": source.choice("gamma", FRACTIONS),
        "lam": source.choice("lam", (0.0, *FRACTIONS)),
    }


def _values(source: Source) -> Case:
    shape = source.integer("strings", 2, 3), source.integer("tokens", 2, 3)
    values = source.numbers("v", *shape)
    mask = source.mask("mask", *shape)
    first, second = np.argwhere(mask)[:2]
    values[tuple(first)], values[tuple(second)] = -2.0, values[tuple(second)] + 5.0
    return {"values": values, "mask": mask}


def _token(source: Source) -> Case:
    names = ("value", "old", "target")
    return {name: source.numbers(name, 1, 1) for name in names}


SHAPES = (
    {"strings": 3, "tokens": 3, "mask.pads": "right", "mask": 1, "cut": True},
    {"strings": 2, "tokens": 3, "mask.pads": "interior", "mask": 1, "cut": True},
    {"strings": 2, "tokens": 3, "mask.pads": "left", "mask": 1, "cut": False},
)
STEPS = ({"value": 3.0, "old": 1.0, "target": 2.5}, {"value": 3.0, "old": 1.0, "target": -1.0})


def _gae(name, claim, title, statement, oracle, theorem, draw, body, **more):
    takes = ("final_value", "gamma", "lam")
    return Law(
        id=name,
        kind="gae",
        claim=claim,
        title=title,
        statement=statement,
        oracle=oracle,
        theorem=theorem,
        draw=draw,
        body=body,
        **{"battery": SHAPES, "takes": takes} | more,
    )


LAWS = (
    _gae(
        "G1",
        "monte_carlo",
        "lambda = 1 is the return minus the value",
        r"\lambda=1\Rightarrow A_t=\sum_{l\ge0}\gamma^l r_{t+l}-V(s_t)",
        "discounted sums of the rewards to come",
        ("16", "17"),
        _final,
        monte_carlo,
    ),
    _gae(
        "G2",
        "td_error",
        "lambda = 0 is the error of one step",
        r"\lambda=0\Rightarrow A_t=r_t+\gamma V(s_{t+1})-V(s_t)",
        "the definition",
        (),
        _final,
        td_error,
        why_no_theorem="a definition",
    ),
    _gae(
        "G3",
        "recursion",
        "advantages follow their recursion",
        r"A_t=\delta_t+\gamma\lambda A_{t+1}",
        "a loop from the end of each string",
        (),
        _general,
        recursion,
        why_no_theorem="a definition",
    ),
    _gae(
        "G10",
        "recursion",
        "a wrong critic's error enters as declared, and not beyond its own at lambda = 1",
        r"A_t(V+e)-A_t(V)=-e_t+(1-\lambda)\gamma\sum_{l\ge1}(\gamma\lambda)^{l-1}e_{t+l}",
        "the sum over later errors",
        ("17", "31"),
        _off,
        wrong_critic,
    ),
    _gae(
        "G4",
        "unbiased_with_true_values",
        "with true values, advantages have mean zero at every prefix",
        r"V=V^\pi\Rightarrow\mathbb{E}[A_t\mid s_t]=0\ \text{for every}\ \lambda",
        "dynamic programming and the sum over all strings",
        ("16",),
        _world,
        mean_zero,
        battery=(),
    ),
    _gae(
        "G5",
        "return_is_sum",
        "returns are advantages plus values",
        r"R_t=A_t+V(s_t)",
        "the estimator's own advantages",
        (),
        _general,
        return_is_sum,
        why_no_theorem="a definition",
    ),
    _gae(
        "G6",
        "episodes_separate",
        "rows do not mix; truncation bootstraps, termination does not",
        r"A(B)_i=A(y_i),\quad A_T(V_{T+1})-A_T(0)=\gamma V_{T+1}",
        "the estimator on each string alone, and with the string ended",
        (),
        _general,
        separate,
        why_no_theorem="a property of a program's indexing",
    ),
    _gae(
        "G7",
        "masked_is_compressed",
        "masked tokens are no steps",
        r"A(r,V,m)=A(r_m,V_m)",
        "the estimator on strings without pads",
        (),
        _without_final,
        compressed,
        why_no_theorem="a property of a program's indexing",
        takes=("gamma", "lam"),
    ),
    Law(
        id="G8",
        kind="whitening",
        claim="standardised",
        title="masked mean 0 (or kept, as declared) and variance 1",
        statement=r"\overline{w}=0,\quad\overline{w^2}=1",
        oracle="mean and variance of the participating values",
        why_no_theorem="a definition",
        draw=_values,
        body=standardised,
        battery=SHAPES,
        known_facts={"ddof": 0, "mean": "removed"},
        rounding=4096.0,
        tolerance="a declared epsilon of up to 1e-12 under the root, and rounding",
    ),
    Law(
        id="G9",
        kind="value_loss",
        claim="pessimistic",
        title="clipping never lowers the loss",
        statement=r"L^{\mathrm{clip}}(V)\ge L(V)",
        oracle="the same loss where the old value is the new one",
        why_no_theorem="max(a, b) >= a",
        draw=_token,
        body=pessimistic,
        battery=STEPS,
    ),
    Law(
        id="G9-square",
        kind="value_loss",
        claim="clipped",
        title="the loss is the larger of both squares",
        statement=r"L=c\max\big((V-R)^2,(V_{\mathrm{old}}+\mathrm{cut}(V-V_{\mathrm{old}})-R)^2\big)",
        oracle="the definition",
        why_no_theorem="a definition",
        draw=_token,
        body=larger_square,
        battery=STEPS,
        facts=("clip",),
        known_facts={"scale": 0.5},
    ),
)
