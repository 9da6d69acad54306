"""Laws L of the parts that a policy loss is made of: log-ratios and surrogates.

Aggregations, the third part, are judged in `policy_loss`; estimates of KL in `divergence`.

>>> mask = np.array([[True, True, False]])
>>> span_of(np.array([[1.0, 2.0, 9.0]]), mask, "sequence").tolist()
[[3.0, 3.0, 0.0]]
"""

import numpy as np

from bandit_rlhf.laws.gradient import grad
from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.policy_loss import RAGGED
from bandit_rlhf.laws.source import Source


def span_of(gaps, mask, span):
    """Log-ratios of tokens, or of whole strings at each of their tokens; 0 at pads."""
    result = np.zeros(gaps.shape)
    for i, real in enumerate(mask):
        own = gaps[i, real]
        if len(own):
            whole = {"token": own, "sequence": own.sum(), "geometric": own.mean()}
            result[i, real] = whole[span]
    return result


def declared_span(f, log_prob, old_log_prob, mask, span):
    """L8: each participating token has the log-ratio of the declared span, pads have 0."""
    size = np.abs(log_prob).sum() + np.abs(old_log_prob).sum()
    got = f(log_prob, old_log_prob, mask)
    return got, span_of(log_prob - old_log_prob, mask, span), size


def zero_on_policy(f, log_prob, mask):
    """L6: where the sampler is the policy, every log-ratio is 0."""
    return f(log_prob, log_prob, mask), np.zeros(mask.shape), np.abs(log_prob).sum()


def span_gradient(f, log_prob, old_log_prob, mask, span):
    """L8: the sum of all log-ratios moves with each token's log-probability as declared."""
    times = mask.sum(axis=1, keepdims=True) if span == "sequence" else 1
    got = grad(f, 0, log_prob, old_log_prob, mask)
    return got, mask * times, 1 + np.abs(log_prob).sum() + np.abs(old_log_prob).sum()


def first_order(f, log_prob, advantages):
    """L1: at ratio 1 the loss of a token falls by its advantage times the step in ln pi."""
    arrays = (log_prob, np.zeros(log_prob.shape), advantages)
    got = grad(f, 0, *arrays) + grad(f, 1, *arrays)
    return got, -advantages, np.abs(advantages).sum() * (1 + np.abs(log_prob).sum())


def bounded(f, ratios, advantage, clip, dual):
    """L3: max(-A r, -A cut(r)), and at most -A dual for negative A."""
    low, high = 1 - clip[0], 1 + clip[1]
    table = np.array([ratios])
    got = f(np.full(table.shape, -1.0), np.log(table), np.full(table.shape, advantage))
    losses = np.maximum(-advantage * table, -advantage * np.clip(table, low, high))
    if dual and advantage < 0:
        losses = np.minimum(losses, -advantage * dual)
    return got, losses, 2 * np.abs(advantage) * table


def truncated(f, ratios, advantage, cut):
    """L8: in ln pi the slope is -A cut(r), in the ratio itself 0."""
    table = np.array([ratios])
    arrays = (np.full(table.shape, -1.0), np.log(table), np.full(table.shape, advantage))
    loss = f(*arrays)
    expected = advantage * np.clip(table, *cut)
    return loss, expected, 2 * np.abs(expected)


def cut_weights_detached(f, ratios, advantage):
    """L7: no gradient flows through the cut ratio."""
    table = np.array([ratios])
    arrays = (np.full(table.shape, -1.0), np.log(table), np.full(table.shape, advantage))
    return grad(f, 1, *arrays), np.zeros(table.shape), np.abs(advantage)


def _log_probs(source: Source) -> Case:
    shape = source.integer("strings", 2, 3), source.integer("tokens", 2, 3)
    mask = source.mask("mask", *shape)
    first, second = (-0.25 - np.abs(source.numbers("log_prob", *shape)) for _ in range(2))
    return {"log_prob": first, "old_log_prob": second, "mask": mask}


def _same(source: Source) -> Case:
    case = _log_probs(source)
    return {"log_prob": case["log_prob"], "mask": case["mask"]}


