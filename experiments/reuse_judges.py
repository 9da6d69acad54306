"""Judges of the claims on reuse: the time to find a string, pass@k, unusual tokens."""

import numpy as np
import polars as pl

from experiments.judging import Judgement, all_of, at_least, at_most, undecided
from experiments.lab.reading import over_seeds
from experiments.lab.tiers import SIZES, holds_on, over_tiers, tiers_of
from experiments.reuse import TRIES


def slopes(rows: pl.DataFrame, learner: str) -> list[float]:
    """D ln(time) / d ln(1 / ref(y*)), a number a seed."""
    found = []
    for _, one in rows.sort("seed").group_by("seed", maintain_order=True):
        kept = one.filter(pl.col(learner).is_finite())
        if len(kept) > 1:
            found.append(float(np.polyfit(-kept["log_reference"], kept[learner], 1)[0]))
    return found


def judge_escape(table: pl.DataFrame) -> Judgement:
    """Claim 12: the time of policy gradient to find a string is inverse to its probability."""
    rows = table.filter(pl.col("row") == "escape")
    verdicts, shown, furthest = {}, [], (1.0, (1.0, 1.0))
    for tier in tiers_of(rows):
        chosen = rows.filter(pl.col("tier") == tier)
        values = slopes(chosen, "vanilla")
        if len(values) < 2:
            return undecided("one seed alone gives no interval")
        centre, interval = float(np.mean(values)), over_seeds(values)
        verdicts[tier] = all_of([at_least(interval, 0.9), at_most(interval, 1.1)])
        exact = slopes(chosen, "natural")
        natural = f", natural {np.mean(exact):.2f}" if exact else ""
        rarest = float(chosen["log_reference"].min()) / np.log(10)  # type: ignore[arg-type]
        lost = chosen["vanilla"].null_count()
        missed = f", {lost} of {len(chosen)} not found" if lost else ""
        shown.append(f"{tier} (down to 1e{rarest:.0f}): exponent {centre:.3f}{natural}{missed}")
        furthest = max(furthest, (centre, interval), key=lambda pair: abs(pair[0] - 1))
    effect, interval = furthest
    measured = f"{'; '.join(shown)}: {holds_on(verdicts)}"
    return Judgement(effect, interval, over_tiers(verdicts), measured)


def leads(rows: pl.DataFrame, ahead: str, behind: str) -> list[np.ndarray]:
    """The pass@k of one policy less another's, by k, a row a seed."""
    found = []
    for _, one in rows.sort("seed").group_by("seed", maintain_order=True):
        first, second = (
            one.filter(pl.col("policy") == name).sort("tries")["pass"].to_numpy()
            for name in (ahead, behind)
        )
        found.append(first - second)
    return found


def judge_crossing(table: pl.DataFrame) -> Judgement:
    """Claim 12: tuned leads at one try, the reference at many."""
    rows = table.filter(pl.col("row") == "pass")
    verdicts, shown, least = {}, [], (np.inf, (0.0, 0.0))
    for tier in tiers_of(rows):
        chosen = rows.filter(pl.col("tier") == tier)
        lead = leads(chosen, "reference", "shared")
        if len(lead) < 2:
            return undecided("one seed alone gives no interval")
        largest, first = [float(one.max()) for one in lead], [-float(one[0]) for one in lead]
        crossing = [TRIES[int((one > 0).argmax())] for one in lead if (one > 0).any()]
        told = min(float(one.min()) for one in leads(chosen, "told", "reference"))
        verdicts[tier] = all_of(
            [at_least(over_seeds(largest), 0.01), at_least(over_seeds(first), 0)]
        )
        where = f"at k = {np.median(crossing):,.0f}" if crossing else "never"
        shown.append(
            f"{tier}: tuned {np.mean(first):+.3f} at k = 1, reference overtakes {where}, leads by "
            f"{np.mean(largest):.3f} (a policy told the problem leads it by {told:.0e} or more)"
        )
        least = min(least, (float(np.mean(largest)), over_seeds(largest)))
    effect, interval = least
    measured = f"{'; '.join(shown)}: {holds_on(verdicts)}"
    return Judgement(effect, interval, over_tiers(verdicts), measured)


def judge_nucleus(table: pl.DataFrame) -> Judgement:
    """Claim 12: where gold is best, tokens outside the reference's nucleus are no more frequent."""
    rows = table.filter(pl.col("row") == "nucleus")
    verdicts, shown, worst = {}, [], (-np.inf, (0.0, 0.0))
    for tier in tiers_of(rows):
        excess, before, last = [], [], []
        for _, one in (
            rows.filter(pl.col("tier") == tier)
            .sort("seed", "rate")
            .group_by("seed", maintain_order=True)
        ):
            start = float(one["outside"][0])
            best = one.row(int(one["gold"].arg_max() or 0), named=True)
            before.append(start)
            excess.append(best["outside"] - start)
            last.append(float(one["outside"][-1]))
        if len(excess) < 2:
            return undecided("one seed alone gives no interval")
        centre, interval = float(np.mean(excess)), over_seeds(excess)
        verdicts[tier] = at_most(interval, 0.0)
        shown.append(
            f"{tier}: {np.mean(before):.1%} of tokens under ref, "
            f"{np.mean(before) + centre:.1%} where gold is best, "
            f"{np.mean(last):.1%} at the strongest tilt"
        )
        worst = max(worst, (centre, interval))
    effect, interval = worst
    measured = f"{'; '.join(shown)}: {holds_on(verdicts, SIZES)}"
    return Judgement(effect, interval, over_tiers(verdicts, SIZES), measured)
