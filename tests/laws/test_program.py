"""The programs that failures print: each runs alone, imports little, and shows the failure."""

import ast
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from bandit_rlhf.laws import program
from bandit_rlhf.laws.bugs import bugs
from bandit_rlhf.laws.check import check_estimator
from bandit_rlhf.laws.judging import PROFILES
from bandit_rlhf.laws.verdict import Status, Verdict


@pytest.fixture(scope="module")
def failures() -> Iterator[list[tuple[str, Verdict]]]:
    """Every failure of every known bug, with its program."""
    patch = pytest.MonkeyPatch()
    patch.setattr(program, "SECONDS", 250.0)
    patch.setitem(PROFILES, "dev", replace(PROFILES["dev"], seconds=200.0))
    found = []
    for bug in bugs():
        report = check_estimator(bug.kind, bug.function, laws=bug.law, verify=False)
        found += [(bug.name, verdict) for verdict in report.of(Status.FAIL)]
    yield found
    patch.undo()


def test_every_failure_of_a_bug_has_a_program_that_shows_it(failures) -> None:
    assert len(failures) > 200
    assert all(verdict.repro for _, verdict in failures)
    answers = program.ran([verdict.repro for _, verdict in failures])
    for (name, verdict), answer in zip(failures, answers, strict=True):
        assert not isinstance(answer, str), (name, verdict.law, answer)
        got, expected = (np.asarray(x, dtype=float) for x in answer)
        told = np.asarray(verdict.got, dtype=float)
        assert got.ndim <= told.ndim, (name, verdict.law, verdict.repro)
        np.testing.assert_allclose(
            np.broadcast_to(got, told.shape), told, 1e-6, 1e-9, err_msg=f"{name} {verdict.law}"
        )
        one, other = np.broadcast_arrays(got, expected)
        assert not np.array_equal(one, other), (name, verdict.law)


def test_programs_import_numpy_torch_and_the_users_module_alone(failures) -> None:
    for name, verdict in failures:
        imported = set()
        for node in ast.walk(ast.parse(verdict.repro)):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module)
        users = {module for module in imported if module.startswith("bandit_rlhf.laws.bugs")}
        assert len(users) == 1, name
        assert imported - users <= {"numpy", "torch", "itertools", "math"}, (name, verdict.law)


def test_a_loss_without_any_gradient_is_shown_too() -> None:
    lines = [
        "import numpy as np, torch",
        "cast = lambda x: x",
        "f = lambda x, raw: x.detach()",
        program.TORCH_GRAD,
        "got = grad(f, 0, np.ones((1, 2)))",
        "expected = np.zeros((1, 2))",
    ]
    assert program.ran(["\n".join(lines)]) == [([[0.0, 0.0]], [[0.0, 0.0]])]


def test_control_a_program_that_fails_says_how() -> None:
    assert program.ran(["raise ValueError('no')"]) == ["ValueError: no"]
