"""The kinds of estimator that laws judge, and how each is called.

The judge speaks one dialect a kind: arguments in this order, arrays with these axes, masks true
where a token participates. A contract translates where a function differs.

>>> KINDS["advantage"].arguments
('rewards',)
"""

import difflib
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A calling convention and what it promises by itself.

    Attributes:
        name: such as "advantage".
        about: one line for users.
        arguments: names in order; those after `required` are passed only to functions that take
            them.
        required: how many arguments every function of the kind takes.
        like: the argument whose shape the result has; "" for a scalar, None where laws look
            themselves.
        results: how many arrays are returned; others beyond the first may be left out.
        implied: claims that every estimator of the kind makes by being of the kind.
        claims: from each word that may be claimed to what it says.
        axes: of its arrays.
        whole: whether the result may be whole numbers.
        widens: whether the result may have more digits than the arguments.
    """

    name: str
    about: str
    arguments: tuple[str, ...]
    required: int
    like: str | None
    implied: frozenset[str]
    claims: dict[str, str]
    results: int = 1
    axes: tuple[str, ...] = ("string", "token")
    whole: bool = False
    widens: bool = False


KINDS = {
    kind.name: kind
    for kind in (
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
            {"standardised": "masked mean 0 and variance 1 (facts: ddof, mean)"},
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
        Kind(
            "preference_loss",
            "log-probabilities of chosen and rejected strings -> losses of the pairs",
            (
                "chosen_log_prob",
                "rejected_log_prob",
                "ref_chosen_log_prob",
                "ref_rejected_log_prob",
                "chosen_length",
                "rejected_length",
            ),
            2,
            None,
            frozenset({"monotone", "finite"}),
            {
                "value_at_zero": "the loss at margin 0 (fact: at_zero)",
                "antisymmetric": "l(h) - l(-h) = h * slope (fact: antisymmetry)",
                "shift_invariant": "shifting policy and reference together changes nothing",
                "argmin": "p l(h) + (1-p) l(-h) is least at h*(p) (fact: argmin)",
                "gibbs": "the population minimiser is ref exp(r/beta)/Z (fact: beta)",
                "gradient": "dl/dh is the declared one (fact: derivative)",
                "smoothing": "label smoothing 1/2 gives no gradient at 0",
                "monotone": "falls in the chosen, rises in the rejected log-probability",
                "reduction": "it sees the mean over tokens, not their sum",
                "finite": "finite value and gradient for log-probabilities of -1000",
            },
            axes=("pair",),
        ),
        Kind(
            "unpaired_loss",
            "log-probabilities of good and bad strings -> losses (KTO)",
            ("log_prob", "ref_log_prob", "desirable", "reference_point"),
            4,
            "log_prob",
            frozenset({"monotone"}),
            {
                "monotone": "falls for desirable strings, rises for undesirable ones",
                "value_at_zero": "the loss at the reference point (fact: at_zero)",
                "shift_invariant": "shifting policy and reference together changes nothing",
                "no_leak": "no gradient flows into the reference point",
            },
            axes=("string",),
        ),
        Kind(
            "mismatch",
            "number of pairs -> which completion each prompt is matched with (KTO's reference)",
            ("count",),
            1,
            None,
            frozenset({"derangement"}),
            {"derangement": "a permutation that leaves nothing in its place"},
            axes=("pair",),
            whole=True,
        ),
        Kind(
            "preference_model",
            "rewards of two strings -> probability that the first is preferred",
            ("first", "second", "margin"),
            2,
            "first",
            frozenset({"complement", "even", "shift_invariant"}),
            {
                "complement": "p(a>b) + p(b>a) = 1",
                "even": "p(a>a) = 1/2",
                "transitive": "logits add along a>b>c (Bradley-Terry)",
                "shift_invariant": "adding a constant to both rewards changes nothing",
                "margin": "a margin shifts the difference",
                "finite": "finite at |r| = 1e3",
            },
            axes=("pair",),
        ),
        Kind(
            "reward_loss",
            "rewards of winner and loser -> loss of the pair",
            ("winner", "loser", "margin"),
            2,
            None,
            frozenset({"gradient", "finite"}),
            {
                "gradient": "dl = -(1-p)(dr_w - dr_l)",
                "shift_invariant": "adding a constant to both rewards changes nothing",
                "margin": "a margin shifts the difference",
                "finite": "finite value and gradient at |r| = 1e3",
            },
            axes=("pair",),
        ),
        Kind(
            "ranking_model",
            "rewards, best first -> log-probability of that ranking",
            ("rewards",),
            1,
            None,
            frozenset({"normalised", "pair"}),
            {
                "normalised": "probabilities sum to 1 over all rankings",
                "pair": "two items are Bradley-Terry",
                "choice": "the chance of coming first is the softmax (Plackett-Luce)",
                "finite": "finite at |r| = 1e3",
            },
            axes=("item",),
        ),
        Kind(
            "tie_model",
            "rewards of two strings -> probabilities of win, tie, loss",
            ("first", "second"),
            2,
            "first",
            frozenset({"normalised", "mirror"}),
            {
                "normalised": "the three outcomes sum to 1",
                "mirror": "exchanging the two exchanges win and loss",
                "no_ties": "without ties it is Bradley-Terry (fact: without_ties, its settings)",
            },
            results=3,
            axes=("pair",),
        ),
        Kind(
            "reward_fit",
            "wins[i, j], how often i beat j -> scores",
            ("wins",),
            1,
            None,
            frozenset({"score_equation", "flipped", "relabelled", "population"}),
            {
                "score_equation": "at the optimum each item wins as often as expected",
                "gauge": "the scores' free constant is fixed as declared (fact: gauge)",
                "flipped": "flipping every label negates the scores",
                "duplicates": "duplicates are weights",
                "relabelled": "renaming items renames scores",
                "population": "population comparisons recover the true rewards up to a constant",
                "existence": "no finite maximum: refused naming an item by number, or regularised "
                "(fact: without_maximum)",
            },
            axes=("item", "item"),
        ),
        Kind(
            "sequence_score",
            "values of tokens -> the score at the last real token",
            ("values", "mask", "tokens"),
            2,
            None,
            frozenset({"last_token"}),
            {"last_token": "the value at the last participating token, wherever the pads are"},
        ),
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
}
"""Name -> kind."""


def kind_named(name: str) -> Kind:
    """The kind of that name.

    Raises:
        ValueError: there is none; the message proposes the nearest.
    """
    if name in KINDS:
        return KINDS[name]
    near = difflib.get_close_matches(name, KINDS, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(KINDS)}."
    raise ValueError(f"kind is {name!r}, but should be a kind of estimator. {hint}")
