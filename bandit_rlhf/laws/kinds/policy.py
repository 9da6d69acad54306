"""Kinds that improve a policy: from rewards to advantages to losses.

>>> [kind.name for kind in KINDS][:2]
['advantage', 'gae']
"""

from bandit_rlhf.laws.kinds.kind import Kind

KINDS: tuple[Kind, ...] = (
    Kind(
        "advantage",
        "rewards of a group of draws -> weights of their scores",
        ("rewards",),
        1,
        "rewards",
        frozenset({"unbiased", "group_isolated", "finite"}),
        {
            "unbiased": "E[1/G sum A_i grad ln pi(y_i)] is the gradient of the expected reward",
            "centred": "the advantages of a prompt sum to zero",
            "shift_invariant": "adding a constant to all rewards changes nothing",
            "scale_degree": "rewards times c give advantages times c^degree (fact: degree)",
            "own_reward_free": "the baseline of a draw does not see the draw's own reward",
            "group_isolated": "prompts do not mix, in any order",
            "finite": "finite for groups of one draw and for equal rewards",
            "z_score": "centred / (deviation + epsilon) (facts: over, centre, ddof, epsilon)",
            "binary_weight": "for rewards 0 and 1 it follows w(p) grad p (facts: ddof, epsilon)",
            "zero_at_baseline": "rewards that equal the baseline get 0 (fact: baseline)",
        },
        axes=("prompt", "draw"),
    ),
    Kind(
        "gae",
        "rewards and values of each step -> advantages (and returns)",
        ("rewards", "values", "mask", "final_value", "gamma", "lam"),
        3,
        "values",
        frozenset(
            {
                "monte_carlo",
                "td_error",
                "recursion",
                "unbiased_with_true_values",
                "episodes_separate",
                "masked_is_compressed",
            }
        ),
        {
            "monte_carlo": "lambda = 1 gives the return minus the value",
            "td_error": "lambda = 0 gives the one-step error",
            "recursion": "A_t = delta_t + gamma lambda A_(t+1)",
            "unbiased_with_true_values": "with V = V^pi, E[A_t | s_t] = 0 for every lambda",
            "return_is_sum": "returns are advantages plus values",
            "episodes_separate": "truncation bootstraps, termination does not, rows do not mix",
            "masked_is_compressed": "taking masked tokens out changes nothing",
            "zero_at_pads": "results are 0 where no token participates",
        },
        results=2,
    ),
    Kind(
        "vtrace",
        "off-policy corrected returns -> (targets, advantages)",
        ("log_prob", "behaviour_log_prob", "rewards", "values", "mask", "final_value", "gamma"),
        5,
        "values",
        frozenset({"on_policy_return"}),
        {
            "on_policy_return": "on the sampler's own policy the targets are the returns",
            "recursion": "v - V = rho delta + gamma c (v' - V') (facts: clip, trace_clip)",
            "fixed_point": "the values of the clipped policy are where targets stay",
            "zero_at_pads": "results are 0 where no token participates",
        },
        results=2,
    ),
    Kind(
        "whitening",
        "values of participating tokens -> the same with mean 0 and variance 1",
        ("values", "mask"),
        2,
        "values",
        frozenset({"standardised"}),
        {
            "standardised": "masked mean 0 and variance 1 (facts: ddof, mean)",
            "zero_at_pads": "results are 0 where no token participates",
        },
    ),
    Kind(
        "aggregation",
        "losses of tokens -> one number",
        ("values", "mask"),
        2,
        "",
        frozenset({"token_weights"}),
        {
            "token_weights": "each token has the declared weight (fact: weights)",
            "additive": "micro-batches add up with their declared weights (fact: weights)",
        },
    ),
    Kind(
        "log_ratio",
        "log-probabilities under policy and sampler -> log-ratios of tokens, 0 at pads",
        ("log_prob", "old_log_prob", "mask"),
        3,
        "log_prob",
        frozenset({"zero_on_policy"}),
        {
            "zero_on_policy": "where the sampler is the policy, the log-ratio is 0",
            "span": "the log-ratio of a token, a sequence or its geometric mean (fact: span)",
        },
    ),
    Kind(
        "surrogate",
        "log-probabilities, log-ratios and advantages of tokens -> their losses",
        ("log_prob", "log_ratio", "advantages"),
        3,
        "log_ratio",
        frozenset({"first_order"}),
        {
            "first_order": "at ratio 1 a token's slope in ln pi is minus its advantage",
            "clipped": "max(-A r, -A cut(r)), at most -A dual for A < 0 (facts: clip, dual)",
            "truncated": "-cut(r) A ln pi, without gradient through r (fact: cut, both ends)",
        },
    ),
    Kind(
        "policy_loss",
        "log-probabilities and advantages -> a loss to be minimised",
        ("log_prob", "old_log_prob", "advantages", "mask", "ref_log_prob"),
        4,
        "",
        frozenset({"on_policy_gradient"}),
        {
            "on_policy_gradient": "on-policy, E[grad L] = -c grad J (fact: scale, or 1)",
            "off_policy_gradient": "draws of mu, unclipped: E_mu[grad L] = -c grad J",
            "clipped": "the gradient is zero exactly in the clip region (fact: clip)",
            "baseline_free": "a constant advantage gives E[grad L] = 0",
            "token_weights": "each token has the declared weight (fact: weights)",
            "unit_ratio": "where sampler and policy agree, the ratio is 1",
            "additive": "micro-batches add up with their declared weights (fact: weights)",
            "no_leak": "no gradient flows into old, reference or advantages",
        },
    ),
    Kind(
        "model_loss",
        "logits of model and sampler, tokens and advantages -> a loss to be minimised",
        ("logits", "sampler_logits", "tokens", "mask", "advantages"),
        5,
        "",
        frozenset({"on_policy_gradient"}),
        {
            "on_policy_gradient": "E[grad L] = -grad J in the logits (fact: temperature)",
            "off_policy_gradient": "draws of mu, unclipped: E_mu[grad L] = -grad J",
            "unit_ratio": "where sampler and model agree, the ratio is 1",
        },
    ),
    Kind(
        "value_loss",
        "predicted and target values -> a loss to be minimised",
        ("values", "old_values", "returns", "mask"),
        4,
        "",
        frozenset({"pessimistic"}),
        {
            "pessimistic": "the clipped loss is never below the unclipped one",
            "clipped": "scale * the larger square of both sides of the band (fact: clip)",
            "token_weights": "each token has the declared weight (fact: weights)",
        },
    ),
)
