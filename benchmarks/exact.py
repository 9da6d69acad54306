"""How fast exact expectations are: value and gradient over every string, and sums on the lattice.

    python -m benchmarks.exact [--repeats 15] [--json PATH]

Methods are run in turns within one process, so that they meet the same machine; medians are
printed. CPU seconds count all threads of a method; methods with several threads come in a round of
their own, since idle threads go on spinning for a while. Every gradient is compared with the others
before it is timed. The limit is what no program can beat: logits and rewards read once, gradients
written once, at the measured bandwidth of a copy, and one exponential a logit at the speed that
numpy has in cache.
"""

import dataclasses
import importlib.util
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from bandit_rlhf.automaton import capped_count, repetition, token_weights
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact import path_sum, tree
from bandit_rlhf.exact.lattice import Lattice
from bandit_rlhf.language import Language
from bandit_rlhf.ngram import MarkovPolicy, context_count
from bandit_rlhf.policy import TabularPolicy, as_level, level_slice

ROOT = Path(__file__).resolve().parents[1]
TORCH = importlib.util.find_spec("torch") is not None
Timed = tuple[float, float]
"""Median CPU seconds and median wall seconds of one call."""


@dataclass(frozen=True)
class Row:
    """One line of the table; ratios are of CPU seconds."""

    problem: str
    method: str
    cpu_seconds: float
    wall_seconds: float
    over_exp: float | None = None  # times one np.exp over the same logits
    over_ours: float | None = None
    target: str = ""
    reached: bool | None = None


def interleaved(methods: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Timed]:
    """Median times of each method, one call of each in every round."""
    cpu: dict[str, list[float]] = {name: [] for name in methods}
    wall: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(repeats + 1):
        for name, call in methods.items():
            started = time.process_time(), time.perf_counter()
            call()
            cpu[name].append(time.process_time() - started[0])
            wall[name].append(time.perf_counter() - started[1])
    # The first round warms caches and allocators up.
    return {n: (statistics.median(cpu[n][1:]), statistics.median(wall[n][1:])) for n in methods}


# Every string of 4 tokens and an end at horizon 10


def string_problem(size: int, horizon: int) -> tuple[ContextualBandit, TabularPolicy]:
    """Random logits and rewards over every string of at most `horizon` tokens."""
    rng = np.random.default_rng(0)
    language = Language(tuple("abcdefgh"[:size]), horizon, "$")
    rewards = rng.standard_normal((1, language.string_count))
    return ContextualBandit(language, [()], [1.0], rewards), TabularPolicy.normal(
        language, [()], rng
    )


def level_by_level(bandit: ContextualBandit, policy: TabularPolicy) -> np.ndarray:
    """The gradient by the same recursion in plain NumPy: whole levels, one operation at a time."""
    language, size = bandit.language, bandit.language.vocabulary_size
    rewards, gradient = bandit.reward_table()[0], np.empty_like(policy.logits)
    probs, reach = [], [np.ones(1)]
    for level in range(language.horizon):
        logits = policy.level(level)[0]
        weights = np.exp(logits - logits.max(axis=0))
        probs.append(weights / weights.sum(axis=0))
        reach.append((probs[level][:size] * reach[level]).ravel())
    value = rewards[language.node_count(language.horizon) :]
    for level in reversed(range(language.horizon)):
        ended = rewards[language.node_count(level) :][: size**level]
        below = np.concatenate([value.reshape(size, -1), ended[None]])
        value = (probs[level] * below).sum(axis=0)
        as_level(language, gradient, level)[0] = reach[level] * probs[level] * (below - value)
    return gradient


def torch_threads(count: int | None = None) -> int:
    """Torch's number of threads, after setting it if a count is given; 1 without torch."""
    if not TORCH:
        return 1
    import torch

    if count is not None:
        torch.set_num_threads(count)
    return torch.get_num_threads()


