"""What `fit` prints: a leaderboard and what to trust of it, or the same as JSON."""

import json
import math
import os
import textwrap
from collections.abc import Hashable, Iterator
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bandit_rlhf.cli.fit.assessment import Assessment
from bandit_rlhf.cli.fit.diagnosis import Diagnosis, Missing
from bandit_rlhf.cli.fit.options import Options
from bandit_rlhf.diagnosis import plain
from bandit_rlhf.leaderboard import Leaderboard
from bandit_rlhf.reward.result import RewardFit

PLAIN_WIDTH = 100  # columns, where there is no terminal to ask
MARGIN = 17  # columns of the findings' labels

TITLES = {
    "bradley-terry": "Bradley-Terry",
    "thurstone": "Thurstone-Mosteller",
    "rao-kupper": "Rao-Kupper",
    "davidson": "Davidson",
    "plackett-luce": "Plackett-Luce",
}


def print_report(result: Assessment, options: Options) -> None:
    """Print the leaderboard and the diagnosis to stdout."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PLAIN_WIDTH
    console.print(Text(headline(result)), soft_wrap=True)
    console.print(board_table(result.board, options.top))
    if options.top is not None and options.top < len(result.board):
        console.print(Text(f"  ... {len(result.board) - options.top:,} more"))
    console.print()
    for label, said in [*findings(result), *(("note", note) for note in result.notes)]:
        lines = textwrap.wrap(said, max(console.width - MARGIN, 30), break_on_hyphens=False)
        head = Text(f"{label:<{MARGIN}}", style="bold")
        console.print(head.append(("\n" + " " * MARGIN).join(lines), style="not bold"))


def headline(result: Assessment) -> str:
    """Model, prior, items, comparisons and errors in one line."""
    fit, board = result.fit, result.board
    prior = f", prior precision {fit.ridge:g}" if fit.ridge else ", Jeffreys' prior" * fit.firth
    kind = "rankings" if fit.model == "plackett-luce" else "comparisons"
    errors = {
        None: "no errors",
        "bootstrap": "bootstrap errors",
        "annotator": f"errors clustered by {result.clusters:,} {result.judges}",
        "prompt": f"errors clustered by {result.clusters:,} prompts",
    }.get(board.uncertainty, f"{board.uncertainty} errors")
    size = f"{len(board):,} items, {fit.comparisons:,.10g} {kind}"
    return f"{TITLES[fit.model]}{prior}: {size}, {errors}"


def board_table(board: Leaderboard, top: int | None) -> Table:
    """One row an item; a blank line between components, whose scores do not compare."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    level = f"{100 * board.level:g} %"
    known = board.uncertainty is not None
    table.add_column("rank", justify="right")
    if known:
        table.add_column(f"ranks, {level}", justify="center")
    prompts = board.standings and isinstance(board.standings[0].item, tuple)
    for column in ("prompt", "item") if prompts else ("item",):
        table.add_column(column, overflow="fold")
    table.add_column("score", justify="right")
    if known:
        table.add_column(f"{level} interval", justify="right")
        table.add_column("stderr", justify="right")
    table.add_column("games", justify="right")
    previous = 0
    for line in board.standings[:top]:
        if line.component != previous:
            table.add_row("")
            previous = line.component
        item = line.item if isinstance(line.item, tuple) else (line.item,)
        cells = [str(line.rank)]
        if known:
            cells.append(f"{line.rank_low}-{line.rank_high}")
        cells += [*map(str, item), f"{line.score:.3f}"]
        if line.stderr is not None:
            cells += [f"{line.low:.3f} to {line.high:.3f}", f"{line.stderr:.3f}"]
        table.add_row(*map(Text, cells), f"{line.games:,.10g}")
    return table


