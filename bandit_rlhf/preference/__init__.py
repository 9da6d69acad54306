"""Choice models: rewards -> the law of a judgement. Array API functions; autograd flows through.

Two items: `bradley_terry`, `thurstone`; with ties `rao_kupper`, `davidson`. Several items, ranked:
`plackett_luce`, `plackett_luce_weak_order`. Each gives log-probabilities; `*_score` their
derivatives in closed form; `select` picks the outcomes that happened; `sample_outcome` and
`sample_ranking` draw.
"""

from bandit_rlhf.preference.pair import (
    Outcomes,
    bradley_terry,
    bradley_terry_score,
    davidson,
    davidson_score,
    rao_kupper,
    rao_kupper_score,
    sample_outcome,
    select,
    thurstone,
    thurstone_score,
)
from bandit_rlhf.preference.ranking import (
    plackett_luce,
    plackett_luce_score,
    plackett_luce_weak_order,
    sample_ranking,
)

__all__ = [
    "Outcomes",
    "bradley_terry",
    "bradley_terry_score",
    "davidson",
    "davidson_score",
    "plackett_luce",
    "plackett_luce_score",
    "plackett_luce_weak_order",
    "rao_kupper",
    "rao_kupper_score",
    "sample_outcome",
    "sample_ranking",
    "select",
    "thurstone",
    "thurstone_score",
]
