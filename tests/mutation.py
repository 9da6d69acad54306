"""Mutate the reference estimators, one point at a time: do the laws notice? `make mutate`.

A mutant is one changed operator, constant, comparison, choice or call in a function that carries a
contract, or in one that such a function calls. It is killed if some law of some estimator of its
room no longer holds, on NumPy or on torch; what no law speaks of, such as an option, is left to the
room's tests. Guards of arguments are not mutated: they have tests of their own. Survivors are
printed; those that change nothing stand in `EQUIVALENT` with the reason.
"""

import ast
import contextlib
import copy
import importlib
import importlib.abc
import importlib.util
import inspect
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from rich.progress import track

from bandit_rlhf.contract import Backend
from bandit_rlhf.policy_loss.clipping import Clip

ROOMS = {
    "advantage": ("baselines", "normalised", "returns", "whitening"),
    "policy_loss": (
        "ratio",
        "clipping",
        "surrogate",
        "aggregation",
        "recipe",
        "losses",
        "value_loss",
    ),
    "divergence": ("estimates", "weighted", "placement", "entropies"),
    "preference_loss": ("_logistic", "against_reference", "reference_free", "unpaired"),
    "off_policy": ("",),
    "selection": ("",),
}
TESTS = {"off_policy": "tests/off_policy", "selection": "tests/test_selection.py"}
"""Where a room's tests are, if not in the folder of its name."""

PYTEST = ("-q", "-x", "-p", "no:cacheprovider", "--noconftest")
"""Tests run after the laws, in the same process, so that they see the mutant."""

VARIANTS: dict[str, dict[str, Any]] = {
    "whiten": {"settings": {"shift_mean": False}, "facts": {"ddof": 0, "mean": "kept"}},
    "pessimistic": {
        "settings": {"clip": Clip(0.2, 0.25, 3.0)},
        "facts": {"clip": (0.2, 0.25), "dual": 3.0},
    },
    "grpo": {
        "settings": {"correction": 0, "epsilon": 0.5},
        "facts": {"over": "group", "centre": "group", "ddof": 0, "epsilon": 0.5},
    },
}
"""Options in which an estimator is judged once more."""

GOAL = 0.99
GUARDS = {"tokens", "table", "same_shape", "same", "integer_at_least"}
SWAPS = {
    "maximum": "minimum",
    "minimum": "maximum",
    "max": "min",
    "min": "max",
    "sum": "mean",
    "mean": "sum",
    "exp": "expm1",
    "expm1": "exp",
    "log1p": "log",
    "zeros_like": "ones_like",
    "ones_like": "zeros_like",
    "all": "any",
    "any": "all",
}
BINARY = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
}
COMPARED = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
TRANSPARENT = {"kept", "detached", "expanded"}
"""Calls that are also replaced by their first argument."""

SYMMETRIC = {"where", "maximum", "minimum", "max", "min", "dot", "astype"}
"""Calls whose first arguments are not exchanged."""

