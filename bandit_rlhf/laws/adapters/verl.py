"""verl 0.9.1: what stands in its registries of advantages and policy losses, KL, GAE, aggregation.

Masks are cast to numbers, as verl keeps them; whitened outputs are undone or judged as whitening.
Quotients are guarded with 1e-8 (1e-6 in GRPO), hence float32.
"""

from functools import cache
from typing import Any

from bandit_rlhf.contract import Contract, Declared
from bandit_rlhf.laws.adapters.subject import Foreign
from bandit_rlhf.laws.adapters.translation import blanked, by_prompt, imported, with_final

Tensor = Any


def advantage(rewards: Tensor, *, estimator: str, **settings: Any) -> Tensor:
    """An advantage estimator of `ADV_ESTIMATOR_REGISTRY`, strings of one token by prompt."""
    core_algos = imported("verl.trainer.ppo.core_algos")

    column, prompts, mask = by_prompt(rewards)
    told = {"index": prompts, "config": _algorithm(gamma=1.0, **settings)}
    if estimator == "grpo" and settings:
        told |= settings
    if estimator == "remax":
        told["reward_baselines"] = rewards.new_full((len(column),), 0.75)
    function = core_algos.get_adv_estimator_fn(estimator)
    return function(token_level_rewards=column, response_mask=mask, **told)[0].reshape(
        rewards.shape
    )


def _algorithm(**settings: Any) -> Any:
    AlgoConfig = imported("verl.trainer.config").AlgoConfig

    return AlgoConfig(**settings)


def gae(
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    final_value: Tensor | None = None,
    gamma: float = 1.0,
    lam: float = 1.0,
) -> Tensor:
    """`compute_gae_advantage_return` before it whitens: its returns minus the values."""
    core_algos = imported("verl.trainer.ppo.core_algos")

    gains = with_final(rewards, mask, final_value, gamma)
    padded = [_one_more_row(x) for x in (gains, values, mask.to(values.dtype))]
    padded[2][-1] = 1.0
    compute: Any = core_algos.compute_gae_advantage_return
    _, returns = compute(*padded, gamma, lam)
    return blanked(returns[:-1] - values, mask)


def _one_more_row(values: Tensor) -> Tensor:
    """A row of zeros below, since the whitening at the end refuses batches of one token."""
    row = values.new_zeros((len(values) + 1, values.shape[1]))
    return row.index_add(0, row.new_tensor(range(len(values))).long(), values)


def gae_whitened(values: Tensor, mask: Tensor) -> Tensor:
    """`compute_gae_advantage_return` of rewards alone: what it whitens is its input."""
    core_algos = imported("verl.trainer.ppo.core_algos")

    zero = values.new_zeros(values.shape)
    compute: Any = core_algos.compute_gae_advantage_return
    return blanked(compute(values, zero, mask.to(values.dtype), 0.0, 0.0)[0], mask)


def masked_whiten(values: Tensor, mask: Tensor, *, shift_mean: bool) -> Tensor:
    """`masked_whiten`; what it leaves at pads is zeroed."""
    torch_functional = imported("verl.utils.torch_functional")

    return blanked(torch_functional.masked_whiten(values, mask.to(values.dtype), shift_mean), mask)


def agg_loss(
    values: Tensor, mask: Tensor, total: float | None = None, *, mode: str, scale: int | None = 4
) -> Tensor:
    """`agg_loss`; `total` is its batch_num_tokens or global_batch_size."""
    core_algos = imported("verl.trainer.ppo.core_algos")

    whole: dict[str, Any] = {"loss_scale_factor": scale}
    if total is not None:
        whole["batch_num_tokens" if mode == "token-mean" else "global_batch_size"] = total
    return core_algos.agg_loss(values, mask.to(values.dtype), mode, **whole)


