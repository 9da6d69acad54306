# pyright: reportMissingImports=false
"""How fast comparisons become scores: Bradley-Terry fits beside those of other packages.

    python -m benchmarks.preferences [--cases a b] [--rounds 3] [--peers PYTHON] [--json PATH]

From arrays (winner, loser) of random pairs, theta ~ N(0, 1), to scores:

    a  100 items x 1e5 rows            b  1,000 items x 1e6 rows
    c  10,000 items x 1e7 rows         d  1e6 items x 1e7 rows, with ridge 1
    e  10,000 items x 1e8 rows, streamed from files
    i  95 % intervals at (a)

Peers are optional: `python -m venv peers`, then `peers/bin/pip install choix evalica scikit-learn
arenakit arena-rank`, and pass `--peers peers/bin/python`; those that do not import are named and
left out. Each run is a process of its own with one thread, so that its memory can be told; methods
take turns, and medians are printed. CPU seconds start at the arrays, with everything imported; in
case (e) at the files. Every answer is scored by the same code: err is the largest |wins - expected
wins - ridge * score| / (games + ridge) over items, row by row.
"""

import functools
import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

Scores = np.ndarray


@dataclass(frozen=True)
class Case:
    """A size of problem and who takes part."""

    items: int
    rows: int
    ridge: float
    inner: int  # repetitions within a process
    methods: tuple[str, ...]


SKLEARN = ("scikit-learn lbfgs", "scikit-learn newton-cg")
CASES = {
    "a": Case(
        100, 10**5, 0.0, 15, ("ours", "choix", "evalica", "arenakit", *SKLEARN, "arena-rank")
    ),
    "b": Case(1_000, 10**6, 0.0, 3, ("ours", "choix", "evalica", *SKLEARN)),
    "c": Case(10_000, 10**7, 0.0, 1, ("ours", "evalica", *SKLEARN)),
    "d": Case(10**6, 10**7, 1.0, 1, ("ours", *SKLEARN)),
    "e": Case(10_000, 10**8, 0.0, 1, ("ours, streamed",)),
    "i": Case(
        100,
        10**5,
        0.0,
        3,
        ("ours", "ours with sandwich", "ours with 100 resamples", "arenakit with 100 resamples"),
    ),
}
MODULES = {
    "choix": "choix",
    "evalica": "evalica",
    "arenakit": "arenakit",
    "scikit-learn": "sklearn.linear_model",
    "arena-rank": "arena_rank.models.bradley_terry",
    "ours": "bandit_rlhf.uncertainty",
}
CHUNK = 1 << 20
STREAM_CHUNK = 1 << 22


# The problem, as files of int32


def write_problem(case: Case, folder: Path) -> None:
    """Draw the comparisons in chunks, so that the largest case fits."""
    rng = np.random.default_rng(0)
    theta = rng.standard_normal(case.items)
    with open(folder / "winner.i32", "wb") as winners, open(folder / "loser.i32", "wb") as losers:
        for begin in range(0, case.rows, CHUNK):
            size = min(CHUNK, case.rows - begin)
            left = rng.integers(0, case.items, size, dtype=np.int32)
            right = (left + rng.integers(1, case.items, size, dtype=np.int32)) % case.items
            won = rng.random(size) < 1 / (1 + np.exp(theta[right] - theta[left]))
            np.where(won, left, right).tofile(winners)
            np.where(won, right, left).tofile(losers)


