"""Rational numbers computed inside Coq equal the oracle's, and the float code's to rounding."""

import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bandit_rlhf import advantage, objective, preference, selection
from bandit_rlhf.laws import oracle

PROOFS = Path(__file__).parents[1] / "proofs"
F = Fraction

Instances = dict[str, list[Fraction]]

# The inputs, as proofs/Instances.v has them.

WORTHS = [F(3), F(1), F(1, 2), F(7, 5)]
PAIRS = [(0, 1), (1, 0), (2, 3), (3, 3)]
RANKINGS = [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1), (1, 3)]
REFERENCE = [F(1, 2), F(1, 6), F(1, 6), F(0), F(1, 6)]
WEIGHTS = [F(1), F(8), F(1, 3), F(5), F(9, 4)]
LEVELS = [0, 2, 1, 3, 1]
GROUPS = [
    [F(1), F(0)],
    [F(1), F(0), F(0), F(1)],
    [F(1, 2), F(-3, 4), F(2), F(1, 3), F(5)],
    [F(7), F(7), F(7)],
]
REWARDS = [F(1, 2), F(-1), F(0), F(3)]
VALUES = [F(5), F(-1, 2), F(1), F(3, 2), F(0)]
LAMBDAS = [F(0), F(1, 2), F(1)]


# What Coq says


