"""The house stands as drawn: floors, no circles, small named rooms, no traces of a machine.

Every rule is a function from a folder to its violations. It must find none in this project, and
each has a control: a planted violation that it must find.
"""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("bandit_rlhf", "experiments")
MOST_LINES = 400
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "data", "misc", "common"}
OPTIONAL = {
    "torch": {"neural", "torch_backend"},
    "safetensors": {"neural"},
    "gymnasium": {"gym"},
}
"""Heavy optional packages, and the rooms and modules that may import each at module level."""


def modules(root: Path) -> list[Path]:
    """Every module of the packages under a folder."""
    return sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))


def module_level_imports(path: Path) -> Iterator[str]:
    """Top packages that importing a module imports; function bodies are left out."""
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))


def long_modules(root: Path) -> list[str]:
    return [p.name for p in modules(root) if len(p.read_text().splitlines()) > MOST_LINES]


def badly_named_modules(root: Path) -> list[str]:
    return [
        p.name
        for p in modules(root)
        if not re.fullmatch(r"[a-z_][a-z0-9_]*", p.stem) or p.stem.strip("_") in EMPTY_NAMES
    ]


def misplaced_optional_imports(root: Path) -> list[str]:
    return [
        f"{p.name} imports {package}"
        for p in modules(root)
        for package in OPTIONAL.keys() & module_level_imports(p)
        if not OPTIONAL[package] & set(p.relative_to(root).with_suffix("").parts)
    ]


def public_rooms(root: Path) -> list[Path]:
    """Modules of `bandit_rlhf` whose names users meet."""
    rooms = (root / "bandit_rlhf").rglob("*.py")
    return sorted(path for path in rooms if not path.stem.startswith("_"))


def undocumented(root: Path) -> list[str]:
    """Public functions and classes that say nothing of themselves."""
    return [
        f"{p.name}: {node.name}"
        for p in public_rooms(root)
        for node in ast.parse(p.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        if not node.name.startswith("_") and not ast.get_docstring(node)
    ]


def rooms_without_example(root: Path) -> list[str]:
    """Public rooms in which no doctest shows how they are used."""
    return [p.name for p in public_rooms(root) if ">>>" not in p.read_text()]


# Spelled with one-letter classes, so that this file does not match itself.
TRACES = {
    "a path of one machine": re.compile(r"(?<![\w.])/([w]ork|[r]oot|[h]ome|[o]pt|[U]sers)/"),
    "a package index": re.compile(r"--(([e]xtra-)?index-ur[l]|[f]ind-links)|[/][s]imple[/]"),
    "a folder outside": re.compile(r"[.][.]/shared"),
}
ALLOWED_TRACE = (".ci/run", "a folder outside")
"""CI offers the data folder, through BANDIT_RLHF_DATA, where it lies beside the checkout."""
NO_SUFFIX = {"Makefile", "run"}
OUTSIDE_A_CLONE = {"__pycache__", "results", "figures", "build", "dist"}


def text_files(root: Path) -> Iterator[Path]:
    """Files a clone would hold: no caches, environments, records or binary files."""
    for path in sorted(root.iterdir()):
        hidden = path.name.startswith(".") and path.name != ".ci"
        if path.is_dir() and not hidden and path.name not in OUTSIDE_A_CLONE:
            yield from text_files(path)
        elif path.suffix in {".py", ".md", ".toml", ".txt", ".cff", ".v"} or path.name in NO_SUFFIX:
            yield path


def traces(root: Path) -> list[str]:
    """Lines that tell where, or with what index, the project was written."""
    return [
        f"{path.relative_to(root)}:{number}: {what}"
        for path in text_files(root)
        for number, line in enumerate(path.read_text().splitlines(), start=1)
        for what, pattern in TRACES.items()
        if pattern.search(line) and (str(path.relative_to(root)), what) != ALLOWED_TRACE
    ]


RULES = {
    long_modules: ("bandit_rlhf/policy.py", "x = 1\n" * (MOST_LINES + 1)),
    badly_named_modules: ("bandit_rlhf/utils.py", ""),
    misplaced_optional_imports: ("bandit_rlhf/policy.py", "if True:\n    import torch.nn\n"),
    undocumented: ("bandit_rlhf/policy.py", "def policy(): pass\n"),
    rooms_without_example: ("bandit_rlhf/policy.py", "def policy(): pass\n"),
    traces: ("docs/notes.md", "see /ro" + "ot/notes\n"),
}
"""Each rule with the file that breaks it."""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_holds(rule) -> None:
    assert len(modules(ROOT)) > 5
    assert rule(ROOT) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_control_a_planted_violation_is_found(rule, tmp_path: Path) -> None:
    path, text = RULES[rule]
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).write_text(text)
    assert len(rule(tmp_path)) == 1


