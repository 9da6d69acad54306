"""Laws O: values of a policy from another policy's draws, judged by sums over all their batches.

>>> def importance(r, log_p, log_mu, *model):
...     return np.mean(np.exp(log_p - log_mu) * r)
>>> p, mu = np.array([0.5, 0.5]), np.array([0.25, 0.75])
>>> got, expected, _ = unbiased(importance, p, mu, np.array([1.0, 0.0]), np.zeros(2), 2)
>>> got.round(12), expected
(np.float64(0.5), np.float64(0.5))
"""

import itertools

import numpy as np

from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.policy_loss import ENDING
from bandit_rlhf.laws.source import Source


def mean_estimate(f, mu, draws, *columns):
    """E of the estimate over ordered batches of draws of mu, and the sum of its absolute terms."""
    got, size = 0.0, 0.0
    for batch in map(list, itertools.product(range(len(mu)), repeat=draws)):
        term = mu[batch].prod() * f(*(x[batch] for x in columns))
        got, size = got + term, size + np.abs(term)
    return got, size


def unbiased(f, p, mu, r, q, draws):
    """O1: the mean estimate is the value of p, whatever model q goes with it."""
    model = q, np.full(len(p), p @ q)
    got, size = mean_estimate(f, mu, draws, r, np.log(p), np.log(mu), *model)
    return got, p @ r, size + np.abs(q).sum()


def doubly_robust(f, p, mu, claimed, r, q, draws):
    """O2: the mean estimate is the value of p where the model or the sampler's law is right."""
    model = q, np.full(len(p), p @ q)
    got, size = mean_estimate(f, mu, draws, r, np.log(p), np.log(claimed), *model)
    return got, p @ r, size + mu * p / claimed @ (np.abs(r) + 2 * np.abs(q))


def shift_equivariant(f, r, log_p, log_mu, q, v, shift):
    """O3: rewards plus c, and models plus c, give the estimate plus c."""
    got, expected = f(r + shift, log_p, log_mu, q + shift, v + shift), f(r, log_p, log_mu, q, v)
    size = (1 + np.exp(log_p - log_mu)) * (np.abs(r) + np.abs(q) + np.abs(v) + abs(shift))
    return got, expected + shift, size.mean()


def on_policy_mean(f, r, log_p, q, v):
    """O4: on the sampler's own policy the estimate is the mean reward."""
    return f(r, log_p, log_p, q, v), r.mean(), (np.abs(r) + np.abs(q) + np.abs(v)).mean()


def known_bias(f, p, mu, r, draws, clip):
    """O6: with weights cut to [low, high] the mean estimate is E_mu[cut(p / mu) r]."""
    nothing = np.zeros(len(p))
    got, size = mean_estimate(f, mu, draws, r, np.log(p), np.log(mu), nothing, nothing)
    expected = mu * np.clip(p / mu, *clip) * r
    return got, expected.sum(), size + np.abs(expected).sum()


def table(values, strings):
    """Values by prefix and token as an array [string, token], 0 beyond the end."""
    result = np.zeros((len(strings), 2))
    for i, string in enumerate(strings):
        for t, (prefix, token) in enumerate(string):
            result[i, t] = values[prefix, token]
    return result


def per_decision(f, p, mu, r, strings, gamma, draws):
    """O5: the mean estimate is the expected discounted sum of the tokens' rewards."""
    rewards, log_p, log_mu = (table(x, strings) for x in (r, np.log(p), np.log(mu)))
    real, law = table(r < np.inf, strings) > 0, np.exp(log_mu.sum(axis=1))
    columns = rewards, log_p, log_mu, real
    got, size = mean_estimate(lambda *x: f(*x, gamma), law, draws, *columns)
    terms = np.exp(log_p.sum(axis=1))[:, None] * rewards * gamma ** np.arange(2)
    return got, terms.sum(), size + np.abs(terms).sum()


