"""Laws L: losses of tokens and policies, judged by the sum over all strings.

A world is a table of log-probabilities by prefix, and strings as tuples of (prefix, token). In the
ending world token 1 ends a string, so that lengths differ; in the equal one all have two tokens.

>>> log_pi = np.log(np.array([[0.5, 0.5], [0.25, 0.75]]))
>>> objective_gradient(log_pi, ENDING, (1.0, 0.0, 0.0)).round(3).tolist()
[[-0.25, 0.25], [0.0, 0.0]]
"""

import numpy as np

from bandit_rlhf.laws.gradient import grad
from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.source import Source

ENDING = (((0, 1),), ((0, 0), (1, 1)), ((0, 0), (1, 0)))
"""The strings "end", "go on, end" and "go on" twice, which is cut at the horizon."""
EQUAL = tuple(((0, first), (1 + first, second)) for first in (0, 1) for second in (0, 1))
"""All strings of two tokens out of two."""


def chosen(log_pi, string):
    """Log-probabilities of a string's tokens, as a batch of one."""
    return np.array([[log_pi[prefix, token] for prefix, token in string]])


def expected_step(f, log_pi, log_mu, strings, rewards):
    """E_mu[grad L] in the logits of pi, and the sum of its absolute terms."""
    got, size = np.zeros(log_pi.shape), 0.0
    for string, reward in zip(strings, rewards, strict=True):
        new, old = chosen(log_pi, string), chosen(log_mu, string)
        slopes = grad(f, 0, new, old, np.full(new.shape, reward), new < 1)
        for (prefix, token), weight in zip(string, np.exp(old.sum()) * slopes[0], strict=True):
            got[prefix] += weight * (np.eye(2)[token] - np.exp(log_pi[prefix]))
            size += np.abs(weight)
    return got, size


def objective_gradient(log_pi, strings, rewards):
    """The gradient of the expected reward in the logits of pi."""
    result = np.zeros(log_pi.shape)
    for string, reward in zip(strings, rewards, strict=True):
        chance = np.exp(chosen(log_pi, string).sum())
        for prefix, token in string:
            result[prefix] += chance * reward * (np.eye(2)[token] - np.exp(log_pi[prefix]))
    return result


def on_policy(f, log_pi, strings, rewards, scale):
    """L1: on draws of the policy, E[grad L] = -scale grad J."""
    got, size = expected_step(f, log_pi, log_pi, strings, rewards)
    return got, -scale * objective_gradient(log_pi, strings, rewards), size + np.abs(rewards).sum()


def along(f, log_pi, strings, rewards):
    """L1: with strings of one length, E[grad L] points along -grad J."""
    got, size = expected_step(f, log_pi, log_pi, strings, rewards)
    wanted = -objective_gradient(log_pi, strings, rewards)
    long, short = np.abs(got).sum(), np.abs(wanted).sum()
    return got * short, wanted * long, (size + np.abs(rewards).sum()) * (short + long)


def off_policy(f, log_pi, log_mu, strings, rewards, scale):
    """L2: on draws of mu, without a clip, E_mu[grad L] = -scale grad J."""
    got, size = expected_step(f, log_pi, log_mu, strings, rewards)
    return got, -scale * objective_gradient(log_pi, strings, rewards), size + np.abs(rewards).sum()


def clipped(f, old, advantage, clip, dual):
    """L3: one token's loss is max(-A r, -A cut(r)) times its weight, so flat where it is cut."""
    low, high = 1 - clip[0], 1 + clip[1]
    last = 2 * max(dual, high)
    ratios = np.array([low / 2, (1 + low) / 2, 1, (1 + high) / 2, 2 * high, last, 2 * last])
    where = np.ones((1, 1), dtype=bool)
    unit = -f(old, old, np.ones((1, 1)), where)
    got = [f(old + np.log(r), old, np.full((1, 1), advantage), where) for r in ratios]
    losses = np.maximum(-advantage * ratios, -advantage * np.clip(ratios, low, high))
    if dual and advantage < 0:
        losses = np.minimum(losses, -advantage * dual)
    return np.array(got), unit * losses, unit * np.abs(advantage) * ratios * (2 + np.abs(old).sum())