def chunks(folder: Path, rows: int, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Winners and losers, read a chunk at a time."""
    for begin in range(0, rows, size):
        count = min(size, rows - begin)
        yield (
            np.fromfile(folder / "winner.i32", np.int32, count, offset=4 * begin),
            np.fromfile(folder / "loser.i32", np.int32, count, offset=4 * begin),
        )


def largest_error(case: Case, folder: Path, scores: Scores) -> float:
    """The residual of the score equations at the worst item, as a share of its games."""
    n = case.items
    net, games = np.zeros(n), np.zeros(n)
    for winner, loser in chunks(folder, case.rows, 4 * CHUNK):
        upset = 1 / (1 + np.exp(scores[winner] - scores[loser]))
        net += np.bincount(winner, upset, n) - np.bincount(loser, upset, n)
        games += np.bincount(winner, minlength=n) + np.bincount(loser, minlength=n)
    return float(np.max(np.abs(net - case.ridge * scores) / (games + case.ridge)))


# The methods: (case, winner, loser) -> scores


def ours(case: Case, winner: np.ndarray, loser: np.ndarray, intervals: str = "") -> Scores:
    from bandit_rlhf.comparisons import Comparisons, aggregate
    from bandit_rlhf.reward import fit
    from bandit_rlhf.uncertainty import bootstrap, covariance

    rows = Comparisons.from_ids(winner, loser, items=range(case.items))
    if not intervals:
        return fit(rows, ridge=case.ridge).scores
    counts = aggregate(rows)
    found = fit(counts)
    if intervals == "sandwich":
        covariance(found, counts, "sandwich")
    else:
        bootstrap(found, counts, np.random.default_rng(0), resamples=100)
    return found.scores


def ours_streamed(case: Case, folder: Path) -> Scores:
    from bandit_rlhf.comparisons import Comparisons, aggregate_stream
    from bandit_rlhf.reward import fit

    tables = (
        Comparisons.from_ids(winner, loser, items=range(case.items))
        for winner, loser in chunks(folder, case.rows, STREAM_CHUNK)
    )
    return fit(aggregate_stream(tables), ridge=case.ridge).scores


def win_matrix(case: Case, winner: np.ndarray, loser: np.ndarray) -> np.ndarray:
    """The fastest way to the dense matrix that some peers take."""
    n = case.items
    key = winner * np.int32(n) + loser
    return np.bincount(key, minlength=n * n).reshape(n, n).astype(float)


def choix(case: Case, winner: np.ndarray, loser: np.ndarray) -> Scores:
    import choix as peer

    return peer.ilsr_pairwise_dense(win_matrix(case, winner, loser))


def evalica(case: Case, winner: np.ndarray, loser: np.ndarray) -> Scores:
    import evalica as peer
    import pandas as pd

    first = [peer.Winner.X] * case.rows
    index = pd.Index(range(case.items))
    found = peer.bradley_terry(winner, loser, first, index, tolerance=1e-10, limit=1000)
    return np.log(found.scores.to_numpy(float)[np.argsort(found.scores.index.to_numpy())])


def arenakit(case: Case, winner: np.ndarray, loser: np.ndarray, resamples: int = 0) -> Scores:
    from arenakit import boot, bt
    from arenakit.schema import PairCounts

    wins = win_matrix(case, winner, loser)
    none = np.zeros_like(wins)
    fit = functools.partial(bt.fit_bt, prior=0.0)
    if resamples:
        arena: Any = ArenaOfIds(case.items, winner, loser)
        return boot.bootstrap(arena, fit, resamples).point
    return fit(PairCounts(wf=wins, ws=none, tt=none)).scores


class ArenaOfIds:
    """What arenakit's bootstrap reads of its arena, without a Python object a battle."""

    def __init__(self, items: int, winner: np.ndarray, loser: np.ndarray) -> None:
        from arenakit.schema import A_WINS

        self.a, self.b, self.n_models, self.n_battles = winner, loser, items, len(winner)
        self.models = [str(item) for item in range(items)]
        self.y = np.full(len(winner), A_WINS)

    def counts(self, weights: np.ndarray | None = None) -> Any:
        from arenakit.schema import _counts

        return _counts(self.a, self.b, self.y, self.n_models, weights)


def sklearn(case: Case, winner: np.ndarray, loser: np.ndarray, solver: str) -> Scores:
    from scipy.sparse import csr_array
    from sklearn.linear_model import LogisticRegression

    rows = len(winner)
    side = np.where(np.arange(rows) % 2, 1.0, -1.0)  # both labels must occur
    values = np.stack([side, -side], axis=1).ravel()
    columns = np.stack([winner, loser], axis=1).ravel()
    start = np.arange(0, 2 * rows + 1, 2, dtype=np.int32)
    design = csr_array((values, columns, start), shape=(rows, case.items))
    penalty = 1 / case.ridge if case.ridge else np.inf
    model = LogisticRegression(
        C=penalty, solver=solver, fit_intercept=False, tol=1e-10, max_iter=1000
    )
    return model.fit(design, side).coef_[0]


def arena_rank(case: Case, winner: np.ndarray, loser: np.ndarray) -> Scores:
    import jax.numpy as jnp
    from arena_rank.models.bradley_terry import BradleyTerry
    from arena_rank.utils.data_utils import PairDataset

    wins = win_matrix(case, winner, loser)
    pairs = np.argwhere(wins)
    count = jnp.asarray(wins[pairs[:, 0], pairs[:, 1]])
    names = [str(item) for item in range(case.items)]
    one = jnp.ones_like(count)
    table = PairDataset(names, jnp.asarray(pairs), one, count, one, count)
    model = BradleyTerry(case.items, gtol=1e-10, ftol=1e-14)
    model.fit(table)
    return np.asarray(model.params["ratings"], float)


METHODS: dict[str, Callable[..., Scores]] = {
    "ours": ours,
    "ours with sandwich": functools.partial(ours, intervals="sandwich"),
    "ours with 100 resamples": functools.partial(ours, intervals="bootstrap"),
    "choix": choix,
    "evalica": evalica,
    "arenakit": arenakit,
    "arenakit with 100 resamples": functools.partial(arenakit, resamples=100),
    "scikit-learn lbfgs": functools.partial(sklearn, solver="lbfgs"),
    "scikit-learn newton-cg": functools.partial(sklearn, solver="newton-cg"),
    "arena-rank": arena_rank,
}


# One process: import, load, run, report


def work(letter: str, method: str, folder: Path) -> None:
    """Run one method on one case and print its CPU seconds and peak memory as JSON."""
    import warnings

    warnings.simplefilter("ignore")
    case = CASES[letter]
    package = next(name for name in MODULES if method.startswith(name))
    try:
        importlib.import_module(MODULES[package])
    except ImportError as error:
        print(json.dumps({"absent": str(error)}))
        return
    if method == "ours, streamed":
        call = functools.partial(ours_streamed, case, folder)
    else:
        winner, loser = (np.fromfile(folder / f"{s}.i32", np.int32) for s in ("winner", "loser"))
        call = functools.partial(METHODS[method], case, winner, loser)
    seconds = []
    scores = np.zeros(case.items)
    for _ in range(case.inner):
        started = time.process_time()
        scores = call()
        seconds.append(time.process_time() - started)
    np.save(folder / "scores.npy", scores)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"cpu": statistics.median(seconds), "peak": peak}))


