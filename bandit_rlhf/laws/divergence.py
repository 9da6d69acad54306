"""Laws K: estimates of KL(pi || ref), judged by the sum over all tokens.

In most laws a string is one draw out of three, so that its estimate is one number: what holds of it
holds of whole strings, whose log-probabilities are one number as well. Two laws ask what losses
of tokens do to strings of two: the gradient of a string's KL has a part that moves the prefixes,
which most sums over tokens leave out.

>>> round(exact_kl(np.array([0.5, 0.5]), np.array([0.25, 0.75])), 6)
0.143841
"""

import numpy as np

from bandit_rlhf.laws.gradient import grad
from bandit_rlhf.laws.law import Case, Law
from bandit_rlhf.laws.policy_loss import EQUAL, chosen
from bandit_rlhf.laws.source import Source


def exact_kl(p, q):
    """KL(p || q) of two laws with full support."""
    return float(p @ np.log(p / q))


def kl_gradient(p, q):
    """The gradient of KL(p || q) in the logits of p: p (ln(p/q) - KL)."""
    return p * (np.log(p / q) - exact_kl(p, q))


def column(p):
    """Log-probabilities, one string of one token a row."""
    return np.log(p)[:, None]


def mean_value(f, p, q):
    """K1: E_pi[k] is KL(pi || ref), and not the reverse."""
    terms = p * f(column(p), column(q))[:, 0]
    return terms.sum(), exact_kl(p, q), np.abs(terms).sum() + np.abs(np.log(p / q)).sum()


def expected_slope(draws, slopes, p):
    """E[slope grad ln pi] in the logits, and the sum of its absolute terms."""
    got = ((draws * slopes)[:, None] * (np.eye(len(p)) - p)).sum(axis=0)
    return got, np.abs(draws * slopes).sum()


def mean_gradient(f, p, q):
    """K2: as a loss on draws of the policy, E_pi[grad k] is grad KL."""
    got, size = expected_slope(p, grad(f, 0, column(p), column(q))[:, 0], p)
    return got, kl_gradient(p, q), size + np.abs(np.log(p / q)).sum() + 1


def sampled_gradient(f, p, q, mu):
    """K3: as a loss on draws of mu, E_mu[grad k] is grad KL, and E_mu[k] is KL."""
    arrays = column(p), column(q), column(mu)
    got, size = expected_slope(mu, grad(f, 0, *arrays)[:, 0], p)
    value = mu @ f(*arrays)[:, 0]
    wide = size + np.abs(np.log(p / q)).sum() + 1
    return np.append(got, value), np.append(kl_gradient(p, q), exact_kl(p, q)), wide


def step_of_tokens(f, log_pi, log_ref, strings):
    """E_pi[grad sum_t k_t] in the logits by prefix, and the sum of its absolute terms."""
    got, size = np.zeros(log_pi.shape), 0.0
    for string in strings:
        new = chosen(log_pi, string)
        slopes = np.exp(new.sum()) * grad(f, 0, new, chosen(log_ref, string), new)[0]
        for (prefix, token), weight in zip(string, slopes, strict=True):
            got[prefix] += weight * (np.eye(2)[token] - np.exp(log_pi[prefix]))
            size += np.abs(weight)
    return got, size + np.abs(log_pi - log_ref).sum()


def string_gradient(f, log_pi, log_ref, strings):
    """K2: the losses of tokens, summed, have the gradient of KL between laws of strings."""
    got, size = step_of_tokens(f, log_pi, log_ref, strings)
    expected = np.zeros(log_pi.shape)
    for string in strings:
        new, ref = chosen(log_pi, string).sum(), chosen(log_ref, string).sum()
        for prefix, token in string:
            expected[prefix] += (
                np.exp(new) * (new - ref) * (np.eye(2)[token] - np.exp(log_pi[prefix]))
            )
    return got, expected, size


