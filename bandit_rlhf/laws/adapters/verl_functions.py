"""verl's functions behind the arguments of the laws.

Masks are cast to numbers, as verl keeps them. Advantages come from its registry, of strings of one
token; what GAE returns whitened is taken back, as its returns minus the values.

>>> import torch
>>> _one_more_row(torch.tensor([[1.0, 2.0]])).tolist()
[[1.0, 2.0], [0.0, 0.0]]
"""

from functools import cache
from typing import Any

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
