"""Estimates with intervals from the table of `crowd_and_machine`, and the judge of its claim.

An interval is the estimate -+ t times the standard deviation over resamples. Fits to resamples are
noisier than the fit to the data, which moves anything that noise harms: percentiles of resamples
would lie off the estimate's centre. With few prompts the normal's 1.96 is too small; t has one
degree of freedom less than there are clusters of the fewest kind.
"""

from dataclasses import dataclass

import polars as pl
from scipy.special import stdtrit

from experiments.judging import Interval, Judgement, all_of, at_least, undecided

SHARE = 0.8
"""What the machine's policy must earn of the crowd's, to be good enough."""

MODERATE, STRONG = 1.0, 3.0
"""KLs from the uniform reference, nats, at which the claim is judged."""

BOTH = "people and prompts"


@dataclass(frozen=True)
class Measured:
    """An estimate and its standard error over resamples; `interval` is that of 95 %."""

    estimate: float
    stderr: float
    interval: Interval


def measured(
    table: pl.DataFrame, quantity: str, at: float | None = None, resampled: str = BOTH
) -> Measured:
    """One quantity of the table.

    Args:
        table: the rows of all cells.
        quantity: its name.
        at: where on its axis, if it has one.
        resampled: which clusters vary: people, prompts, or both.

    Raises:
        ValueError: it was not estimated, or not resampled twice or more.
    """
    place = pl.col("at").is_null() if at is None else pl.col("at") == at
    rows = table.filter((pl.col("quantity") == quantity) & place)
    point = rows.filter(pl.col("config.resampled") == "nothing")["value"]
    again = rows.filter(pl.col("config.resampled") == resampled)
    if len(point) != 1 or len(again) < 2:
        raise ValueError(
            f"{quantity!r} at {at} has {len(point)} estimates and {len(again)} resamples by "
            f"{resampled}, but should have 1, and 2 or more. Run the whole sweep."
        )
    estimate, stderr = float(point[0]), float(again["value"].std())  # type: ignore[arg-type]
    reach = float(stdtrit(int(again["clusters"][0]) - 1, 0.975)) * stderr
    return Measured(estimate, stderr, (estimate - reach, estimate + reach))


def is_absent(table: pl.DataFrame) -> bool:
    """Whether the table says only that there was nothing to measure."""
    return bool((table["quantity"] == "absent").all())


def judge(table: pl.DataFrame) -> Judgement:
    """Claim 18: a policy tilted by the machine's reward keeps the crowd's, and goes on to."""
    if is_absent(table):
        return undecided(f"not measured: {table['note'][0]}")
    share = measured(table, "share", MODERATE)
    further = measured(table, "held-out gain further on: machine")
    agree, people = (
        measured(table, f"agree, decided: {pair}") for pair in ("machine, person", "two people")
    )
    ranks = measured(table, "rank correlation: machine, crowd")
    text = (
        f"at {MODERATE:g} nat the machine's policy earns {share.estimate:.0%} "
        f"[{share.interval[0]:.0%}, {share.interval[1]:.0%}] of half the crowd's; from there to "
        f"{STRONG:g} nats the crowd's reward changes by {further.estimate:+.2f} "
        f"[{further.interval[0]:+.2f}, {further.interval[1]:+.2f}] nats; rank correlation "
        f"{ranks.estimate:.2f}; where neither ties, machine and person agree "
        f"{agree.estimate:.0%}, two people {people.estimate:.0%}"
    )
    verdict = all_of([at_least(share.interval, SHARE), at_least(further.interval, 0.0)])
    return Judgement(share.estimate, share.interval, verdict, text)