PLACEHOLDER = "stands in for a 0 that is divided by; what comes of it is multiplied by 0"
EQUIVALENT: dict[tuple[str, str, str], str] = {
    ("bandit_rlhf.advantage.baselines", "rewards + 0.0", "rewards - 0.0"): "a copy either way",
    ("bandit_rlhf.off_policy", "xp.zeros_like(gaps)", "xp.ones_like(gaps)"): (
        "where a weight is cut, any finite number may be exponentiated: it is not used"
    ),
    ("bandit_rlhf.selection", "1.0", "2.0"): PLACEHOLDER,
    ("bandit_rlhf.divergence.entropies", "xp.zeros_like(shifted)", "xp.ones_like(shifted)"): (
        PLACEHOLDER
    ),
    ("bandit_rlhf.divergence.weighted", "xp.zeros_like(log_prob)", "xp.ones_like(log_prob)"): (
        "only differences of the three are used, and those are 0 at pads"
    ),
    ("bandit_rlhf.divergence.estimates", "20.0", "40.0"): (
        "where the log-ratio is cut at 20, the value is above the band of 10 either way"
    ),
    (
        "bandit_rlhf.policy_loss.ratio",
        "numbers[:, None] * xp.ones_like(xp.astype(mask, numbers.dtype))",
        "numbers[:, None] / xp.ones_like(xp.astype(mask, numbers.dtype))",
    ): "times one is over one",
    (
        "bandit_rlhf.policy_loss.recipe",
        "advantages[:, None] + array_namespace(log_prob).zeros_like(log_prob)",
        "advantages[:, None] - array_namespace(log_prob).zeros_like(log_prob)",
    ): "zeros give the shape alone",
    ("bandit_rlhf.policy_loss.ratio", "0", "1"): "a length of 1 is replaced by 1",
    ("bandit_rlhf.policy_loss.surrogate", "advantages < 0", "advantages <= 0"): (
        "where the advantage is 0 both bounds are 0"
    ),
    (
        "bandit_rlhf.preference_loss.against_reference",
        "xp.exp(xp.clip(log_ratio, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))",
        "xp.expm1(xp.clip(log_ratio, -LARGEST_LOG_RATIO, LARGEST_LOG_RATIO))",
    ): "the link is used in differences alone",
    ("bandit_rlhf.preference_loss.unpaired", "x >= 0", "x > 0"): "at 0 both branches give 1/2",
}
"""(module, before, after) -> why nothing changes."""


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes:
        room: of the estimator.
        module: import path.
        line: where.
        before: the expression.
        after: what replaces it.
        place: number of the node in a walk of the module, and which of its changes.
    """

    room: str
    module: str
    line: int
    before: str
    after: str
    place: tuple[int, int]

    @property
    def key(self) -> tuple[str, str, str]:
        return self.module, self.before, self.after


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """Replacements of one node."""
    match node:
        case ast.BinOp(op=op) if type(op) in BINARY:
            yield ast.BinOp(node.left, BINARY[type(op)](), node.right)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            yield operand
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield operand
        case ast.Compare(ops=[op]) if type(op) in COMPARED:
            for other in COMPARED[type(op)]:
                yield ast.Compare(node.left, [other()], node.comparators)
        case ast.BoolOp(op=op):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), node.values)
        case ast.IfExp():
            yield node.body
            yield node.orelse
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1)
        case ast.Constant(value=float(value)):
            yield ast.Constant(2 * value if value else 1.0)
        case ast.Call():
            yield from _calls(node)


def _calls(node: ast.Call) -> Iterator[ast.AST]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name in SWAPS:
        other = copy.deepcopy(node)
        if isinstance(other.func, ast.Attribute):
            other.func.attr = SWAPS[name]
        elif isinstance(other.func, ast.Name):
            other.func.id = SWAPS[name]
        yield other
    if name == "where" and len(node.args) == 3:
        yield node.args[1]
        yield node.args[2]
    if name in TRANSPARENT:
        yield node.args[0]
    if len(node.args) >= 2 and name not in SYMMETRIC:
        yield ast.Call(node.func, [node.args[1], node.args[0], *node.args[2:]], node.keywords)


def mutants(room: str, module: str) -> Iterator[Mutant]:
    """All mutants of a module."""
    tree = ast.parse(Path(str(importlib.import_module(module).__file__)).read_text())
    mutable = _mutable(tree)
    for number, node in enumerate(ast.walk(tree)):
        if number not in mutable:
            continue
        for which, other in enumerate(changes(node)):
            before, after = ast.unparse(node), ast.unparse(ast.fix_missing_locations(other))
            if before != after:
                line = getattr(node, "lineno", 0)
                yield Mutant(room, module, line, before, after, (number, which))


def _mutable(tree: ast.Module) -> set[int]:
    """Numbers of the nodes that are mutated: in reached functions, outside of guards and types."""
    numbers = {id(node): number for number, node in enumerate(ast.walk(tree))}
    found: set[int] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.Raise | ast.Assert | ast.JoinedStr):
            return
        if isinstance(node, ast.If) and isinstance(node.body[-1], ast.Raise):
            return
        if isinstance(node, ast.Call) and (
            _name(node.func) in GUARDS or ast.unparse(node.func).startswith("_check.")
        ):
            return
        found.add(numbers[id(node)])
        for field, value in ast.iter_fields(node):
            if field in ("decorator_list", "annotation", "returns"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    visit(child)

    for function in _reached(tree):
        visit(function)
    return found


def _name(function: ast.AST) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _reached(tree: ast.Module) -> list[ast.FunctionDef]:
    """Functions with a contract and those they reach; all functions where none has one."""
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    first = [
        name
        for name, function in functions.items()
        if any("estimator" in ast.unparse(word) for word in function.decorator_list)
    ]
    if not first:
        first = [name for name in functions if name != "__post_init__"]
    pending, seen = list(first), set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        words = {n.id for n in ast.walk(functions[name]) if isinstance(n, ast.Name)}
        pending += [other for other in functions if other in words]
    return [functions[name] for name in sorted(seen)]


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module with a mutant in it."""

    def __init__(self, mutant: Mutant, path: str) -> None:
        self.mutant, self.path = mutant, path

    def find_spec(self, name, path=None, target=None):
        if name != self.mutant.module:
            return None
        spec = importlib.util.spec_from_file_location(name, self.path, loader=self)
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module: ModuleType) -> None:
        tree = ast.parse(Path(self.path).read_text())
        number, which = self.mutant.place
        node = list(ast.walk(tree))[number]
        other = list(changes(node))[which]
        _Replace(node, other).visit(tree)
        exec(compile(ast.fix_missing_locations(tree), self.path, "exec"), module.__dict__)


