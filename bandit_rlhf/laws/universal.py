"""Laws U: what every estimator owes its caller, whatever it estimates.

One law object a kind, made by the same function, so that ids stay those of the statement.

>>> pads_ignored(lambda x, mask: np.sum(x), (np.ones((1, 2)), np.array([[True, False]])), 9.0)[:2]
(array([10.]), array([1.]))
"""

import numpy as np

from bandit_rlhf.laws.gradient import slope
from bandit_rlhf.laws.kinds import KINDS
from bandit_rlhf.laws.law import Body, Case, Law
from bandit_rlhf.laws.source import Source
from bandit_rlhf.laws.typical import DIFFERENTIABLE, MASKED, TYPICAL

PROGRAM = "a property of programs, not of the mathematics they compute"


def results(answer):
    """All numbers of an answer, as one array, and the same as a row where it is one number."""
    parts = answer if isinstance(answer, tuple) else (answer,)
    return np.concatenate([np.atleast_1d(np.asarray(part, dtype=float)).ravel() for part in parts])


def replaced(arrays, mask, pad):
    """The arrays with `pad` where no token participates."""
    return [x if x.dtype == bool else np.where(mask, x, pad) for x in arrays]


def pads_ignored(f, arrays, pad):
    """U1: what stands at pads changes no participating result."""
    mask = arrays[-1]
    clean, dirty = f(*replaced(arrays, mask, 0.0)), f(*replaced(arrays, mask, pad))
    if np.ndim(clean if not isinstance(clean, tuple) else clean[0]):
        clean, dirty = (np.where(mask, x, 0.0) for x in (clean, dirty))
    return results(dirty), results(clean), 1 + sum(np.abs(x).sum() for x in arrays[:-1])


def pads_without_gradient(f, arrays, pad, direction):
    """U1: pads have no gradient, and make none elsewhere: the slope along a generic direction."""
    mask = arrays[-1]
    clean = slope(f, 0, direction * mask, *replaced(arrays, mask, 0.0))
    dirty = slope(f, 0, direction, *replaced(arrays, mask, pad))
    return dirty, clean, 1 + np.abs(clean) + np.abs(direction).sum()


def zero_at_pads(f, arrays, pad):
    """U1: results are 0 where no token participates, whatever stands there."""
    mask = arrays[-1]
    answer = f(*replaced(arrays, mask, pad))
    parts = answer if isinstance(answer, tuple) else (answer,)
    got = np.concatenate([part[~mask] for part in parts])
    return got, np.zeros(got.shape), 1.0


def columns_appended(f, arrays, columns):
    """U2: masked columns at the end change nothing."""
    width = arrays[0].shape[1]
    wider = [np.pad(x, ((0, 0), (0, columns))) for x in arrays]
    answer, longer = f(*arrays), f(*wider)
    if np.ndim(answer if not isinstance(answer, tuple) else answer[0]):
        longer = tuple(x[:, :width] for x in (longer if isinstance(longer, tuple) else (longer,)))
    return results(longer), results(answer), 1 + sum(np.abs(x).sum() for x in arrays[:-1])


def rows_permuted(f, arrays, order):
    """U3: another order of rows gives the same results in that order."""
    moved = [x[order] if np.ndim(x) else x for x in arrays]
    answer, other = f(*arrays), f(*moved)
    if np.ndim(answer if not isinstance(answer, tuple) else answer[0]):
        answer = tuple(x[order] for x in (answer if isinstance(answer, tuple) else (answer,)))
    size = sum(np.abs(x).sum() for x in arrays if x.dtype != bool)
    return results(other), results(answer), 1 + size + np.abs(results(answer)).sum()


def inputs_kept(f, arrays):
    """U7: the arguments are left as they were."""
    kept = [x.copy() for x in arrays]
    f(*arrays)
    return results(tuple(arrays)), results(tuple(kept)), 1.0


def _arrays(kind: str, source: Source) -> Case:
    return {"arrays": TYPICAL[kind](source)}


def _padded(kind: str, source: Source) -> Case:
    return {**_arrays(kind, source), "pad": source.choice("pad", (1000.0, float("nan")))}


def _leaning(kind: str, source: Source) -> Case:
    case = _padded(kind, source)
    shape = case["arrays"][-1].shape
    direction = 1 + np.arange(shape[0] * shape[1]).reshape(shape) % 5 / 4
    return case | {"direction": direction}


def _wider(kind: str, source: Source) -> Case:
    return {**_arrays(kind, source), "columns": source.integer("columns", 1, 2)}


def _moved(kind: str, source: Source) -> Case:
    arrays = TYPICAL[kind](source)
    return {"arrays": arrays, "order": np.roll(np.arange(len(arrays[0])), 1)}


PADS = (
    *({"mask.pads": side, "mask": 1, "pad": 1000.0} for side in ("right", "left", "interior")),
    {"mask.pads": "right", "mask": 1},
)


def _law(
    name: str,
    kind: str,
    title: str,
    statement: str,
    oracle: str,
    body: Body,
    draw,
    claim: str = "",
    **more,
):
    return Law(
        id=name,
        kind=kind,
        claim=claim,
        title=title,
        statement=statement,
        oracle=oracle,
        why_no_theorem=PROGRAM,
        draw=lambda source: draw(kind, source),
        body=body,
        **more,
    )


LAWS = (
    *(
        _law(
            "U1",
            kind,
            "pads do not matter",
            r"f(x)=f(x')\ \text{where}\ x=x'\ \text{at participating tokens}",
            "the same estimator with zeros at pads",
            pads_ignored,
            _padded,
            battery=PADS,
            precondition="pads are clean",
        )
        for kind in MASKED
    ),
    *(
        _law(
            "U1-gradient",
            kind,
            "pads have no gradient",
            r"\partial f/\partial x_t=0\ \text{where}\ m_t=0",
            "zero at pads, the same gradient elsewhere",
            pads_without_gradient,
            _leaning,
            battery=PADS,
            differentiates=True,
            precondition="pads are clean",
        )
        for kind in DIFFERENTIABLE
    ),
    *(
        _law(
            "U1-zero",
            kind,
            "results are 0 at pads",
            r"f(x)_t=0\ \text{where}\ m_t=0",
            "zero",
            zero_at_pads,
            _padded,
            claim="zero_at_pads",
            battery=PADS,
        )
        for kind in ("gae", "vtrace", "whitening")
    ),
    *(
        _law(
            "U2",
            kind,
            "masked columns at the end change nothing",
            r"f([x,0],[m,0])=f(x,m)",
            "the same estimator without the columns",
            columns_appended,
            _wider,
            battery=PADS[:1],
        )
        for kind in MASKED
    ),
    *(
        _law(
            "U3",
            kind,
            "rows may come in any order",
            r"f(x_\sigma)=f(x)_\sigma",
            "the same estimator in the first order",
            rows_permuted,
            _moved,
        )
        for kind in TYPICAL
    ),
    *(
        _law(
            "U7",
            kind,
            "arguments are left alone",
            r"x\ \text{after}=x\ \text{before}",
            "copies taken before the call",
            inputs_kept,
            _arrays,
        )
        for kind in TYPICAL
    ),
)

assert all(law.kind in KINDS for law in LAWS)
