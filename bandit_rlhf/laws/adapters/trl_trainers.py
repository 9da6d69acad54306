"""TRL's trainers, their methods called with a stand-in for the trainer.

`GRPOTrainer._compute_loss(stand_in, ...)` is TRL's own function, unmodified; the stand-in gives the
settings that it reads, and the log-probabilities that a model would. Advantages are worked out
inside `_generate_and_score_completions`, whose generation the stand-in replaces by one token.

>>> import torch
>>> _stacked(torch.tensor([1.0, 2.0]), torch.tensor([-1.0, -2.0])).tolist()
[1.0, 2.0, -1.0, -2.0]
"""

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

from bandit_rlhf.laws.adapters.translation import imported

Tensor = Any


def _one_process() -> SimpleNamespace:
    """An accelerator on its own."""
    return SimpleNamespace(
        device="cpu",
        num_processes=1,
        process_index=0,
        sync_gradients=True,
        gather=lambda x: x,
        gather_for_metrics=lambda x: x,
        reduce=lambda x, reduction: x,
    )


def _metrics() -> Any:
    return defaultdict(lambda: defaultdict(list))


def _trainer(**settings: Any) -> SimpleNamespace:
    """What every trainer has."""
    return SimpleNamespace(
        accelerator=_one_process(),
        model=SimpleNamespace(training=True, is_gradient_checkpointing=False),
        aux_loss_enabled=False,
        _metrics=_metrics(),
        _tp_size=1,
        _total_train_tokens=0,
        **settings,
    )


# Advantages


def advantages(rewards: Tensor, *, trainer: str, **settings: Any) -> Tensor:
    """The advantages of `GRPOTrainer` or `RLOOTrainer`, groups as they generate them."""
    count, draws = rewards.numel(), rewards.shape[1]
    column = rewards.reshape(-1, 1)
    tokens = [[1]] * count
    generated = (tokens, tokens, ["."] * count)
    if trainer == "grpo":
        generated = (tokens, tokens, None, ["."] * count, None, {}, None, None)
    stand_in = _trainer(
        args=SimpleNamespace(
            gradient_accumulation_steps=1,
            gradient_checkpointing_kwargs=None,
            per_device_train_batch_size=count,
            steps_per_generation=1,
        ),
        beta=0.0,
        environment_factories=None,
        environments=None,
        mask_truncated_completions=False,
        multi_objective_aggregation="sum_then_normalize",
        num_generations=draws,
        num_iterations=1,
        pad_to_multiple_of=None,
        reward_clip_range=None,
        reward_func_names=["reward"],
        reward_weights=rewards.new_ones(1),
        tools=None,
        use_vllm=False,
        _calculate_rewards=lambda *_: column,
        _generate=lambda prompts: generated,
        _get_per_token_logps_and_entropies=lambda *_, **__: (column.new_zeros(count, 1),) * 3,
        _logs=defaultdict(list, rewards=defaultdict(list), extra=defaultdict(list)),
        _pending_extra_logs={},
        _pending_metrics={},
        _tokenizer=SimpleNamespace(pad_token_id=0),
        **settings,
    )
    score: Any = _class(trainer)._generate_and_score_completions
    return score(stand_in, [{"prompt": "?"}] * count)["advantages"].reshape(rewards.shape)


def _class(trainer: str) -> Any:
    grpo_trainer = imported("trl.trainer.grpo_trainer")
    rloo_trainer = imported("trl.trainer.rloo_trainer")

    return grpo_trainer.GRPOTrainer if trainer == "grpo" else rloo_trainer.RLOOTrainer


# Policy losses


def _inputs(mask: Tensor, **more: Any) -> dict[str, Any]:
    """A batch as `_generate_and_score_completions` hands it to the loss."""
    ids = mask.long()
    return {
        "prompt_ids": ids[:, :0],
        "prompt_mask": ids[:, :0],
        "completion_ids": ids,
        "completion_mask": ids,
        "num_items_in_batch": ids.sum(),
        **more,
    }


