"""TRL 1.16.0: advantages, policy losses and preference losses of its trainers.

Settings are TRL's defaults unless a subject's name says otherwise. Counts are at least 1 and
deviations have 1e-4 added, which it says; float32 is what it computes in.

>>> [subject.name for subject in SUBJECTS if subject.kind == "reward_loss"]
['RewardTrainer']
"""

from typing import Any

from bandit_rlhf.contract import Contract, Declared
from bandit_rlhf.laws.adapters.subject import Foreign
from bandit_rlhf.laws.adapters.trl_trainers import (
    advantages,
    dpo_loss,
    entropy_from_logits,
    grpo_kl,
    grpo_loss,
    kto_loss,
    reward_loss,
    rloo_loss,
)

OWN_SAMPLE = Declared("the mean includes the draw's own reward", slope="(n-1)/n")
STD = Declared("divides by a standard deviation, its own reward included (GRPO, 2402.03300)")
OF_BATCH = Declared(
    "the setting: divides by the deviation of all rewards in the batch (2508.08221)"
)
OVERFLOW = Declared(
    "exp(-beta h), as Eqn (5) has it, overflows below beta h = -88 in float32; 0 * inf is NaN"
)
LENGTHS = Declared("each string's gradient is divided by its length (Dr. GRPO, 2503.20783)")


def _foreign(name: str, function: Any, kind: str, **terms: Any) -> Foreign:
    claims, dtype = frozenset(terms.pop("claims")), terms.pop("dtype", "float32")
    contract = Contract(kind, claims=claims, backend="torch", **terms)
    return Foreign("trl", name, function, contract, dtype)


GRPO = {"unbiased", "centred", "shift_invariant", "group_isolated", "finite"}
RATIO = {"on_policy_gradient", "unit_ratio", "clipped", "token_weights"}
CLIP = {"clip": (0.2, 0.25)}

ADVANTAGES = (
    _foreign(
        "GRPOTrainer, scale_rewards=group",
        advantages,
        "advantage",
        claims=GRPO | {"z_score"},
        facts={"over": "group", "centre": "group", "ddof": 1, "epsilon": 1e-4},
        settings={"trainer": "grpo", "scale_rewards": "group"},
        declared={"A1": STD},
    ),
    _foreign(
        "GRPOTrainer, scale_rewards=batch",
        advantages,
        "advantage",
        claims=GRPO - {"unbiased"},
        settings={"trainer": "grpo", "scale_rewards": "batch"},
        declared={"A3": OF_BATCH, "A6": OF_BATCH},
    ),
    _foreign(
        "GRPOTrainer, scale_rewards=none",
        advantages,
        "advantage",
        claims=GRPO | {"scale_degree"},
        facts={"degree": 1},
        settings={"trainer": "grpo", "scale_rewards": "none"},
        declared={"A1": OWN_SAMPLE},
    ),
    _foreign(
        "RLOOTrainer",
        advantages,
        "advantage",
        claims=GRPO | {"own_reward_free", "scale_degree"},
        facts={"degree": 1},
        settings={"trainer": "rloo", "normalize_advantages": False},
    ),
    _foreign(
        "RLOOTrainer, normalize_advantages",
        advantages,
        "advantage",
        claims={"centred", "shift_invariant", "group_isolated"},
        settings={"trainer": "rloo", "normalize_advantages": True},
        declared={"A6": Declared("normalises over the batch, as the setting says")},
    ),
)

LOSSES = tuple(
    _foreign(
        name,
        grpo_loss,
        "policy_loss",
        claims=claims,
        facts=facts,
        settings={"loss_type": name.split(",")[0]} | settings,
        preconditions=frozenset({"pads are clean"}),
        declared=declared,
    )
    for name, claims, facts, settings, declared in (
        ("grpo", RATIO, CLIP | {"weights": "sequence_mean"}, {}, {"L1": LENGTHS}),
        ("bnpo", RATIO, CLIP | {"weights": "token_mean"}, {}, {"L1": LENGTHS}),
        ("dapo", RATIO, CLIP | {"weights": "token_mean"}, {}, {"L1": LENGTHS}),
        (
            "dr_grpo",
            RATIO,
            CLIP | {"weights": "constant", "length": 4.0, "scale": 0.25},
            {},
            {},
        ),
        ("luspo, token", RATIO, CLIP | {"weights": "sequence_sum"}, {}, {}),
        ("luspo, sequence", RATIO - {"token_weights"}, CLIP, {"level": "sequence"}, {}),
        ("grpo, sequence", RATIO - {"token_weights"}, CLIP, {"level": "sequence"}, {"L1": LENGTHS}),
        (
            "sapo",
            RATIO - {"clipped"},
            {"weights": "sequence_mean"},
            {},
            {"L1": LENGTHS},
        ),
        (
            "cispo",
            {"on_policy_gradient", "token_weights"},
            {"weights": "token_mean"},
            {},
            {"L1": LENGTHS},
        ),
    )
) + tuple(
    _foreign(
        f"RLOOTrainer, epsilon={epsilon:g}",
        rloo_loss,
        "policy_loss",
        claims={"on_policy_gradient", "unit_ratio"} | more,
        facts={"clip": (epsilon, epsilon)},
        settings={"epsilon": epsilon},
        preconditions=frozenset({"pads are clean"}),
    )
    for epsilon, more in ((0.2, {"clipped"}), (1e6, {"off_policy_gradient", "baseline_free"}))
)

