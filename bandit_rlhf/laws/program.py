"""A failure as a program: the law's own lines, the case as literals, the user's module, numpy.

The program is the body of the law and what it calls, printed; nothing of this package is imported.
Programs are run in a process of their own before they are shown.
"""

import ast
import inspect
import json
import math
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from types import CodeType
from typing import Any

import numpy as np

from bandit_rlhf.laws.gradient import numpy_grad, numpy_slope
from bandit_rlhf.laws.law import Law
from bandit_rlhf.laws.subject import Subject

SECONDS = 60.0
"""How long a printed program may run."""

TORCH_GRAD = """\
def grad(f, place, *arrays):
    leaf = torch.tensor(cast(arrays[place]), requires_grad=True)
    total = f(*arrays[:place], leaf, *arrays[place + 1 :], raw=True).sum()
    if not total.requires_grad:
        return np.zeros(arrays[place].shape)
    return torch.autograd.grad(total, leaf, allow_unused=True, materialize_grads=True)[0].numpy()"""

TORCH_ROWS = (
    "        if raw:",
    "            return torch.stack([f(*(x[i:i + 1] for x in arrays), raw=True) for i in rows])",
)

TORCH_SLOPE = """\
def slope(f, place, direction, *arrays):
    return float((grad(f, place, *arrays) * direction).sum())"""


def program(law: Law, subject: Subject, case: Mapping[str, Any]) -> str | None:
    """The program that shows a case, or None where the function cannot be imported by name."""
    path = import_path(subject.function)
    if path is None:
        return None
    needed = helpers(law.body)
    parts = [*_subject_lines(subject, *path), *_constants([*needed, law.body])]
    parts += [*_sources(needed, subject), _source(law.body)]
    call = ["f", *(f"{name}={literal(value)}" for name, value in case.items())]
    inside = "".join(f"    {argument},\n" for argument in call)
    parts.append(f"got, expected, scale = {law.body.__name__}(\n{inside})")
    parts.append('print("got     ", got)\nprint("expected", expected)')
    text = "\n".join(parts)
    torch = ["import torch"] if subject.backend == "torch" else []
    used = [f"import {name}" for name in ("itertools", "math") if f"{name}." in text]
    return "\n".join([*used, "import numpy as np", *torch, text, ""])


def import_path(function: Callable[..., Any]) -> tuple[str, str] | None:
    """Module and name by which a function can be imported again; None where there are none."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    if not module or module == "__main__" or not name or "<" in name or "." in name:
        return None
    return (module, name) if getattr(sys.modules.get(module), name, None) is function else None


def ran(programs: Sequence[str], path: Sequence[str] = ()) -> list[tuple[Any, Any] | str]:
    """Run programs in one fresh process: (got, expected) of each, or the error in words."""
    if not programs:
        return []
    driver = _DRIVER.format(path=[*path, *sys.path])
    try:
        done = subprocess.run(
            [sys.executable, "-c", driver],
            input=json.dumps(list(programs)),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [f"did not finish within {SECONDS:g} s"] * len(programs)
    try:
        answers = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        return [done.stderr.strip().splitlines()[-1] if done.stderr else "said nothing"] * len(
            programs
        )
    return [a if isinstance(a, str) else (a[0], a[1]) for a in answers]


_DRIVER = """\
import contextlib, io, json, sys, warnings
sys.path[:] = {path!r}
warnings.simplefilter("ignore")
answers = []
for text in json.load(sys.stdin):
    space = {{"__name__": "repro"}}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(text, space)
            import numpy
            answers.append([numpy.asarray(space[k], dtype=float).tolist() for k in ("got",
            "expected")])
    except Exception as error:
        answers.append(f"{{type(error).__name__}}: {{error}}")
print(json.dumps(answers))
"""


def literal(value: Any) -> str:
    """A value of a case as Python text.

    >>> literal(np.array([0.5, 1.0])), literal(np.array([True])), literal((1, "a"))
    ('np.array([0.5, 1.0])', 'np.array([True])', "(1, 'a')")
    """
    if isinstance(value, np.ndarray):
        if not value.size:
            return f"np.zeros({value.shape!r}, dtype={value.dtype.name!r})"
        text = repr(value.tolist()).replace("nan", "np.nan").replace("inf", "np.inf")
        return f"np.array({text})"
    if isinstance(value, np.generic):
        return literal(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {literal(x)}" for key, x in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        inside = ", ".join(map(literal, value))
        return (
            f"({inside}{',' if len(value) == 1 else ''})"
            if isinstance(value, tuple)
            else f"[{inside}]"
        )
    return repr(value)


def helpers(body: Callable[..., Any]) -> list[Callable[..., Any]]:
    """The functions of the laws that a body calls, each after those it calls itself."""
    found: dict[str, Callable[..., Any]] = {}

    def visit(function: Callable[..., Any]) -> None:
        function = inspect.unwrap(function)
        for name in _names(function.__code__):
            other = function.__globals__.get(name)
            if (
                inspect.isfunction(other)
                and other.__module__.startswith("bandit_rlhf.laws")
                and name not in found
                and other is not body
            ):
                found[name] = other
                if name not in ("grad", "slope"):
                    visit(other)
                found[name] = found.pop(name)  # after what it calls

    visit(body)
    return list(found.values())


def _constants(functions: Sequence[Callable[..., Any]]) -> list[str]:
    """Lines that define the arrays of the laws' modules that functions refer to."""
    found = {
        name: function.__globals__[name]
        for function in map(inspect.unwrap, functions)
        for name in _names(function.__code__)
        if isinstance(function.__globals__.get(name), np.ndarray)
    }
    return [f"{name} = {literal(value)}" for name, value in found.items()]


