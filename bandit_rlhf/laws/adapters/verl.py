"""verl 0.9.1: what stands in its registries of advantages and policy losses, KL, GAE, aggregation.

Quotients are guarded with 1e-8 (1e-6 in GRPO), hence float32.

>>> [subject.name for subject in SUBJECTS if subject.kind == "kl_controller"]
['AdaptiveKLController']
"""

from typing import Any

from bandit_rlhf.contract import Contract, Declared
from bandit_rlhf.laws.adapters.subject import Foreign
from bandit_rlhf.laws.adapters.verl_functions import (
    adaptive_kl,
    advantage,
    agg_loss,
    entropy_from_logits,
    gae,
    gae_whitened,
    kl_penalty,
    masked_whiten,
    policy_loss,
    policy_loss_reinforce,
    value_loss,
)

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
