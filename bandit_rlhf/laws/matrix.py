"""Estimator x law: judge whole libraries, each in a process of its own, and gather the verdicts.

A library that is not installed, that crashes or that hangs has a row that says so; nothing passes
that was not judged.

>>> table = Matrix((Row("somelib", "", "not installed: pip install somelib"),))
>>> table.exit_code, table.counts["PASS"]
(2, 0)
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bandit_rlhf.laws.adapters import LIBRARIES, library_named
from bandit_rlhf.laws.adapters.subject import Library
from bandit_rlhf.laws.verdict import Status

SECONDS = 900.0
"""How long the process of one library may take."""


LETTERS = {
    "PASS": "P",
    "FAIL": "F",
    "DECLARED": "D",
    "PRECONDITION": "C",
    "NOT APPLICABLE": ".",
    "ERROR": "E",
}
"""Status -> its letter in tables and figures; C: the caller must see to it."""


@dataclass(frozen=True)
class Judged:
    """One estimator of a library, and what the laws said of it.

    Attributes:
        name: of the estimator, as its library calls it.
        kind: of estimator.
        report: kind, subject, counts and verdicts, as `Report.as_json` gives them; None where it
            could not be judged at all.
        error: why not.
    """

    name: str
    kind: str
    report: dict[str, Any] | None = None
    error: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Verdicts by status; one ERROR where there is no report."""
        if self.report is not None:
            return self.report["counts"]
        return {str(status): int(status is Status.ERROR) for status in Status}


@dataclass(frozen=True)
class Row:
    """One library.

    Attributes:
        library: its name.
        version: the installed one; "" where there is none.
        error: why it, or the rest of it, was not judged; "" where nothing is left out.
        estimators: those that were.
    """

    library: str
    version: str
    error: str = ""
    estimators: tuple[Judged, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Verdicts by status."""
        return _sum(judged.counts for judged in self.estimators)


@dataclass(frozen=True)
class Matrix:
    """All libraries that were asked.

    Attributes:
        rows: one a library.
    """

    rows: tuple[Row, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Verdicts by status."""
        return _sum(row.counts for row in self.rows)

    @property
    def exit_code(self) -> int:
        """0 all laws hold or deviate as declared; 1 a law fails; 2 something could not run."""
        if self.counts["FAIL"]:
            return 1
        return 2 if self.counts["ERROR"] or any(row.error for row in self.rows) else 0

    def as_json(self) -> dict[str, Any]:
        """Libraries with their estimators, each as `bandit-rlhf check --json` prints it."""
        return {"counts": self.counts, "libraries": [_row_json(row) for row in self.rows]}


def matrix_of(
    libraries: Iterable[str] = (),
    *,
    python: str = sys.executable,
    profile: str = "dev",
    seconds: float = SECONDS,
) -> Matrix:
    """Judge libraries, one process after the other.

    Args:
        libraries: names, keys of `bandit_rlhf.laws.adapters.LIBRARIES`; none given: all.
        python: the interpreter that has them installed; it also needs what this package needs.
        profile: how hard to look, as for `check_estimator`.
        seconds: how long each process may take.

    Raises:
        ValueError: a library without adapters.
        OSError: the interpreter cannot be started.
    """
    wanted = [library_named(name) for name in dict.fromkeys(libraries)] or LIBRARIES.values()
    return Matrix(tuple(_row(library, python, profile, seconds) for library in wanted))


def _row(library: Library, python: str, profile: str, seconds: float) -> Row:
    """Run the process of a library, and read what it said."""
    process = subprocess.Popen(
        [python, "-m", "bandit_rlhf.laws.adapters", library.name, profile],
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, told = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        said, _ = _stopped(process)
        return _read(library, said, f"took longer than {seconds:g} s", "")
    except BaseException:
        _stopped(process)
        raise
    code = process.returncode
    ended = f"crashed with signal {-code}" if code < 0 else f"stopped with code {code}"
    return _read(library, said, ended, _last_line(told))


def _stopped(process: subprocess.Popen[str]) -> tuple[str, str]:
    """End a process with all that it started; what it had said."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.communicate()


def _environment() -> dict[str, str]:
    """Ours, with this package importable, and no threads that two cores have no use for."""
    here = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, (here, os.environ.get("PYTHONPATH"))))
    quiet = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return quiet | os.environ | {"PYTHONPATH": path}


def _read(library: Library, said: str, ended: str, last_words: str) -> Row:
    """What the process said; how it ended counts where it did not say that it was done."""
    version, judging, judged = "", None, []
    for line in _objects(said):
        match line:
            case {"missing": _}:
                return Row(library.name, "", f"not installed: {library.install}")
            case {"broken": why}:
                return Row(library.name, "", f"cannot be imported: {why}")
            case {"version": version}:
                pass
            case {"judging": name, "kind": kind}:
                judging = (name, kind)
            case {"report": report} if judging:
                judged.append(Judged(*judging, report=report))
                judging = None
            case {"error": why} if judging:
                judged.append(Judged(*judging, error=why))
                judging = None
            case {"done": True}:
                return Row(library.name, version, "", tuple(judged))
            case _:
                pass
    where = f"while judging {judging[0]}" if judging else "before it had judged anything"
    if judging:
        judged.append(Judged(*judging, error=ended))
    why = ": ".join(filter(None, (f"{ended} {where}", last_words)))
    return Row(library.name, version, why, tuple(judged))


def _objects(said: str) -> list[dict[str, Any]]:
    """The JSON objects among lines; the last line may have been cut."""
    found = []
    for line in said.splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return [line for line in found if isinstance(line, dict)]


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


def _sum(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter({str(status): 0 for status in Status})
    for each in counts:
        total.update(each)
    return dict(total)


def _row_json(row: Row) -> dict[str, Any]:
    return {
        "library": row.library,
        "version": row.version,
        "error": row.error,
        "counts": row.counts,
        "estimators": [
            {"estimator": judged.name, "error": judged.error}
            | (
                judged.report
                or {"kind": judged.kind, "subject": "", "counts": judged.counts, "verdicts": []}
            )
            for judged in row.estimators
        ],
    }
