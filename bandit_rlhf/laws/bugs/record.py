"""Records of estimators whose correctness is known: broken ones, and ones to leave alone.

>>> Bug("raw_sum", "aggregation", ("L5",), "mutant", "a sum for a mean", sum).law
('L5',)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bug:
    """A broken estimator, written afresh, and the laws that must catch it.

    Attributes:
        name: in a few words, with underscores.
        kind: of estimator.
        law: ids of the laws that must fail on it.
        source: where such a thing was met, as repository and number, or "mutant" for a control of
            ours.
        words: what is wrong, in a line.
        function: the estimator; its contract holds its claims and facts.
    """

    name: str
    kind: str
    law: tuple[str, ...]
    source: str
    words: str
    function: Callable[..., Any]


@dataclass(frozen=True)
class Twin:
    """A correct estimator that no law may accuse: a rewrite, or a report that was no bug.

    Attributes:
        name: in a few words, with underscores.
        kind: of estimator.
        source: where it was accused, or "rewrite".
        words: why it is right.
        function: the estimator; its contract holds its claims and facts.
    """

    name: str
    kind: str
    source: str
    words: str
    function: Callable[..., Any]