def on_policy_return(f, rewards, log_p, mask, gamma):
    """O4: on the sampler's own policy the estimate is the mean of the strings' returns."""
    gains = [rewards[i, real] @ gamma ** np.arange(real.sum()) for i, real in enumerate(mask)]
    got = f(rewards, log_p, log_p, mask, gamma)
    return got, np.mean(gains), np.abs(rewards[mask]).sum() / len(mask)


def targets_of(ratio, rewards, values, final, gamma, clip, trace_clip):
    """V-trace's targets along one string without pads, by a loop from its end."""
    result, gap, ahead = np.zeros(len(values)), 0.0, final
    for t in reversed(range(len(values))):
        error = min(clip, ratio[t]) * (rewards[t] + gamma * ahead - values[t])
        gap = error + gamma * min(trace_clip, ratio[t]) * gap
        result[t], ahead = values[t] + gap, values[t]
    return result


def returns(f, log_p, rewards, values, mask, final, gamma):
    """O7: on-policy the targets are the returns, the advantages what these exceed the values by."""
    parts = f(log_p, log_p, rewards, values, mask, final_value=final, gamma=gamma)
    gains = np.zeros(rewards.shape)
    for i, real in enumerate(mask):
        gain = final[i]
        for t in np.flatnonzero(real)[::-1]:
            gain = rewards[i, t] + gamma * gain
            gains[i, t] = gain
    expected = [gains, np.where(mask, gains - values, 0)][: len(parts)]
    size = np.abs(rewards).sum(axis=1).max() + np.abs(values).max() + np.abs(final).max()
    return [np.where(mask, x, 0) for x in parts], expected, size


def recursion(f, log_p, log_mu, rewards, values, mask, final, gamma, clip, trace_clip):
    """O7: targets exceed values by rho_t delta_t + gamma c_t times the next one's excess."""
    got = f(log_p, log_mu, rewards, values, mask, final_value=final, gamma=gamma)[0]
    expected, ratio = np.zeros(rewards.shape), np.exp(log_p - log_mu)
    for i, real in enumerate(mask):
        row = ratio[i, real], rewards[i, real], values[i, real], final[i]
        expected[i, real] = targets_of(*row, gamma, clip, trace_clip)
    size = np.abs(rewards).sum(axis=1).max() + 2 * np.abs(values).max() + np.abs(final).max()
    most = np.clip(ratio.max(), 1, max(clip, trace_clip, 1))
    return np.where(mask, got, 0), expected, size * most ** rewards.shape[1]


def fixed_point(f, p, mu, rewards, final, gamma, clip):
    """O7: with the values of the policy min(clip mu, p) / sum, targets average to the values."""
    cut = np.minimum(clip * mu, p)
    cut = cut / cut.sum(axis=1, keepdims=True)
    later = [cut[1 + a] @ (rewards[1 + a] + gamma * final[2 * a : 2 * a + 2]) for a in (0, 1)]
    first = cut[0] @ (rewards[0] + gamma * np.array(later))
    strings = [((0, a), (1 + a, b)) for a in (0, 1) for b in (0, 1)]
    values = np.array([[first, later[a]] for (_, a), _ in strings])
    columns = (table(x, strings) for x in (np.log(p), np.log(mu), rewards))
    real = np.ones((4, 2), dtype=bool)
    found = f(*columns, values, real, final_value=final, gamma=gamma)[0]
    got = np.zeros(3)
    for ((_, a), (_, b)), target in zip(strings, found, strict=True):
        got[0] += mu[0, a] * mu[1 + a, b] * target[0]
        got[1 + a] += mu[1 + a, b] * target[1]
    size = np.abs(found).max() + np.abs(rewards).max() + np.abs(final).max()
    return got, np.array([first, *later]), size + np.abs(values).max()


FRACTIONS = (0.5, 0.75, 0.9375, 1.0)


def _draws(source: Source) -> Case:
    strings = source.integer("strings", 2, 3)
    return {
        "p": source.law("p", strings),
        "mu": source.law("mu", strings),
        "r": source.numbers("r", strings),
        "draws": source.integer("draws", 1, 2),
    }