def constant_advantage(f, log_pi, strings):
    """L4: where every string is worth the same there is nothing to learn: E[grad L] = 0."""
    got, size = expected_step(f, log_pi, log_pi, strings, np.ones(len(strings)))
    return got, np.zeros(got.shape), size


def share(weights, mask, length):
    """The declared weight of each token."""
    rows, tokens = len(mask), mask.sum(axis=1, keepdims=True)
    if weights == "token_mean":
        return mask / mask.sum()
    if weights == "sequence_mean":
        return mask / tokens / rows
    return mask / rows / (length if weights == "constant" else 1)


def weighted_sum(f, values, mask, weights, length):
    """L5: the sum of the participating values with the declared weights."""
    terms = share(weights, mask, length) * np.where(mask, values, 0)
    return f(values, mask), terms.sum(), np.abs(terms).sum()


def token_weights(f, arrays, mask, weights, length):
    """L5: the loss is the sum of the losses of single tokens with the declared weights."""
    expected, size = 0.0, 0.0
    for (i, t), weight in np.ndenumerate(share(weights, mask, length)):
        if mask[i, t]:
            alone = [x[i : i + 1, t : t + 1] for x in arrays]
            one = f(*alone, np.ones((1, 1), dtype=bool))
            term = weight / share(weights, np.ones((1, 1)), length)[0, 0] * one
            expected, size = expected + term, size + np.abs(term)
    return f(*arrays, mask), expected, size + 0.1 * sum(np.abs(x).sum() for x in arrays)


def unit_ratio(f, first, second, advantages, mask):
    """L6: where the sampler is the policy the ratio is 1, whatever the probabilities."""
    got, expected = f(first, first, advantages, mask), f(second, second, advantages, mask)
    return got, expected, np.abs(advantages).sum()


def leak(f, arrays, mask):
    """L7: no gradient flows into the sampler's log-probabilities and the advantages."""
    got = np.concatenate([grad(f, place, *arrays, mask).ravel() for place in (1, 2)])
    return got, np.zeros(got.shape), 1.0


def micro_batches(f, arrays, mask, weights):
    """U4: the batch is the sum of its micro-batches, each with its share of tokens or strings."""
    counts = mask.sum(axis=1) if weights == "token_mean" else np.ones(len(mask))
    parts = [
        (counts[rows].sum() / counts.sum(), f(*(x[rows] for x in arrays), mask[rows]))
        for rows in (slice(0, 1), slice(1, None))
    ]
    expected = sum(part * loss for part, loss in parts)
    size = sum(np.abs(x).sum() for x in arrays) + sum(np.abs(part * loss) for part, loss in parts)
    return f(*arrays, mask), expected, size


def whole_denominator(f, arrays, mask, weights):
    """U4: told the whole batch's denominator, micro-batches add up to the batch."""
    total = float(mask.sum() if weights == "token_mean" else len(mask))
    parts = [
        f(*(x[rows] for x in arrays), mask[rows], total=total)
        for rows in (slice(0, 1), slice(1, None))
    ]
    size = sum(np.abs(x).sum() for x in arrays) + sum(np.abs(part) for part in parts)
    return sum(parts), f(*arrays, mask), size


def _log_law(source: Source, name: str, prefixes: int) -> np.ndarray:
    return np.log(source.law(name, prefixes, 2))


def _ending(source: Source) -> Case:
    """Strings of different lengths, rewards that differ between them."""
    log_pi = _log_law(source, "p", 2)
    return {"log_pi": log_pi, "strings": ENDING, "rewards": source.numbers("r", 3)}


def _equal(source: Source) -> Case:
    log_pi = _log_law(source, "p", 3)
    return {"log_pi": log_pi, "strings": EQUAL, "rewards": source.numbers("r", 4)}


