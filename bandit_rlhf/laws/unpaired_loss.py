"""Laws of losses whose strings come without pairs, as in KTO, and of its mismatched pairs.

The reference point z_0 is the mean log-ratio that strings are compared with; it is a number to the
loss, and no gradient flows into it.

>>> derangement(lambda count: np.roll(np.arange(count), 1), 3)[0].tolist()
[0, 1, 2, 0]
"""

import numpy as np

from bandit_rlhf.laws.gradient import slope
from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.preference_loss import DEFINITION, MARGINS
from bandit_rlhf.laws.source import Source


def unpaired_at_zero(f, point, good, at_zero):
    """D1: the loss of a string at the reference point."""
    lp = np.array([-4.0])
    got = f(lp + point, lp, np.array([good]), np.array(point))
    return got, np.full(1, at_zero), 4 + np.abs(at_zero)


def unpaired_shifted(f, log_prob, ref_log_prob, good, shift):
    """D3: shifting policy and reference together changes nothing."""
    point = np.array(0.25)
    got = f(log_prob - shift, ref_log_prob - shift, good, point)
    expected = f(log_prob, ref_log_prob, good, point)
    size = np.abs(log_prob).sum() + np.abs(ref_log_prob).sum() + 2 * np.abs(shift).sum()
    return got, expected, size + np.abs(expected).sum()


def unpaired_monotone(f, gap, good):
    """D8: the loss falls for a desirable string and rises for an undesirable one."""
    lp = np.array([-8.0])
    got = slope(f, 0, np.ones(1), lp + gap, lp, np.array([good]), np.array(0.25))
    wrong = max(got, 0.0) if good else min(got, 0.0)
    return [wrong, float(got == 0)], [0.0, 0.0], 1 + np.abs(got)


def point_detached(f, log_prob, ref_log_prob, good):
    """L7: no gradient flows into the reference point and the reference."""
    arrays = (log_prob, ref_log_prob, good, np.array(0.25))
    got = [slope(f, 3, np.ones(()), *arrays), slope(f, 1, np.ones(len(good)), *arrays)]
    return got, np.zeros(2), 1.0


def derangement(f, count):
    """D10: a permutation that leaves nothing in its place."""
    got = f(count).astype(int)
    kept = (got == np.arange(count)).sum()
    return np.append(np.sort(got), kept), np.append(np.arange(count), 0), 1.0


def _point(source: Source) -> Case:
    return {"point": source.choice("point", (0.0, 0.25, 1.0)), "good": source.flag("good")}


def _strings(source: Source) -> Case:
    strings = source.integer("strings", 2, 3)
    logs = [-1 - np.abs(source.numbers("lp", strings)) for _ in range(2)]
    good = np.arange(strings) % 2 == 0
    return {"log_prob": logs[0], "ref_log_prob": logs[1], "good": good}


def _strings_shifted(source: Source) -> Case:
    case = _strings(source)
    return case | {"shift": 1 + np.abs(source.numbers("shift", len(case["good"])))}


def _gap(source: Source) -> Case:
    return {"gap": source.choice("gap", MARGINS), "good": source.flag("good")}


def _count(source: Source) -> Case:
    return {"count": source.integer("count", 2, 9)}


def _law(name, claim, title, statement, oracle, draw, body, kind="unpaired_loss", **more):
    return Law(
        id=name,
        kind=kind,
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
        "the declared value at the reference point",
        r"\ell(z_0)=\ell_0",
        "the declaration",
        _point,
        unpaired_at_zero,
        why_no_theorem=DEFINITION,
        facts=("at_zero",),
    ),
    _law(
        "D3",
        "shift_invariant",
        "policy and reference may be shifted together",
        r"\ell(\pi+c,\mathrm{ref}+c)=\ell(\pi,\mathrm{ref})",
        "the same loss, unshifted; shifts are dyadic, hence exact",
        _strings_shifted,
        unpaired_shifted,
        theorem=("13",),
    ),
    _law(
        "D8",
        "monotone",
        "falls for desirable strings, rises for undesirable ones",
        r"\pm\,\partial\ell/\partial\ln\pi(y)<0",
        "signs of the derivatives",
        _gap,
        unpaired_monotone,
        why_no_theorem="a sign of a declared function",
        battery=({"good": False}, {"good": True}),
        differentiates=True,
    ),
    _law(
        "L7",
        "no_leak",
        "no gradient flows into the reference point",
        r"\partial\ell/\partial z_0=0",
        "zero, by autograd",
        _strings,
        point_detached,
        why_no_theorem="about a program's graph, not its value",
        differentiates=True,
        torch_only=True,
    ),
    _law(
        "D10",
        "derangement",
        "reference pairs are a derangement",
        r"\sigma\in S_n,\quad\sigma(i)\ne i",
        "counting",
        _count,
        derangement,
        kind="mismatch",
        why_no_theorem="a property of a list of indices",
        battery=tuple({"count": n} for n in (2, 3, 4)),
    ),
)