@cache
def _actor(clip: tuple[float, float], dro_beta: float | None, scale: int | None) -> Any:
    ActorConfig = imported("verl.workers.config").ActorConfig
    PolicyLossConfig = imported("verl.workers.config").PolicyLossConfig

    config = ActorConfig(
        strategy="fsdp",
        rollout_n=1,
        ppo_micro_batch_size_per_gpu=1,
        clip_ratio_low=clip[0],
        clip_ratio_high=clip[1],
        policy_loss=PolicyLossConfig(dro_beta=dro_beta),
    )
    if scale:
        config.global_batch_info["loss_scale_factor"] = scale
    return config


def policy_loss(
    log_prob: Tensor,
    old_log_prob: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    loss: str,
    mode: str,
    clip: tuple[float, float] = (0.2, 0.25),
    dro_beta: float | None = None,
) -> Tensor:
    """A policy loss of `POLICY_LOSS_REGISTRY`."""
    core_algos = imported("verl.trainer.ppo.core_algos")

    told: dict[str, Any] = {
        "old_log_prob": old_log_prob,
        "log_prob": log_prob,
        "advantages": advantages,
        "response_mask": mask.to(log_prob.dtype),
        "loss_agg_mode": mode,
        "config": _actor(clip, dro_beta, 4 if mode == "seq-mean-token-sum-norm" else None),
    }
    return core_algos.get_policy_loss_fn(loss)(**told)[0]


def policy_loss_reinforce(
    log_prob: Tensor, old_log_prob: Tensor, advantages: Tensor, mask: Tensor
) -> Tensor:
    """`compute_policy_loss_reinforce` with its default aggregation."""
    core_algos = imported("verl.trainer.ppo.core_algos")

    return core_algos.compute_policy_loss_reinforce(
        old_log_prob,
        log_prob,
        advantages,
        mask.to(log_prob.dtype),
        config=_actor((0.2, 0.25), None, None),
    )[0]


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """`compute_value_loss` with a clip of 0.5, averaged over tokens."""
    core_algos = imported("verl.trainer.ppo.core_algos")

    return core_algos.compute_value_loss(values, returns, old_values, mask.to(values.dtype), 0.5)[0]


def kl_penalty(log_prob: Tensor, ref_log_prob: Tensor, *, estimator: str) -> Tensor:
    """`kl_penalty`."""
    core_algos = imported("verl.trainer.ppo.core_algos")

    return core_algos.kl_penalty(log_prob, ref_log_prob, estimator)


def adaptive_kl(beta: float, kl: float) -> float:
    """`AdaptiveKLController` with target 0.125, one update."""
    AdaptiveKLController = imported("verl.trainer.ppo.core_algos").AdaptiveKLController

    controller = AdaptiveKLController(beta, target_kl=0.125, horizon=8)
    controller.update(kl, n_steps=1)
    return float(controller.value)


def entropy_from_logits(logits: Tensor) -> Tensor:
    """`entropy_from_logits`."""
    torch_functional = imported("verl.utils.torch_functional")

    return torch_functional.entropy_from_logits(logits)


OWN_SAMPLE = Declared("the mean includes the draw's own reward", slope="(n-1)/n")
STD = Declared("divides by the group's standard deviation (GRPO, arXiv 2402.03300)")
OF_BATCH = Declared("normalises over the batch, as its paper does (REINFORCE++, 2501.03262)")
LENGTHS = Declared("each string's gradient is divided by its length (Dr. GRPO, 2503.20783)")
TIMES_MASK = Declared("masked by multiplication: NaN at a pad spreads, finite pads do not matter")
NAN_SQUARED = Declared(
    "NaN at a pad is left out of the sum, but not of its derivative; finite pads do not matter"
)
MODES = {
    "token-mean": ("token_mean", {"L1": LENGTHS}),
    "seq-mean-token-mean": ("sequence_mean", {"L1": LENGTHS}),
    "seq-mean-token-sum": ("sequence_sum", {}),
    "seq-mean-token-sum-norm": ("constant", {}),
}
"""Mode -> the weights that its comments state, and what they do to the policy gradient."""