def _two_policies(source: Source) -> Case:
    return {**_ending(source), "log_mu": _log_law(source, "mu", 2)}


def _constant(source: Source) -> Case:
    return {"log_pi": _log_law(source, "p", 2), "strings": ENDING}


def _one_token(source: Source) -> Case:
    advantage = source.choice("advantage", (1.0, -1.0, 2.5, -2.5, 0.25, -0.25))
    return {"old": -np.abs(source.numbers("old", 1, 1)), "advantage": advantage}


def _table(source: Source) -> tuple[np.ndarray, tuple[int, int]]:
    shape = source.integer("strings", 2, 3), source.integer("tokens", 2, 3)
    return source.mask("mask", *shape), shape


def _negative(source: Source, shape: tuple[int, int]) -> np.ndarray:
    return -0.25 - np.abs(source.numbers("log_prob", *shape))


def _losses(source: Source) -> Case:
    mask, shape = _table(source)
    return {"arrays": (source.numbers("x", *shape),), "mask": mask}


def _table_of_losses(source: Source) -> Case:
    mask, shape = _table(source)
    return {"values": source.numbers("x", *shape), "mask": mask}


def _batch(source: Source) -> Case:
    """On policy, with an advantage of its own for each token."""
    mask, shape = _table(source)
    log_prob = _negative(source, shape)
    return {"arrays": (log_prob, log_prob, source.numbers("a", *shape)), "mask": mask}


def _moved(source: Source) -> Case:
    """Off policy, within a ratio of e^(1/16), and away from ratio 1."""
    mask, shape = _table(source)
    log_prob = _negative(source, shape)
    step = (1 + np.abs(source.numbers("step", *shape))) / 128
    return {"arrays": (log_prob, log_prob + step, source.numbers("a", *shape)), "mask": mask}


def _values(source: Source) -> Case:
    mask, shape = _table(source)
    return {"arrays": tuple(source.numbers("v", *shape) for _ in range(3)), "mask": mask}


def _ratios(source: Source) -> Case:
    mask, shape = _table(source)
    first, second = _negative(source, shape), _negative(source, shape)
    advantages = np.abs(source.numbers("a", *shape)) + 1
    return {"first": first, "second": second, "advantages": advantages, "mask": mask}


RAGGED = (
    {"strings": 3, "tokens": 3, "mask.pads": "right", "mask": 1},
    {"strings": 2, "tokens": 3, "mask.pads": "none"},
)
LEVELLING = "a declared normalisation, not an identity of all losses"
WEIGHTS = {"length": 1.0}