def token_gradient(f, log_pi, log_ref, strings):
    """K2: they have the gradient of the next token's KL, prefixes drawn but held fixed."""
    got, size = step_of_tokens(f, log_pi, log_ref, strings)
    visited = np.append(1.0, np.exp(log_pi[0]))
    expected = [
        weight * kl_gradient(np.exp(new), np.exp(ref))
        for weight, new, ref in zip(visited, log_pi, log_ref, strict=True)
    ]
    return got, np.array(expected), size


def zero_at_reference(f, log_prob):
    """K4: where the policy is the reference, k = 0."""
    return f(log_prob, log_prob), np.zeros(log_prob.shape), 1 + np.abs(log_prob)


def non_negative(f, log_prob, ref_log_prob):
    """K5: no draw has a negative estimate."""
    got = f(log_prob, ref_log_prob)
    return np.minimum(got, 0), np.zeros(got.shape), 1 + np.abs(log_prob) + np.abs(ref_log_prob)


def additive(f, log_prob, ref_log_prob):
    """K6: the estimates of a string's tokens add up to the one of the string."""
    got = f(log_prob, ref_log_prob).sum(axis=1)
    whole = f(log_prob.sum(axis=1, keepdims=True), ref_log_prob.sum(axis=1, keepdims=True))
    return got, whole[:, 0], np.abs(log_prob).sum() + np.abs(ref_log_prob).sum()


def clamped(f, log_prob, band):
    """K7: estimates stay in the declared band, and reach its upper end."""
    far = np.array([-64.0, -8.0, -0.5, 0.5, 8.0, 64.0])
    got = f(np.full((1, 6), log_prob), log_prob - far[None])
    edge = np.append(np.clip(got, *band), band[1])
    return np.append(got, got.max()), edge, 1 + np.abs(edge).max()


def as_reward(f, p, q):
    """K8: as a detached reward, E_pi[k grad ln pi] is grad KL."""
    got, size = expected_slope(p, f(column(p), column(q))[:, 0], p)
    return got, kl_gradient(p, q), size + np.abs(np.log(p / q)).sum()


def controlled(f, beta, target):
    """K9: the coefficient rests at the target, rises above it and falls below it."""
    steps = [f(beta, target * factor) - beta for factor in (1.0, 1.125, 0.875)]
    return np.sign(steps), np.array([0.0, 1.0, -1.0]), 1.0


def _laws(source: Source) -> Case:
    return {"p": source.law("p", 3), "q": source.law("q", 3)}


def _with_sampler(source: Source) -> Case:
    return {**_laws(source), "mu": source.law("mu", 3)}


def _by_prefix(source: Source) -> Case:
    log_pi, log_ref = (np.log(source.law(name, 3, 2)) for name in ("p", "ref"))
    return {"log_pi": log_pi, "log_ref": log_ref, "strings": EQUAL}


def _negative(source: Source, name: str) -> np.ndarray:
    return -0.25 - np.abs(source.numbers(name, 2, 3))


def _one(source: Source) -> Case:
    return {"log_prob": _negative(source, "log_prob")}


def _two(source: Source) -> Case:
    return {**_one(source), "ref_log_prob": _negative(source, "ref")}


def _scalar(source: Source) -> Case:
    return {"log_prob": float(-1 - np.abs(source.numbers("log_prob", 1)[0]))}


def _controller(source: Source) -> Case:
    return {"beta": source.choice("beta", (0.125, 0.5, 1.0, 2.0))}


def _law(name, claim, title, statement, oracle, theorem, draw, body, **more):
    return Law(
        id=name,
        kind="kl",
        claim=claim,
        title=title,
        statement=statement,
        oracle=oracle,
        theorem=theorem,
        draw=draw,
        body=body,
        **more,
    )


BY_DIFFERENCES = {
    "differentiates": True,
    "rounding": 256.0,
    "tolerance": "rounding of the terms, and of differences of order eight",
}