PAIRS = {"value_at_zero", "shift_invariant", "monotone"}
LOGISTIC = {
    "at_zero": "log(2)",
    "antisymmetry": "-beta",
    "argmin": "log(p/(1-p))/beta",
    "derivative": "-beta/(1+exp(beta*h))",
}
LOGISTIC_CLAIMS = PAIRS | {"antisymmetric", "argmin", "gibbs", "gradient", "finite"}

PREFERENCES = tuple(
    _foreign(
        name,
        dpo_loss,
        "preference_loss",
        claims=claims,
        facts={"beta": 0.5} | facts,
        settings={"loss_type": name.split(",")[0]} | settings,
        reduction="mean",
        declared=declared,
    )
    for name, claims, facts, settings, declared in (
        ("sigmoid", LOGISTIC_CLAIMS, LOGISTIC, {}, {}),
        ("hinge", PAIRS | {"finite"}, {"at_zero": 1.0}, {}, {}),
        (
            "ipo",
            PAIRS | {"antisymmetric", "argmin", "gradient", "reduction", "finite"},
            {
                "at_zero": "1/(4*beta**2)",
                "antisymmetry": "-2/beta",
                "argmin": "(p-1/2)/beta",
                "derivative": "2*(h-1/(2*beta))",
            },
            {},
            {},
        ),
        ("sigmoid_norm", PAIRS | {"reduction", "finite"}, {"at_zero": "log(2)"}, {}, {}),
        (
            "robust, label_smoothing=0.1",
            PAIRS | {"antisymmetric", "argmin"},
            {
                "eps": 0.1,
                "flip": 0.1,
                "at_zero": "log(2)",
                "antisymmetry": "-beta/(1-2*eps)",
                "argmin": "log(p/(1-p))/beta",
            },
            {"label_smoothing": 0.1},
            {},
        ),
        ("apo_zero", PAIRS | {"finite"}, {"at_zero": 1.0}, {}, {}),
        ("bco_pair", PAIRS | {"finite"}, {"at_zero": "2*log(2)"}, {}, {}),
        (
            "nca_pair",
            {"value_at_zero", "shift_invariant", "finite"},
            {"at_zero": "2*log(2)"},
            {},
            {},
        ),
        ("sppo_hard", PAIRS | {"finite"}, {"at_zero": "1/(2*beta**2)"}, {}, {}),
        (
            "exo_pair, label_smoothing=0.1",
            {"shift_invariant", "monotone"},
            {"eps": 0.1},
            {"label_smoothing": 0.1},
            {},
        ),
        (
            "discopop",
            PAIRS | {"finite"},
            {"at_zero": "(log(2)+1)/2"},
            {},
            {"U6": OVERFLOW, "U6-gradient": OVERFLOW},
        ),
    )
)

SUBJECTS = (
    *ADVANTAGES,
    *LOSSES,
    _foreign(
        "GRPOTrainer, KL term",
        grpo_kl,
        "kl",
        claims={"value", "zero_at_reference", "non_negative"},
    ),
    *PREFERENCES,
    _foreign(
        "KTOTrainer",
        kto_loss,
        "unpaired_loss",
        claims={"monotone", "value_at_zero", "shift_invariant", "no_leak"},
        facts={"at_zero": 0.5},
    ),
    _foreign(
        "RewardTrainer",
        reward_loss,
        "reward_loss",
        claims={"gradient", "shift_invariant", "margin", "finite"},
        reduction="mean",
    ),
    _foreign(
        "entropy_from_logits",
        entropy_from_logits,
        "entropy",
        claims={"value", "bounded", "gradient", "finite"},
    ),
)
