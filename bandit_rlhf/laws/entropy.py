"""Laws H: entropies of next tokens from logits, judged by their definition.

>>> softmax(np.array([0.0, 0.0]), 1.0)
array([0.5, 0.5])
"""

import numpy as np

from bandit_rlhf.laws.gradient import grad
from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.source import Source


def softmax(logits, temperature):
    """Probabilities along the last axis; a logit of minus infinity has none."""
    powers = np.exp((logits - logits.max(axis=-1, keepdims=True)) / temperature)
    return powers / powers.sum(axis=-1, keepdims=True)


def surprise(p):
    """-p ln p, which is 0 at p = 0."""
    return np.array([-x * np.log(x) if x > 0 else 0.0 for x in p.ravel()]).reshape(p.shape)


def value(f, logits):
    """H1: the mean surprise under the softmax."""
    return f(logits), surprise(softmax(logits, 1.0)).sum(axis=-1), 1 + np.abs(logits).max()


def bounded(f, logits):
    """H2: between 0, and ln |V| which equal logits reach."""
    top = np.log(logits.shape[-1])
    got = np.array([f(logits), f(0 * logits)])
    return got, np.array([np.clip(got[0], 0, top), top + 0 * got[1]]), 1 + np.abs(logits).max()


def chain_rule(f, logits):
    """H3: the first token's and the mean of the second's add up to the string's."""
    first, later = softmax(logits[0, 0], 1.0), softmax(logits[0, 1:], 1.0)
    h = f(logits)[0]
    expected = surprise(first[:, None] * later).sum()
    return h[0] + first @ h[1:], expected, 1 + np.abs(logits).max()


def gradient(f, logits):
    """H4: dH/dlogit = -p (ln p + H)."""
    p = softmax(logits, 1.0)
    h = surprise(p).sum(axis=-1, keepdims=True)
    return grad(f, 0, logits), surprise(p) - p * h, 1 + np.abs(logits).max()


def tempered(f, logits, temperature):
    """H5: a temperature divides the logits."""
    got = f(logits, temperature=temperature)
    expected = surprise(softmax(logits, temperature)).sum(axis=-1)
    return got, expected, 1 + np.abs(logits).max() / temperature


def excluded(f, logits, out):
    """H6: a logit of minus infinity takes a token out of the vocabulary."""
    rest = np.delete(logits, out, axis=-1)
    less = logits.copy()
    less[..., out] = -np.inf
    return f(less), surprise(softmax(rest, 1.0)).sum(axis=-1), 1 + np.abs(rest).max()


def finite(f, logits):
    """U6: a finite entropy for logits of 1000."""
    return np.isfinite(f(logits)).astype(float), 1.0, 1.0


def finite_gradient(f, logits):
    """U6: a finite gradient for logits of 1000."""
    return np.isfinite(grad(f, 0, logits)).astype(float), 1.0, 1.0


def _logits(source: Source) -> Case:
    shape = source.integer("strings", 1, 2), source.integer("tokens", 1, 2)
    return {"logits": source.numbers("logits", *shape, source.integer("vocabulary", 2, 3))}


def _one(source: Source) -> Case:
    return {"logits": source.numbers("logits", 1, 1, source.integer("vocabulary", 2, 3)) / 2}


def _prefixes(source: Source) -> Case:
    size = source.integer("vocabulary", 2, 3)
    return {"logits": source.numbers("logits", 1, 1 + size, size)}


def _tempered(source: Source) -> Case:
    return {**_logits(source), "temperature": source.choice("temperature", (0.5, 2.0, 0.75, 4.0))}


def _excluded(source: Source) -> Case:
    case = _logits(source)
    return {**case, "out": source.integer("out", 0, case["logits"].shape[-1] - 1)}


def _far(source: Source) -> Case:
    size = source.integer("vocabulary", 2, 3)
    far = (1000.0, -1000.0)
    return {"logits": np.array([[[source.choice(f"logit {i}", far) for i in range(size)]]])}


SHAPES = ({"strings": 2, "tokens": 2, "vocabulary": 3}, {"strings": 1, "logits": 0.0})
ENDS = ({"logit 0": 1000.0, "logit 1": -1000.0}, {"logit 0": -1000.0, "logit 1": -1000.0})


def _law(name, claim, title, statement, oracle, draw, body, **more):
    return Law(
        id=name,
        kind="entropy",
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
        "H1",
        "value",
        "the mean surprise under the softmax",
        r"H=-\sum_a\pi_a\ln\pi_a",
        "the definition",
        _logits,
        value,
        why_no_theorem="a definition",
        battery=SHAPES,
    ),
    _law(
        "H2",
        "bounded",
        "between 0 and ln |V|, which equal logits reach",
        r"0\le H\le\ln|V|",
        "the bounds",
        _logits,
        bounded,
        theorem=("34",),
        battery=SHAPES,
    ),
    _law(
        "H3",
        "chain_rule",
        "tokens' entropies, averaged over prefixes, add up to the string's",
        r"H(y_1y_2)=H(y_1)+\mathbb{E}_{y_1}H(y_2\mid y_1)",
        "the sum over all strings of two tokens",
        _prefixes,
        chain_rule,
        theorem=("9",),
        battery=({"vocabulary": 3},),
    ),
    _law(
        "H4",
        "gradient",
        "the gradient is that of the entropy",
        r"\partial H/\partial l_a=-\pi_a(\ln\pi_a+H)",
        "the closed form",
        _one,
        gradient,
        theorem=("1",),
        battery=({"vocabulary": 3},),
        differentiates=True,
        rounding=512.0,
        tolerance="rounding of the terms, and of differences of order eight",
    ),
    _law(
        "H5",
        "temperature",
        "a temperature divides the logits",
        r"H_T(l)=H(l/T)",
        "the definition",
        _tempered,
        tempered,
        why_no_theorem="a definition",
        battery=SHAPES[:1],
        takes=("temperature",),
    ),
    _law(
        "H6",
        "excluded",
        "a logit of minus infinity takes a token out",
        r"H(l_1,\dots,l_K,-\infty)=H(l_1,\dots,l_K)",
        "the entropy of the other tokens",
        _excluded,
        excluded,
        why_no_theorem="the limit of the definition, 0 ln 0 = 0",
        battery=SHAPES[:1],
    ),
    _law(
        "U6",
        "finite",
        "a finite entropy for logits of 1000",
        r"|H|<\infty",
        "finiteness",
        _far,
        finite,
        why_no_theorem="about floating point: the real function is finite",
        battery=ENDS,
    ),
    _law(
        "U6-gradient",
        "finite",
        "a finite gradient for logits of 1000",
        r"|\nabla H|<\infty",
        "finiteness",
        _far,
        finite_gradient,
        why_no_theorem="about floating point: the real function is finite",
        battery=ENDS,
        differentiates=True,
    ),
)
