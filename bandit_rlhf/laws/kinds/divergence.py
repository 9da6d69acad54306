"""Kinds that measure a policy: KL and entropy.

>>> [kind.name for kind in KINDS]
['kl', 'kl_controller', 'entropy']
"""

from bandit_rlhf.laws.kinds.kind import Kind

KINDS: tuple[Kind, ...] = (
    Kind(
        "kl",
        "log-probabilities under policy and reference -> estimates of KL(pi || ref)",
        ("log_prob", "ref_log_prob", "old_log_prob"),
        2,
        "log_prob",
        frozenset({"value", "zero_at_reference"}),
        {
            "value": "E_pi[k] = KL(pi || ref), not the reverse",
            "gradient": "as a loss: E_pi[grad k] = grad KL(pi || ref)",
            "off_policy_gradient": "as a loss, draws of mu: E_mu[grad k] = grad KL(pi || ref)",
            "string_gradient": "as losses of tokens: E_pi[grad sum_t k_t] = grad KL of strings",
            "token_gradient": "as losses of tokens: the gradient of KLs at fixed prefixes",
            "zero_at_reference": "k = 0 at pi = ref",
            "non_negative": "k >= 0 for every draw",
            "additive": "the estimates of tokens sum to the one of the string",
            "clamped": "within the declared band, cut outside (fact: band)",
            "reward_gradient": "as a detached reward: E[k grad ln pi] = grad KL(pi || ref)",
        },
    ),
    Kind(
        "kl_controller",
        "coefficient and measured KL -> the next coefficient",
        ("beta", "kl"),
        2,
        "",
        frozenset({"fixed_point"}),
        {"fixed_point": "rests at the target, rises above, falls below (fact: target)"},
        axes=(),
    ),
    Kind(
        "entropy",
        "logits -> entropy of the next token",
        ("logits", "temperature"),
        1,
        None,
        frozenset({"value", "bounded", "gradient"}),
        {
            "value": "H = -sum pi ln pi",
            "bounded": "0 <= H <= ln |V|",
            "chain_rule": "entropies of tokens, averaged over prefixes, add to the string's",
            "gradient": "the gradient is that of H",
            "temperature": "a temperature divides the logits",
            "excluded": "a logit of minus infinity takes a token out",
            "finite": "finite value and gradient at |logit| = 1e3",
        },
        axes=("string", "token", "vocabulary"),
    ),
)
