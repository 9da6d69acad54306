"""polgrad 0.2.1: advantages, policy losses and estimates of KL, itself a reference library.

It refuses what it cannot work with (single draws, pads on the left, non-finite pads in GAE), which
its docstrings say. The adapters bring pads to the right, and claim nothing of single draws.

>>> [subject.name for subject in SUBJECTS if subject.kind == "gae"]
['gae']
"""

from typing import Any

from bandit_rlhf.contract import Contract, Declared
from bandit_rlhf.laws.adapters.subject import Foreign
from bandit_rlhf.laws.adapters.translation import by_prompt, imported, pads_right, with_final

Tensor = Any


def _ids(rewards: Tensor) -> tuple[Tensor, Tensor]:
    column, prompts, _ = by_prompt(rewards)
    return column[:, 0], column.new_tensor(prompts).long()


def rloo_advantages(rewards: Tensor) -> Tensor:
    """`polgrad.rloo_advantages`, strings grouped by prompt."""
    polgrad = imported("polgrad")

    return polgrad.rloo_advantages(*_ids(rewards)).reshape(rewards.shape)


def grpo_advantages(rewards: Tensor, *, scale: str) -> Tensor:
    """`polgrad.grpo_advantages`, strings grouped by prompt."""
    polgrad = imported("polgrad")

    config: Any = {"scale": scale}
    told = polgrad.GroupNormConfig(**config)
    return polgrad.grpo_advantages(*_ids(rewards), told).reshape(rewards.shape)


def reinforce_pp_advantages(rewards: Tensor, *, baseline: str, batch_norm: bool) -> Tensor:
    """`polgrad.reinforce_pp_advantages` with the mean of the batch or of the group."""
    polgrad = imported("polgrad")

    flat, ids = _ids(rewards)
    config = polgrad.ReinforcePPConfig(batch_norm=batch_norm)
    groups = ids if baseline == "group" else None
    return polgrad.reinforce_pp_advantages(flat, groups, config=config).reshape(rewards.shape)


