"""Judges of the claims on strings unlike those seen: where a reward errs, heavy-tailed errors."""

import numpy as np
import polars as pl

from experiments.judging import Judgement, Verdict, all_of, at_least, undecided
from experiments.lab.reading import enough, over_seeds, paths, said, where
from experiments.lab.tiers import holds_on, over_tiers
from experiments.out_of_distribution import NETWORKS, TIERS, chosen

CORRELATED = 0.3
"""A rank correlation that counts."""
SMALL_KL = 0.1
"""KL, in nats, at which heavy and Gaussian errors of equal variance are compared."""
WORSE = 2.0
"""How many times more a policy collects of heavy errors than of Gaussian ones."""


def judge_where(table: pl.DataFrame) -> Judgement:
    """Claim 6: errors are larger on strings that the reference finds less probable."""
    found: dict[str, np.ndarray] = {}
    for tier in TIERS:
        for source in NETWORKS:
            rows = chosen(table, "rank", tier, source)
            if enough(rows):
                found[f"{tier}, {source}"] = (
                    rows.group_by("seed")
                    .agg(pl.col("correlation").mean())
                    .sort("seed")["correlation"]
                    .to_numpy()
                )
    if not found:
        return undecided("no rank correlations under two seeds or more")
    least = min(found.values(), key=lambda values: float(values.mean()))
    verdicts: dict[str, Verdict] = {
        tier: all_of(
            at_least(over_seeds(values), CORRELATED)
            for name, values in found.items()
            if name.startswith(tier)
        )
        for tier in TIERS
        if all(f"{tier}, {source}" in found for source in NETWORKS)
    }
    shown = "; ".join(f"{name} {said(values)}" for name, values in found.items())
    measured = f"rank correlation of |error| with -ln ref: {shown}: {holds_on(verdicts)}"
    return Judgement(float(least.mean()), over_seeds(least), over_tiers(verdicts), measured)


def typical(table: pl.DataFrame) -> np.ndarray:
    """What paths have collected at KL = 0.1 nats, the median over the draws of each seed [seed].

    The median: heavy errors have no mean that ten seeds could tell, and of some nothing is
    collected, so that their logarithms have none either.
    """
    numbers: dict[int, list[float]] = {}
    for (seed, _), points in paths(table).items():
        kl, collected = np.append(0.0, points["kl"]), np.append(0.0, points["collected"])
        numbers.setdefault(seed, []).append(float(np.interp(SMALL_KL, kl, collected)))
    return np.array([np.median(values) for values in numbers.values()])


def judge_heavy(table: pl.DataFrame) -> Judgement:
    """Claim 6, the catastrophe: heavy errors are collected at a KL that forbids light ones."""
    policies = table.filter(where(kind="policy"))
    broken = policies.filter(
        pl.col("collected") > pl.min_horizontal("by_chi", "by_kl") * (1 + 1e-9) + 1e-9
    )
    if not broken.is_empty():
        return undecided(f"a bound, a theorem, fails at {broken.height} points: wrong arithmetic")
    control = table.filter(where(kind="atom"))
    if control.is_empty():
        return undecided("the control, an atom of the reference, was not run")
    control = control.unique("mass").sort("mass", descending=True)
    rising = bool((control["collected"].diff().drop_nulls() > 0).all())
    last = control.row(-1, named=True)
    shown = rising and last["kl"] < control["kl"].to_numpy().max() / 10 and last["collected"] > 100
    ratios, parts, verdicts = [], [], {}
    for tier in TIERS[:2]:
        light, heavy = (
            chosen(table, "policy", tier, source) for source in ("Gaussian errors", "heavy errors")
        )
        if not (enough(light) and enough(heavy)):
            continue
        ratio = typical(heavy) / typical(light)
        ratios.append((float(ratio.mean()), over_seeds(ratio)))
        verdicts[tier] = at_least(ratios[-1][1], WORSE)
        parts.append(f"{tier} {said(ratio)}")
    if not ratios:
        return undecided("no tilts against Gaussian and heavy errors under two seeds or more")
    verdict = over_tiers(verdicts, TIERS[:2]) if shown else "refuted"
    measured = (
        f"control: {last['collected']:.0f} sd at KL {last['kl']:.4f}; collected at KL = "
        f"{SMALL_KL}, heavy over Gaussian errors of one variance: {', '.join(parts)}: "
        f"{holds_on(verdicts, TIERS[:2])}"
    )
    effect, ends = min(ratios)
    return Judgement(effect, ends, verdict, measured)