def test_control_imports_inside_functions_and_in_their_room_are_allowed(tmp_path: Path) -> None:
    (tmp_path / "bandit_rlhf/neural").mkdir(parents=True)
    (tmp_path / "bandit_rlhf/neural/policy.py").write_text("import torch\n")
    (tmp_path / "bandit_rlhf/gym.py").write_text("import gymnasium\n")
    (tmp_path / "bandit_rlhf/mdp.py").write_text("def view():\n    import gymnasium\n")
    assert misplaced_optional_imports(tmp_path) == []


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the import contracts of a folder's pyproject.toml on the packages beside it."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-logo", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def contracts() -> list[dict]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return settings["tool"]["importlinter"]["contracts"]


def test_import_contracts_hold() -> None:
    run = lint_imports(ROOT)
    assert run.returncode == 0, run.stdout
    assert f"{len(contracts())} kept, 0 broken" in run.stdout


ROOMS = (
    *(
        "_array",
        "_check",
        "_masked",
        "contract",
        "language",
        "automaton",
        "bandit",
        "policy",
        "mdp",
        "objective",
    ),
    *("advantage", "divergence", "exact/__init__"),
    *("laws/__init__", "laws/oracle", "laws/adapters/__init__", "laws/adapters/trl"),
)


@pytest.fixture
def tiny_house(tmp_path: Path) -> Path:
    """Empty rooms under the project's real contracts, to plant imports in."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ["experiments/__init__", *(f"bandit_rlhf/{room}" for room in ["__init__", *ROOMS])]:
        path = tmp_path / f"{room}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_control_the_tiny_house_stands(tiny_house: Path) -> None:
    run = lint_imports(tiny_house)
    assert run.returncode == 0, run.stdout + run.stderr


PLANTED = {
    "floors": ("language", "import bandit_rlhf.bandit"),
    "floors: through the face": ("language", "from bandit_rlhf import mdp"),
    "floors: inside a function": ("bandit", "def f():\n    import bandit_rlhf.exact"),
    "floors: an unplaced room": ("chimney", ""),
    "no-peeking": ("advantage", "import bandit_rlhf.exact"),
    "no-peeking: language": ("divergence", "from bandit_rlhf.language import Language"),
    "no-peeking: another estimator": ("advantage", "import bandit_rlhf.divergence"),
    "judge": ("laws/oracle", "import bandit_rlhf.exact"),
    "judge: estimator": ("laws/oracle", "from bandit_rlhf import advantage"),
    "package-below-experiments": ("mdp", "import experiments"),
    "no-circles": ("mdp", "import bandit_rlhf.objective"),
}
"""Contract -> the room and the import that break it."""


@pytest.mark.parametrize("contract", PLANTED)
def test_control_a_planted_import_is_caught(tiny_house: Path, contract: str) -> None:
    room, line = PLANTED[contract]
    (tiny_house / "bandit_rlhf" / f"{room}.py").write_text(line + "\n")
    if contract == "no-circles":
        (tiny_house / "bandit_rlhf/objective.py").write_text("import bandit_rlhf.mdp\n")
    broken = {c["id"]: c["name"] for c in contracts()}[contract.partition(":")[0]]
    run = lint_imports(tiny_house)
    assert run.returncode == 1, run.stderr
    assert f"{broken} BROKEN" in run.stdout


def test_control_an_adapter_may_call_an_estimator(tiny_house: Path) -> None:
    (tiny_house / "bandit_rlhf/laws/adapters/trl.py").write_text("import bandit_rlhf.advantage\n")
    run = lint_imports(tiny_house)
    assert run.returncode == 0, run.stdout
