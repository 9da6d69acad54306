"""What an experiment is, how a sweep is declared, and how experiments are found.

An experiment is one module with a docstring (its first line says what it is about) and four names:

- `Config`: a frozen dataclass; each field carries a comment with its unit;
- `SWEEP`: a mapping from a profile (`smoke`, `quick`, `full`) to a `Plan`;
- `run(config, seed) -> list[dict]`: rows, a pure function (same arguments, same bytes);
- `draw(table) -> matplotlib.figure.Figure`: a figure from the table of rows and nothing else.

Defining the four names is the registration: there is no second list. They are found by reading the
source, not by importing it, so that one broken experiment does not hide the others.
"""

import ast
import difflib
import importlib
import importlib.util
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from experiments.cell import Cell

Profile = Literal["smoke", "quick", "full"]
PROFILES: tuple[Profile, ...] = get_args(Profile)
C = TypeVar("C")
FOUR_NAMES = ("Config", "SWEEP", "run", "draw")


class CannotRun(Exception):
    """The command cannot run at all: a usage error, or a folder that cannot be used."""


@dataclass(frozen=True)
class Plan:
    """The cells of one profile: every config under every seed.

    Args:
        configs: one `Config` a cell, distinct.
        seeds: how many seeds (0, 1, ..., seeds - 1) each config runs under; 1 for an exact result.

    Raises:
        ValueError: no config, a repeated config, or less than one seed.
        TypeError: a config that is not hashable, as it is not frozen or holds a list.

    >>> Plan(configs=("a", "b"), seeds=2).seeds
    2
    """

    configs: Sequence[Any]
    seeds: int = 1

    def __post_init__(self) -> None:
        if not self.configs:
            raise ValueError("Plan has 0 configs, but should have at least 1. Add a Config.")
        if self.seeds < 1:
            raise ValueError(f"Plan has seeds={self.seeds}, but should have at least 1. Raise it.")
        try:
            distinct = set(self.configs)
        except TypeError as error:
            raise TypeError(
                f"Plan has a config that cannot be a key ({error}). Make Config a frozen "
                "dataclass, its fields tuples where they were lists."
            ) from error
        if len(distinct) < len(self.configs):
            repeated = next(c for c in self.configs if list(self.configs).count(c) > 1)
            raise ValueError(f"Plan repeats {repeated}, but configs should differ. Remove one.")


def grid(config: Callable[..., C], **axes: Sequence[Any]) -> tuple[C, ...]:
    """Every combination of the axes, the last axis fastest.

    >>> from dataclasses import make_dataclass
    >>> Config = make_dataclass("Config", [("beta", float), ("horizon", int)], frozen=True)
    >>> [(c.beta, c.horizon) for c in grid(Config, beta=(0.1, 1.0), horizon=(2, 4))]
    [(0.1, 2), (0.1, 4), (1.0, 2), (1.0, 4)]
    """
    return tuple(
        config(**dict(zip(axes, values, strict=True)))
        for values in itertools.product(*axes.values())
    )