def parsed(printed: str) -> Instances:
    """Coq's output, by the names printed before the lists."""
    parts = re.split(r'=\s*"(\w+)"(?:%string)?\s*:\s*string', " ".join(printed.split()))
    pairs = re.compile(r"\(\s*\(?(-?\d+)\)?(?:%Z)?,\s*(\d+)(?:%Z)?\)")
    return {
        name: [F(int(top), int(bottom)) for top, bottom in pairs.findall(text)]
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory) -> Instances:
    """The rational numbers that Coq computes."""
    coqc = shutil.which("coqc")
    if coqc is None:
        pytest.skip("coqc is not on the path: `make proofs` says what to install")
    made = tmp_path_factory.mktemp("coq") / "Instances.vo"
    done = subprocess.run(
        [coqc, "-Q", ".", "BanditRlhf", "-w", "none", "-o", str(made), "Instances.v"],
        cwd=PROOFS,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return parsed(done.stdout)


# What the oracle says, or plain loops where it has no such function


def atoms(numbers: list[Any]) -> dict[oracle.String, Any]:
    return {(i,): number for i, number in enumerate(numbers)}


def bradley_terry(a: int, b: int) -> Fraction:
    """The choice between two, as the Gibbs law over a uniform reference."""
    return oracle.gibbs(atoms([F(1, 2)] * 2), atoms([WORTHS[a], WORTHS[b]]))[0,]


def plackett_luce(ranking: oracle.String) -> Fraction:
    """The ranking as a string whose next token is one of the items that are left."""

    def policy(prefix: oracle.String) -> list[Fraction]:
        left = [WORTHS[i] * (i in ranking and i not in prefix) for i in range(len(WORTHS))]
        return [worth / sum(left) for worth in left]

    return oracle.probability(policy, ranking)


def gae(
    gamma: Fraction, lam: Fraction, rewards: list[Fraction], values: list[Fraction]
) -> list[Fraction]:
    """The mixture of k-step advantages, with weights (1 - lambda) lambda^(k - 1)."""
    result = []
    for t in range(len(rewards)):
        left = len(rewards) - t
        total = F(0)
        for k in range(1, left + 1):
            gain = sum(gamma**j * rewards[t + j] for j in range(k)) + gamma**k * values[t + k]
            share = lam ** (k - 1) * (1 if k == left else 1 - lam)
            total += share * (gain - values[t])
        result.append(total)
    return result


def rloo(rewards: list[Fraction]) -> list[Fraction]:
    n = len(rewards)
    return [
        sum((rewards[i] - rewards[j] for j in range(n) if j != i), F(0)) / (n - 1) for i in range(n)
    ]


def group_mean(rewards: list[Fraction]) -> list[Fraction]:
    return [sum((r - other for other in rewards), F(0)) / len(rewards) for r in rewards]


def discounted(gamma: Fraction, length: int) -> Fraction:
    """One string as a process of one action, paid at its last token."""

    def model(state: int) -> list[list[tuple[Fraction, Fraction, int]]]:
        paid = F(length, 8) if state == length - 1 else F(0)
        return [[(F(1), paid, state + 1)]] if state < length else []

    return oracle.process_value(model, lambda history: [1], (0,), length, gamma)


def user_coin(heads: Fraction) -> list[Fraction]:
    """Hearing the user, saying heads, saying tails: the second word wins if it is the user's."""

    def model(state: str) -> list[list[tuple[Fraction, int, str]]]:
        if state == "start":
            return [[(heads, 0, "heads"), (1 - heads, 0, "tails")]]
        if state == "end":
            return []
        return [[(F(1), int(word == state), "end")] for word in ("heads", "tails")]

    def value(says: Any) -> Fraction:
        def policy(history: oracle.History) -> list[int]:
            user = history[-1]
            return [1] if user == "start" else [int(says(user) == w) for w in ("heads", "tails")]

        return oracle.process_value(model, policy, ("start",), 2)

    hearing = value(lambda user: user)
    assert hearing == oracle.optimal_value_by_enumeration(model, "start", 2)
    return [hearing, value(lambda _: "heads"), value(lambda _: "tails")]


def length_normalisation() -> list[Fraction]:
    """Token 0 is "a", token 1 the end; the strings are the end, "a" and the end, and "aa"."""
    every = oracle.strings(size=1, horizon=2, end=True)

    def policy(prefix: oracle.String) -> list[Fraction]:
        return [F(1, 2), F(1, 2)]

    worth = {y: F(4, 5) if y == (1,) else F(1) for y in every}
    earned = oracle.mean(oracle.law(policy, every), worth)
    result = [earned]
    for payoff in (
        worth,
        {y: worth[y] / len(y) for y in every},
        {y: (worth[y] - F(9, 10)) / len(y) for y in every},
        {y: F(1, len(y)) for y in every},
    ):
        gradient = oracle.mean_gradient(policy, payoff)
        result += [gradient[(), 0], gradient[(0,), 0]]
    return result


def wrong_critic(lam: Fraction) -> Fraction:
    """Two words, the first of them paid at the end, and a critic that confuses the two."""
    payoff = {
        (0,): gae(F(1), lam, [F(0), F(1)], [F(1, 2), F(0), F(0)])[0],
        (1,): gae(F(1), lam, [F(0), F(0)], [F(1, 2), F(1), F(0)])[0],
    }
    return oracle.mean_gradient(lambda _: [F(1, 2), F(1, 2)], payoff)[(), 0]


def gibbs_optimism() -> list[Fraction]:
    """Conversations (gamble or not, heads or not), tilted by weight."""
    every = oracle.strings(size=2, horizon=2, end=False)
    weight = {(0, 0): F(1024), (0, 1): F(1), (1, 0): F(64), (1, 1): F(64)}
    tilted = oracle.gibbs({y: F(1, 4) for y in every}, weight)
    gambles = tilted[0, 0] + tilted[0, 1]
    return [gambles, tilted[0, 0] / gambles, *tilted.values()]


def earned(gambles: Fraction) -> Fraction:
    """What a fair coin pays who gambles with this chance, and takes 6/10 otherwise."""

    def model(state: str) -> list[list[tuple[Fraction, Fraction, str]]]:
        fair = [(F(1, 2), F(1), "end"), (F(1, 2), F(0), "end")]
        return [fair, [(F(1), F(6, 10), "end")]] if state == "start" else []

    return oracle.process_value(model, lambda _: [gambles, 1 - gambles], ("start",), 1)


def best_of(n: int) -> list[Fraction]:
    return list(oracle.best_of_n(atoms(REFERENCE), atoms(LEVELS), n).values())


def expected() -> Instances:
    """Every list that Coq prints, on `Fraction`."""
    return {
        "bradley_terry": [bradley_terry(a, b) for a, b in PAIRS],
        "plackett_luce": [plackett_luce(ranking) for ranking in RANKINGS],
        "gibbs": list(oracle.gibbs(atoms(REFERENCE), atoms(WEIGHTS)).values()),
        "best_of_1": best_of(1),
        "best_of_2": best_of(2),
        "best_of_3": best_of(3),
        "rloo": [a for group in GROUPS for a in rloo(group)],
        "group_mean": [a for group in GROUPS for a in group_mean(group)],
        "gae": [a for lam in LAMBDAS for a in gae(F(1, 2), lam, REWARDS, VALUES)],
        "gae_undiscounted": [a for lam in LAMBDAS for a in gae(F(1), lam, REWARDS, VALUES)],
        "discounted": [discounted(F(7, 10), length) for length in range(1, 5)]
        + [discounted(F(1, 2), length) for length in range(1, 9)],
        "user_coin": [value for heads in (F(1, 2), F(1, 3)) for value in user_coin(heads)],
        "length_normalisation": length_normalisation(),
        "wrong_critic": [wrong_critic(lam) for lam in LAMBDAS],
        "gibbs_optimism": gibbs_optimism(),
        "earned": [earned(g) for g in (F(0), F(1, 2), F(32, 96), F(1))],
    }


def differences(got: Instances, wanted: Instances) -> list[str]:
    """The names under which the two disagree, a missing or unasked one among them."""
    return [name for name in sorted({*got, *wanted}) if got.get(name) != wanted.get(name)]


def test_coq_and_the_oracle_agree_exactly(computed: Instances) -> None:
    assert differences(computed, expected()) == []
    assert all(computed.values())


def test_control_a_wrong_number_is_seen(computed: Instances) -> None:
    assert computed
    for name, numbers in computed.items():
        wrong = [*numbers[:-1], numbers[-1] + F(1, 10**12)]
        assert differences({**computed, name: wrong}, expected()) == [name]
        assert differences({k: v for k, v in computed.items() if k != name}, expected()) == [name]


def test_coq_is_read_as_it_prints() -> None:
    said = '     = "x_1"%string\n     : string\n     = [:: (3%Z, 1%Z);\n  ((-3)%Z, 2%Z)]\n'
    assert parsed(said + said.replace("x_1", "y")) == {
        "x_1": [F(3), F(-3, 2)],
        "y": [F(3), F(-3, 2)],
    }


def test_best_of_n_also_sums_all_tuples(computed: Instances) -> None:
    for n in (1, 2, 3):
        by_tuples = oracle.best_of_n_by_tuples(atoms(REFERENCE), atoms(LEVELS), n)
        assert computed[f"best_of_{n}"] == list(by_tuples.values())


# What the float code says


def floats(numbers: list[Fraction]) -> np.ndarray:
    return np.array([float(number) for number in numbers])


def assert_rounded(got: Any, exact: list[Fraction]) -> None:
    np.testing.assert_allclose(np.asarray(got), floats(exact), rtol=1e-12, atol=1e-14)


def test_preferences_in_floats(computed: Instances) -> None:
    reward = np.log(floats(WORTHS))
    difference = np.array([reward[a] - reward[b] for a, b in PAIRS])
    assert_rounded(np.exp(preference.bradley_terry(difference).win), computed["bradley_terry"])
    ranked = [float(np.exp(preference.plackett_luce(reward[list(r)]))) for r in RANKINGS]
    assert_rounded(ranked, computed["plackett_luce"])


def test_laws_in_floats(computed: Instances) -> None:
    reference = floats(REFERENCE)
    for beta in (0.1, 1.0, 3.0):
        reward = beta * np.log(floats(WEIGHTS))
        assert_rounded(objective.gibbs(reference, reward, beta), computed["gibbs"])
    for n in (1, 2, 3):
        assert_rounded(selection.best_of_n_law(reference, LEVELS, n), computed[f"best_of_{n}"])


def test_advantages_in_floats(computed: Instances) -> None:
    groups = [floats(group)[None] for group in GROUPS]
    assert_rounded(np.concatenate([advantage.rloo(g)[0] for g in groups]), computed["rloo"])
    means = np.concatenate([advantage.group_mean(g)[0] for g in groups])
    assert_rounded(means, computed["group_mean"])
    rewards, values = floats(REWARDS)[None], floats(VALUES[:-1])[None]
    for name, gamma in (("gae", 0.5), ("gae_undiscounted", 1.0)):
        got = [
            advantage.gae(rewards, values, np.ones((1, 4), bool), gamma=gamma, lam=float(lam))[0][0]
            for lam in LAMBDAS
        ]
        assert_rounded(np.concatenate(got), computed[name])


def test_the_wrong_critic_in_floats(computed: Instances) -> None:
    rewards, values = np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([[0.5, 0.0], [0.5, 1.0]])
    score = np.array([0.5, -0.5])
    got = [
        np.mean(
            score * advantage.gae(rewards, values, np.ones((2, 2), bool), lam=float(lam))[0][:, 0]
        )
        for lam in LAMBDAS
    ]
    assert_rounded(got, computed["wrong_critic"])
