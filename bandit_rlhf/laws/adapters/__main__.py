"""The process that judges one library: `python -m bandit_rlhf.laws.adapters LIBRARY [PROFILE]`.

It prints one JSON object a line, each as soon as it is known, so that a crash costs no more than
the estimator that was being judged:

    {"missing": "ModuleNotFoundError: ..."}            the library is not installed, the end
    {"broken": "ImportError: ..."}                     it is there, but cannot be imported, the end
    {"version": "0.6.1"}                               it is there, in this version
    {"judging": "whiten", "kind": "whitening"}         what is judged next
    {"report": {...}}                                  as `bandit-rlhf check --json` prints it
    {"error": "ValueError: ..."}                       it could not be judged
    {"done": true}                                     nothing was left out
"""

import importlib
import importlib.metadata
import json
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

from bandit_rlhf.laws.adapters import library_named, subjects_of
from bandit_rlhf.laws.adapters.subject import Foreign, Library

Tell = Callable[[dict[str, Any]], None]


def main(words: list[str]) -> None:
    """Judge the library that the first word names, with the profile of the second."""
    lines = os.fdopen(os.dup(1), "w")  # what the library prints is no report
    os.dup2(2, 1)
    warnings.simplefilter("ignore")

    def tell(what: dict[str, Any]) -> None:
        print(json.dumps(what), file=lines, flush=True)

    judge_library(library_named(words[0]), tell, *words[1:])


def judge_library(library: Library, tell: Tell, profile: str = "dev") -> None:
    """Import a library and judge every subject of it."""
    for name in library.imports:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            own = (error.name or "").split(".")[0] == name.split(".")[0]
            return tell({"missing" if own else "broken": f"{type(error).__name__}: {error}"})
        except Exception as error:  # whatever a library does while it is imported
            return tell({"broken": f"{type(error).__name__}: {error}"})
    tell({"version": _version(library)})
    for subject in subjects_of(library):
        tell({"judging": subject.name, "kind": subject.kind})
        tell(_judged(subject, profile))
    tell({"done": True})


def _version(library: Library) -> str:
    try:
        return importlib.metadata.version(library.distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _judged(subject: Foreign, profile: str) -> dict[str, Any]:
    from bandit_rlhf.laws.check import check_estimator

    try:
        report = check_estimator(
            subject.kind,
            subject.function,
            dtype=subject.dtype,
            profile=profile,
            **subject.terms(),
        )
    except Exception as error:  # its row says so; the others go on
        return {"error": f"{type(error).__name__}: {error}"}
    return {"report": report.as_json()}


if __name__ == "__main__":
    main(sys.argv[1:])