def torch_methods(
    bandit: ContextualBandit, policy: TabularPolicy
) -> dict[str, Callable[[], np.ndarray]]:
    """Torch's autograd of the same sum in three forms, from the plainest to the strongest."""
    import torch

    language, size = bandit.language, bandit.language.vocabulary_size
    widths = [size**level for level in range(language.horizon)]
    rewards = torch.tensor(bandit.reward_table()[0])
    flat = torch.tensor(policy.logits[0], requires_grad=True)
    leaves = [
        torch.tensor(policy.level(level)[0], requires_grad=True) for level in range(len(widths))
    ]

    def over_strings(pieces: Sequence[torch.Tensor]) -> np.ndarray:
        """sum_y exp(ln pi(y)) r(y), from one flat leaf of logits."""
        total, strings = torch.zeros(1, dtype=torch.float64), []
        for piece, width in zip(pieces, widths, strict=True):
            along = piece.view(size + 1, width).log_softmax(dim=0) + total
            strings.append(along[size])
            total = along[:size].reshape(-1)
        value = torch.cat([*strings, total]).exp() @ rewards
        return torch.autograd.grad(value, flat)[0].numpy()

    def sliced() -> np.ndarray:
        """Each level a slice of the leaf; its backward pass fills a whole array with zeros."""
        return over_strings([flat[level_slice(language, level)] for level in range(len(widths))])

    def split() -> np.ndarray:
        """The leaf taken apart by one operation."""
        return over_strings(flat.split([(size + 1) * width for width in widths]))

    def over_levels() -> np.ndarray:
        """The recursion from the widest level up, from one leaf a level."""
        value = rewards[language.node_count(language.horizon) :]
        for level in reversed(range(language.horizon)):
            probs = leaves[level].softmax(dim=0)
            ended = rewards[language.node_count(level) :][: widths[level]]
            value = (probs[:size] * value.view(size, -1)).sum(dim=0) + probs[size] * ended
        gradients = torch.autograd.grad(value[0], leaves)
        return np.concatenate([gradient.numpy().ravel() for gradient in gradients])

    return {
        "torch: strings, leaf sliced": sliced,
        "torch: strings, leaf split": split,
        "torch: levels, a leaf each": over_levels,
    }


def every_string(repeats: int, console: Console) -> list[Row]:
    """Value and gradient over 1,398,101 strings, against autograd, plain NumPy and the limit."""
    bandit, policy = string_problem(size=4, horizon=10)
    problem = f"{bandit.language.string_count:,} strings, {policy.logits.size:,} logits"
    ready = np.empty_like(policy.logits)
    cached = np.linspace(-1.0, 1.0, 2**12)
    blocks = policy.logits.size // cached.size
    into = np.empty_like(cached)

    def exp_in_cache() -> None:
        for _ in range(blocks):
            np.exp(cached, out=into)

    by_torch = torch_methods(bandit, policy) if TORCH else {}
    if not TORCH:
        console.print("torch is not installed, so nothing is compared with it: install [neural].")
    gradients: dict[str, Callable[[], np.ndarray]] = {
        "ours": lambda: tree.expected_reward(bandit, policy).gradient,
        "NumPy, level by level": lambda: level_by_level(bandit, policy),
        **by_torch,
    }
    first = gradients["ours"]()
    for name, method in gradients.items():
        difference = float(np.abs(method().reshape(first.shape) - first).max())
        if not difference <= 1e-14:
            raise RuntimeError(f"the gradient of {name} differs from ours by {difference:g}")
    threads = torch_threads()
    torch_threads(1)
    times = interleaved(
        {
            **gradients,
            "np.exp": lambda: np.exp(policy.logits, out=ready),
            "np.exp in cache": exp_in_cache,
            "copy": lambda: np.copyto(ready, policy.logits),
        },
        repeats,
    )
    moved = 2 * policy.logits.nbytes + bandit.reward_table().nbytes
    copying = times["copy"][0] * moved / (2 * policy.logits.nbytes)
    limit = copying + times["np.exp in cache"][0] * policy.logits.size / (blocks * cached.size)
    ours, exp = times["ours"][0], times["np.exp"][0]
    targets = {"ours": ("at most 5 np.exp", ours <= 5 * exp)}
    targets |= {name: ("at least 4 x ours", times[name][0] >= 4 * ours) for name in by_torch}
    times = {name: times[name] for name in [*gradients, "np.exp"]}
    if threads > 1:
        torch_threads(threads)
        several = interleaved(by_torch, repeats)
        times |= {f"{name}, {threads} threads": pair for name, pair in several.items()}
    rows = [
        Row(problem, name, cpu, wall, cpu / exp, cpu / ours, *targets.get(name, ("", None)))
        for name, (cpu, wall) in times.items()
    ]
    name = f"limit: {moved / 2**20:.0f} MiB at copy speed, one exp a logit"
    rows.append(Row(problem, name, limit, limit, limit / exp, limit / ours))
    return rows


# Every string of 2 tokens and an end at horizon 22, for its memory


def large_problem(repeats: int) -> None:
    """Print times and peak memory as JSON; called in a process of its own."""
    bandit, policy = string_problem(size=2, horizon=22)
    ready = np.empty_like(policy.logits)
    times = interleaved(
        {
            "ours": lambda: tree.expected_reward(bandit, policy),
            "np.exp": lambda: np.exp(policy.logits, out=ready),
        },
        repeats,
    )
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = kibibytes if sys.platform == "darwin" else 1024 * kibibytes
    problem = f"{bandit.language.string_count:,} strings, {policy.logits.size:,} logits"
    print(json.dumps({"problem": problem, "times": times, "peak": peak}))


