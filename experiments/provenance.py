"""Where a cell comes from: commit, versions, machine, and a digest of the source behind it."""

import ast
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = ("bandit-rlhf", "numpy", "scipy", "polars", "joblib", "matplotlib")
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "POLARS_MAX_THREADS",
)
NOT_ROWS = ("experiment", "judging", "style")  # what the engine offers experiments: computes no row


def surroundings(module: str) -> dict[str, Any]:
    """What a cell of this experiment records about its surroundings, as JSON values.

    Args:
        module: the dotted name of the experiment's module.

    Returns:
        `commit` and `dirty` (None outside a git checkout), `source` (see `source_digest`),
        `python`, `packages`, `platform` and `threads` (the variables that limit threads).
    """
    folder = source_file(module).parent
    status = git(folder, "status", "--porcelain")
    return {
        "commit": git(folder, "rev-parse", "HEAD"),
        "dirty": None if status is None else bool(status),
        "source": source_digest(module),
        "python": platform.python_version(),
        "packages": {name: installed_version(name) for name in PACKAGES},
        "platform": platform.platform(),
        "threads": {name: os.environ.get(name) for name in THREAD_VARIABLES},
    }


def source_digest(module: str) -> str:
    """A digest of the source that a cell's rows are a function of.

    It covers the experiment's file, the modules of its own package that it imports (and those that
    these import), and the whole of every other package of the checkout that any of them imports:
    `bandit_rlhf` as a whole, because its face may load its rooms lazily, unseen by a reader of
    import statements. Installed packages are covered by their versions.

    The digest is provenance and not part of a cell's key. In the key, a comment changed anywhere
    would throw away hours of a full sweep in silence; left out altogether, a figure could mix rows
    of two programs in silence. So a cell of other source is reused, is named when that happens, and
    `--fresh` recomputes it.
    """
    digest = hashlib.sha256()
    root = source_file(module).parent.parent
    for path in sorted(sources(module)):
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def sources(module: str) -> set[Path]:
    """The files that `source_digest` covers."""
    package = module.partition(".")[0]
    folder = source_file(module).parent
    files: set[Path] = set()
    queue = [source_file(module)]
    while queue:
        path = queue.pop()
        if path in files:
            continue
        files.add(path)
        for imported in imported_modules(path, package):
            top, _, sibling = imported.partition(".")
            neighbour = folder / f"{sibling.partition('.')[0]}.py"
            if top != package:
                files.update((folder.parent / top).rglob("*.py"))
            elif neighbour.stem not in NOT_ROWS and neighbour.is_file():
                queue.append(neighbour)
    return files


def imported_modules(path: Path, package: str) -> set[str]:
    """Every dotted name that a file's import statements may load."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_bytes(), filename=str(path))):
        match node:
            case ast.Import(names=aliases):
                names.update(alias.name for alias in aliases)
            case ast.ImportFrom(module=module, names=aliases, level=level):
                base = ".".join(filter(None, [package if level else "", module or ""]))
                names.add(base)
                names.update(f"{base}.{alias.name}" for alias in aliases)
    return names


def source_file(module: str) -> Path:
    """The file of a module, found without importing the module itself.

    Raises:
        ModuleNotFoundError: there is none.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"{module} has no source file. Check the name.")
    return Path(spec.origin)


def installed_version(name: str) -> str | None:
    """The version of an installed package, None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def git(folder: Path, *arguments: str) -> str | None:
    """What git says about a folder, None where there is no git, no checkout or no commit."""
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
