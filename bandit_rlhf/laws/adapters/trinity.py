"""trinity-rft 0.6.0: its DPO loss, policy losses, aggregation, whitening and estimates of KL.

Batches interleave pairs: chosen strings in even rows, rejected ones in odd rows.

>>> import torch
>>> _interleaved(torch.tensor([1.0, 2.0]), torch.tensor([-1.0, -2.0]))[:, 0].tolist()
[1.0, -1.0, 2.0, -2.0]
"""

from typing import Any

from bandit_rlhf.contract import Contract, Declared
from bandit_rlhf.laws.adapters.subject import Foreign
from bandit_rlhf.laws.adapters.translation import blanked, imported

Tensor = Any


def _interleaved(chosen: Tensor, rejected: Tensor) -> Tensor:
    """Pairs as its batches have them, strings of one token."""
    rows = chosen.new_zeros((2 * len(chosen), 1))
    places = rows.new_tensor(range(len(chosen))).long()
    return rows.index_add(0, 2 * places, chosen[:, None]).index_add(
        0, 2 * places + 1, rejected[:, None]
    )


def dpo(
    chosen_log_prob: Tensor,
    rejected_log_prob: Tensor,
    ref_chosen_log_prob: Tensor,
    ref_rejected_log_prob: Tensor,
    *,
    label_smoothing: float = 0.0,
) -> Tensor:
    """`DPOLossFn` with beta = 0.5: the loss of a batch."""
    DPOLossFn = imported("trinity.algorithm.policy_loss_fn.dpo_loss").DPOLossFn

    log_prob = _interleaved(chosen_log_prob, rejected_log_prob)
    ref_log_prob = _interleaved(ref_chosen_log_prob, ref_rejected_log_prob)
    loss = DPOLossFn(beta=0.5, label_smoothing=label_smoothing)
    return loss(
        logprob=log_prob, ref_logprob=ref_log_prob, action_mask=log_prob.new_ones(log_prob.shape)
    )[0]


def policy_loss(
    log_prob: Tensor,
    old_log_prob: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    module: str,
    name: str,
    mode: str,
    **settings: Any,
) -> Tensor:
    """One of its policy losses."""
    loss = getattr(imported(f"trinity.algorithm.policy_loss_fn.{module}"), name)
    return loss(loss_agg_mode=mode, **settings)(
        logprob=log_prob,
        old_logprob=old_log_prob,
        action_mask=mask.to(log_prob.dtype),
        advantages=advantages,
    )[0]


def aggregate_loss(values: Tensor, mask: Tensor, *, mode: str) -> Tensor:
    """`aggregate_loss`."""
    return imported("trinity.algorithm.utils").aggregate_loss(values, mask.to(values.dtype), mode)


def masked_whiten(values: Tensor, mask: Tensor, *, shift_mean: bool) -> Tensor:
    """`masked_whiten`; what it leaves at pads is zeroed."""
    whiten = imported("trinity.algorithm.utils").masked_whiten
    return blanked(whiten(values, mask.to(values.dtype), shift_mean), mask)


def kl(log_prob: Tensor, ref_log_prob: Tensor, *, estimator: str) -> Tensor:
    """`calculate_kl` of one of its KL functions."""
    kl_fn = imported("trinity.algorithm.kl_fn.kl_fn")

    return getattr(kl_fn, estimator)().calculate_kl(log_prob, ref_log_prob)


def corrected_kl(
    log_prob: Tensor, ref_log_prob: Tensor, old_log_prob: Tensor | None = None
) -> Tensor:
    """`CorrectedK3Fn.calculate_kl`, which weighs with the importance ratio."""
    CorrectedK3Fn = imported("trinity.algorithm.kl_fn.kl_fn").CorrectedK3Fn

    return CorrectedK3Fn().calculate_kl(log_prob, ref_log_prob, old_log_prob)


def _foreign(name: str, function: Any, kind: str, **terms: Any) -> Foreign:
    claims = frozenset(terms.pop("claims"))
    return Foreign(
        "trinity", name, function, Contract(kind, claims=claims, backend="torch", **terms)
    )


