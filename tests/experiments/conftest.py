"""Tiny experiments, written as real modules into a package of their own."""

import itertools
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = (f"tiny{n}" for n in itertools.count())  # a fresh name a test: modules are cached by name

WAVES = '''
"""Waves: gain that rises with the step.

Nothing else.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from experiments import style
from experiments.experiment import Plan, grid


@dataclass(frozen=True)
class Config:
    slope: float = 1.0  # gain a step, in nats
    # how long a cell takes,
    # in seconds
    pause: float = 0.0
    trouble: str = "none"  # what goes wrong: none, raise or die


SWEEP = {
    "smoke": Plan(grid(Config, slope=(1.0, 2.0)), seeds=2),
    "quick": Plan(grid(Config, slope=(1.0, 2.0, 3.0)), seeds=4),
    "full": Plan((Config(), Config(slope=2.0, trouble="raise"), Config(slope=3.0)), seeds=1),
}


def run(config, seed):
    log("start", config, seed)
    print("an experiment that chatters on stdout")
    time.sleep(config.pause)
    if config.trouble == "raise":
        raise ZeroDivisionError("trouble was asked for")
    if config.trouble == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    noise = np.random.default_rng(seed).standard_normal(4)
    log("end", config, seed)
    return [
        {"step": step, "gain": config.slope * step + noise[step], "pid": None}
        for step in range(4)
    ]


def log(moment, config, seed):
    if "TINY_LOG" in os.environ:
        with open(os.environ["TINY_LOG"], "a") as file:
            file.write(f"{moment} {config.slope} {seed}\\n")


def draw(table):
    figure = style.figure(columns=2, height_to_width=0.8)
    left, right = figure.subplots(1, 2)
    for index, ((slope,), rows) in enumerate(table.group_by("config.slope", maintain_order=True)):
        left.plot(rows["step"], rows["gain"], label=f"slope {slope}", **style.series(index))
    left.set(xlabel="step", ylabel="gain, nats")
    left.legend()
    right.text(0.5, 0.5, f"{table.height} rows, $\\\\beta$")
    return figure
'''

CLAIMS = """
import numpy as np

from experiments.claims import Claim
from experiments.judging import Judgement, at_least, bootstrap_interval


def gain_at_the_end(table):
    gain = table.filter(table["step"] == 3)["gain"].to_numpy()
    interval = bootstrap_interval(gain, np.random.default_rng(0))
    mean = float(gain.mean())
    return Judgement(mean, interval, at_least(interval, 0.5), f"gain {mean:.2f} [nats]")


CLAIMS = (
    Claim(
        id="1-gain",
        number=1,
        who="Ann [of Thames]",
        statement="The gain rises.",
        prediction="mean gain at step 3 is at least 0.5 nats",
        null="it is less",
        experiment="waves",
        reference="none",
        judge=gain_at_the_end,
    ),
)
"""


@dataclass
class Tiny:
    """A package with experiments, and the ways to run the command line on it."""

    package: str
    root: Path
    log: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, module: str, source: str) -> Path:
        path = self.root / self.package / f"{module}.py"
        path.write_text(textwrap.dedent(source).lstrip())
        return path

    def edit(self, old: str, new: str, name: str = "waves") -> None:
        """Write the module `name`: `waves` with a change."""
        source = (self.root / self.package / "waves.py").read_text()
        assert old in source
        self.write(name, source.replace(old, new, 1))

    def command(self, *words: str) -> list[str]:
        code = (  # what `python -m experiments` does, on another package
            "import sys; import experiments.__main__; from experiments.cli import main; "
            f"sys.exit(main(sys.argv[1:], package={self.package!r}))"
        )
        return [sys.executable, "-c", code, *words]

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.command(*words),
            cwd=self.root,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # a group of its own, so that workers can be killed with it
        )

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def logged(self, moment: str) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [line.partition(" ")[2] for line in lines if line.startswith(moment)]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A package with the experiment `waves` and one claim; the current folder is its parent."""
    package = next(NAMES)
    log = tmp_path / "executions.log"
    made = Tiny(package, tmp_path, log)
    made.environment = os.environ | {
        "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}",
        "TINY_LOG": str(log),
        "COLUMNS": "200",
    }
    (tmp_path / package).mkdir()
    made.write("__init__", "")
    made.write("waves", WAVES)
    made.write("claims", CLAIMS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TINY_LOG", str(log))
    monkeypatch.setenv("COLUMNS", "200")
    return made


Cli = Callable[..., int]


@pytest.fixture
def cli(tiny: Tiny) -> Cli:
    """The command line on the tiny package, in this process: words -> exit code."""
    from experiments.cli import main

    def call(*words: str) -> int:
        sequence: Sequence[str] = words
        if words[0] in ("run", "debate") and "--jobs" not in words:
            sequence = [*words, "--jobs", "1"]
        return main(sequence, package=tiny.package)

    return call
