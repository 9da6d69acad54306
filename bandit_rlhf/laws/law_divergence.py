"""Laws E of divergences between laws over strings, and of what they bound.

>>> mean_and_variance(np.array([0.5, 0.5]), np.array([0.0, 2.0]))
(1.0, 1.0)
"""

import numpy as np

from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.source import Source


def mean_and_variance(law, f):
    """E f and Var f."""
    mean = float(law @ f)
    return mean, float(law @ (f - mean) ** 2)


def beyond(smaller, larger):
    """How far the first lies above the second; 0 where it does not."""
    return max(float(smaller - larger), 0.0)


def non_negative(f, p, q):
    """E10: never below 0, 0 for equal laws, more for others."""
    got = f(p, q)
    return [beyond(0, got), f(q, q), float(got > 0)], [0.0, 0.0, float((p != q).any())], 4.0


def pinsker(f, p, q):
    """E11: the squared distance of laws is at most twice the divergence."""
    got = f(p, q)
    return beyond(np.abs(p - q).sum() ** 2, 2 * got), 0.0, 4 + 2 * got


def variational(f, p, q, values):
    """E12: E_p g <= D + ln E_q exp g, with equality at the tilt of q by g."""
    log_mean = np.log(q @ np.exp(values))
    tilt = q * np.exp(values - log_mean)
    tilt = tilt / tilt.sum()
    got = [beyond(p @ values, f(p, q) + log_mean), tilt @ values - f(tilt, q) - log_mean]
    return got, [0.0, 0.0], 8 + 4 * np.abs(values).sum()


def chain_rule(f, p, q):
    """E13: of pairs, that of the firsts plus the mean one of the seconds."""
    first, other = p.sum(axis=1), q.sum(axis=1)
    seconds = [f(row / x, beside / y) for row, x, beside, y in zip(p, first, q, other, strict=True)]
    expected = f(first, other) + first @ np.array(seconds)
    return f(p.ravel(), q.ravel()), expected, 8 + 4 * np.abs(expected)


def data_processing(f, p, q):
    """E14: merging the last two strings does not raise it."""
    fewer = [np.append(law[:-2], law[-2] + law[-1]) for law in (p, q)]
    whole = f(p, q)
    return beyond(f(*fewer), whole), 0.0, 8 + 4 * whole


def transfer(f, p, q, values):
    """E15: |E_p g - E_q g|^2 <= D Var_q g, with equality at g = p/q."""
    got = f(p, q)
    (mean, variance), ratio = mean_and_variance(q, values), p / q
    both = [beyond((p @ values - mean) ** 2, got * variance)]
    moved = (p @ ratio - q @ ratio) ** 2
    both.append(moved - got * mean_and_variance(q, ratio)[1])
    return both, [0.0, 0.0], 8 * (1 + (1 + got) * (1 + variance) + moved)


def heavy_tail(f, s):
    """E16: an atom of mass s^4 pays 1/s^2; raised to mass s it gains ever more at ever less KL.

    The proxy has mean square 1 under the reference, the policy gains (s - s^4) / s^2 of it, and the
    divergence is at most 8 s ln(1/s).
    """
    reference, policy = np.array([1 - s**4, s**4]), np.array([1 - s, s])
    proxy = np.array([0.0, s**-2])
    got, bound = f(policy, reference), -8 * s * np.log(s)
    gain = policy @ proxy - reference @ proxy
    return [beyond(got, bound), gain], [0.0, (1 - s**3) / s], 8 / s


def _two(source: Source) -> Case:
    strings = source.integer("strings", 2, 4)
    return {"p": source.law("p", strings), "q": source.law("q", strings)}


def _pairs(source: Source) -> Case:
    shape = 2, source.integer("seconds", 2, 3)
    p, q = (source.law(name, 6)[: shape[0] * shape[1]].reshape(shape) for name in ("p", "q"))
    return {"p": p / p.sum(), "q": q / q.sum()}


def _values(source: Source) -> Case:
    case = _two(source)
    return case | {"values": source.numbers("g", len(case["p"]))}


def _tail(source: Source) -> Case:
    return {"s": 2.0 ** -source.integer("halvings", 1, 12)}


def _law(name, claim, title, statement, oracle, theorem, draw, body, **more):
    return Law(
        id=name,
        kind="law_divergence",
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
        "E10",
        "non_negative",
        "it is never negative, and 0 for equal laws alone",
        r"D(p\|q)\ge0,\quad D=0\iff p=q",
        "zero",
        ("34",),
        _two,
        non_negative,
    ),
    _law(
        "E11",
        "pinsker",
        "it bounds the distance of the laws (Pinsker)",
        r"\Big(\sum_y|p(y)-q(y)|\Big)^2\le2\,D(p\|q)",
        "the distance, summed",
        ("34",),
        _two,
        pinsker,
    ),
    _law(
        "E12",
        "variational",
        "it bounds what a tilt can gain (Donsker and Varadhan)",
        r"\mathbb E_p g\le D(p\|q)+\ln\mathbb E_q e^g",
        "both sides as sums; equality at the tilt",
        ("35",),
        _values,
        variational,
    ),
    _law(
        "E13",
        "chain_rule",
        "that of pairs is that of firsts plus the mean one of seconds",
        r"D(p_{xy}\|q_{xy})=D(p_x\|q_x)+\mathbb E_{p_x}D(p_{y|x}\|q_{y|x})",
        "the same function on firsts and seconds",
        ("8",),
        _pairs,
        chain_rule,
    ),
    _law(
        "E14",
        "data_processing",
        "merging strings does not raise it",
        r"D(p\circ m^{-1}\|q\circ m^{-1})\le D(p\|q)",
        "the same function on merged strings",
        ("26",),
        _two,
        data_processing,
    ),
    _law(
        "E15",
        "transfer",
        "it bounds what a mean can move, in deviations",
        r"(\mathbb E_p g-\mathbb E_q g)^2\le D(p\|q)\,\mathrm{Var}_q\,g",
        "both sides as sums; equality at g = p/q",
        ("33",),
        _values,
        transfer,
        rounding=64.0,
    ),
    _law(
        "E16",
        "heavy_tail",
        "it vanishes while a heavy-tailed proxy's gain has no bound",
        r"\mathrm{gain}=(1-s^3)/s,\quad D\le8s\ln(1/s)",
        "closed forms of the two-string world",
        ("37",),
        _tail,
        heavy_tail,
        battery=({"halvings": 1}, {"halvings": 12}),
    ),
)