def _tokens(source: Source) -> Case:
    shape = source.integer("strings", 1, 2), source.integer("tokens", 1, 3)
    log_prob = -0.25 - np.abs(source.numbers("log_prob", *shape))
    return {"log_prob": log_prob, "advantages": source.numbers("a", *shape)}


def _ratios(source: Source) -> Case:
    """Ratios far below, inside and far above every band in use."""
    advantage = source.choice("advantage", (1.0, -1.0, 2.5, -2.5, 0.25, -0.25))
    inside = 1 + source.numbers("inside", 2) / 2**14
    return {"ratios": [0.25, *inside.tolist(), 1.0, 2.0, 4.0, 16.0], "advantage": advantage}


SIGNS = ({"advantage": 1.0}, {"advantage": -1.0})
DIFFERENCES = {
    "differentiates": True,
    "rounding": 256.0,
    "tolerance": "rounding of the terms, and of differences of order eight",
}

LAWS = (
    Law(
        id="L6",
        kind="log_ratio",
        claim="zero_on_policy",
        title="where the sampler is the policy, the log-ratio is 0",
        statement=r"\pi=\mu\ \Rightarrow\ \ln\rho=0",
        oracle="zero",
        why_no_theorem="x - x = 0",
        draw=_same,
        body=zero_on_policy,
        battery=RAGGED,
    ),
    Law(
        id="L8",
        kind="log_ratio",
        claim="span",
        title="each token has the log-ratio of the declared span, pads have 0",
        statement=r"\ln\rho_t\in\{d_t,\ \textstyle\sum_s d_s,\ \tfrac1{|y|}\sum_s d_s\},"
        r"\ d_s=\ln\pi_s-\ln\mu_s",
        oracle="a loop over strings",
        why_no_theorem="a definition",
        draw=_log_probs,
        body=declared_span,
        battery=RAGGED,
        facts=("span",),
    ),
    Law(
        id="L8-gradient",
        kind="log_ratio",
        claim="span",
        title="the log-ratios move with each token as declared",
        statement=r"\partial\sum_s\ln\rho_s/\partial\ln\pi_t\in\{1,|y|,1\}",
        oracle="counting",
        why_no_theorem="a definition",
        draw=_log_probs,
        body=span_gradient,
        battery=RAGGED,
        facts=("span",),
        **DIFFERENCES,
    ),
    Law(
        id="L1",
        kind="surrogate",
        claim="first_order",
        title="at ratio 1 a token's slope is minus its advantage",
        statement=r"\mathrm d\ell/\mathrm d\ln\pi=-A\ \text{at}\ \pi=\mu",
        oracle="minus the advantages",
        theorem=("2", "6"),
        draw=_tokens,
        body=first_order,
        **DIFFERENCES,
    ),
    Law(
        id="L3",
        kind="surrogate",
        claim="clipped",
        title="the larger of both losses, up to the dual bound",
        statement=r"\ell(r)=\max(-Ar,\,-A\,\mathrm{cut}(r)),\ \le-A\,c\ \text{for}\ A<0",
        oracle="the definition, at ratios inside and outside of the band",
        why_no_theorem="a definition",
        draw=_ratios,
        body=bounded,
        battery=SIGNS,
        facts=("clip",),
        known_facts={"dual": 0.0},
    ),
    Law(
        id="L8",
        kind="surrogate",
        claim="truncated",
        title="each token keeps its score, weighted by the cut ratio",
        statement=r"\ell=-\mathrm{cut}(r)\,A\,\ln\pi",
        oracle="the definition, at ratios inside and outside of the cut",
        why_no_theorem="a definition",
        draw=_ratios,
        body=truncated,
        battery=SIGNS,
        facts=("cut",),
    ),
    Law(
        id="L7",
        kind="surrogate",
        claim="truncated",
        title="no gradient flows through the cut ratio",
        statement=r"\partial\ell/\partial r=0",
        oracle="zero, by autograd",
        why_no_theorem="about a program's graph, not its value",
        draw=_ratios,
        body=cut_weights_detached,
        battery=SIGNS,
        differentiates=True,
        torch_only=True,
    ),
)