def _model(source: Source) -> Case:
    case = _draws(source)
    return {**case, "q": source.numbers("q", len(case["r"])) / 16}


def _one_wrong(source: Source) -> Case:
    """A wrong model with the sampler's law, or the true rewards with a wrong one."""
    case, wrong = _model(source), source.choice("wrong", ("model", "sampler"))
    other = source.law("claimed", len(case["r"]))
    if wrong == "model":
        return case | {"claimed": case["mu"]}
    return case | {"claimed": other, "q": case["r"]}


def _log_probs(source: Source, *shape: int) -> np.ndarray:
    return -0.25 - np.abs(source.numbers("log_prob", *shape)) / 4


def _batch(source: Source) -> Case:
    draws = source.integer("draws", 1, 4)
    case = {name: source.numbers(name, draws) for name in ("r", "q", "v")}
    return case | {"log_p": _log_probs(source, draws)}


def _shifted(source: Source) -> Case:
    case = _batch(source)
    log_mu = _log_probs(source, len(case["r"]))
    return case | {"log_mu": log_mu, "shift": source.choice("shift", (1.0, -2.5, 8.0))}


def _tokens(source: Source) -> Case:
    return {
        "p": source.law("p", 2, 2),
        "mu": source.law("mu", 2, 2),
        "r": source.numbers("r", 2, 2),
        "strings": ENDING,
        "gamma": 1.0,
        "draws": source.integer("draws", 1, 2),
    }


def _discounted(source: Source) -> Case:
    return _tokens(source) | {"gamma": source.choice("gamma", FRACTIONS)}


def _strings(source: Source) -> Case:
    shape = source.integer("strings", 2, 3), source.integer("tokens", 2, 3)
    return {
        "log_p": _log_probs(source, *shape),
        "rewards": source.numbers("r", *shape),
        "mask": source.mask("mask", *shape, pads="right"),
        "gamma": 1.0,
    }


def _steps(source: Source) -> Case:
    case = _strings(source)
    rows, _ = shape = case["mask"].shape
    cut = np.array([source.flag("cut") for _ in range(rows)])
    final = np.where(cut, source.numbers("final", rows), 0.0)
    gamma = source.choice("gamma", FRACTIONS)
    return case | {"values": source.numbers("v", *shape), "final": final, "gamma": gamma}


def _off_policy_steps(source: Source) -> Case:
    case = _steps(source)
    return case | {"log_mu": _log_probs(source, *case["mask"].shape)}


def _world(source: Source) -> Case:
    return {
        "p": source.law("p", 3, 2),
        "mu": source.law("mu", 3, 2),
        "rewards": source.numbers("r", 3, 2),
        "final": source.numbers("final", 4),
        "gamma": source.choice("gamma", FRACTIONS),
    }


SIZES = ({"strings": 3, "draws": 2}, {"strings": 2, "draws": 1})
SHAPES = ({"strings": 3, "tokens": 3, "mask": 1, "cut": True}, {"mask": 0, "cut": False})
STEPS = ("final_value", "gamma")
DEFINITION = "a definition"


