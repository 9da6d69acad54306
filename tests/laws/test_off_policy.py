"""Laws O1-O7 judged: bugs fail, twins pass, expectations by the oracle on fractions."""

from fractions import Fraction

import numpy as np
import pytest

from bandit_rlhf import off_policy
from bandit_rlhf.contract import Backend, contract_of, estimator
from bandit_rlhf.laws import off_policy as laws
from bandit_rlhf.laws import oracle
from bandit_rlhf.laws.bugs.off_policy import BUGS, TWINS
from bandit_rlhf.laws.bugs.record import Bug, Twin
from bandit_rlhf.laws.check import Dtype, check_estimator
from bandit_rlhf.laws.policy_loss import ENDING
from bandit_rlhf.laws.verdict import Status

DTYPES: tuple[Dtype, ...] = ("float64", "float32")


def failing(function, dtype: Dtype, **terms) -> set[str]:
    """Ids of laws that fail or cannot run."""
    report = check_estimator(None, function, dtype=dtype, verify=False, **terms)
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
    for name in ("correction_reversed", "discounted_from_one", "ratios_upside_down"):
        (bug,) = (bug for bug in BUGS if bug.name == name)
        report = check_estimator(None, bug.function)
        assert all(v.repro for v in report.verdicts if v.status is Status.FAIL)


# The toolkit's estimators


@estimator("off_policy", claims=("unbiased", "doubly_robust", "shift_equivariant"))
def switch_never(rewards, log_prob, behaviour_log_prob, predicted, baseline):
    """With no bound on the weights it is the doubly robust estimate."""
    arrays = rewards, log_prob, behaviour_log_prob, predicted, baseline
    return off_policy.switch(*arrays, threshold=float("inf"))


@estimator("off_policy", claims=("doubly_robust", "shift_equivariant"))
def switch_always(rewards, log_prob, behaviour_log_prob, predicted, baseline):
    """With none allowed it is the model alone, which is not doubly robust."""
    arrays = rewards, log_prob, behaviour_log_prob, predicted, baseline
    return off_policy.switch(*arrays, threshold=0.0)


