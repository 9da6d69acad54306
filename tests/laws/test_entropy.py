"""Laws H1-H6 judged: bugs fail, twins and torch pass, expectations by the oracle."""

import mpmath
import numpy as np
import pytest
from scipy import stats

from bandit_rlhf import divergence
from bandit_rlhf.contract import Backend
from bandit_rlhf.laws import entropy as laws
from bandit_rlhf.laws import oracle
from bandit_rlhf.laws.bugs.entropy import BUGS, TWINS
from bandit_rlhf.laws.bugs.record import Bug, Twin
from bandit_rlhf.laws.check import Dtype, check_estimator
from bandit_rlhf.laws.suite import law
from bandit_rlhf.laws.verdict import Status

DTYPES: tuple[Dtype, ...] = ("float64", "float32")


def failing(function, dtype: Dtype, **terms) -> set[str]:
    """Ids of laws that fail or cannot run."""
    report = check_estimator("entropy", function, dtype=dtype, verify=False, **terms)
    return {v.law for v in report.verdicts if v.status in (Status.FAIL, Status.ERROR)}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bugs_fail_their_laws(bug: Bug) -> None:
    assert set(bug.law) <= failing(bug.function, "float64")


def asked_in_single_precision(bug: Bug) -> set[str]:
    """Its laws but those of derivatives, which differences of float32 values do not show."""
    return {name for name in bug.law if not law(name, bug.kind).differentiates}


@pytest.mark.parametrize(
    "bug", list(filter(asked_in_single_precision, BUGS)), ids=lambda bug: bug.name
)
def test_bugs_fail_their_laws_in_single_precision(bug: Bug) -> None:
    assert asked_in_single_precision(bug) <= failing(bug.function, "float32")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
def test_twins_pass(twin: Twin, dtype: Dtype) -> None:
    assert failing(twin.function, dtype) == set()


def test_every_law_has_a_bug_to_kill() -> None:
    assert {x.id for x in laws.LAWS} <= {name for bug in BUGS for name in bug.law}


def test_programs_of_failures_run() -> None:
    for name in ("collision_entropy", "overflowing_softmax"):
        (bug,) = (bug for bug in BUGS if bug.name == name)
        report = check_estimator(None, bug.function)
        assert all(v.repro for v in report.verdicts if v.status is Status.FAIL)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_toolkits_entropy_passes(dtype: Dtype, backend: Backend) -> None:
    report = check_estimator(None, divergence.entropy, dtype=dtype, backend=backend, verify=False)
    assert report.holds
    passed = {v.law for v in report.verdicts if v.status is Status.PASS}
    assert passed >= {"H1", "H2", "H3", "H5"} | ({"H4"} if backend == "torch" else set())


@pytest.mark.parametrize("dtype", DTYPES)
def test_torchs_categorical_passes(dtype: Dtype) -> None:
    import torch

    def categorical(logits):
        return torch.distributions.Categorical(logits=logits, validate_args=False).entropy()

    claims = ("value", "bounded", "chain_rule", "gradient", "excluded", "finite")
    assert failing(categorical, dtype, backend="torch", claims=claims) == set()


# The laws' expectations, a second time

LOGITS = np.array([[[0.5, -1.25, 2.0], [0.0, 0.0, -3.0], [1.0, 0.5, 0.25], [-2.0, 4.0, 0.0]]])


def nothing(logits, **settings):
    return np.zeros(logits.shape[:-1])


def policy(prefix: oracle.String) -> list:
    """The softmax of the row of a prefix, in the working precision of mpmath."""
    row = LOGITS[0, 1 + prefix[0] if prefix else 0]
    powers = [mpmath.exp(x) for x in row]
    return [x / mpmath.fsum(powers) for x in powers]


def test_values_as_scipy_has_them() -> None:
    _, expected, _ = laws.value(nothing, LOGITS)
    chances = laws.softmax(LOGITS, 1.0)
    assert expected == pytest.approx(stats.entropy(chances, axis=-1), rel=1e-14)
    _, expected, _ = laws.tempered(nothing, LOGITS, 0.5)
    assert expected == pytest.approx(stats.entropy(laws.softmax(2 * LOGITS, 1.0), axis=-1))


def test_the_strings_entropy_as_the_oracle_has_it() -> None:
    _, expected, _ = laws.chain_rule(nothing, LOGITS)
    strings = oracle.strings(3, 2, end=False)
    exact = oracle.entropy(oracle.law(policy, strings), log=mpmath.log)
    assert float(expected) == pytest.approx(float(exact), rel=1e-14)


def test_the_gradient_as_the_oracle_has_it() -> None:
    class Silent:
        def grad(self, place, logits):
            return np.zeros(logits.shape)

    _, expected, _ = laws.gradient(Silent(), LOGITS[:, :1])
    exact = oracle.entropy_gradient(policy, oracle.strings(3, 1, end=False), log=mpmath.log)
    assert expected[0, 0].tolist() == pytest.approx([float(exact[(), a]) for a in range(3)])


def test_a_token_taken_out() -> None:
    _, expected, _ = laws.excluded(nothing, np.array([[[1.0, 7.0, 1.0]]]), 1)
    assert expected.tolist() == [[pytest.approx(np.log(2), rel=1e-14)]]