def many_strings(repeats: int) -> list[Row]:
    """Value and gradient over 8,388,607 strings, with the peak memory of the whole process."""
    program = f"from benchmarks.exact import large_problem; large_problem({repeats})"
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    found = json.loads(finished.stdout)
    (ours, wall), (exp, exp_wall) = found["times"]["ours"], found["times"]["np.exp"]
    gibibytes = found["peak"] / 2**30
    name = f"ours, peak {gibibytes:.2f} GiB with its inputs"
    return [
        Row(found["problem"], name, ours, wall, ours / exp, 1.0, "below 4 GiB", gibibytes < 4),
        Row(found["problem"], "np.exp", exp, exp_wall, 1.0, exp / ours),
    ]


# The lattice


def lattices(repeats: int) -> list[Row]:
    """Value, KL and Gibbs optimum with 40 symbols, order 2 and horizon 64."""
    rng = np.random.default_rng(0)
    language = Language(tuple(f"w{i}" for i in range(39)), 64, "$")
    laws = rng.dirichlet(np.ones(40), context_count(39, 2))
    reference = MarkovPolicy.from_probs(language, 2, laws)
    linear = token_weights(language, rng.standard_normal(40))
    window = linear + repetition(language, 2, -1.0)
    counted = window + capped_count(language, ["w0"], 3)
    rows = []
    for title, reward in (("weights and window", window), ("and a count up to 3", counted)):
        started = time.process_time(), time.perf_counter()
        lattice = Lattice.build(reference, {"reward": reward})
        built = time.process_time() - started[0], time.perf_counter() - started[1]
        payoff = lattice.payoffs["reward"]
        optimum, _ = path_sum.gibbs_optimum(lattice, payoff, beta=1.0)
        methods = {
            "value": lambda o=optimum, p=payoff: path_sum.expected_reward(o, p),
            "KL": lambda o=optimum, w=lattice: path_sum.kl(o, w.reference),
            "Gibbs optimum": lambda w=lattice, p=payoff: path_sum.gibbs_optimum(w, p, 1.0),
        }
        times = interleaved(methods, max(3, repeats // 3))
        problem = (
            f"lattice, 40 symbols, order 2, horizon 64, {title}: {lattice.state_count:,} states"
        )
        rows.append(Row(problem, "building the lattice", *built))
        rows += [Row(problem, name, cpu, wall) for name, (cpu, wall) in times.items()]
        total = [sum(part) for part in zip(*times.values(), strict=True)]
        rows.append(Row(problem, "the three", *total, target="below 2 s", reached=total[0] < 2))
    return rows


def header() -> dict[str, str]:
    """What the numbers depend on, without the machine's name."""
    threads = {
        name: os.environ.get(name, "not set")
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    }
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    if TORCH:
        versions |= {"torch": metadata.version("torch"), "torch threads": str(torch_threads())}
    return versions | {"cores": str(os.cpu_count())} | threads


def as_table(rows: list[Row]) -> Table:
    """The rows, a section for each problem; milliseconds."""
    table = Table("method", title="exact expectations: medians", title_justify="left")
    for column in ("CPU ms", "wall ms", "x np.exp", "x ours"):
        table.add_column(column, justify="right")
    table.add_column("target")
    problem = ""
    for row in rows:
        if row.problem != problem:
            problem = row.problem
            table.add_section()
            table.add_row(f"[bold]{problem}[/bold]")
        ratios = ["" if r is None else f"{r:.2f}" for r in (row.over_exp, row.over_ours)]
        verdict = {True: "reached", False: "[red]missed[/red]", None: ""}[row.reached]
        times = [f"{1e3 * row.cpu_seconds:,.2f}", f"{1e3 * row.wall_seconds:,.2f}"]
        target = f"{row.target}: {verdict}" if row.target else ""
        table.add_row(f"  {row.method}", *times, *ratios, target)
    return table


def main(
    repeats: Annotated[int, tyro.conf.arg(help="rounds; each runs every method once")] = 15,
    json_path: Annotated[
        Path | None, tyro.conf.arg(name="json", help="also save header and rows here")
    ] = None,
) -> None:
    """Measure exact expectations over strings and on the lattice, and print one table."""
    if repeats < 1:
        raise SystemExit(f"--repeats is {repeats}, but should be at least 1.")
    console = Console(width=max(120, Console().width))
    about = header()
    console.print(", ".join(f"{name} {value}" for name, value in about.items()))
    rows = [
        *every_string(repeats, console),
        *many_strings(max(3, repeats // 3)),
        *lattices(repeats),
    ]
    console.print(as_table(rows))
    if json_path is not None:
        content = {"header": about, "rows": [dataclasses.asdict(row) for row in rows]}
        json_path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        console.print(f"Saved {json_path}")


if __name__ == "__main__":
    tyro.cli(main)