class _Replace(ast.NodeTransformer):
    def __init__(self, node: ast.AST, other: ast.AST) -> None:
        self.node, self.other = node, other

    def visit(self, node: ast.AST) -> ast.AST:
        return self.other if node is self.node else self.generic_visit(node)


def estimators(room: str) -> list:
    """Functions with a contract in a room, by module and name."""
    found = {
        value
        for name, module in list(sys.modules.items())
        if name.split(".")[:2] == ["bandit_rlhf", room]
        for value in vars(module).values()
        if hasattr(value, "contract")
    }
    return sorted(found, key=lambda f: (f.__module__, f.__qualname__))


def holds(function: Any) -> bool:
    """Whether the laws of an estimator hold, on both backends, and in its variant."""
    from bandit_rlhf.laws.check import check_estimator

    own = function.contract.backend
    variant = VARIANTS.get(function.__name__)
    terms = [{}] if variant is None or function.contract.kind == "policy_loss" else [{}, variant]
    backends: tuple[Backend, ...] = (own,) if own else ("numpy", "torch")
    return all(
        check_estimator(None, function, backend=backend, verify=False, **more).holds
        for more in terms
        for backend in backends
    )


def killed(mutant: Mutant) -> str:
    """In a process of its own: what notices, "law", "test" or nothing."""
    path = inspect.getfile(sys.modules[mutant.module])
    loaded = [n for n in sys.modules if n.split(".")[:2] == ["bandit_rlhf", mutant.room]]
    for name in loaded:
        del sys.modules[name]
    sys.meta_path.insert(0, _Mutated(mutant, path))
    try:
        for name in loaded:
            importlib.import_module(name)
    except Exception:
        return "law"  # it cannot even be imported
    subjects = estimators(mutant.room)
    subjects.sort(key=lambda f: f.__module__ != mutant.module)
    if not all(map(holds, subjects)):
        return "law"
    tests = TESTS.get(mutant.room, f"tests/{mutant.room}")
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        return "test" if pytest.main([*PYTEST, tests]) == 1 else ""


def main() -> int:
    """Run all mutants on two cores and report."""
    import torch

    torch.set_num_threads(1)
    only = set(sys.argv[1:]) or set(ROOMS)
    found: list[Mutant] = []
    for room, files in ROOMS.items():
        for file in files if room in only else ():
            module = f"bandit_rlhf.{room}" + (f".{file}" if file else "")
            importlib.import_module(module)
            found += mutants(room, module)
        if room in only:
            assert all(map(holds, estimators(room))), room
    start = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        answers = list(track(pool.imap(killed, found, chunksize=1), total=len(found)))
    alive = [mutant for mutant, by in zip(found, answers, strict=True) if not by]
    excused = [mutant for mutant in alive if mutant.key in EQUIVALENT]
    survivors = [mutant for mutant in alive if mutant.key not in EQUIVALENT]
    for mutant in excused:
        print(f"equivalent  {mutant.module}:{mutant.line}  {mutant.before}  ->  {mutant.after}")
        print(f"            {EQUIVALENT[mutant.key]}")
    for mutant in survivors:
        print(f"SURVIVES    {mutant.module}:{mutant.line}  {mutant.before}  ->  {mutant.after}")
    relevant = len(found) - len(excused)
    share = (relevant - len(survivors)) / relevant
    by_law, by_test = answers.count("law"), answers.count("test")
    print(
        f"{len(found)} mutants: {by_law} killed by laws, {by_test} by tests alone, {len(excused)} "
        f"equivalent, {len(survivors)} survive; {share:.2%} of those that are not equivalent "
        f"killed, {by_law / relevant:.2%} by laws [{time.perf_counter() - start:.0f} s]"
    )
    return 0 if share >= GOAL else 1


if __name__ == "__main__":
    raise SystemExit(main())
