"""Switches of the test session: run-time types, Hypothesis without a clock, no silent skips."""

import os
import sys

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

CI = bool(os.environ.get("CI"))

# Arrays here are small: a second thread of torch or BLAS only takes turns with the first.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ALLOWED_SKIPS: tuple[str, ...] = ()
"""Reasons of skips that CI accepts, word for word: what no machine of CI can ever provide."""

# Annotations are checked at every call, from the package's first import on; as for static checkers,
# an int will do where a float is asked for. (jaxtyping takes the checker as source text.)
CHECKER = "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))"
if "bandit_rlhf" in sys.modules:
    raise pytest.UsageError(
        "bandit_rlhf is loaded already, but should be imported after the type-checking hook "
        "[tests/conftest.py]. Find the plugin or the -p option that imports it."
    )
install_import_hook("bandit_rlhf", CHECKER)

# Examples take as long as the machine likes; CI draws the same ones each time.
settings.register_profile("bandit_rlhf", deadline=None, derandomize=CI, print_blob=True)
settings.load_profile("bandit_rlhf")


def _silent_skips(config: pytest.Config) -> list[str]:
    """Name each skipped test or module whose reason is not allowed."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skips = reporter.stats.get("skipped", []) if reporter else []
    named = [(report.nodeid, report.longrepr[2].removeprefix("Skipped: ")) for report in skips]
    return [f"{nodeid}: {reason}" for nodeid, reason in named if reason not in ALLOWED_SKIPS]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if CI and session.exitstatus == pytest.ExitCode.OK and _silent_skips(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CI and (skips := _silent_skips(terminalreporter.config)):
        terminalreporter.section("skipped, but CI should skip nothing: provide what is missing")
        terminalreporter.write_line("\n".join(skips))