K2_BIAS = Declared("Schulman's k2, which is biased to third order (joschu.net/blog/kl-approx)")
LENGTHS = Declared("each string's gradient is divided by its length (Dr. GRPO, 2503.20783)")
NAN_SQUARED = Declared(
    "NaN at a pad is left out of the sum, but not of its derivative; finite pads do not matter"
)
RATIO = {"on_policy_gradient", "unit_ratio"}
CLIP = {"clip": (0.2, 0.25)}
CLIPPED = {"clip_range_low": 0.2, "clip_range_high": 0.25}


def _loss(module: str, name: str, mode: str, claims: set[str], facts: Any, **more: Any) -> Foreign:
    return _foreign(
        f"{name}, {mode}",
        policy_loss,
        "policy_loss",
        claims=claims,
        facts=facts,
        settings={"module": module, "name": name, "mode": mode} | more,
        preconditions=frozenset({"pads are clean"}),
        declared={} if mode == "seq-mean-token-sum" else {"L1": LENGTHS},
    )


LOSSES = (
    _loss(
        "ppo_policy_loss",
        "PPOPolicyLossFn",
        "token-mean",
        RATIO | {"clipped", "token_weights"},
        CLIP | {"dual": 3.0, "weights": "token_mean"},
        **CLIPPED,
    ),
    _loss(
        "ppo_policy_loss",
        "PPOPolicyLossFn",
        "seq-mean-token-sum",
        RATIO | {"clipped", "token_weights"},
        CLIP | {"dual": 3.0, "weights": "sequence_sum"},
        **CLIPPED,
    ),
    _loss(
        "gspo_policy_loss",
        "GSPOLossFn",
        "seq-mean-token-mean",
        RATIO | {"clipped"},
        CLIP,
        **CLIPPED,
    ),
    _loss(
        "cispo_policy_loss",
        "CISPOPolicyLossFn",
        "token-mean",
        {"on_policy_gradient", "token_weights"},
        {"weights": "token_mean"},
    ),
    # the objective that its docstring states: at ratio 1 the gate has slope 1
    _loss(
        "sapo_policy_loss",
        "SAPOPolicyLossFn",
        "token-mean",
        {"on_policy_gradient", "token_weights"},
        {"weights": "token_mean"},
    ),
    _loss(
        "topr_policy_loss",
        "TOPRPolicyLossFn",
        "token-mean",
        {"on_policy_gradient", "token_weights"},
        {"weights": "token_mean"},
    ),
)

SUBJECTS = (
    _foreign(
        "DPOLossFn",
        dpo,
        "preference_loss",
        claims={
            "value_at_zero",
            "antisymmetric",
            "shift_invariant",
            "argmin",
            "gibbs",
            "gradient",
            "smoothing",
            "monotone",
            "finite",
        },
        facts={
            "beta": 0.5,
            "at_zero": "log(2)",
            "antisymmetry": "-beta",
            "argmin": "log(p/(1-p))/beta",
            "derivative": "-beta/(1+exp(beta*h))",
        },
        reduction="mean",
    ),
    _foreign(
        "K1Fn",
        kl,
        "kl",
        claims={"value", "zero_at_reference", "additive", "reward_gradient"},
        settings={"estimator": "K1Fn"},
    ),
    _foreign(
        "K2Fn",
        kl,
        "kl",
        claims={"value", "zero_at_reference", "non_negative"},
        settings={"estimator": "K2Fn"},
        declared={"K1": K2_BIAS},
    ),
    _foreign(
        "K3Fn",
        kl,
        "kl",
        claims={"value", "zero_at_reference", "non_negative"},
        settings={"estimator": "K3Fn"},
    ),
    _foreign(
        "LowVarKLFn",
        kl,
        "kl",
        claims={"value", "zero_at_reference", "non_negative", "clamped"},
        facts={"band": (-10.0, 10.0)},
        settings={"estimator": "LowVarKLFn"},
    ),
    _foreign(
        "CorrectedK3Fn",
        corrected_kl,
        "kl",
        claims={"value", "zero_at_reference", "off_policy_gradient"},
        declared={"K3": Declared("its comment: the ratio is clamped to [0, 2] for stability")},
    ),
    *LOSSES,
    *(
        _foreign(
            f"aggregate_loss, {mode}",
            aggregate_loss,
            "aggregation",
            claims={"token_weights", "additive"},
            facts={"weights": weights},
            settings={"mode": mode},
        )
        for mode, weights in (
            ("token-mean", "token_mean"),
            ("seq-mean-token-mean", "sequence_mean"),
            ("seq-mean-token-sum", "sequence_sum"),
        )
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
)
