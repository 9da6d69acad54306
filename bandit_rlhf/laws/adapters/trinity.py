"""trinity-rft 0.6.0: its DPO loss and its estimates of KL.

Batches interleave pairs: chosen strings in even rows, rejected ones in odd rows.

>>> import torch
>>> _interleaved(torch.tensor([1.0, 2.0]), torch.tensor([-1.0, -2.0]))[:, 0].tolist()
[1.0, -1.0, 2.0, -2.0]
"""

from typing import Any

from bandit_rlhf.contract import Contract, Declared
from bandit_rlhf.laws.adapters.subject import Foreign
from bandit_rlhf.laws.adapters.translation import imported

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
CLAMP = {"clamped"}

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
)
