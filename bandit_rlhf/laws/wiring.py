"""Laws of wiring: a training step through a tabular model, judged by the sum over all strings.

A loss that is right can still be called wrongly: with the logits of another position, a temperature
that the sampler had and the scorer lacks, dropout in one of the two, the sampler's scores computed
anew. So the kind `model_loss` starts at logits. Row t of `logits` is what the model says
after t tokens; the last row comes after the string and scores nothing.

>>> tables = np.log(np.array([[0.5, 0.5], [0.25, 0.75]]))
>>> batch_of(tables, ((0, 0), (1, 1)))[0].shape
(1, 3, 2)
"""

import numpy as np

from bandit_rlhf.laws.gradient import slope
from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.policy_loss import ENDING
from bandit_rlhf.laws.source import Source


def batch_of(table, string):
    """Logits after 0, 1, ... tokens of a string, its tokens and its mask, as a batch of one."""
    rows = [*(table[prefix] for prefix, _ in string), table[0] + table[1]]
    tokens = [[token for _, token in string]]
    return np.array([rows]), np.array(tokens), np.ones((1, len(string)), dtype=bool)


def law_of(table, temperature):
    """Log-probabilities by prefix at a temperature."""
    scaled = table / temperature
    return scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))


def model_step(f, table, sampler, strings, rewards, temperature):
    """E_mu[grad L] in the logits by prefix, what it should be, and the sum of absolute terms."""
    got, expected, size = np.zeros(table.shape), np.zeros(table.shape), 1.0
    log_pi, log_mu = law_of(table, temperature), law_of(sampler, temperature)
    for string, reward in zip(strings, rewards, strict=True):
        logits, tokens, mask = batch_of(table, string)
        old = batch_of(sampler, string)[0]
        drawn = np.exp(sum(log_mu[at] for at in string))
        chance = np.exp(sum(log_pi[at] for at in string))
        for prefix, token in np.ndindex(table.shape):
            along = np.zeros(logits.shape)
            along[0, [t for t, (s, _) in enumerate(string) if s == prefix], token] = 1.0
            along[0, len(string), token] = 1.0
            term = drawn * slope(f, 0, along, logits, old, tokens, mask, np.array([reward]))
            got[prefix, token] += term
            size += np.abs(term)
        for prefix, token in string:
            score = (np.eye(2)[token] - np.exp(log_pi[prefix])) / temperature
            expected[prefix] -= chance * reward * score
    return got, expected, size + np.abs(rewards).sum()


def on_policy(f, table, strings, rewards, temperature):
    """L1: through the model, on its own draws, E[grad L] = -grad J."""
    return model_step(f, table, table, strings, rewards, temperature)


def off_policy(f, table, sampler, strings, rewards, temperature):
    """L2: through the model, on draws of another, E_mu[grad L] = -grad J."""
    return model_step(f, table, sampler, strings, rewards, temperature)


def unit_ratio(f, table, other, strings, reward):
    """L6: where sampler and model agree, the ratio is 1, whatever the logits."""
    values = []
    for own in (table, other):
        logits, tokens, mask = batch_of(own, strings[1])
        values.append(f(logits, logits, tokens, mask, np.array([reward])))
    return values[0], values[1], 2 * np.abs(reward) + np.abs(values[1])


def pads_ignored(f, table, strings, reward, pad):
    """U1: what the model says, and which token stands, after a string's end changes nothing."""
    logits, tokens, mask = batch_of(table, strings[1])
    longer, more = np.append(logits, logits[:, :1] + pad, axis=1), np.append(tokens, [[0]], axis=1)
    wide = np.append(mask, [[False]], axis=1)
    got = f(longer, longer, more, wide, np.array([reward]))
    expected = f(logits, logits, tokens, mask, np.array([reward]))
    return got, expected, 2 * np.abs(reward) + np.abs(expected)


def _table(source: Source, name: str) -> np.ndarray:
    return source.numbers(name, 2, 2) / 4


def _world(source: Source) -> Case:
    rewards = source.numbers("r", 3)
    return {"table": _table(source, "logits"), "strings": ENDING, "rewards": rewards}


def _two(source: Source) -> Case:
    return {**_world(source), "sampler": _table(source, "sampler")}


def _pair(source: Source) -> Case:
    reward = 1 + float(np.abs(source.numbers("r", 1)[0]))
    tables = {"table": _table(source, "logits"), "other": _table(source, "other")}
    return {**tables, "strings": ENDING, "reward": reward}


def _padded(source: Source) -> Case:
    reward = 1 + float(np.abs(source.numbers("r", 1)[0]))
    table = _table(source, "logits")
    pad = source.choice("pad", (1.0, 100.0))
    return {"table": table, "strings": ENDING, "reward": reward, "pad": pad}


BY_DIFFERENCES = {
    "differentiates": True,
    "rounding": 512.0,
    "tolerance": "rounding of the terms, and of differences of order eight",
}
TEMPERATURE = {"temperature": 1.0}


def _law(name, claim, title, statement, oracle, draw, body, **more):
    return Law(
        id=name,
        kind="model_loss",
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
        "L1",
        "on_policy_gradient",
        "through the model, the expected gradient is minus the policy gradient",
        r"\mathbb{E}_{y\sim\pi_T}[\nabla_\theta L]=-\nabla_\theta J(\pi_T)",
        "sum over all strings, with the sampler's temperature",
        _world,
        on_policy,
        theorem=("2", "6"),
        known_facts=TEMPERATURE,
        **BY_DIFFERENCES,
    ),
    _law(
        "L2",
        "off_policy_gradient",
        "through the model, on draws of another, it is the policy's",
        r"\mathbb{E}_{y\sim\mu_T}[\nabla_\theta L]=-\nabla_\theta J(\pi_T)",
        "sum over all strings with the sampler's probabilities",
        _two,
        off_policy,
        theorem=("17",),
        known_facts=TEMPERATURE,
        **BY_DIFFERENCES,
    ),
    _law(
        "L6",
        "unit_ratio",
        "where sampler and model agree, the ratio is 1",
        r"\pi=\mu\Rightarrow\pi(y)/\mu(y)=1",
        "the same loss at other logits",
        _pair,
        unit_ratio,
        why_no_theorem="x/x = 1",
    ),
    _law(
        "U1",
        "",
        "what follows the end of a string does not matter",
        r"L(y\,\mathrm{pad})=L(y)",
        "the loss of the string alone",
        _padded,
        pads_ignored,
        why_no_theorem="a property of programs, not of the mathematics they compute",
    ),
)