def grpo_loss(
    log_prob: Tensor,
    old_log_prob: Tensor,
    advantages: Tensor,
    mask: Tensor,
    ref_log_prob: Tensor | None = None,
    *,
    loss_type: str,
    level: str = "token",
    beta: float = 0.0,
) -> Tensor:
    """`GRPOTrainer._compute_loss`, clipped at 0.2 and 0.25, four tokens at most a completion."""
    GRPOTrainer = imported("trl.trainer.grpo_trainer").GRPOTrainer

    stand_in = _trainer(
        args=SimpleNamespace(
            delta=None,
            sapo_temperature_neg=1.05,
            sapo_temperature_pos=1.0,
            steps_per_generation=1,
            use_bias_correction_kl=False,
        ),
        beta=beta,
        current_gradient_accumulation_steps=1,
        epsilon_high=0.25,
        epsilon_low=0.2,
        importance_sampling_level=level,
        loss_type=loss_type,
        max_completion_length=4,
        off_policy_mask_threshold=None,
        top_entropy_quantile=1.0,
        use_vllm=False,
        _entropy_bonus_enabled=False,
        _get_per_token_logps_and_entropies=lambda *_, **__: (log_prob, log_prob.detach(), None),
    )
    batch = _inputs(
        mask,
        advantages=advantages,
        old_per_token_logps=old_log_prob,
        ref_per_token_logps=ref_log_prob,
    )
    compute: Any = GRPOTrainer._compute_loss
    return compute(stand_in, None, batch)


def rloo_loss(
    log_prob: Tensor, old_log_prob: Tensor, advantages: Tensor, mask: Tensor, *, epsilon: float
) -> Tensor:
    """`RLOOTrainer._compute_loss`; a string's advantage is the one of its first real token."""
    RLOOTrainer = imported("trl.trainer.rloo_trainer").RLOOTrainer

    stand_in = _trainer(
        epsilon_high=epsilon,
        epsilon_low=epsilon,
        _get_per_token_logps_and_entropies=lambda *_, **__: (log_prob, log_prob.detach(), None),
    )
    first = mask.int().argmax(1, keepdim=True)
    batch = _inputs(
        mask,
        advantages=advantages.gather(1, first)[:, 0],
        old_logps=(old_log_prob * mask).sum(1),
    )
    compute: Any = RLOOTrainer._compute_loss
    return compute(stand_in, None, batch)


def grpo_kl(log_prob: Tensor, ref_log_prob: Tensor) -> Tensor:
    """The KL term of `GRPOTrainer._compute_loss`, the loss of one token at a time."""
    one = log_prob.new_ones((1, 1)).bool()
    whole = log_prob.new_zeros(log_prob.numel())
    pairs = zip(log_prob.reshape(-1), ref_log_prob.reshape(-1), strict=True)
    for at, (new, ref) in enumerate(pairs):
        token = new.reshape(1, 1)
        zero = token.new_zeros((1, 1))
        term = grpo_loss(
            token, token.detach(), zero, one, ref.reshape(1, 1), loss_type="grpo", beta=1.0
        )
        whole = whole.index_add(0, whole.new_tensor([at]).long(), term.reshape(1))
    return whole.reshape(log_prob.shape)


# Preferences


