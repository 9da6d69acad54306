"""The options of each command, and the help that teaches them."""

from dataclasses import dataclass
from pathlib import Path

import tyro

from experiments.experiment import Profile
from experiments.style import StyleName

ABOUT = """The debate on RLHF, as experiments whose claims can fail.

Examples:
  python -m experiments list
  python -m experiments debate --profile quick
  python -m experiments run NAME --help         (what this experiment can vary)
  python -m experiments run NAME --profile full --jobs 8
  python -m experiments draw NAME --profile full --style icml

A cell is one (experiment, config, seed). Each is recorded under results/ as it finishes, so that a
run that was stopped, or killed, goes on where it was: give the same command again.

Exit codes: 0 fine; 1 a cell, a figure or a judge failed, the rest is done; 2 could not run (a wrong
option, a folder that cannot be written, damaged or missing cells for a drawing); 130 interrupted.
"""
ABOUT_LIST = """List the experiments, the claims they decide, and what they are about."""
ABOUT_RUN = """Compute the cells of one experiment that are not recorded yet.

Examples:
  python -m experiments run NAME --profile smoke
  python -m experiments run NAME --seeds 20 --jobs 4
  python -m experiments run NAME --config.FIELD VALUE    (sets the field in every cell)
  python -m experiments run NAME --fresh                 (computes recorded cells again)

Failed cells keep their traceback in results/NAME/*.failed.json and are tried again by the next
run. Damaged cells are named and recomputed. Each cell uses one thread for linear algebra, so that
rows do not depend on --jobs; set OMP_NUM_THREADS (and its kin) to change that.
"""
ABOUT_DRAW = """Draw one experiment from its recorded cells, without running anything.

Examples:
  python -m experiments draw NAME
  python -m experiments draw NAME --profile full --style talk --figures slides

Only the cells of the chosen profile, --seeds and --config are drawn; all of them must be recorded.
"""
ABOUT_DEBATE = """Run every experiment, draw it, and print the verdict on every claim.

Examples:
  python -m experiments debate --profile quick
  python -m experiments debate --headline                (what `make demo` runs)
  python -m experiments debate --profile quick --json > verdicts.json
  python -m experiments debate --seed-sets 3             (does every verdict stand on other seeds?)

Predictions and nulls stand in experiments/claims/ before the run; verdicts are computed from the
recorded rows alone. A claim whose experiment has failed cells is undecided.
"""


@dataclass(frozen=True)
class List:
    json: bool = False
    """print a JSON list of {name, claims, about}"""


@dataclass(frozen=True)
class Selection:
    name: tyro.conf.Positional[str]
    """the experiment; `list` shows them"""
    profile: Profile = "quick"
    """the size of the sweep"""
    seeds: int | None = None
    """how many seeds; None: as many as the profile says"""
    first_seed: int = 0
    """use the seeds FIRST_SEED, FIRST_SEED + 1, ..., which are cells of their own"""
    results: Path = Path("results")
    """folder of the recorded cells"""


@dataclass(frozen=True)
class Run(Selection):
    jobs: int | None = None
    """cells computed at a time; None: one a core"""
    fresh: tyro.conf.FlagCreatePairsOff[bool] = False
    """compute again what is recorded already"""


@dataclass(frozen=True)
class Draw(Selection):
    figures: Path = Path("figures")
    """folder for the figures"""
    style: StyleName = "neurips"
    """the venue, which sets width and type size"""


@dataclass(frozen=True)
class Debate:
    profile: Profile = "quick"
    """the size of the sweeps"""
    headline: tyro.conf.FlagCreatePairsOff[bool] = False
    """only the experiments behind headline claims, within three minutes and without torch"""
    first_seed: int = 0
    """use the seeds FIRST_SEED, FIRST_SEED + 1, ..."""
    seed_sets: int = 1
    """judge each claim on so many disjoint sets of seeds; the first is drawn"""
    json: bool = False
    """print a JSON list of {id, who, statement, prediction, null, effect, interval, verdict,
    experiment, figure, on_other_seeds: [{effect, interval, verdict}, one a further set]}, and
    nothing else, to stdout"""
    jobs: int | None = None
    """cells computed at a time; None: one a core"""
    results: Path = Path("results")
    """folder of the recorded cells"""
    figures: Path = Path("figures")
    """folder for the figures"""
    style: StyleName = "neurips"
    """the venue, which sets width and type size"""
    fresh: tyro.conf.FlagCreatePairsOff[bool] = False
    """compute again what is recorded already"""
