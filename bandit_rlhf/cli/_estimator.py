"""The estimator that a command line names, and what it says of it."""

import ast
import difflib
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def named(text: str) -> Callable[..., Any]:
    """The function `module:name`, the folder one is in being a place to look for modules.

    Raises:
        ValueError: not of that form; no such module, or one that cannot be imported; no such
            function in it, with the nearest name.
    """
    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise ValueError(
            f"estimator is {text!r}, but should be MODULE:FUNCTION. "
            "Example: bandit_rlhf.advantage:rloo."
        )
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
    except (Exception, SystemExit) as error:  # whatever a user's module does while it is imported
        raise ValueError(
            f"module {module} cannot be imported: {type(error).__name__}: {error}. {_near(module)}"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            public = [known for known in dir(found) if callable(getattr(found, known, None))]
            near = difflib.get_close_matches(part, public, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "Check the name."
            raise ValueError(f"{module} has no {part!r}, but should have that function. {hint}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"{text} is a {type(found).__name__}, but should be a function of arrays.")
    return found


def _near(module: str) -> str:
    """What may have been meant by a module that cannot be imported."""
    here = {path.stem for path in Path.cwd().glob("*.py")}
    if module.removesuffix(".py") in here - {module}:
        return f"Did you mean {module.removesuffix('.py')!r}?"
    near = difflib.get_close_matches(module, here - {module}, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return "Mend it, or run from the folder that holds it, or install it."


def assignments(option: str, texts: tuple[str, ...]) -> dict[str, Any]:
    """Values by name from NAME=VALUE; values that are no Python literals stay words.

    >>> assignments("--set", ("beta=0.1", "over=group"))
    {'beta': 0.1, 'over': 'group'}
    """
    result = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name.isidentifier() and equals):
            raise ValueError(f"{option} is {text!r}, but should be NAME=VALUE. Example: beta=0.1.")
        try:
            result[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            result[name] = value
    return result
