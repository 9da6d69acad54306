"""Dynamic programming against brute force over histories, on fractions; and against calculus."""

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit_rlhf.exact import bellman
from bandit_rlhf.laws import oracle
from bandit_rlhf.mdp import FiniteMDP, as_mdp, entry_array, state_array
from tests.mdp_worlds import Process, Weighted, problems, processes, random_problem
from tests.worlds import World, exact, random_world

ONE = (Fraction(1),)
BETA = 0.6


def close(a: object, b: object, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), tolerance, tolerance)


def path_probability(path: tuple, policy: Weighted) -> float:
    history, chance, _ = path
    return float(chance * policy.chance(history))


def path_gradient(process: Process, policy: Weighted) -> np.ndarray:
    """sum over trajectories of P R grad ln P, the score summed by hand [time, state, action]."""
    gradient = np.zeros((process.horizon, len(process.outcomes), process.actions))
    for history, chance, earned in process.paths():
        weight = float(chance * policy.chance(history) * earned)
        for t in range(len(history) // 2):
            state, action = history[2 * t], history[2 * t + 1]
            gradient[t, state] -= weight * np.array(policy(history[: 2 * t + 1]), float)
            gradient[t, state, action] += weight
    return gradient


def path_kl(process: Process, policy: Weighted, reference: Weighted) -> float:
    """KL between the laws of whole trajectories, chance included on both sides."""
    total = 0.0
    for history, chance, _ in process.paths():
        p, q = chance * policy.chance(history), chance * reference.chance(history)
        total += float(p) * math.log(p / q) if p else 0.0
    return total


def path_entropy(process: Process, policy: Weighted) -> float:
    """-sum over trajectories of P ln(product of the policy's probabilities): causal entropy."""
    chances = [(chance, policy.chance(history)) for history, chance, _ in process.paths()]
    return -sum(float(c * p) * math.log(p) for c, p in chances if p)


# Values


@given(problems())
def test_evaluation_is_the_recursion_over_histories(problem: tuple) -> None:
    process, policy, _ = problem
    solved = bellman.evaluate(process.mdp, policy.log_policy)
    values = {
        s: oracle.process_value(process.model, policy, (s,), process.horizon, process.gamma)
        for s in range(len(process.outcomes))
    }
    close(solved.state_value[0], [values[s] for s in sorted(values)])
    close(solved.value, sum(p * values[s] for s, p in process.starts))


@given(problems())
def test_action_values_are_what_the_first_action_earns(problem: tuple) -> None:
    process, policy, _ = problem
    q = bellman.evaluate(process.mdp, policy.log_policy).action_value[0]
    for s, row in enumerate(process.outcomes):
        for a, sure in enumerate(np.eye(len(row))):

            def first_a(history: oracle.History, sure: np.ndarray = sure) -> list:
                return policy(history) if len(history) > 1 else sure.tolist()

            steps, gamma = process.horizon, process.gamma
            close(q[s, a], oracle.process_value(process.model, first_a, (s,), steps, gamma))


@given(problems())
def test_advantages_have_mean_zero_and_terminal_states_none(problem: tuple) -> None:
    process, policy, _ = problem
    mdp = process.mdp
    advantage = bellman.evaluate(mdp, policy.log_policy).advantage
    close((np.exp(policy.log_policy) * advantage).sum(axis=-1), np.zeros(advantage.shape[:2]))
    assert not advantage[:, mdp.terminal].any()


@given(problems(gammas=ONE))
def test_occupancy_counts_trajectories(problem: tuple) -> None:
    process, policy, _ = problem
    law = np.zeros((process.horizon + 1, len(process.outcomes)))
    for path in process.paths():
        states = path[0][::2]
        for t in range(process.horizon + 1):  # a terminated trajectory stays where it is
            law[t, states[min(t, len(states) - 1)]] += path_probability(path, policy)
    close(bellman.occupancy(process.mdp, policy.log_policy), law)


# Gradients


@given(problems())
def test_policy_gradient_is_the_sum_of_scores(problem: tuple) -> None:
    process, policy, _ = problem
    by_states = bellman.policy_gradient(process.mdp, policy.log_policy)
    close(by_states, path_gradient(process, policy))


def test_policy_gradient_against_finite_differences() -> None:
    process, policy, _ = random_problem(0)
    mdp, step = process.mdp, 1e-5

    def value(logits: np.ndarray) -> float:
        return bellman.evaluate(mdp, bellman.log_softmax(logits)).value

    logits = policy.log_policy + 0.3  # a softmax does not see the shift
    gradient = bellman.policy_gradient(mdp, bellman.log_softmax(logits))
    assert np.abs(gradient).max() > 0.01
    for place in np.ndindex(logits.shape):
        bump = np.zeros(logits.shape)
        bump[place] = step
        slope = (value(logits + bump) - value(logits - bump)) / (2 * step)
        assert slope == pytest.approx(gradient[place], abs=1e-8)


def torch_value(mdp: FiniteMDP, logits: torch.Tensor) -> torch.Tensor:
    """J by pushing the law of states forward, another order of summation than the package's."""
    law, total = torch.tensor(mdp.initial_law), torch.zeros((), dtype=torch.float64)
    successor = torch.tensor(mdp.successor)
    for t in range(mdp.horizon):
        flow = (law[:, None] * torch.softmax(logits[t], -1))[..., None] * torch.tensor(
            mdp.probability
        )
        total = total + mdp.gamma**t * (flow * torch.tensor(mdp.reward)).sum()
        law = torch.zeros_like(law).index_add(0, successor.reshape(-1), flow.reshape(-1))
    return total


@given(st.integers(0, 50))
@settings(max_examples=10)
def test_policy_gradient_against_autograd(seed: int) -> None:
    process, policy, _ = random_problem(seed)
    logits = torch.tensor(policy.log_policy, requires_grad=True)
    value = torch_value(process.mdp, logits)
    value.backward()
    close(bellman.evaluate(process.mdp, policy.log_policy).value, value.item())
    assert logits.grad is not None
    close(bellman.policy_gradient(process.mdp, policy.log_policy), logits.grad)


# Optima


@given(processes())
def test_both_iterations_reach_the_recursive_optimum(process: Process) -> None:
    optimal = [
        oracle.optimal_value(process.model, s, process.horizon, process.gamma)
        for s in range(len(process.outcomes))
    ]
    mdp = process.mdp
    for solution in (bellman.value_iteration(mdp), bellman.policy_iteration(mdp)):
        close(solution.state_value[0], optimal)
        close(bellman.evaluate(mdp, solution.log_policy).value, solution.value)


def test_no_deterministic_policy_is_better() -> None:
    process, _, _ = random_problem(1, horizon=2)
    for s, _ in process.starts:
        best = oracle.optimal_value_by_enumeration(process.model, s, 2, process.gamma)
        close(bellman.policy_iteration(process.mdp).state_value[0, s], best)


@given(processes())
def test_policy_iteration_ends_within_horizon_and_one_sweeps(process: Process) -> None:
    assert 1 <= bellman.policy_iteration(process.mdp).sweeps <= process.horizon + 1


def test_policy_iteration_takes_as_many_sweeps_as_news_takes_to_travel() -> None:
    # A corridor: action 1 goes on, action 0 leaves at once and earns less the farther one has come,
    # so that going on pays only once all later steps go on too.
    rooms, out = 4, 4
    successor = [[[out], [room + 1]] for room in range(rooms)] + [[[out], [out]]]
    reward = [[[1.0 - room / 8], [0.0]] for room in range(rooms)] + [[[0.0], [0.0]]]
    reward[rooms - 1][1] = [9.0]
    mdp = FiniteMDP(
        *([1, 0, 0, 0, 0], successor, np.ones((5, 2, 1)), reward, rooms),
        terminal=[False] * rooms + [True],
    )
    solution = bellman.policy_iteration(mdp)
    assert (solution.value, solution.sweeps) == (9.0, rooms + 1)


# KL, entropy and the soft optimum


@given(problems())
def test_kl_is_that_of_trajectories(problem: tuple) -> None:
    process, policy, reference = problem
    by_states = bellman.kl(process.mdp, policy.log_policy, reference.log_policy)
    close(by_states, path_kl(process, policy, reference))


@given(problems())
def test_entropy_is_that_of_the_choices_along_trajectories(problem: tuple) -> None:
    process, policy, _ = problem
    close(bellman.entropy(process.mdp, policy.log_policy), path_entropy(process, policy))


def test_kl_is_infinite_off_the_support_unless_it_is_never_reached() -> None:
    stay = FiniteMDP([1, 0], [[[0], [0]], [[1], [1]]], np.ones((2, 2, 1)), np.zeros((2, 2, 1)), 1)
    both, first = np.log([[[0.5, 0.5], [0.5, 0.5]]]), np.array([[[0, -np.inf], [0, -np.inf]]])
    assert bellman.kl(stay, both, first) == math.inf
    only_there = np.concatenate([first[:, :1], both[:, 1:]], axis=1)  # never in state 1
    assert bellman.kl(stay, only_there, first) == 0.0
    assert bellman.kl(stay, first, both) == pytest.approx(math.log(2))


@given(problems(gammas=ONE))
def test_any_policy_falls_short_of_the_soft_optimum_by_beta_kl(problem: tuple) -> None:
    """J(pi) - beta KL(pi || ref) = V - beta KL(pi || optimum): it pins optimum and value alike."""
    process, policy, reference = problem
    mdp = process.mdp
    soft = bellman.soft_optimum(mdp, reference.log_policy, BETA)
    paid = bellman.evaluate(mdp, policy.log_policy).value
    penalty = BETA * path_kl(process, policy, reference)
    shortfall = BETA * bellman.kl(mdp, policy.log_policy, soft.log_policy)
    close(paid - penalty, soft.value - shortfall, 1e-11)


@given(problems())
def test_the_soft_optimum_attains_its_value_and_is_stationary(problem: tuple) -> None:
    """With a discount too: the penalised reward, evaluated as a reward, has value V and slope 0."""
    process, _, reference = problem
    mdp = process.mdp
    soft = bellman.soft_optimum(mdp, reference.log_policy, BETA)
    cost = BETA * (soft.log_policy - reference.log_policy)
    value = np.zeros(mdp.state_count)
    for t in reversed(range(mdp.horizon)):
        following = (mdp.probability * value[mdp.successor]).sum(axis=-1)
        net = mdp.expected_reward() + mdp.gamma * following - cost[t]
        net[mdp.terminal] = 0.0
        # Stationary: net of its cost every action is worth the same.
        close(net - net[:, :1], np.zeros(net.shape), 1e-11)
        value = net[:, 0]
        close(value, soft.state_value[t], 1e-11)


def test_soft_optimum_keeps_to_the_reference_support() -> None:
    process, _, _ = random_problem(2)
    reference = Weighted((((1, 0), (1, 1), (1, 1)),) * 3)
    soft = bellman.soft_optimum(process.mdp, reference.log_policy, 0.01)
    assert np.isneginf(soft.log_policy[:, 0, 1]).all()
    close(np.exp(soft.log_policy[:, 0, 0]), [1, 1, 1])


@pytest.mark.parametrize(("beta", "limit"), [(1e-3, "optimum"), (1e6, "reference")])
def test_soft_optimum_lies_between_optimum_and_reference(beta: float, limit: str) -> None:
    process, _, reference = random_problem(3)
    mdp = process.mdp
    soft = bellman.soft_optimum(mdp, reference.log_policy, beta)
    ends = {
        "optimum": bellman.value_iteration(mdp).value,
        "reference": bellman.evaluate(mdp, reference.log_policy).value,
    }
    assert abs(ends["optimum"] - ends["reference"]) > 0.1
    assert soft.value == pytest.approx(ends[limit], abs=0.02)


# Natural gradient and mirror descent


def fisher(process: Process, policy: Weighted) -> np.ndarray:
    """E score score^T over trajectories, in logits [entry, entry]."""
    shape = (process.horizon, len(process.outcomes), process.actions)
    matrix = np.zeros((math.prod(shape), math.prod(shape)))
    for history, chance, _ in process.paths():
        score = np.zeros(shape)
        for t in range(len(history) // 2):
            score[t, history[2 * t]] -= np.array(policy(history[: 2 * t + 1]), float)
            score[t, history[2 * t], history[2 * t + 1]] += 1.0
        flat = score.ravel()
        matrix += float(chance * policy.chance(history)) * np.outer(flat, flat)
    return matrix


@given(problems(zeros=False, gammas=ONE))
@settings(max_examples=30)
def test_natural_gradient_solves_fisher(problem: tuple) -> None:
    process, policy, _ = problem
    tangent = bellman.natural_gradient(process.mdp, policy.log_policy)
    matrix, gradient = fisher(process, policy), path_gradient(process, policy)
    close(matrix @ tangent.ravel(), gradient.ravel())
    # The pseudo-inverse picks, of all solutions, one that moves ln pi in the same way.
    solved = (np.linalg.pinv(matrix, rcond=1e-10) @ gradient.ravel()).reshape(tangent.shape)
    mean = (np.exp(policy.log_policy) * solved).sum(axis=-1, keepdims=True)
    for place in process.visits():
        close((solved - mean)[place], tangent[place], 1e-9)


def test_natural_gradient_is_the_tangent_of_both_steps() -> None:
    # Of both, as they differ from second order on only.
    world = random_world(4, size=2, horizon=3)
    mdp, start = as_mdp(world.bandit), states_policy(world, world.reference_weights)
    tangent, eta = bellman.natural_gradient(mdp, start), 1e-6
    plain = bellman.natural_gradient_step(mdp, start, eta)
    close((plain - start) / eta, tangent, 1e-4)
    proximal = string_log_law(world, bellman.mirror_descent_step(mdp, start, eta))
    along = sum_along_strings(world, tangent)
    close((proximal - string_log_law(world, start)) / eta, along, 1e-4)


def states_policy(world: World, weights: tuple) -> np.ndarray:
    table = state_array(
        world.language, world.tabular(weights).log_probs(), -math.log(world.language.action_count)
    )
    return np.broadcast_to(table, (world.horizon, *table.shape)).copy()


def sum_along_strings(world: World, values: np.ndarray) -> np.ndarray:
    entries = entry_array(world.language, values)
    return world.string_table(
        [
            {y: sum(row[world.entry(y[:t], y[t])] for t in range(len(y))) for y in world.strings}
            for row in entries
        ]
    )


def string_log_law(world: World, log_policy: np.ndarray) -> np.ndarray:
    return sum_along_strings(world, log_policy)


def gibbs_table(world: World, beta: float) -> np.ndarray:
    """The Gibbs law over whole strings, by the oracle [prompt, string]."""
    return world.string_table(
        [
            oracle.gibbs(
                oracle.law(exact(weights), world.strings),
                {y: Fraction(math.exp(r / beta)) for y, r in rewards.items()},
            )
            for weights, rewards in zip(world.reference_weights, world.rewards, strict=True)
        ]
    )


@pytest.mark.parametrize("end", [True, False])
def test_soft_optimum_of_a_token_mdp_is_the_gibbs_law(end: bool) -> None:
    world = random_world(5, size=2, horizon=3, end=end)
    mdp, reference = as_mdp(world.bandit), states_policy(world, world.reference_weights)
    soft = bellman.soft_optimum(mdp, reference, BETA)
    close(np.exp(string_log_law(world, soft.log_policy)), gibbs_table(world, BETA))


def path_errors(world: World, step: Callable, steps: int) -> float:
    """The distance from Gibbs after `steps` steps of total size 1 / BETA."""
    mdp, log_policy = as_mdp(world.bandit), states_policy(world, world.reference_weights)
    for _ in range(steps):
        log_policy = step(mdp, log_policy, 1.0 / (BETA * steps))
    law = np.exp(string_log_law(world, log_policy))
    return float(np.abs(law - gibbs_table(world, BETA)).max())


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_mirror_descent_walks_the_gibbs_path_in_steps_of_any_size(steps: int) -> None:
    assert path_errors(random_world(6), bellman.mirror_descent_step, steps) < 1e-12


def test_token_natural_gradient_leaves_the_gibbs_path_in_proportion_to_its_steps() -> None:
    world = random_world(6, horizon=3)
    coarse, fine = (path_errors(world, bellman.natural_gradient_step, n) for n in (128, 256))
    assert coarse > 1e-4
    assert coarse / fine == pytest.approx(2.0, abs=0.05)
    single = random_world(6, horizon=1)
    assert path_errors(single, bellman.natural_gradient_step, 4) < 1e-12


# Broken twins: the checks above can fail


def without_gamma_powers(mdp: FiniteMDP, log_policy: np.ndarray) -> np.ndarray:
    powers = mdp.gamma ** np.arange(mdp.horizon)[:, None, None]
    return bellman.policy_gradient(mdp, log_policy) / powers


def with_values_for_advantages(mdp: FiniteMDP, log_policy: np.ndarray) -> np.ndarray:
    reached = bellman.occupancy(mdp, log_policy)[:-1, :, None]
    q = bellman.evaluate(mdp, log_policy).action_value
    return mdp.gamma ** np.arange(mdp.horizon)[:, None, None] * reached * np.exp(log_policy) * q


@pytest.mark.parametrize("twin", [without_gamma_powers, with_values_for_advantages])
def test_control_a_wrong_gradient_is_seen(twin: Callable) -> None:
    process, policy, _ = random_problem(7)
    right = path_gradient(process, policy)
    close(bellman.policy_gradient(process.mdp, policy.log_policy), right)
    assert np.abs(twin(process.mdp, policy.log_policy) - right).max() > 0.01


def unweighted_kl(mdp: FiniteMDP, log_policy: np.ndarray, log_reference: np.ndarray) -> float:
    """The sum of the states' KLs, wherever the policy goes."""
    return float((np.exp(log_policy) * (log_policy - log_reference)).sum())


def kl_with_terminal_states(
    mdp: FiniteMDP, log_policy: np.ndarray, log_reference: np.ndarray
) -> float:
    each = (np.exp(log_policy) * (log_policy - log_reference)).sum(axis=-1)
    return float((bellman.occupancy(mdp, log_policy)[:-1] * each).sum())


@pytest.mark.parametrize("twin", [unweighted_kl, kl_with_terminal_states])
def test_control_a_wrong_kl_is_seen(twin: Callable) -> None:
    process, policy, reference = random_problem(8)
    arguments = process.mdp, policy.log_policy, reference.log_policy
    right = path_kl(process, policy, reference)
    close(bellman.kl(*arguments), right)
    assert abs(twin(*arguments) - right) > 0.01


def test_control_tilting_the_users_dice_is_not_the_soft_optimum() -> None:
    """Gibbs over whole trajectories also tilts chance; its value is beta ln E exp(R / beta)."""
    process, _, reference = random_problem(9, gamma=Fraction(1))
    paths = [
        (float(chance * reference.chance(history)), float(earned))
        for history, chance, earned in process.paths()
    ]
    optimistic = BETA * math.log(sum(p * math.exp(earned / BETA) for p, earned in paths))
    soft = bellman.soft_optimum(process.mdp, reference.log_policy, BETA)
    assert optimistic > soft.value + 0.1


# Bad input


@pytest.mark.parametrize(
    ("break_it", "complaint"),
    [
        (lambda mdp, pi: bellman.evaluate(mdp, pi[:1]), r"log_policy has shape \(1, 3, 2\)"),
        (lambda mdp, pi: bellman.evaluate(mdp, pi - 0.1), r"exp\(log_policy\)\[.*\] sums to 0.9"),
        (
            lambda mdp, pi: bellman.evaluate(mdp, pi * math.nan),
            r"is nan \(18 of 18 entries\)",
        ),
        (
            lambda mdp, pi: bellman.kl(mdp, pi, pi + 0.1),
            r"exp\(log_reference\)\[.*\] sums to 1.1",
        ),
        (lambda mdp, pi: bellman.soft_optimum(mdp, pi, 0.0), "beta is 0, but should be above 0"),
        (lambda mdp, pi: bellman.soft_optimum(mdp, pi, -1.0), "use value_iteration"),
        (lambda mdp, pi: bellman.soft_optimum(mdp, pi, math.inf), "beta is inf"),
        (lambda mdp, pi: bellman.mirror_descent_step(mdp, pi, 0.0), "step_size is 0"),
        (lambda mdp, pi: bellman.natural_gradient_step(mdp, pi, -1.0), "step_size is -1"),
        (lambda mdp, pi: bellman.log_softmax(np.full(2, -np.inf)), "largest logit"),
        (lambda mdp, pi: bellman.log_softmax(np.array([0.0, np.nan])), "is nan"),
    ],
)
def test_bad_input_is_named(break_it: Callable, complaint: str) -> None:
    process, policy, _ = random_problem(0)
    with pytest.raises(ValueError, match=complaint):
        break_it(process.mdp, policy.log_policy)