@pytest.mark.parametrize("backend", ["numpy", "torch"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "subject",
    [
        off_policy.ips,
        off_policy.clipped_ips,
        off_policy.snips,
        off_policy.per_decision,
        off_policy.direct_method,
        off_policy.doubly_robust,
        switch_never,
    ],
)
def test_the_toolkits_estimators_pass(subject, dtype: Dtype, backend: Backend) -> None:
    report = check_estimator(None, subject, dtype=dtype, backend=backend, verify=False)
    assert report.holds
    assert report.counts["PASS"] >= len(contract_of(subject).claims or ())


def test_the_model_alone_is_not_doubly_robust() -> None:
    assert failing(switch_always, "float64") == {"O2"}


# The laws' expectations, a second time: fractions, and strings as the oracle lists them

P = [[Fraction(1, 4), Fraction(3, 4)], [Fraction(2, 3), Fraction(1, 3)]]
MU = [[Fraction(1, 2), Fraction(1, 2)], [Fraction(1, 5), Fraction(4, 5)]]
REWARDS = [[Fraction(2), Fraction(-1)], [Fraction(1, 2), Fraction(3)]]
STRINGS = [(1,), (0, 1), (0, 0)]
"""Token 1 ends; in the order of `ENDING`."""


def floats(rows) -> np.ndarray:
    return np.array(rows, dtype=float)


def policy(table) -> oracle.Policy:
    """Row 0 at the start, row 1 once token 0 was drawn."""
    return lambda prefix: table[len(prefix)]


def gain(string: oracle.String, gamma: Fraction) -> Fraction:
    return sum((gamma**t * REWARDS[t][token] for t, token in enumerate(string)), Fraction(0))


def test_the_value_of_a_policy_as_the_oracle_has_it() -> None:
    gamma = Fraction(3, 4)
    assert sorted(STRINGS) == sorted(oracle.strings(1, 2, end=True))
    exact = oracle.mean(oracle.law(policy(P), STRINGS), {y: gain(y, gamma) for y in STRINGS})
    arrays = floats(P), floats(MU), floats(REWARDS)
    _, expected, _ = laws.per_decision(lambda *x: 0.0, *arrays, strings=ENDING, gamma=0.75, draws=1)
    assert float(expected) == pytest.approx(float(exact), rel=1e-14)


def test_the_mean_of_weighed_rewards_is_exact() -> None:
    """The identity under O1 in fractions, and the mean over batches of two by hand."""
    p, mu, r = P[0], MU[0], REWARDS[0]
    weighed = [p[y] / mu[y] * r[y] for y in range(2)]
    exact = sum(mu[a] * mu[b] * (weighed[a] + weighed[b]) / 2 for a in range(2) for b in range(2))
    assert exact == p[0] * r[0] + p[1] * r[1]
    got, _ = laws.mean_estimate(lambda x: x.mean(), floats(mu), 2, floats(weighed))
    assert float(got) == pytest.approx(float(exact), rel=1e-14)


@pytest.mark.parametrize("clip", [Fraction(1), Fraction(3, 4), Fraction(10)])
def test_the_bias_of_a_clip_in_fractions(clip: Fraction) -> None:
    p, mu, r = P[1], MU[1], REWARDS[1]
    exact = sum(mu[y] * min(p[y] / mu[y], clip) * r[y] for y in range(2))
    arrays = floats(p), floats(mu), floats(r)
    _, expected, _ = laws.known_bias(lambda *x: 0.0, *arrays, 1, (0.0, float(clip)))
    assert float(expected) == pytest.approx(float(exact), rel=1e-14)
    assert (exact == p[0] * r[0] + p[1] * r[1]) == (clip == 10)


def test_targets_are_the_double_sum() -> None:
    """Espeholt et al. 2018 (1802.01561), equation 1, against the loop from the end."""
    ratio = [Fraction(1, 2), Fraction(3), Fraction(5, 4)]
    rewards, values = [Fraction(1), Fraction(-2), Fraction(4)], [Fraction(3), Fraction(1, 2), -1]
    final, gamma, clip, trace = Fraction(7, 2), Fraction(3, 4), Fraction(2), Fraction(1)
    ahead = [*values[1:], final]
    error = [
        min(clip, q) * (r + gamma * a - v)
        for q, r, a, v in zip(ratio, rewards, ahead, values, strict=True)
    ]
    exact = []
    for s in range(3):
        total, product = Fraction(values[s]), Fraction(1)
        for t in range(s, 3):
            total += product * error[t]
            product *= gamma * min(trace, ratio[t])
        exact.append(float(total))
    row = floats(ratio), floats(rewards), floats(values)
    loop = laws.targets_of(*row, *(float(x) for x in (final, gamma, clip, trace)))
    assert loop == pytest.approx(exact, rel=1e-14)


@pytest.mark.parametrize("clip", [Fraction(1), Fraction(1, 2), Fraction(8)])
def test_the_fixed_point_is_the_value_of_the_clipped_policy(clip: Fraction) -> None:
    """The law's values by enumeration of strings of the clipped policy, not by recursion."""
    p, mu = [P[0], P[1], MU[1]], [MU[0], MU[1], P[0]]
    rewards, final = (
        [*REWARDS, [Fraction(-3), Fraction(1, 4)]],
        [Fraction(k) for k in (1, -2, 3, 0)],
    )
    gamma = Fraction(1, 2)
    cut = [
        [min(clip * m, q) for m, q in zip(*rows, strict=True)] for rows in zip(mu, p, strict=True)
    ]
    cut = [[x / sum(row) for x in row] for row in cut]
    assert (cut == p) == (clip == 8)

    def clipped(prefix: oracle.String) -> list[Fraction]:
        return cut[1 + prefix[0]] if prefix else cut[0]

    strings = oracle.strings(2, 2, end=False)
    payoff = {
        (a, b): rewards[0][a] + gamma * (rewards[1 + a][b] + gamma * final[2 * a + b])
        for a, b in strings
    }
    exact = oracle.mean(oracle.law(clipped, strings), payoff)

    def values_kept(log_p, log_mu, r, values, mask, **named):
        return (values,)

    case = floats(p), floats(mu), floats(rewards), floats(final)
    got, expected, _ = laws.fixed_point(values_kept, *case, 0.5, float(clip))
    assert expected[0] == pytest.approx(float(exact), rel=1e-14)
    assert got == pytest.approx(expected, rel=1e-14)