@dataclass(frozen=True)
class Experiment:
    """An imported experiment: its name, the first line of its docstring, its four names."""

    name: str
    about: str
    module: str
    config: type
    sweep: Mapping[str, Plan]
    run: Callable[[Any, int], list[dict[str, Any]]]
    draw: Callable[..., Any]

    def cells(
        self,
        profile: str,
        seeds: int | None = None,
        overrides: Mapping[str, Any] | None = None,
        first_seed: int = 0,
    ) -> list[Cell]:
        """The cells of a profile, in the order of the sweep.

        Args:
            profile: a key of `SWEEP`.
            seeds: use this many seeds instead of the plan's.
            first_seed: seeds count from here; a plan with one seed is exact and keeps its own.
            overrides: set these fields of every config; configs that become equal are one cell.

        Raises:
            CannotRun: the sweep has no such profile, less than one seed is asked for, or the
                first is below 0.
        """
        if profile not in self.sweep:
            raise CannotRun(
                f"{self.name} has no profile {profile!r}, but has {', '.join(self.sweep)}. "
                f"Choose one of these, or add it to SWEEP in {self.module}."
            )
        plan = self.sweep[profile]
        if seeds is not None and seeds < 1:
            raise CannotRun(f"seeds is {seeds}, but should be at least 1. Raise it.")
        if first_seed < 0:
            raise CannotRun(f"first seed is {first_seed}, but should be at least 0. Raise it.")
        first = 0 if seeds is None and plan.seeds == 1 else first_seed
        try:
            configs = dict.fromkeys(replace(config, **overrides or {}) for config in plan.configs)
        except ValueError as error:
            raise CannotRun(f"{self.name} refuses this config: {error}") from error
        return [
            Cell(self.name, config, seed)
            for config in configs
            for seed in range(first, first + (seeds or plan.seeds))
        ]


def catalogue(package: str) -> dict[str, str]:
    """The experiments of a package: name -> first line of the docstring, sorted by name.

    Raises:
        CannotRun: a module defines some of the four names, but not all, or does not parse.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CannotRun(f"{package!r} is not a package that can be imported. Check the path.")
    paths = sorted(Path(spec.submodule_search_locations[0]).glob("*.py"))
    states = ((path, path.stat()) for path in paths)
    return dict(_parsed(tuple((path, state.st_mtime_ns, state.st_size) for path, state in states)))


@lru_cache(maxsize=8)
def _parsed(files: tuple[tuple[Path, int, int], ...]) -> dict[str, str]:
    """The catalogue of files as they are: a path with the time and size that tell its state."""
    found: dict[str, str] = {}
    for path, _, _ in files:
        try:
            tree = ast.parse(path.read_bytes(), filename=str(path))
        except SyntaxError as error:
            raise CannotRun(f"{path} does not parse: {error}. Mend it.") from error
        defined = top_level_names(tree)
        missing = [name for name in FOUR_NAMES if name not in defined]
        if not missing:
            docstring = ast.get_docstring(tree) or ""
            found[path.stem] = docstring.partition("\n")[0]
        elif "SWEEP" in defined or len(missing) < len(FOUR_NAMES) - 1:
            raise CannotRun(
                f"{path} defines {', '.join(n for n in FOUR_NAMES if n in defined)}, but not "
                f"{', '.join(missing)}; an experiment defines all four. Add what is missing."
            )
    return found


def top_level_names(tree: ast.Module) -> set[str]:
    """The names that a module binds at its top level by class, def, assignment or import."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names.update(alias.asname or alias.name for alias in aliases)
    return names


def load(package: str, name: str) -> Experiment:
    """Import one experiment.

    Raises:
        CannotRun: no such experiment (the nearest name is suggested), it cannot be imported, or
            one of its four names is not what it should be.
    """
    known = catalogue(package)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(known) or 'none'}."
        raise CannotRun(f"There is no experiment {name!r}. {hint}")
    module = f"{package}.{name}"
    try:
        namespace = importlib.import_module(module)
    except Exception as error:
        raise CannotRun(f"{module} cannot be imported: {type(error).__name__}: {error}") from error
    config, sweep = namespace.Config, namespace.SWEEP
    frozen = is_dataclass(config) and config.__dataclass_params__.frozen  # type: ignore[attr-defined]
    if not (isinstance(config, type) and frozen):
        raise CannotRun(f"{module}.Config is not a frozen dataclass. Decorate it as one.")
    if set(sweep) != set(PROFILES) or not all(isinstance(plan, Plan) for plan in sweep.values()):
        raise CannotRun(
            f"{module}.SWEEP has the keys {', '.join(map(repr, sweep))}, but should map each of "
            f"{', '.join(PROFILES)} to a Plan. Complete it."
        )
    return Experiment(name, known[name], module, config, sweep, namespace.run, namespace.draw)