LAWS = (
    Law(
        id="L1",
        kind="policy_loss",
        claim="on_policy_gradient",
        title="on policy, the expected gradient is minus the policy gradient",
        statement=r"\mathbb{E}_{y\sim\pi}[\nabla L(y)]=-c\,\nabla J(\pi)",
        oracle="sum over all strings, of different lengths, one a batch",
        theorem=("2", "6"),
        draw=_ending,
        body=on_policy,
        known_facts={"scale": 1.0},
        differentiates=True,
        rounding=256.0,
        tolerance="rounding of the terms, and of differences of order eight",
    ),
    Law(
        id="L1-direction",
        kind="policy_loss",
        claim="on_policy_gradient",
        title="with strings of one length, the expected step is along the policy gradient",
        statement=r"|y|=T\ \Rightarrow\ \mathbb{E}_{y\sim\pi}[\nabla L(y)]\parallel-\nabla J(\pi)",
        oracle="sum over all strings of two tokens, one a batch",
        theorem=("2", "6"),
        draw=_equal,
        body=along,
        differentiates=True,
        rounding=256.0,
        tolerance="rounding of the terms, and of differences of order eight",
    ),
    Law(
        id="L2",
        kind="policy_loss",
        claim="off_policy_gradient",
        title="on draws of mu, unclipped, the expected gradient is the policy's",
        statement=r"\mathbb{E}_{y\sim\mu}[\nabla L(y)]=-c\,\nabla J(\pi)",
        oracle="sum over all strings with the sampler's probabilities",
        theorem=("17",),
        draw=_two_policies,
        body=off_policy,
        known_facts={"scale": 1.0},
        differentiates=True,
        rounding=256.0,
        tolerance="rounding of the terms, and of differences of order eight",
    ),
    Law(
        id="L3",
        kind="policy_loss",
        claim="clipped",
        title="no gradient exactly in the declared clip region",
        statement=r"L(r)=w\max(-A r,\,-A\,\mathrm{cut}(r,1-\epsilon_-,1+\epsilon_+))",
        oracle="the definition, at ratios inside and outside of the band",
        why_no_theorem="a definition",
        draw=_one_token,
        body=clipped,
        battery=({"advantage": 1.0}, {"advantage": -1.0}),
        facts=("clip",),
        known_facts={"dual": 0.0},
    ),
    Law(
        id="L4",
        kind="policy_loss",
        claim="baseline_free",
        title="a constant advantage teaches nothing",
        statement=r"A\equiv a\ \Rightarrow\ \mathbb{E}_{y\sim\pi}[\nabla L(y)]=0",
        oracle="zero",
        theorem=("1", "2", "30"),
        draw=_constant,
        body=constant_advantage,
        differentiates=True,
        rounding=256.0,
        tolerance="rounding of the terms, and of differences of order eight",
    ),
    *(
        Law(
            id="L5",
            kind=kind,
            claim="token_weights",
            title="each token has the declared weight",
            statement=r"L=\sum_{i,t}w_{it}\,\ell_{it}",
            oracle="losses of single tokens with the weights of the declaration",
            why_no_theorem=LEVELLING,
            draw=draw,
            body=body,
            battery=RAGGED,
            facts=("weights",),
            known_facts=WEIGHTS,
        )
        for kind, draw, body in (
            ("aggregation", _table_of_losses, weighted_sum),
            ("policy_loss", _batch, token_weights),
            ("value_loss", _values, token_weights),
        )
    ),
    Law(
        id="L6",
        kind="policy_loss",
        claim="unit_ratio",
        title="where the sampler is the policy, the ratio is 1",
        statement=r"\pi=\mu\ \Rightarrow\ \pi(y)/\mu(y)=1",
        oracle="the same loss at other probabilities",
        why_no_theorem="x/x = 1",
        draw=_ratios,
        body=unit_ratio,
        battery=RAGGED,
    ),
    Law(
        id="L7",
        kind="policy_loss",
        claim="no_leak",
        title="no gradient flows into the sampler or the advantages",
        statement=r"\partial L/\partial\ln\mu=0,\ \partial L/\partial A=0",
        oracle="zero, by autograd",
        why_no_theorem="about a program's graph, not its value",
        draw=_moved,
        body=leak,
        differentiates=True,
        torch_only=True,
    ),
    *(
        Law(
            id="U4",
            kind=kind,
            claim="additive",
            title="weighted micro-batches add up",
            statement=r"L(B)=\sum_k w_k L(B_k)",
            oracle="the estimator itself on the parts, with the declared weights",
            why_no_theorem=LEVELLING,
            draw=draw,
            body=micro_batches,
            battery=RAGGED,
            facts=("weights",),
        )
        for kind, draw in (("aggregation", _losses), ("policy_loss", _moved))
    ),
    Law(
        id="U4-total",
        kind="aggregation",
        claim="additive",
        title="told the whole denominator, micro-batches add up",
        statement=r"L(B)=\sum_k L(B_k;N)",
        oracle="the estimator itself on the whole batch",
        why_no_theorem=LEVELLING,
        draw=_losses,
        body=whole_denominator,
        battery=RAGGED,
        facts=("weights",),
        takes=("total",),
    ),
)
