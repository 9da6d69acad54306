"""What a claim is: who says it, the prediction, the null, the experiment and the judge."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from experiments.judging import Judgement


@dataclass(frozen=True)
class Claim:
    """One claim that an experiment decides.

    Args:
        id: short and unique, e.g. `14-null-suite`.
        number: its number in the list of the debate's claims.
        who: who says it.
        statement: what they say, in one sentence.
        prediction: what the table shows if they are right, with the unit of the effect.
        null: what it shows if they are wrong.
        experiment: the name of the experiment that decides it.
        reference: the papers, with arXiv ids.
        judge: the table of rows -> the effect, its interval and the verdict.
        headline: whether `make demo` runs it; its experiment then needs no torch.
    """

    id: str
    number: int
    who: str
    statement: str
    prediction: str
    null: str
    experiment: str
    reference: str
    judge: Callable[[pl.DataFrame], Judgement]
    headline: bool = False
