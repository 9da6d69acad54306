"""Laws B1-B6 judged: bugs fail, twins and the toolkit's law pass, expectations by fractions."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest

from bandit_rlhf import selection
from bandit_rlhf.laws import oracle
from bandit_rlhf.laws import selection as laws
from bandit_rlhf.laws.bugs.record import Bug, Twin
from bandit_rlhf.laws.bugs.selection import BUGS, TWINS
from bandit_rlhf.laws.check import Dtype, check_estimator
from bandit_rlhf.laws.verdict import Status

DTYPES: tuple[Dtype, ...] = ("float64", "float32")


def failing(function, dtype: Dtype) -> set[str]:
    """Ids of laws that fail or cannot run."""
    report = check_estimator(None, function, dtype=dtype, verify=False)
    return {v.law for v in report.verdicts if v.status in (Status.FAIL, Status.ERROR)}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_bugs_fail_their_laws(bug: Bug, dtype: Dtype) -> None:
    assert set(bug.law) <= failing(bug.function, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: twin.name)
def test_twins_pass(twin: Twin, dtype: Dtype) -> None:
    assert failing(twin.function, dtype) == set()


def test_every_law_has_a_bug_to_kill() -> None:
    killed = {(bug.kind, name) for bug in BUGS for name in bug.law}
    assert {(x.kind, x.id) for x in laws.LAWS} <= killed


def test_programs_of_failures_run() -> None:
    for name in ("first_atom_wins", "drawn_with_replacement", "max_with_replacement"):
        (bug,) = (bug for bug in BUGS if bug.name == name)
        report = check_estimator(None, bug.function)
        assert all(v.repro for v in report.verdicts if v.status is Status.FAIL)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "subject", [selection.best_of_n_law, selection.pass_at_k, selection.max_of_k]
)
def test_the_toolkits_own_pass(subject, dtype: Dtype) -> None:
    report = check_estimator(None, subject, dtype=dtype, verify=False)
    assert {v.status for v in report.verdicts} == {Status.PASS}


# The laws' expectations, a second time


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize("reward", [(1, 2, 0), (1, 0, 1), (2, 2, 2)])
def test_the_winners_law_as_the_oracle_has_it(reward: tuple[int, ...], n: int) -> None:
    shares = [Fraction(k, 16) for k in (3, 8, 5)]
    exact = oracle.best_of_n(
        {(y,): p for y, p in enumerate(shares)}, {(y,): r for y, r in enumerate(reward)}, n
    )
    law = np.array(shares, dtype=float)
    _, expected, _ = laws.winner_law(selection.best_of_n_law, law, np.array(reward, dtype=float), n)
    assert expected == pytest.approx([float(exact[(y,)]) for y in range(3)], rel=1e-14)


def test_shares_of_subsets_are_ratios_of_binomials() -> None:
    for n in range(1, 7):
        for c, k in itertools.product(range(n + 1), range(1, n + 1)):
            _, expected, _ = laws.any_correct(lambda n, c, k: 0.0, n, c, k)
            exact = 1 - Fraction(math.comb(n - c, k), math.comb(n, k))
            assert expected == pytest.approx(float(exact), rel=1e-15)


def test_expected_best_of_k_by_the_distribution_function() -> None:
    """E max = sum r (F^k - F_^k), with rising rewards."""
    shares, reward, k = [Fraction(k, 16) for k in (3, 8, 5)], (-1, 2, 3), 3
    at_most = list(itertools.accumulate(shares, initial=Fraction(0)))
    exact = sum(r * (at_most[i + 1] ** k - at_most[i] ** k) for i, r in enumerate(reward))
    worlds = np.array(shares, dtype=float), np.array(reward, dtype=float)
    _, expected, _ = laws.unbiased(lambda r, k: 0.0, *worlds, 3, k)
    assert expected == pytest.approx(float(exact), rel=1e-14)


def test_mean_over_subsets_by_order_statistics() -> None:
    rewards, k = np.array([2.0, -1.0, 3.0, 0.5, 0.5]), 3
    share = [Fraction(math.comb(i, k - 1), math.comb(5, k)) for i in range(5)]
    exact = sum(s * Fraction(r) for s, r in zip(share, sorted(rewards.tolist()), strict=True))
    _, expected, _ = laws.subsets_mean(lambda r, k: 0.0, rewards, k)
    assert expected == pytest.approx(float(exact), rel=1e-14)


def test_the_bound_of_the_divergence_is_nearly_met() -> None:
    """The uniform law on many atoms comes within 1/100 of ln n - (n - 1)/n: B3 is no idle bound."""
    atoms, n = 400, 3
    bound = math.log(n) - (n - 1) / n
    kl = selection.best_of_n_kl(np.full(atoms, 1 / atoms), np.arange(atoms, dtype=float), n)
    assert bound - 0.01 < kl <= bound