GROUP = {"centred", "shift_invariant", "group_isolated", "finite"}
GROUP_SCORE = {"over": "group", "centre": "group", "ddof": 1, "epsilon": 1e-6}
OVER_BATCH = {"over": "batch", "ddof": 1, "epsilon": 0.0}


def _foreign(name: str, function: Any, kind: str, **terms: Any) -> Foreign:
    claims = frozenset(terms.pop("claims"))
    return Foreign("verl", name, function, Contract(kind, claims=claims, backend="torch", **terms))


def _weights(mode: str) -> dict[str, Any]:
    norm = {"length": 4.0, "scale": 0.25} if mode == "seq-mean-token-sum-norm" else {}
    return {"weights": MODES[mode][0]} | norm


def _advantage(estimator: str, claims: set[str], settings: Any = None, **terms: Any) -> Foreign:
    told = {"estimator": estimator} | (settings or {})
    name = ", ".join([estimator, *(f"{key}={value}" for key, value in (settings or {}).items())])
    return _foreign(name, advantage, "advantage", claims=claims, settings=told, **terms)


def _loss(loss: str, mode: str, claims: set[str], facts: Any = None, **terms: Any) -> Foreign:
    settings = {"loss": loss, "mode": mode} | terms.pop("settings", {})
    return _foreign(
        f"{loss}, {mode}",
        policy_loss,
        "policy_loss",
        claims=claims,
        facts=_weights(mode) | (facts or {}),
        settings=settings,
        preconditions=frozenset({"pads are clean"}),
        declared=MODES[mode][1],
    )


ADVANTAGES = (
    _advantage("grpo", {"unbiased", "z_score"} | GROUP, facts=GROUP_SCORE, declared={"A1": STD}),
    _advantage(
        "grpo",
        {"unbiased", "scale_degree"} | GROUP,
        {"norm_adv_by_std_in_grpo": False},
        facts={"degree": 1},
        declared={"A1": OWN_SAMPLE},
    ),
    _advantage(
        "grpo_vectorized", {"unbiased", "z_score"} | GROUP, facts=GROUP_SCORE, declared={"A1": STD}
    ),
    _advantage("gdpo", {"group_isolated", "shift_invariant"}, declared={"A6": OF_BATCH}),
    _advantage("grpo_passk", {"shift_invariant", "group_isolated"}),
    _advantage(
        "reinforce_plus_plus",
        {"group_isolated", "shift_invariant", "z_score"},
        facts=OVER_BATCH | {"centre": "batch"},
        declared={"A6": OF_BATCH, "A3": OF_BATCH},
    ),
    _advantage(
        "reinforce_plus_plus_baseline",
        {"centred", "group_isolated", "shift_invariant", "z_score"},
        facts=OVER_BATCH | {"centre": "group"},
        declared={"A6": OF_BATCH},
    ),
    _advantage(
        "rloo", {"unbiased", "own_reward_free", "scale_degree"} | GROUP, facts={"degree": 1}
    ),
    _advantage(
        "rloo_vectorized",
        {"unbiased", "own_reward_free", "scale_degree"} | GROUP,
        facts={"degree": 1},
    ),
    _advantage(
        "opo",
        {"unbiased", "shift_invariant", "group_isolated", "finite", "scale_degree"},
        facts={"degree": 1},
        declared={"A1": OWN_SAMPLE},
    ),
    _advantage("remax", {"unbiased", "own_reward_free", "group_isolated", "finite"}),
    # no claim of isolated groups: its factor alpha counts rewards that are not 0 in the whole batch
    _advantage("gpg", {"centred", "finite", "scale_degree"}, facts={"degree": 1}),
)