LAWS = (
    _law(
        "K1",
        "value",
        "the mean is KL(pi || ref)",
        r"\mathbb{E}_{y\sim\pi}[k(y)]=\mathrm{KL}(\pi\|\mathrm{ref})",
        "sum over all strings",
        ("8", "18"),
        _laws,
        mean_value,
    ),
    _law(
        "K2",
        "gradient",
        "as a loss, the mean gradient is that of KL(pi || ref)",
        r"\mathbb{E}_{y\sim\pi}[\nabla k(y)]=\nabla\mathrm{KL}(\pi\|\mathrm{ref})",
        "sum over all strings, in the logits",
        ("18",),
        _laws,
        mean_gradient,
        **BY_DIFFERENCES,
    ),
    _law(
        "K3",
        "off_policy_gradient",
        "on draws of mu, value and gradient are those of KL(pi || ref)",
        r"\mathbb{E}_{y\sim\mu}[\nabla(w k)(y)]=\nabla\mathrm{KL}(\pi\|\mathrm{ref})",
        "sum over all strings with the sampler's probabilities",
        ("17", "18"),
        _with_sampler,
        sampled_gradient,
        takes=("old_log_prob",),
        **BY_DIFFERENCES,
    ),
    _law(
        "K2-string",
        "string_gradient",
        "losses of tokens add up to the gradient of the strings' KL",
        r"\mathbb{E}_{y\sim\pi}\big[\nabla\sum_t k_t\big]=\nabla\mathrm{KL}(\pi\|\mathrm{ref})",
        "sum over all strings of two tokens",
        ("8", "18"),
        _by_prefix,
        string_gradient,
        **BY_DIFFERENCES,
    ),
    _law(
        "K2-token",
        "token_gradient",
        "losses of tokens have the gradient of next-token KLs, prefixes fixed",
        r"\mathbb{E}\big[\nabla\textstyle\sum_t k_t\big]="
        r"\sum_s\pi(s)\nabla\mathrm{KL}(\pi_s\|\mathrm{ref}_s)",
        "sum over all prefixes of strings of two tokens",
        ("8", "18"),
        _by_prefix,
        token_gradient,
        **BY_DIFFERENCES,
    ),
    _law(
        "K4",
        "zero_at_reference",
        "zero where the policy is the reference",
        r"\pi=\mathrm{ref}\Rightarrow k=0",
        "zero",
        ("34",),
        _one,
        zero_at_reference,
    ),
    _law(
        "K5",
        "non_negative",
        "no estimate is negative",
        r"k\ge0",
        "the sign",
        (),
        _two,
        non_negative,
        why_no_theorem="convexity of one function of one number, true by its graph",
    ),
    _law(
        "K6",
        "additive",
        "tokens add up to the string",
        r"\sum_t k(y_t)=k(y)",
        "the estimator on the string's own log-probability",
        ("8",),
        _two,
        additive,
    ),
    _law(
        "K7",
        "clamped",
        "the declared band is kept and reached",
        r"k\in[a,b],\quad\max k=b",
        "the declared band",
        (),
        _scalar,
        clamped,
        why_no_theorem="a definition",
        facts=("band",),
    ),
    _law(
        "K8",
        "reward_gradient",
        "as a detached reward, the policy gradient is that of KL",
        r"\mathbb{E}_{y\sim\pi}[k(y)\nabla\ln\pi(y)]=\nabla\mathrm{KL}(\pi\|\mathrm{ref})",
        "sum over all strings, in the logits",
        ("18",),
        _laws,
        as_reward,
    ),
    Law(
        id="K9",
        kind="kl_controller",
        claim="fixed_point",
        title="rests at the target, pushes back elsewhere",
        statement=r"\beta'=\beta\iff\mathrm{KL}=\mathrm{target}",
        oracle="signs",
        why_no_theorem="a property of a heuristic's sign",
        draw=_controller,
        body=controlled,
        facts=("target",),
    ),
)
