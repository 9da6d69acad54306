"""The options of `bandit-rlhf fit`, and the help that teaches them.

>>> from pathlib import Path
>>> Options(Path("votes.csv")).level
0.95
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

ABOUT = """Fit rewards to comparisons: a leaderboard with intervals, and what to trust of it.

Examples:
  bandit-rlhf fit votes.csv
  bandit-rlhf fit votes.csv --model davidson --cluster worker --plot board.pdf
  bandit-rlhf fit votes.csv --by prompt --ridge 1         (a reward for each prompt and item)
  bandit-rlhf fit votes.csv --position                    (is there a bonus for being shown first?)
  bandit-rlhf fit votes.csv --columns annotator=rater_id left=first right=second
  bandit-rlhf fit votes.csv --json | python -m json.tool
  bandit-rlhf fit votes.parquet --stream                  (more rows than fit into memory)
  bandit-rlhf fit rankings.jsonl --model pl               (records like {"ranking": ["a", "b"]})

FILE is CSV, TSV, JSON, JSONL or Parquet (which needs polars), one judgement a row. Its columns say
the layout: left, right, winner (left, right or tie); model_a, model_b, winner (Chatbot Arena);
winner, loser and perhaps tie; chosen, rejected; PandaLM's; or ranking ("a > b = c", or a list).
Further columns are used where they are there: prompt, annotator (or worker, judge), weight.

Scores are log-odds in nats: an item beats one that scores 1 nat less in 73 % of the decided
comparisons. Only differences mean something; without a prior the scores have mean zero.

Exit codes: 0 fine; 1 the fit did not converge, or has no finite maximum (the message says what
comparisons it lacks); 2 could not run (wrong option, a file that cannot be used); 130 interrupted.
"""

ModelName = Literal["bt", "thurstone", "davidson", "rao-kupper", "pl"]
MODELS = {
    "bt": "bradley-terry",
    "thurstone": "thurstone",
    "davidson": "davidson",
    "rao-kupper": "rao-kupper",
}


@dataclass(frozen=True)
class Options:
    """What to fit, and how to report it."""

    file: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """the comparisons"""
    model: ModelName | None = None
    """Bradley-Terry, Thurstone-Mosteller; with ties: Davidson, Rao-Kupper; Plackett-Luce.
    None: pl for rankings, davidson where there are ties, else bt"""
    by: Literal["prompt"] | None = None
    """give each prompt scores of its own"""
    cluster: Literal["annotator", "worker", "prompt"] | None = None
    """take what one annotator (worker) said, or all on one prompt, as one observation.
    None: every comparison is one"""
    ridge: float = 0.0
    """precision of a Gaussian prior on every score, per squared nat: any fit becomes finite"""
    firth: tyro.conf.FlagCreatePairsOff[bool] = False
    """Jeffreys' prior (bt only): finite, and without the first-order bias"""
    ties: Literal["refuse", "half", "drop"] = "refuse"
    """what bt and thurstone do with ties"""
    position: tyro.conf.FlagCreatePairsOff[bool] = False
    """fit the effect of being shown first along with the scores"""
    bootstrap: int = 0
    """errors from so many refits to resampled comparisons or clusters; 0: from the curvature"""
    level: float = 0.95
    """coverage of the intervals"""
    resamples: int | None = None
    """draws from the fit that test the model; 0: no tests.
    None: 100, or 0 beyond 100,000 different pairs (10,000 in the search for circles)"""
    seed: int = 0
    """of all that is random: bootstraps, simultaneous rank intervals, folds"""
    layout: str | None = None
    """sides, arena, pairs, pandalm, pandalm-strings, chosen or rankings; None: the columns tell"""
    format: Literal["csv", "tsv", "json", "jsonl", "parquet"] | None = None
    """of the file; None: its ending tells"""
    columns: tuple[str, ...] = ()
    """WANTED=NAME ...: the file calls the column WANTED by another NAME"""
    bad_rows: Literal["raise", "drop"] = "raise"
    """stop at the first row that cannot be used, or leave such rows out and count them"""
    stream: tyro.conf.FlagCreatePairsOff[bool] = False
    """count pairs while reading, for files beyond memory: annotators and prompts are lost"""
    top: int | None = None
    """show so many lines, in print and figures; --json and --output have them all"""
    json: tyro.conf.FlagCreatePairsOff[bool] = False
    """print JSON, and nothing else, to stdout:
    items, scores, stderr, converged, gradient_norm, components, ranks, diagnosis ..."""
    output: Path | None = None
    """write the leaderboard to this .csv or .parquet"""
    plot: Path | None = None
    """write a figure to this .pdf, .svg or .png"""
    figure: Literal["forest", "wins", "calibration", "network"] = "forest"
    """what --plot draws: scores with intervals; who beat whom;
    predicted against observed wins; who met whom"""
    tolerance: float = 1e-8
    """stop where every item's |observed - expected wins| / games is at most this"""
    max_iterations: int = 100
    """Newton steps before giving up"""
