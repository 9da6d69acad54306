"""torchtune 0.6.1: GAE, whitening, PPO and DPO losses of `torchtune.rlhf`.

Its recipes pad on the right and zero rewards and values at pads before they estimate advantages;
the adapters do the same. Masks are true where a token participates, also those that PPOLoss calls
padding masks. Means divide by the count plus 1e-8, hence float32.

>>> [subject.name for subject in SUBJECTS if subject.kind == "policy_loss"]
['PPOLoss, policy']
"""

from typing import Any

from bandit_rlhf.contract import Contract, Declared
from bandit_rlhf.laws.adapters.subject import Foreign
from bandit_rlhf.laws.adapters.translation import blanked, imported, pads_right, with_final

Tensor = Any


def whiten(values: Tensor, mask: Tensor, *, shift_mean: bool = True) -> Tensor:
    """`torchtune.rlhf.whiten`; what it leaves at pads is zeroed."""
    rlhf = imported("torchtune.rlhf")

    return blanked(rlhf.whiten(values, mask, shift_mean=shift_mean), mask)


def estimate_advantages(
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    final_value: Tensor | None = None,
    gamma: float = 1.0,
    lam: float = 1.0,
) -> Tensor:
    """`torchtune.rlhf.estimate_advantages` before it normalises: its returns minus the values."""
    rlhf = imported("torchtune.rlhf")

    gains = with_final(rewards, mask, final_value, gamma)
    (gains, moved_values), moved, back = pads_right(mask, gains, values)
    _, returns = rlhf.estimate_advantages(moved_values, gains, gamma, lam, moved)
    return back(returns - moved_values)


def normalised_advantages(values: Tensor, mask: Tensor) -> Tensor:
    """`torchtune.rlhf.estimate_advantages` of rewards alone: what it normalises is its input."""
    rlhf = imported("torchtune.rlhf")

    return rlhf.estimate_advantages(values.new_zeros(values.shape), values, 0.0, 0.0, mask)[0]


def rewards_kl(log_prob: Tensor, ref_log_prob: Tensor) -> Tensor:
    """The KL that `torchtune.rlhf.get_rewards_ppo` returns."""
    rlhf = imported("torchtune.rlhf")

    return rlhf.get_rewards_ppo(log_prob.new_zeros(len(log_prob)), log_prob, ref_log_prob, 1.0)[1]


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """`torchtune.rlhf.masked_mean` over all tokens."""
    rlhf = imported("torchtune.rlhf")

    return rlhf.masked_mean(values, mask)


def ppo_policy_loss(
    log_prob: Tensor, old_log_prob: Tensor, advantages: Tensor, mask: Tensor
) -> Tensor:
    """`PPOLoss` with a clip of 0.2 where the critic is right."""
    PPOLoss = imported("torchtune.rlhf.loss").PPOLoss

    zero = log_prob.new_zeros(log_prob.shape)
    loss = PPOLoss(epsilon=0.2)
    return loss(old_log_prob, log_prob, advantages, zero, zero, zero, mask, mask)[0]


def ppo_value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor) -> Tensor:
    """`PPOLoss` with a clip of 0.5 and coefficient 1 where there are no advantages."""
    PPOLoss = imported("torchtune.rlhf.loss").PPOLoss

    zero = values.new_zeros(values.shape)
    loss = PPOLoss(value_clip_range=0.5, value_coeff=1.0)
    return loss(zero, zero, zero, old_values, values, returns, mask, mask)[0]


def dpo(
    chosen_log_prob: Tensor,
    rejected_log_prob: Tensor,
    ref_chosen_log_prob: Tensor,
    ref_rejected_log_prob: Tensor,
    *,
    label_smoothing: float = 0.0,
) -> Tensor:
    """`DPOLoss` with beta = 0.5, one loss a pair."""
    DPOLoss = imported("torchtune.rlhf.loss").DPOLoss

    pair = chosen_log_prob, rejected_log_prob, ref_chosen_log_prob, ref_rejected_log_prob
    return DPOLoss(beta=0.5, label_smoothing=label_smoothing)(*pair)[0]