RATIO = {"on_policy_gradient", "token_weights", "unit_ratio", "clipped"}
CLIP = {"clip": (0.2, 0.25)}
LOSSES = (
    *(_loss("vanilla", mode, RATIO, CLIP | {"dual": 3.0}) for mode in MODES),
    _loss("gspo", "seq-mean-token-mean", RATIO - {"token_weights"}, CLIP),
    _loss("sapo", "seq-mean-token-mean", {"on_policy_gradient", "unit_ratio", "token_weights"}),
    _loss("geo_mean", "seq-mean-token-mean", {"on_policy_gradient", "unit_ratio"}),
    *(
        _loss(name, "token-mean", {"on_policy_gradient", "token_weights"}, settings=settings)
        for name, settings in (
            ("dppo_tv", {}),
            ("dppo_kl", {}),
            ("gpg", {}),
            ("dro", {"dro_beta": 0.5}),
            ("cispo", {}),
        )
    ),
    _foreign(
        "compute_policy_loss_reinforce",
        policy_loss_reinforce,
        "policy_loss",
        claims={"on_policy_gradient", "baseline_free", "token_weights"},
        facts={"weights": "sequence_sum"},
        preconditions=frozenset({"pads are clean"}),
    ),
)

PENALTIES = (
    ("k1", {"value", "zero_at_reference", "additive", "reward_gradient"}, {}),
    ("k2", {"gradient", "zero_at_reference", "non_negative"}, {}),
    ("k3", {"value", "zero_at_reference", "non_negative", "clamped"}, {}),
    ("k3+", {"value", "gradient", "zero_at_reference", "non_negative", "clamped"}, {}),
    ("k1+", {"value", "gradient", "zero_at_reference"}, {}),
    ("abs", {"zero_at_reference", "non_negative"}, {}),
)
"""Estimator -> what its docstrings say: k1 and k3 have the value, k2 and `+` the gradient."""

SUBJECTS = (
    *ADVANTAGES,
    _foreign(
        "gae",
        gae,
        "gae",
        claims={
            "monte_carlo",
            "td_error",
            "recursion",
            "unbiased_with_true_values",
            "episodes_separate",
            "masked_is_compressed",
        },
        declared={"U1": TIMES_MASK},
    ),
    _foreign(
        "gae, whitened",
        gae_whitened,
        "whitening",
        claims={"standardised"},
        facts={"ddof": 1},
        declared={"U1": TIMES_MASK},
    ),
    *(
        _foreign(
            f"masked_whiten, shift_mean={mean == 'removed'}",
            masked_whiten,
            "whitening",
            claims={"standardised"},
            facts={"ddof": 1, "mean": mean},
            settings={"shift_mean": mean == "removed"},
            declared={"U1-gradient": NAN_SQUARED},
        )
        for mean in ("removed", "kept")
    ),
    *(
        _foreign(
            f"agg_loss, {mode}",
            agg_loss,
            "aggregation",
            claims={"token_weights", "additive"},
            facts=_weights(mode),
            settings={"mode": mode},
            declared={} if mode == "token-mean" else {"U1": TIMES_MASK},
        )
        for mode in MODES
    ),
    _foreign(
        "agg_loss, no loss_scale_factor",
        agg_loss,
        "aggregation",
        claims=set(),
        settings={"mode": "seq-mean-token-sum-norm", "scale": None},
        declared={
            "U1": TIMES_MASK,
            "U2": Declared("the docstring: then it divides by the width of the mask"),
        },
    ),
    *LOSSES,
    _foreign(
        "compute_value_loss",
        value_loss,
        "value_loss",
        claims={"pessimistic", "clipped", "token_weights"},
        facts={"clip": 0.5, "weights": "token_mean"},
        declared={"U1-gradient": NAN_SQUARED},
    ),
    *(
        _foreign(
            f"kl_penalty {estimator}",
            kl_penalty,
            "kl",
            claims=claims,
            facts={"band": (-10.0, 10.0)},
            settings={"estimator": estimator},
            declared=declared,
        )
        for estimator, claims, declared in PENALTIES
    ),
    _foreign(
        "AdaptiveKLController",
        adaptive_kl,
        "kl_controller",
        claims={"fixed_point"},
        facts={"target": 0.125},
    ),
    _foreign(
        "entropy_from_logits",
        entropy_from_logits,
        "entropy",
        claims={"value", "bounded", "gradient", "finite"},
    ),
)
