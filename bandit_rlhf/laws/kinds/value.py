"""Kinds that value a policy, or the best of several draws.

>>> [kind.name for kind in KINDS][-2:]
['pass_at_k', 'max_of_k']
"""

from bandit_rlhf.laws.kinds.kind import Kind

KINDS: tuple[Kind, ...] = (
    Kind(
        "off_policy",
        "rewards of another policy's draws -> value of the policy",
        ("rewards", "log_prob", "behaviour_log_prob", "predicted", "baseline"),
        3,
        "",
        frozenset({"unbiased"}),
        {
            "unbiased": "E_mu of the estimate is the value of pi",
            "doubly_robust": "unbiased where either the model or the sampler's law is right",
            "shift_equivariant": "rewards plus c give the estimate plus c",
            "on_policy_mean": "at pi = mu the estimate is the mean reward",
            "known_bias": "the bias of a clip is the enumerated one (fact: clip, both ends)",
        },
        axes=("draw",),
    ),
    Kind(
        "per_decision",
        "rewards of tokens, drawn by another policy -> value of the policy",
        ("rewards", "log_prob", "behaviour_log_prob", "mask", "gamma"),
        4,
        "",
        frozenset({"unbiased"}),
        {
            "unbiased": "E_mu of the estimate is the value of pi",
            "on_policy_mean": "at pi = mu the estimate is the mean return",
        },
    ),
    Kind(
        "best_of_n",
        "law and rewards of the atoms, n -> law of the best of n draws",
        ("law", "reward", "n"),
        3,
        "law",
        frozenset({"law", "identity", "monotone"}),
        {
            "law": "P(y) is the one summed over all n-tuples of draws",
            "kl_bound": "KL to the reference is at most ln n - (n-1)/n",
            "identity": "n = 1 is the reference",
            "monotone": "the expected reward does not fall with n",
        },
        axes=("atom",),
        widens=True,
    ),
    Kind(
        "pass_at_k",
        "samples n, correct c, k -> probability that one of k is correct",
        ("n", "c", "k"),
        3,
        "",
        frozenset({"combinatorial"}),
        {
            "combinatorial": "1 - C(n-c, k)/C(n, k), the mean over all subsets",
            "large": "to 2^-32 for thousands of samples",
        },
        axes=(),
    ),
    Kind(
        "max_of_k",
        "rewards of n draws, k -> estimate of the expected best of k",
        ("rewards", "k"),
        2,
        "",
        frozenset({"unbiased", "subsets"}),
        {
            "unbiased": "its mean over draws is E max of k",
            "subsets": "it is the mean maximum over all subsets of size k",
        },
        axes=("draw",),
    ),
)