def findings(result: Assessment) -> Iterator[tuple[str, str]]:
    """Label and sentence of everything that is known about the fit."""
    fit, found = result.fit, result.diagnosis
    state = "converged" if fit.converged else "NOT CONVERGED"
    yield (
        "fit",
        f"{state} after {fit.iterations} steps; no item is off by more than "
        f"{fit.gradient_norm:.1e} of its games; log-likelihood {fit.log_likelihood:.2f}; gauge: "
        f"{fit.gauge}",
    )
    if found is None:
        return
    yield "graph", _graph(fit, found)
    yield from _ties(fit, found)
    for k, label in enumerate(fit.covariate_names):
        yield label, _coefficient(fit, result.coefficient_stderr, k, result.board.level)
    missing: dict[str, list[str]] = {}
    for label, diagnosis, said in (
        ("goodness of fit", found.goodness_of_fit, _goodness),
        ("transitivity", found.intransitivity, _intransitivity),
        ("calibration", found.calibration, _calibration),
        ("agreement", found.agreement, _agreement),
        ("annotators", found.consistency, _consistency),
    ):
        if isinstance(diagnosis, Missing):
            missing.setdefault(diagnosis.reason, []).append(label)
        else:
            yield label, said(diagnosis)
    for reason, labels in missing.items():
        yield "not assessed", f"{', '.join(labels)}: {reason}"


def _graph(fit: RewardFit, found: Diagnosis) -> str:
    if fit.component_count == 1:
        told = "all items are connected"
    else:
        told = f"{fit.component_count:,} components, whose scores do not compare with each other"
    if found.strong_components > fit.component_count:
        return f"{told}; not by wins both ways: without the prior there is no finite maximum"
    return told


def _ties(fit: RewardFit, found: Diagnosis) -> Iterator[tuple[str, str]]:
    if fit.model == "plackett-luce":
        return
    share = found.tied / (found.tied + found.decided)
    said = f"{100 * share:.1f} % of comparisons" if share else "none"
    if fit.tie is not None and math.isfinite(fit.tie):
        said += f"; two items of equal score tie in {100 * equals_tie(fit.model, fit.tie):.1f} %"
    elif found.tied:
        said += {"half": ", counted as half a win each", "drop": ", left out"}[fit.ties]
    yield "ties", said


def equals_tie(model: str, tie: float) -> float:
    """The probability that two items of equal score tie.

    >>> equals_tie("davidson", 0.0), equals_tie("rao-kupper", 0.0)
    (0.3333333333333333, 0.0)
    """
    if model == "davidson":
        return math.exp(tie) / (2 + math.exp(tie))
    return math.tanh(tie / 2)


def _coefficient(fit: RewardFit, stderr: np.ndarray | None, k: int, level: float) -> str:
    effect = float(fit.coefficients[k])
    shown = "being shown first is worth" if fit.covariate_names[k] == "position" else "effect"
    if stderr is None:
        return f"{shown} {effect:+.3f} nats"
    from scipy.special import ndtri

    reach = float(ndtri((1 + level) / 2) * stderr[k])
    return (
        f"{shown} {effect:+.3f} nats, {100 * level:g} % interval {effect - reach:+.3f} to "
        f"{effect + reach:+.3f}"
    )


def p_text(p: float, resamples: int) -> str:
    """The p-value of a bootstrap test in words.

    >>> p_text(0.312, 100), p_text(1 / 101, 100)
    ('p = 0.31', 'p <= 0.0099')
    """
    return f"p {'<=' if p <= 1.0001 / (resamples + 1) else '='} {p:.2g}"


def _goodness(found: Any) -> str:
    p = p_text(found.bootstrap_pearson_p, found.resamples)
    worst = found.worst[0]
    pair = f"{name(worst.item)} against {name(worst.other)}"
    return (
        f"X2 = {found.pearson:.1f} on {found.df:,} degrees of freedom (ratio "
        f"{found.dispersion:.2f}; 1: the model fits), {p} ({found.resamples} draws from the fit); "
        f"worst pair: {pair}, {worst.observed:g} of {worst.games:g} won, {worst.expected:.1f} "
        "expected"
    )