def gae(
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    final_value: Tensor | None = None,
    gamma: float = 1.0,
    lam: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """`polgrad.gae`, pads brought to the right, a value after a cut in the last reward."""
    polgrad = imported("polgrad")

    gains = with_final(rewards, mask, final_value, gamma)
    arrays, moved, back = pads_right(mask, gains, values)
    config = polgrad.GAEConfig(gamma=gamma, lam=lam)
    advantages, returns = polgrad.gae(*arrays, config=config, response_mask=moved)
    return back(advantages), back(returns)


def whiten(values: Tensor, mask: Tensor, *, shift_mean: bool) -> Tensor:
    """`polgrad.whiten`."""
    polgrad = imported("polgrad")

    return polgrad.whiten(values, mask, shift_mean=shift_mean)


def kl_estimate(log_prob: Tensor, ref_log_prob: Tensor, *, estimator: str) -> Tensor:
    """`polgrad.kl_estimate` where every token participates."""
    polgrad = imported("polgrad")

    return polgrad.kl_estimate(
        log_prob,
        ref_log_prob,
        polgrad.KLEstimator(estimator),
        response_mask=log_prob.new_ones(log_prob.shape).bool(),
    )


def reverse_kl_grad_surrogate(log_prob: Tensor, ref_log_prob: Tensor) -> Tensor:
    """`polgrad.reverse_kl_grad_surrogate`, token by token."""
    polgrad = imported("polgrad")

    one = log_prob.new_ones((1, 1)).bool()
    tokens = [
        polgrad.reverse_kl_grad_surrogate(
            x.reshape(1, 1), y.reshape(1, 1), polgrad.Aggregation.TOKEN_MEAN, response_mask=one
        ).reshape(1)
        for x, y in zip(log_prob.reshape(-1), ref_log_prob.reshape(-1), strict=True)
    ]
    whole = tokens[0].new_zeros(len(tokens))
    for at, token in enumerate(tokens):
        whole = whole.index_add(0, whole.new_tensor([at]).long(), token)
    return whole.reshape(log_prob.shape)


def aggregate(values: Tensor, mask: Tensor, *, mode: str, norm_len: int | None = None) -> Tensor:
    """`polgrad.aggregate`."""
    polgrad = imported("polgrad")

    return polgrad.aggregate(values, mask, polgrad.Aggregation(mode), norm_len=norm_len)


def policy_loss(
    log_prob: Tensor,
    old_log_prob: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    surrogate: str,
    aggregation: str,
    ratio: str = "token",
    clip: tuple[float, float] | None = None,
    ratio_cap: float | None = None,
    norm_len: int | None = None,
) -> Tensor:
    """`polgrad.policy_loss`, its scalar."""
    polgrad = imported("polgrad")

    config = polgrad.PolicyLossConfig(
        ratio=polgrad.RatioKind(ratio),
        surrogate=polgrad.SurrogateKind(surrogate),
        clip=polgrad.ClipConfig(*clip, ratio_cap) if clip else None,
        aggregation=polgrad.Aggregation(aggregation),
        norm_len=norm_len,
    )
    return polgrad.policy_loss(
        config,
        logprobs=log_prob,
        old_logprobs=old_log_prob,
        advantages=advantages,
        response_mask=mask,
    ).loss


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """`polgrad.value_loss` with a clip of 0.5, averaged over tokens."""
    polgrad = imported("polgrad")

    return polgrad.value_loss(
        values, old_values, returns, mask, clip_eps=0.5, aggregation=polgrad.Aggregation.TOKEN_MEAN
    ).loss


OWN_SAMPLE = Declared("the mean includes the draw's own reward", slope="(n-1)/n")
LENGTHS = Declared("each string's gradient is divided by its length (Dr. GRPO, arXiv 2503.20783)")
MODES = {
    "token_mean": ("token_mean", {"L1": LENGTHS}),
    "seq_mean_token_mean": ("sequence_mean", {"L1": LENGTHS}),
    "seq_mean_token_sum": ("sequence_sum", {}),
    "token_sum_norm": ("constant", {}),
}
"""Mode -> the weights that its docstring states, and what they do to the policy gradient."""


def _foreign(name: str, function: Any, kind: str, **terms: Any) -> Foreign:
    claims, dtype = frozenset(terms.pop("claims")), terms.pop("dtype", "both")
    contract = Contract(kind, claims=claims, backend="torch", **terms)
    return Foreign("polgrad", name, function, contract, dtype)


def _norm(mode: str) -> dict[str, Any]:
    return {"norm_len": 4} if mode == "token_sum_norm" else {}


def _weights(mode: str) -> dict[str, Any]:
    weights = MODES[mode][0]
    return {"weights": weights} | (
        {"length": 4.0, "scale": 0.25} if mode == "token_sum_norm" else {}
    )


RATIO_CLAIMS = {"on_policy_gradient", "token_weights", "unit_ratio"}

SUBJECTS = (
    _foreign(
        "rloo_advantages",
        rloo_advantages,
        "advantage",
        claims={
            "unbiased",
            "centred",
            "shift_invariant",
            "own_reward_free",
            "group_isolated",
            "scale_degree",
        },
        facts={"degree": 1},
    ),
    _foreign(
        "grpo_advantages, scale none",
        grpo_advantages,
        "advantage",
        claims={
            "unbiased",
            "centred",
            "shift_invariant",
            "group_isolated",
            "finite",
            "scale_degree",
        },
        facts={"degree": 1},
        settings={"scale": "none"},
        declared={"A1": OWN_SAMPLE},
    ),
    _foreign(
        "grpo_advantages, scale std",
        grpo_advantages,
        "advantage",
        claims={"unbiased", "centred", "shift_invariant", "group_isolated", "z_score"},
        facts={"over": "group", "centre": "group", "ddof": 1, "epsilon": 1e-4},
        settings={"scale": "std"},
        declared={
            "A1": Declared("divides by the group's standard deviation (GRPO, arXiv 2402.03300)"),
        },
    ),
    _foreign(
        "reinforce_pp_advantages, batch mean",
        reinforce_pp_advantages,
        "advantage",
        claims={"shift_invariant", "finite", "scale_degree", "group_isolated"},
        facts={"degree": 1},
        settings={"baseline": "batch", "batch_norm": False},
        declared={
            "A3": Declared("the baseline is the batch's: a constant of one prompt's rewards stays"),
            "A6": Declared("the baseline is the mean of the batch (REINFORCE++, 2501.03262)"),
        },
    ),
    _foreign(
        "reinforce_pp_advantages, group mean",
        reinforce_pp_advantages,
        "advantage",
        claims={"centred", "shift_invariant", "group_isolated", "z_score"},
        facts={"over": "batch", "centre": "group", "ddof": 1, "epsilon": 1e-8},
        settings={"baseline": "group", "batch_norm": True},
        declared={
            "A6": Declared("the standard deviation is the batch's (REINFORCE++, 2501.03262)"),
        },
    ),
    _foreign(
        "gae",
        gae,
        "gae",
        claims={
            "monte_carlo",
            "td_error",
            "recursion",
            "unbiased_with_true_values",
            "return_is_sum",
            "episodes_separate",
        },
        preconditions=frozenset({"pads are clean"}),
    ),
    *(
        _foreign(
            f"whiten, {word}",
            whiten,
            "whitening",
            claims={"standardised"},
            facts={"ddof": 1, "mean": mean},
            settings={"shift_mean": mean == "removed"},
            preconditions=frozenset({"pads are clean"}),
            dtype="float32",  # where its eps of 1e-8 is nothing
        )
        for word, mean in (("shift_mean", "removed"), ("no shift_mean", "kept"))
    ),
    _foreign(
        "kl_estimate k1",
        kl_estimate,
        "kl",
        claims={"value", "zero_at_reference", "additive", "reward_gradient"},
        settings={"estimator": "k1"},
    ),
    _foreign(
        "kl_estimate k2",
        kl_estimate,
        "kl",
        claims={"value", "gradient", "zero_at_reference", "non_negative"},
        settings={"estimator": "k2"},
        declared={"K1": Declared("its third-order bias is derived in the documentation")},
    ),
    _foreign(
        "kl_estimate k3",
        kl_estimate,
        "kl",
        claims={"value", "gradient", "zero_at_reference", "non_negative"},
        settings={"estimator": "k3"},
        declared={"K2": Declared("the docstring: as a loss, biased for grad KL in general")},
    ),
    _foreign(
        "kl_estimate abs",
        kl_estimate,
        "kl",
        claims={"value", "zero_at_reference", "non_negative"},
        settings={"estimator": "abs"},
        declared={"K1": Declared("the docstring: not an estimator of KL")},
    ),
    _foreign(
        "reverse_kl_grad_surrogate",
        reverse_kl_grad_surrogate,
        "kl",
        claims={"gradient", "token_gradient", "zero_at_reference"},
    ),
    *(
        _foreign(
            f"aggregate, {mode}",
            aggregate,
            "aggregation",
            claims={"token_weights", "additive"},
            facts=_weights(mode),
            settings={"mode": mode} | _norm(mode),
        )
        for mode in MODES
    ),
    *(
        _foreign(
            f"pg_clip, {mode}",
            policy_loss,
            "policy_loss",
            claims=RATIO_CLAIMS | {"clipped", "additive"},
            facts={"clip": (0.2, 0.25), "dual": 3.0} | _weights(mode),
            settings={
                "surrogate": "pg_clip",
                "aggregation": mode,
                "clip": (0.2, 0.25),
                "ratio_cap": 3.0,
            }
            | _norm(mode),
            declared=MODES[mode][1],
        )
        for mode in MODES
    ),
    _foreign(
        "pg",
        policy_loss,
        "policy_loss",
        claims=RATIO_CLAIMS | {"baseline_free"},
        facts={"weights": "sequence_sum"},
        settings={"surrogate": "pg", "aggregation": "seq_mean_token_sum"},
    ),
    _foreign(
        "reinforce",
        policy_loss,
        "policy_loss",
        claims={"on_policy_gradient", "baseline_free", "token_weights"},
        facts={"weights": "sequence_sum"},
        settings={"surrogate": "reinforce", "aggregation": "seq_mean_token_sum"},
    ),
    _foreign(
        "cispo",
        policy_loss,
        "policy_loss",
        claims={"on_policy_gradient", "token_weights"},
        facts={"weights": "token_mean"},
        settings={"surrogate": "cispo", "aggregation": "token_mean", "clip": (0.2, 0.25)},
        declared={"L1": LENGTHS},
    ),
    *(
        _foreign(
            f"pg_clip, ratio {ratio}",
            policy_loss,
            "policy_loss",
            claims={"on_policy_gradient", "unit_ratio", "clipped"},
            facts={"clip": (0.2, 0.25)},
            settings={
                "surrogate": "pg_clip",
                "aggregation": "seq_mean_token_mean",
                "ratio": ratio,
                "clip": (0.2, 0.25),
            },
            declared={"L1": LENGTHS},
        )
        for ratio in ("sequence", "sequence_token")
    ),
    _foreign(
        "value_loss",
        value_loss,
        "value_loss",
        claims={"pessimistic", "clipped", "token_weights"},
        facts={"clip": 0.5, "weights": "token_mean"},
    ),
)