def dpo_loss(
    chosen_log_prob: Tensor,
    rejected_log_prob: Tensor,
    ref_chosen_log_prob: Tensor,
    ref_rejected_log_prob: Tensor,
    chosen_length: Tensor | None = None,
    rejected_length: Tensor | None = None,
    *,
    loss_type: str,
    label_smoothing: float = 0.0,
) -> Tensor:
    """`DPOTrainer._compute_loss` with beta = 0.5: the mean of a batch of pairs.

    A string is one token with the string's log-probability, and a mask that sums to its length.
    """
    DPOTrainer = imported("trl.trainer.dpo_trainer").DPOTrainer

    pairs = len(chosen_log_prob)
    one = chosen_log_prob.new_ones(pairs)
    lengths = [one if length is None else length for length in (chosen_length, rejected_length)]
    log_prob = _stacked(chosen_log_prob, rejected_log_prob)
    mask = _stacked(*lengths)[:, None]
    outputs = SimpleNamespace(
        log_probs=log_prob[:, None],
        entropy=log_prob.detach()[:, None],
        is_top1=log_prob.detach()[:, None] > 0,
        mean_logits=log_prob.detach()[:, None],
    )
    stand_in = _trainer(
        args=SimpleNamespace(discopop_tau=0.05),
        beta=0.5,
        f_divergence_type="reverse_kl",
        label_smoothing=label_smoothing,
        ld_alpha=None,
        loss_types=[loss_type],
        loss_weights=[1.0],
        precompute_ref_logps=True,
        use_weighting=False,
    )
    completion = mask.new_zeros((2 * pairs, 2)).index_add(1, mask.new_tensor([1]).long(), mask)
    batch = {
        "input_ids": completion.long(),
        "attention_mask": completion.new_ones(completion.shape),
        "completion_mask": completion,
        "ref_chosen_logps": ref_chosen_log_prob,
        "ref_rejected_logps": ref_rejected_log_prob,
    }
    compute: Any = DPOTrainer._compute_loss
    return compute(stand_in, lambda **_: outputs, batch, False)


def kto_loss(
    log_prob: Tensor, ref_log_prob: Tensor, desirable: Tensor, reference_point: Tensor
) -> Tensor:
    """`KTOTrainer._compute_loss` with beta = 0.5, one string a batch; the KL it would estimate."""
    compute: Any = imported("trl.trainer.kto_trainer").KTOTrainer._compute_loss
    point = reference_point.reshape(1)
    losses = log_prob.new_zeros(len(log_prob))
    for at in range(len(log_prob)):
        token = log_prob[at].reshape(1, 1)
        outputs = SimpleNamespace(
            log_probs=token, entropy=token.detach(), mean_logits=token.detach()
        )
        stand_in = _trainer(
            beta=0.5,
            calculate_KL=True,
            desirable_weight=1.0,
            loss_type="kto",
            precompute_ref_logps=True,
            undesirable_weight=1.0,
            _compute_kl_logps=lambda *_: point,
        )
        ids = token.new_ones((1, 2)).long()
        batch = {
            "input_ids": ids,
            "attention_mask": ids,
            "completion_mask": ids,
            "label": desirable[at].reshape(1),
            "ref_logps": ref_log_prob[at].detach().reshape(1),  # found without gradients
            "ref_KL_logps": point.new_zeros(1),
        }
        loss = compute(stand_in, lambda answer=outputs, **_: answer, batch, False)
        losses = losses.index_add(0, ids.new_tensor([at]), loss.reshape(1))
    return losses


def _stacked(first: Tensor, second: Tensor) -> Tensor:
    """Chosen ones above rejected ones."""
    pairs = len(first)
    places = first.new_tensor(range(pairs)).long()
    rows = first.new_zeros(2 * pairs)
    return rows.index_add(0, places, first).index_add(0, places + pairs, second)


def reward_loss(winner: Tensor, loser: Tensor, margin: Tensor | None = None) -> Tensor:
    """`RewardTrainer.compute_loss`: the mean of a batch of pairs."""
    RewardTrainer = imported("trl.trainer.reward_trainer").RewardTrainer

    outputs = SimpleNamespace(logits=_stacked(winner, loser)[:, None])
    stand_in = _trainer(args=SimpleNamespace(center_rewards_coefficient=None))
    batch = {"attention_mask": winner.new_ones(1)} | ({} if margin is None else {"margin": margin})
    compute: Any = RewardTrainer.compute_loss
    return compute(stand_in, lambda **_: outputs, batch)


def entropy_from_logits(logits: Tensor) -> Tensor:
    """`trl.trainer.utils.entropy_from_logits`."""
    utils = imported("trl.trainer.utils")

    return utils.entropy_from_logits(logits)