def _intransitivity(found: Any) -> str:
    if not found.loops:
        return "the comparisons close no circle, so there is nothing to contradict a scalar reward"
    p = p_text(found.p_value, found.resamples)
    if math.isnan(found.unexplained_share):
        return f"neither order nor circles stand out from noise, {p}"
    share = f"{100 * found.unexplained_share:.1f} %"
    return (
        f"{share} of the variance of log-odds runs in circles, which no scalar reward explains "
        f"(noise taken off; below 0: less than noise alone), {p}"
    )


def _calibration(found: Any) -> str:
    slope = f"slope {found.slope:.2f} +- {found.slope_stderr:.2f} (below 1: overconfident)"
    return (
        f"on comparisons left out ({found.folds} folds), {slope}; log loss {found.log_loss:.4f} "
        f"nats, {found.baseline_log_loss:.4f} if all items were equal"
    )


def _agreement(found: Any) -> str:
    interval = "" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]"
    return (
        f"two annotators of a pair say the same in {100 * found.observed:.0f} %, "
        f"{100 * found.chance:.0f} % by chance: Krippendorff's alpha {found.alpha:.2f}{interval}"
    )


def _consistency(found: Any) -> str:
    said = [
        f"{len(names)} {how} ({_listed(names)})"
        for how in ("reversed", "random", "noisy")
        if (names := found.named(how))
    ]
    told = "; ".join(said) or "none stands out as random or reversed"
    return (
        f"{len(found.annotators):,}; consistency {found.mean:.2f} +- {found.spread:.2f} "
        f"(1: as the others' scores say; 0: a coin); {told}"
    )


def _listed(names: list[object], most: int = 5) -> str:
    shown = ", ".join(map(str, names[:most]))
    return shown + (", ..." if len(names) > most else "")


def name(item: Hashable) -> str:
    """An item's name; of (prompt, item), both.

    >>> name(("weather", "tea"))
    'weather: tea'
    """
    return ": ".join(map(str, item)) if isinstance(item, tuple) else str(item)


def print_json(result: Assessment, options: Options) -> None:
    """Print all of it as one JSON object to stdout."""
    print(json.dumps(as_json(result, options), indent=2, allow_nan=False, ensure_ascii=False))


def as_json(result: Assessment, options: Options) -> dict[str, Any]:
    """The result as JSON values; lists of items are in the order of the leaderboard."""
    fit, board = result.fit, result.board
    components: list[list[Any]] = [[] for _ in range(fit.component_count)]
    for line in board:
        components[line.component].append(plain(line.item))
    stderr = result.coefficient_stderr
    columns = {
        "items": "item",
        "scores": "score",
        "stderr": "stderr",
        "low": "low",
        "high": "high",
        "rank": "rank",
        "rank_low": "rank_low",
        "rank_high": "rank_high",
        "games": "games",
    }
    return {
        "file": str(options.file),
        "model": fit.model,
        **{key: [plain(getattr(line, field)) for line in board] for key, field in columns.items()},
        "converged": fit.converged,
        "gradient_norm": plain(fit.gradient_norm),
        "iterations": fit.iterations,
        "components": components,
        "log_likelihood": plain(fit.log_likelihood),
        "parameters": fit.parameter_count,
        "comparisons": fit.comparisons,
        "gauge": fit.gauge,
        "ridge": fit.ridge,
        "firth": fit.firth,
        "ties": fit.ties,
        "tie_parameter": plain(fit.tie),
        "coefficients": {
            key: {
                "estimate": float(fit.coefficients[k]),
                "stderr": None if stderr is None else float(stderr[k]),
            }
            for k, key in enumerate(fit.covariate_names)
        },
        "level": board.level,
        "uncertainty": board.uncertainty,
        "clusters": result.clusters,
        "diagnosis": plain(result.diagnosis),
        "notes": list(result.notes),
    }