# All of them


def run(letter: str, method: str, folder: Path, peers: str, seconds: float) -> dict[str, Any]:
    """One process, and the error of its answer."""
    mine = method.startswith("ours")
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    root = str(Path(__file__).resolve().parents[1])
    command = [sys.executable if mine else peers, __file__, "work", letter, method, str(folder)]
    environment = {**os.environ, **threads, "PYTHONPATH": root}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return {"absent": f"more than {seconds:g} s"}
    if done.returncode:
        return {"absent": (done.stderr.strip().splitlines() or ["killed"])[-1]}
    result = json.loads(done.stdout.strip().splitlines()[-1])
    if "absent" not in result:
        scores = np.load(folder / "scores.npy")
        result["error"] = largest_error(CASES[letter], folder, scores)
    return result


def main(
    cases: tuple[str, ...] = ("a", "b", "i"),
    rounds: int = 3,
    peers: str = sys.executable,
    seconds: float = 600.0,
    json_path: Annotated[Path | None, "where to write the rows"] = None,
) -> None:
    """Measure Bradley-Terry fits beside those of other packages.

    Args:
        cases: letters; see the module's description for their sizes. c, d and e take minutes.
        rounds: how often each method takes its turn.
        peers: the Python interpreter whose environment has the peers.
        seconds: wall seconds after which a process is stopped.
        json_path: where to write the rows as JSON.
    """
    from rich.console import Console
    from rich.table import Table

    console = Console()
    rows = []
    for letter in cases:
        case = CASES[letter]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_problem(case, folder)
            results: dict[str, list[dict[str, Any]]] = {method: [] for method in case.methods}
            for _ in range(rounds):
                for method, found in results.items():
                    if not (found and "absent" in found[-1]):
                        found.append(run(letter, method, folder, peers, seconds))
        title = f"({letter}) {case.items:,} items x {case.rows:,} rows"
        table = Table(title=title, title_justify="left")
        for column in ("method", "CPU s", "to ours", "err", "peak GB"):
            table.add_column(column, justify="left" if column == "method" else "right")
        reference = None
        for method, found in results.items():
            ran = [result for result in found if "absent" not in result]
            if not ran:
                console.print(f"{method}: left out of ({letter}): {found[-1]['absent']}")
                continue
            cpu = statistics.median(result["cpu"] for result in ran)
            reference = reference or cpu
            error = max(result["error"] for result in ran)
            peak = max(result["peak"] for result in ran)
            table.add_row(
                method, f"{cpu:.4g}", f"{cpu / reference:.2f}", f"{error:.0e}", f"{peak / 1e9:.2f}"
            )
            rows.append({"case": letter, "method": method, "cpu": cpu, "err": error, "peak": peak})
        console.print(table)
    if json_path:
        json_path.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    if sys.argv[1:2] == ["work"]:
        work(sys.argv[2], sys.argv[3], Path(sys.argv[4]))
    else:
        import tyro

        tyro.cli(main)