def _names(code: CodeType) -> list[str]:
    inner = [n for const in code.co_consts if isinstance(const, CodeType) for n in _names(const)]
    return [*code.co_names, *inner]


def _sources(functions: Sequence[Callable[..., Any]], subject: Subject) -> list[str]:
    names = {function.__name__ for function in functions}
    parts = [_source(f) for f in functions if f.__name__ not in ("grad", "slope")]
    if not names & {"grad", "slope"}:
        return parts
    if subject.backend == "torch":
        return [
            TORCH_GRAD,
            *([TORCH_SLOPE] if "slope" in names else []),
            *parts,
        ]
    slope = _source(numpy_slope).replace("numpy_slope", "slope")
    grad = _source(numpy_grad).replace("numpy_grad", "grad").replace("numpy_slope", "slope")
    return [slope, *([grad] if "grad" in names else []), *parts]


def _source(function: Callable[..., Any]) -> str:
    """Its text without docstring and comments."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    definition = tree.body[0]
    assert isinstance(definition, ast.FunctionDef)
    definition.decorator_list = []
    if ast.get_docstring(definition) is not None:
        definition.body = definition.body[1:]
    for argument in ast.walk(definition):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    definition.returns = None
    return ast.unparse(tree)


def _subject_lines(subject: Subject, module: str, name: str) -> list[str]:
    """The lines that define f, the subject in the judge's dialect."""
    contract, torch = subject.contract, subject.backend == "torch"
    plain = (
        subject.dtype == "float64"
        and not torch
        and not contract.settings
        and not any(subject.ways)
        and None not in subject.ways
        and contract.axes is None
        and contract.mask == "participates"
        and contract.sign == 1
        and (contract.reduction == "none" or subject.whole)
        and subject.kind.results == 1
    )
    if plain:
        return [f"from {module} import {name} as f"]
    lines = [f"from {module} import {name} as subject"]
    lines += [*_imports_of(contract.settings.values()), *_cast_lines(subject)]
    lines += [f"def f(*arrays{', raw=False' if torch else ''}, **named):"]
    if contract.reduction != "none" and not subject.whole:
        lines += [
            "    if len(arrays[0]) > 1:",
            "        rows = range(len(arrays[0]))",
            *(TORCH_ROWS if torch else ()),
            "        return np.array([f(*(x[i:i + 1] for x in arrays)) for i in rows])",
        ]
    if contract.mask == "pad" and "mask" in subject.kind.arguments:
        place = subject.kind.arguments.index("mask")
        lines += [f"    arrays = (*arrays[:{place}], ~arrays[{place}], *arrays[{place + 1}:])"]
    if contract.names:
        lines += [f"    own = {dict(contract.names)!r}"]
        lines += ["    named = {own.get(k, k): x for k, x in named.items()}"]
    if any(subject.ways) or None in subject.ways:
        lines += [f"    ways = {subject.ways!r}"]
        lines += ["    named |= {way: x for way, x in zip(ways, arrays) if way}"]
        lines += ["    arrays = [x for way, x in zip(ways, arrays) if way == '']"]
    wrap = "torch.tensor(cast(x)) if isinstance(x, np.ndarray) else x" if torch else "cast(x)"
    lines += [f"    arrays = [{wrap} for x in arrays]"]
    lines += [f"    named = {{k: {wrap} for k, x in named.items()}}"]
    lines += [f"    answer = subject(*arrays, **named{_settings(subject)})"]
    if torch:
        first = "answer[0] if isinstance(answer, tuple) else answer"
        sign = "" if contract.sign == 1 else f"{contract.sign} * "
        lines += ["    if raw:", f"        return {sign}({first})"]
    return [*lines, *_answer_lines(subject)]


def _settings(subject: Subject) -> str:
    return "".join(f", {key}={literal(x)}" for key, x in subject.contract.settings.items())


def _imports_of(values: Iterable[Any]) -> list[str]:
    """The lines that import the classes of settings, such as a clip."""
    classes = {type(x) for x in values if is_dataclass(x)}
    return sorted(f"from {one.__module__} import {one.__qualname__}" for one in classes)


def _cast_lines(subject: Subject) -> list[str]:
    """Dtype and order of axes, on the way in."""
    lines = ["def cast(x):"]
    if subject.dtype != "float64":
        lines += [
            "    if isinstance(x, np.ndarray) and x.dtype == np.float64:",
            f"        x = x.astype({subject.dtype!r})",
        ]
    axes = _orders(subject)
    if axes:
        lines += [
            f"    if isinstance(x, np.ndarray) and x.ndim == {len(axes[0])}:",
            f"        x = np.ascontiguousarray(x.transpose({axes[0]}))",
        ]
    return [*lines, "    return x"]


def _answer_lines(subject: Subject) -> list[str]:
    """Order of axes, sign and dtype, on the way out."""
    axes = _orders(subject)
    back = "np.asarray(x.detach() if hasattr(x, 'detach') else x, dtype=float)"
    if axes:
        back = f"(lambda a: a.transpose({axes[1]}) if a.ndim == {len(axes[1])} else a)({back})"
    if subject.contract.sign != 1:
        back = f"{subject.contract.sign} * {back}"
    if subject.kind.results > 1:
        return [
            "    parts = answer if isinstance(answer, tuple) else (answer,)",
            f"    return tuple({back} for x in parts[:{subject.kind.results}])",
        ]
    return ["    x = answer[0] if isinstance(answer, tuple) else answer", f"    return {back}"]


def _orders(subject: Subject) -> tuple[list[int], list[int]] | None:
    """The transpositions into and out of the subject's order of axes."""
    axes, kind = subject.contract.axes, subject.kind.axes
    if not axes:
        return None
    return [kind.index(axis) for axis in axes], [axes.index(axis) for axis in kind]