def rso(
    chosen_log_prob: Tensor,
    rejected_log_prob: Tensor,
    ref_chosen_log_prob: Tensor,
    ref_rejected_log_prob: Tensor,
) -> Tensor:
    """`RSOLoss` with gamma = 0.5, one loss a pair."""
    RSOLoss = imported("torchtune.rlhf.loss").RSOLoss

    pair = chosen_log_prob, rejected_log_prob, ref_chosen_log_prob, ref_rejected_log_prob
    return RSOLoss(gamma=0.5)(*pair)[0]


TIMES_MASK = Declared("masked by multiplication: NaN at a pad spreads, finite pads do not matter")
LENGTHS = Declared("each batch is divided by its own number of tokens (Dr. GRPO, 2503.20783)")


def _foreign(name: str, function: Any, kind: str, **terms: Any) -> Foreign:
    claims = frozenset(terms.pop("claims"))
    return Foreign(
        "torchtune", name, function, Contract(kind, claims=claims, backend="torch", **terms)
    )


SUBJECTS = (
    _foreign(
        "whiten",
        whiten,
        "whitening",
        claims={"standardised"},
        facts={"ddof": 1, "mean": "removed"},
        declared={"U1": TIMES_MASK, "U1-gradient": TIMES_MASK},
    ),
    _foreign(
        "whiten, shift_mean=False",
        whiten,
        "whitening",
        claims={"standardised"},
        facts={"ddof": 1, "mean": "removed"},  # as its docstring reads: not shifted by the mean
        settings={"shift_mean": False},
        declared={"U1": TIMES_MASK, "U1-gradient": TIMES_MASK},
    ),
    _foreign(
        "estimate_advantages, normalised",
        normalised_advantages,
        "whitening",
        claims={"standardised"},
        facts={"ddof": 1, "mean": "removed"},
        preconditions=frozenset({"pads are clean"}),
    ),
    _foreign(
        "estimate_advantages",
        estimate_advantages,
        "gae",
        claims={
            "monte_carlo",
            "td_error",
            "recursion",
            "unbiased_with_true_values",
            "episodes_separate",
        },
        preconditions=frozenset({"pads are clean"}),
    ),
    _foreign(
        "get_rewards_ppo, kl",
        rewards_kl,
        "kl",
        claims={"value", "zero_at_reference", "additive", "reward_gradient"},
    ),
    _foreign(
        "masked_mean",
        masked_mean,
        "aggregation",
        claims={"token_weights", "additive"},
        facts={"weights": "token_mean"},
        declared={"U1": TIMES_MASK},
    ),
    _foreign(
        "PPOLoss, policy",
        ppo_policy_loss,
        "policy_loss",
        claims={"on_policy_gradient", "clipped", "token_weights", "unit_ratio"},
        facts={"clip": (0.2, 0.2), "weights": "token_mean"},
        preconditions=frozenset({"pads are clean"}),
        declared={"L1": LENGTHS},
    ),
    _foreign(
        "PPOLoss, value",
        ppo_value_loss,
        "value_loss",
        claims={"pessimistic", "clipped", "token_weights"},
        facts={"clip": 0.5, "weights": "token_mean"},
        declared={"U1": TIMES_MASK, "U1-gradient": TIMES_MASK},
    ),
    _foreign(
        "DPOLoss",
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
    ),
    _foreign(
        "DPOLoss, label_smoothing=0.1",
        dpo,
        "preference_loss",
        claims={"value_at_zero", "antisymmetric", "shift_invariant", "monotone", "finite"},
        facts={"beta": 0.5, "eps": 0.1, "at_zero": "log(2)", "antisymmetry": "-beta*(1-2*eps)"},
        settings={"label_smoothing": 0.1},
    ),
    _foreign(
        "RSOLoss",
        rso,
        "preference_loss",
        claims={"value_at_zero", "shift_invariant", "monotone", "finite"},
        facts={"beta": 0.5, "at_zero": 1.0},
    ),
)