def _law(name, kind, claim, title, statement, oracle, draw, body, **more):
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
        "O1",
        "off_policy",
        "unbiased",
        "the mean estimate is the value of the policy",
        r"\mathbb{E}_\mu[\hat V]=\sum_y\pi(y)r(y)",
        "sum over all ordered batches of draws",
        _model,
        unbiased,
        theorem=("17",),
        battery=SIZES,
    ),
    _law(
        "O2",
        "off_policy",
        "doubly_robust",
        "unbiased where the model or the sampler's law is right",
        r"q=r\ \text{or}\ \hat\mu=\mu\Rightarrow\mathbb{E}_\mu[\hat V]=V(\pi)",
        "sum over all ordered batches of draws",
        _one_wrong,
        doubly_robust,
        theorem=("17",),
        battery=tuple({**SIZES[0], "wrong": wrong} for wrong in ("model", "sampler")),
        takes=("predicted", "baseline"),
    ),
    _law(
        "O3",
        "off_policy",
        "shift_equivariant",
        "rewards plus c give the estimate plus c",
        r"\hat V(r+c)=\hat V(r)+c",
        "the same estimator, unshifted; shifts are dyadic, hence exact",
        _shifted,
        shift_equivariant,
        theorem=("13",),
        battery=({"draws": 2}, {"draws": 4}),
    ),
    _law(
        "O4",
        "off_policy",
        "on_policy_mean",
        "on the sampler's own policy it is the mean reward",
        r"\pi=\mu\Rightarrow\hat V=\tfrac1n\sum_i r_i",
        "the mean",
        _batch,
        on_policy_mean,
        why_no_theorem="all weights are one",
        battery=({"draws": 1}, {"draws": 4}),
    ),
    _law(
        "O6",
        "off_policy",
        "known_bias",
        "the bias of a clip is the enumerated one",
        r"\mathbb{E}_\mu[\hat V]=\sum_y\mu(y)\,\mathrm{cut}\big(\pi(y)/\mu(y)\big)\,r(y)",
        "sum over all strings",
        _draws,
        known_bias,
        theorem=("17",),
        battery=SIZES,
        facts=("clip",),
    ),
    _law(
        "O5",
        "per_decision",
        "unbiased",
        "the mean estimate is the value of the policy",
        r"\mathbb{E}_\mu[\hat V]=\mathbb{E}_\pi\big[\textstyle\sum_t r_t\big]",
        "sum over all batches of strings, with rewards of each prefix and token",
        _tokens,
        per_decision,
        theorem=("17",),
        battery=({"draws": 2},),
    ),
    _law(
        "O5-discounted",
        "per_decision",
        "unbiased",
        "the mean estimate is the discounted value of the policy",
        r"\mathbb{E}_\mu[\hat V]=\mathbb{E}_\pi\big[\textstyle\sum_t\gamma^t r_t\big]",
        "sum over all batches of strings, with rewards of each prefix and token",
        _discounted,
        per_decision,
        theorem=("17",),
        battery=({"draws": 2},),
        takes=("gamma",),
    ),
    _law(
        "O4",
        "per_decision",
        "on_policy_mean",
        "on the sampler's own policy it is the mean return",
        r"\pi=\mu\Rightarrow\hat V=\tfrac1n\sum_i\sum_t r_{i,t}",
        "the mean",
        _strings,
        on_policy_return,
        why_no_theorem="all weights are one",
        battery=({"mask": 1},),
    ),
    _law(
        "O7",
        "vtrace",
        "on_policy_return",
        "on the sampler's own policy the targets are the returns",
        r"\pi=\mu\Rightarrow v_t=\sum_{l\ge0}\gamma^l r_{t+l},\quad A_t=v_t-V(s_t)",
        "discounted sums of the rewards to come",
        _steps,
        returns,
        theorem=("16",),
        battery=SHAPES,
        takes=STEPS,
    ),
    _law(
        "O7-recursion",
        "vtrace",
        "recursion",
        "the excess of targets over values follows its recursion",
        r"v_t-V_t=\rho_t\delta_t+\gamma c_t(v_{t+1}-V_{t+1})",
        "a loop from the end of each string",
        _off_policy_steps,
        recursion,
        why_no_theorem=DEFINITION,
        battery=SHAPES,
        takes=STEPS,
        known_facts={"clip": 1.0, "trace_clip": 1.0},
    ),
    _law(
        "O7-fixed-point",
        "vtrace",
        "fixed_point",
        "the values of the clipped policy are where the targets stay",
        r"V=V^{\pi_\rho},\ \pi_\rho\propto\min(\bar\rho\mu,\pi)\Rightarrow"
        r"\mathbb{E}_\mu[v_t\mid s_t]=V(s_t)",
        "dynamic programming and the sum over all strings",
        _world,
        fixed_point,
        theorem=("16", "17"),
        takes=STEPS,
        known_facts={"clip": 1.0},
    ),
)
