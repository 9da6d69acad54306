"""From words to a subcommand, from errors to messages and exit codes."""

import contextlib
import difflib
import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

COMMANDS = {
    "fit": "fit rewards to comparisons: leaderboard, intervals, and what to trust",
    "check": "judge an estimator by the laws of its kind",
    "laws": "list the laws, by kind",
    "explain": "explain a law, with an estimator that breaks it, or a theorem",
    "theorems": "list the theorems that Coq has checked",
    "certify": "find the objective that an estimator follows",
    "matrix": "judge the estimators of whole libraries: estimator x law",
}
"""Subcommand -> one line about it. `bandit_rlhf.cli.<name>` has ABOUT, Options and run."""

OK, FAILED, CANNOT_RUN, INTERRUPTED = 0, 1, 2, 130

USAGE = """RLHF as a contextual bandit with string actions.

usage: bandit-rlhf COMMAND ...

{commands}

`bandit-rlhf COMMAND --help` teaches a command with examples. Exit codes: 0 fine; 1 the answer is no
(what that means is said by each command); 2 could not run; 130 interrupted.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code.

    Args:
        arguments: the words after `bandit-rlhf`; None: those of the process.

    Returns:
        0 fine; 1 the command's own failure; 2 could not run; 130 interrupted.

    >>> main(["--help"])
    RLHF as a contextual bandit with string actions.
    ...
    0
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in ([], ["-h"], ["--help"]):
        listed = (f"  {name:<10} {about}" for name, about in COMMANDS.items())
        print(USAGE.format(commands="\n".join(listed)), end="")
        return OK if words else CANNOT_RUN
    if words[0] not in COMMANDS:
        near = difflib.get_close_matches(words[0], COMMANDS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(COMMANDS)}."
        return tell(f"error: there is no command {words[0]!r}. {hint}", CANNOT_RUN)
    return _run(words[0], words[1:])


def _run(name: str, words: list[str]) -> int:
    """Parse the options of a command and run it; errors of the house become messages."""
    from bandit_rlhf.comparison_graph import NoFiniteMaximum

    try:
        with told_warnings():
            command: Any = importlib.import_module(f"bandit_rlhf.cli.{name}")
            code = command.run(parsed(command, name, words))
            sys.stdout.flush()  # a reader that has gone is met here, not at exit
            return code
    except NoFiniteMaximum as error:
        return tell(f"error: {error}", FAILED)
    except (ValueError, TypeError, ImportError) as error:
        return tell(f"error: {error}", CANNOT_RUN)
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OSError as error:
        named = f"{error.filename}: " if error.filename else ""
        return tell(f"error: {named}{error.strerror or error}. Check the path.", CANNOT_RUN)
    except KeyboardInterrupt:
        return tell("interrupted", INTERRUPTED)
    except SystemExit as stop:  # tyro has printed help or a usage error
        return stop.code if isinstance(stop.code, int) else CANNOT_RUN


def parsed(command: Any, name: str, words: list[str]) -> Any:
    """The options of a command."""
    import tyro

    return tyro.cli(
        command.Options, args=words, prog=f"bandit-rlhf {name}", description=command.ABOUT
    )


@contextlib.contextmanager
def told_warnings() -> Iterator[None]:
    """Print warnings to stderr as one line each, without the place in the source."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = lambda message, *_, **__: tell(f"warning: {message}", OK)
        yield


def tell(text: str, code: int) -> int:
    """Print to stderr and return the code."""
    print(text, file=sys.stderr, flush=True)
    return code
