"""Judges of the claims on entropy: easy in principle, worth having, exchanged for reward."""

import numpy as np
import polars as pl

from experiments.entropy import TRIES
from experiments.judging import Judgement, all_of, at_least, at_most, exact, undecided
from experiments.lab.reading import over_seeds
from experiments.lab.tiers import SIZES, holds_on, over_tiers, tiers_of


def judge_easy(table: pl.DataFrame) -> Judgement:
    """Claim 13, easy in principle: closed form and entropy laws are exact."""
    rows = table.filter(pl.col("row") == "identity")
    verdicts, largest = {}, 0.0
    for tier in tiers_of(rows):
        chosen = rows.filter(pl.col("tier") == tier)
        worst = max(float(chosen[name].max()) for name in ("slope", "natural", "vanilla"))  # type: ignore[arg-type]
        verdicts[tier], largest = at_most((worst, worst), 1e-9), max(largest, worst)
    gaps = rows.group_by("tier", maintain_order=True).agg(pl.col("token_gap").mean())
    said = ", ".join(f"{gap:+.0%} on {tier}" for tier, gap in gaps.iter_rows())
    measured = (
        f"slope at the closed form and entropy laws within {largest:.0e}; summed token by token, "
        f"as training code logs it, the law errs by {said}: {holds_on(verdicts, SIZES)}"
    )
    return exact(largest, over_tiers(verdicts, SIZES), measured)


def half_way(rows: pl.DataFrame) -> int:
    """The k at which the policy without bonus finds nearest to half of the needs."""
    plain = rows.filter(pl.col("bonus") == "none")
    return min(TRIES, key=lambda k: abs(float(plain[f"pass@{k}"].mean()) - 0.5))  # type: ignore[arg-type]


def gains(rows: pl.DataFrame, bonus: str, ratio: float, k: int) -> list[float]:
    """The pass@k of a bonus less that of none at the same proxy reward, a number a seed."""
    plain = rows.filter(pl.col("bonus") == "none").sort("seed")
    with_bonus = rows.filter((pl.col("bonus") == bonus) & (pl.col("ratio") == ratio)).sort("seed")
    return (with_bonus[f"pass@{k}"] - plain[f"pass@{k}"]).to_list()


def judge_coverage(table: pl.DataFrame) -> Judgement:
    """Claim 13, worth having: at equal proxy reward a bonus keeps more needs within reach."""
    rows = table.filter(pl.col("row") == "matched")
    verdicts, shown, worst = {}, [], (np.inf, (0.0, 0.0))
    for tier in tiers_of(rows):
        chosen = rows.filter(pl.col("tier") == tier)
        ratio, k = float(chosen.filter(pl.col("ratio") > 0)["ratio"].min()), half_way(chosen)  # type: ignore[arg-type]
        values = gains(chosen, "sequence", ratio, k)
        if len(values) < 2:
            return undecided("one seed alone gives no interval")
        centre, interval = float(np.mean(values)), over_seeds(values)
        token = float(np.mean(gains(chosen, "token", ratio, k)))
        verdicts[tier] = at_least(interval, 0.05)
        shown.append(f"{tier}: pass@{k} {centre:+.3f} (token bonus {token:+.3f})")
        worst = min(worst, (centre, interval))
    effect, interval = worst
    measured = f"{'; '.join(shown)}: {holds_on(verdicts)}"
    return Judgement(effect, interval, over_tiers(verdicts), measured)


def explained(rows: pl.DataFrame) -> tuple[float, float]:
    """R^2 of the proxy on exp(H) and on H, H the mean token entropy, along one path."""
    reward, entropy = rows["proxy"].to_numpy(), rows["token_entropy"].to_numpy()
    shares = []
    for regressor in (np.exp(entropy), entropy):
        columns = np.stack([regressor, np.ones_like(regressor)], axis=1)
        (*_,), residual = np.linalg.lstsq(columns, reward, rcond=None)[:2]
        shares.append(1 - float(residual[0]) / float(((reward - reward.mean()) ** 2).sum()))
    return shares[0], shares[1]


def judge_exchange(table: pl.DataFrame) -> Judgement:
    """Claim 13, Cui's exchange of entropy for reward: R = -a exp(H) + b without a regulariser."""
    rows = table.filter((pl.col("row") == "path") & pl.col("bonus").is_in(["none", "reference"]))
    verdicts, shown, worst = {}, [], (np.inf, (0.0, 0.0))
    for tier in tiers_of(rows):
        chosen = rows.filter(pl.col("tier") == tier)
        pairs = [
            explained(one) for _, one in chosen.sort("seed").group_by("seed", maintain_order=True)
        ]
        if len(pairs) < 2:
            return undecided("one seed alone gives no interval")
        curved, straight = (list(values) for values in zip(*pairs, strict=True))
        better = [one - other for one, other in pairs]
        centre, interval = float(np.mean(curved)), over_seeds(curved)
        verdicts[tier] = all_of([at_least(interval, 0.99), at_least(over_seeds(better), 0.0)])
        shown.append(f"{tier}: R^2 {centre:.3f} on exp(H), {np.mean(straight):.3f} on H")
        worst = min(worst, (centre, interval))
    effect, interval = worst
    measured = f"{'; '.join(shown)}: {holds_on(verdicts)}"
    return Judgement(effect, interval, over_tiers(verdicts), measured)
