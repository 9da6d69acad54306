"""The null suite: each quantity of RLHF computed twice, once as a bandit and once as an MDP.

The bandit's side knows whole strings: a law is a table over strings, a gradient is a sum of scores
over strings, optima are closed forms on tables. The MDP's side knows states: `exact.bellman` on
`as_mdp(bandit)` walks back from the horizon and has never heard of a string. Common to both are
the world that was drawn, and `entry_array`, which renames (time, state, action) to (prefix, token).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from bandit_rlhf import objective
from bandit_rlhf.bandit import ContextualBandit
from bandit_rlhf.exact import bellman
from bandit_rlhf.language import Language
from bandit_rlhf.mdp import FiniteMDP, as_mdp, entry_array, shaped, state_array
from bandit_rlhf.policy import TabularPolicy, entry_count

Pair = tuple[np.ndarray | float, np.ndarray | float]
"""The same quantity as the bandit and as the MDP compute it."""

STEPS = 4
"""Steps of the natural-gradient path."""


@dataclass(frozen=True, eq=False)
class World:
    """A bandit with everything that the items ask about.

    Args:
        bandit: prompt law, language, and a reward [prompt, string].
        policy: drawn as token logits; its string law follows by multiplication.
        reference_law: drawn as logits of whole strings; its token laws follow by conditioning
            [prompt, string].
        token_reward: a reward for every token after every prefix [prompt, entry].
        potential: of every state of the token MDP [state], 0 where an episode stops.
        beta: weight of the KL term, in units of reward.
    """

    bandit: ContextualBandit
    policy: TabularPolicy
    reference_law: np.ndarray
    token_reward: np.ndarray
    potential: np.ndarray
    beta: float

    @property
    def language(self) -> Language:
        """The bandit's language."""
        return self.bandit.language

    @cached_property
    def reward(self) -> np.ndarray:
        """The reward of every string [prompt, string]."""
        return self.bandit.reward_table()

    @cached_property
    def taken(self) -> np.ndarray:
        """1 where a string takes a token after a prefix [string, entry]."""
        return self._incidence[0]

    @cached_property
    def passed(self) -> np.ndarray:
        """1 where a string passes through a prefix, for all tokens after it [string, entry]."""
        return self._incidence[1]

    @cached_property
    def _incidence(self) -> tuple[np.ndarray, np.ndarray]:
        language, actions = self.language, self.language.action_count
        taken = np.zeros((language.string_count, entry_count(language)))
        passed = np.zeros_like(taken)
        for row in range(language.string_count):
            string, node = language.unrank(row), 0
            for t, token in enumerate(string):
                width, start = language.vocabulary_size**t, actions * language.node_count(t)
                taken[row, start + token * width + node] = 1.0
                passed[row, start + node : start + actions * width : width] = 1.0
                node += token * width
        return taken, passed

    @cached_property
    def law(self) -> np.ndarray:
        """pi(y|x) [prompt, string]."""
        return np.exp(self.along_strings(self.policy.log_probs()))

    def along_strings(self, entries: np.ndarray) -> np.ndarray:
        """Sums of a [prompt, entry] array along every string: [prompt, string]."""
        return entries @ self.taken.T

    def string_gradient(self, payoff: np.ndarray) -> np.ndarray:
        """sum_x p(x) sum_y pi(y|x) f(x,y) grad ln pi(y|x), in token logits [prompt, entry]."""
        weight = self.bandit.prompt_law[:, None] * self.law * payoff
        probs = np.exp(self.policy.log_probs())
        return weight @ self.taken - (weight @ self.passed) * probs

    def states_policy(self, policy: TabularPolicy) -> np.ndarray:
        """A policy as ln pi_t(a|s) [time, state, action], uniform where no token follows."""
        nowhere = -np.log(self.language.action_count)
        table = state_array(self.language, policy.log_probs(), nowhere)
        return np.broadcast_to(table, (self.language.horizon, *table.shape)).copy()

    def string_log_law(self, log_policy: np.ndarray) -> np.ndarray:
        """ln pi(y|x) of an MDP's policy [prompt, string]."""
        return self.along_strings(entry_array(self.language, log_policy))

    @cached_property
    def log_policy(self) -> np.ndarray:
        """The policy on states."""
        return self.states_policy(self.policy)

    @cached_property
    def log_reference(self) -> np.ndarray:
        """The reference on states."""
        prompts = self.bandit.prompts
        return self.states_policy(
            TabularPolicy.from_string_law(self.language, prompts, self.reference_law)
        )

    def at_prompts(self, values: np.ndarray) -> np.ndarray:
        """The entries of a [state] array at the empty prefixes [prompt]."""
        return values[:: len(values) // len(self.bandit.prompts)]


def draw_world(rng: np.random.Generator, vocabulary: int, horizon: int, prompts: int) -> World:
    """A random world of at most this size.

    Sizes and the end token are drawn evenly; the scale of the policy's logits, the largest reward
    and beta log-uniformly within 0.1..2, 0.1..3 and 0.2..5: every quantity compared is of order
    one, up to logarithms of string probabilities.
    """
    size, length = int(rng.integers(1, vocabulary + 1)), int(rng.integers(1, horizon + 1))
    end = "$" if size == 1 or rng.random() < 0.5 else None
    language = Language(tuple("abcdefgh"[:size]), length, end)
    contexts = [(f"prompt {x}",) for x in range(int(rng.integers(1, prompts + 1)))]

    def scale(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    shape = (len(contexts), language.string_count)
    drawn = rng.standard_normal(shape)
    reward = scale(0.1, 3.0) * drawn / np.abs(drawn).max()
    bandit = ContextualBandit(language, contexts, rng.dirichlet(np.ones(len(contexts))), reward)
    token_reward = rng.uniform(-1.0, 1.0, (len(contexts), entry_count(language)))
    goes_on = state_array(language, np.ones_like(token_reward))[:, 0]
    return World(
        bandit,
        TabularPolicy.normal(language, contexts, rng, scale(0.1, 2.0)),
        np.exp(bellman.log_softmax(rng.standard_normal(shape))),
        token_reward,
        goes_on * rng.standard_normal(len(goes_on)),
        scale(0.2, 5.0),
    )


def values(w: World, mdp: FiniteMDP) -> list[Pair]:
    """sum_y pi(y|x) r(x,y) = V_0(x)."""
    solved = bellman.evaluate(mdp, w.log_policy)
    by_prompt = objective.expected_reward(w.law, w.reward)
    return [
        (by_prompt, w.at_prompts(solved.state_value[0])),
        (w.bandit.prompt_law @ by_prompt, solved.value),
    ]


def optima(w: World, mdp: FiniteMDP) -> list[Pair]:
    """max_y r(x,y) = max_pi V_0(x), by value iteration and by policy iteration."""
    best = w.reward.max(axis=1)
    return [
        (best, w.at_prompts(solve(mdp).state_value[0]))
        for solve in (bellman.value_iteration, bellman.policy_iteration)
    ]


def policy_gradients(w: World, mdp: FiniteMDP) -> list[Pair]:
    """Scores of whole strings, summed, against advantages of single tokens."""
    by_states = bellman.policy_gradient(mdp, w.log_policy)
    return [(w.string_gradient(w.reward), entry_array(w.language, by_states))]


def dense_rewards(w: World, mdp: FiniteMDP) -> list[Pair]:
    """Rewards paid token by token against their sum, paid for the string."""
    paid = replace(mdp, reward=state_array(w.language, w.token_reward)[..., None])
    total = w.along_strings(w.token_reward)
    solved = bellman.evaluate(paid, w.log_policy)
    soft = bellman.soft_optimum(paid, w.log_reference, w.beta)
    gradient = bellman.policy_gradient(paid, w.log_policy)
    return [
        (objective.expected_reward(w.law, total), w.at_prompts(solved.state_value[0])),
        (w.string_gradient(total), entry_array(w.language, gradient)),
        (total.max(axis=1), w.at_prompts(bellman.value_iteration(paid).state_value[0])),
        (
            objective.soft_value(w.reference_law, total, w.beta),
            w.at_prompts(soft.state_value[0]),
        ),
    ]


def potential_shaping(w: World, mdp: FiniteMDP) -> list[Pair]:
    """Shaped rewards change V_0(x) by -phi(x), the gradient and the optimum not at all."""
    other = shaped(mdp, w.potential)
    at_start = w.at_prompts(w.potential)
    solved = bellman.evaluate(other, w.log_policy)
    soft = bellman.soft_optimum(other, w.log_reference, w.beta)
    gradient = bellman.policy_gradient(other, w.log_policy)
    return [
        (
            objective.expected_reward(w.law, w.reward),
            w.at_prompts(solved.state_value[0]) + at_start,
        ),
        (w.string_gradient(w.reward), entry_array(w.language, gradient)),
        (gibbs_log_law(w, w.beta), w.string_log_law(soft.log_policy)),
    ]


def kl_chain_rule(w: World, mdp: FiniteMDP) -> list[Pair]:
    """KL between string laws = expected sum of KLs between token laws; both directions."""
    law, ref, p = w.law, w.reference_law, w.bandit.prompt_law
    return [
        (p @ objective.kl_divergence(law, ref), bellman.kl(mdp, w.log_policy, w.log_reference)),
        (p @ objective.kl_divergence(ref, law), bellman.kl(mdp, w.log_reference, w.log_policy)),
    ]


def entropy_chain_rule(w: World, mdp: FiniteMDP) -> list[Pair]:
    """Entropy of the string law = expected sum of the entropies of token laws."""
    return [
        (w.bandit.prompt_law @ objective.entropy(law), bellman.entropy(mdp, log_policy))
        for law, log_policy in ((w.law, w.log_policy), (w.reference_law, w.log_reference))
    ]


def gibbs_optimum(w: World, mdp: FiniteMDP) -> list[Pair]:
    """ref(y) exp(r(y) / beta) / Z against soft-Bellman recursion, as log-laws over strings."""
    soft = bellman.soft_optimum(mdp, w.log_reference, w.beta)
    return [(gibbs_log_law(w, w.beta), w.string_log_law(soft.log_policy))]


def soft_value(w: World, mdp: FiniteMDP) -> list[Pair]:
    """V(s0) = beta ln Z, and the optimum attains it."""
    soft = bellman.soft_optimum(mdp, w.log_reference, w.beta)
    by_prompt = objective.soft_value(w.reference_law, w.reward, w.beta)
    paid = bellman.evaluate(mdp, soft.log_policy).value
    attained = paid - w.beta * bellman.kl(mdp, soft.log_policy, w.log_reference)
    return [
        (by_prompt, w.at_prompts(soft.state_value[0])),
        (w.bandit.prompt_law @ by_prompt, attained),
    ]


def natural_gradient_tangent(w: World, mdp: FiniteMDP) -> list[Pair]:
    """d ln pi(y|x) / d eta: r(x,y) - V(x) for strings, the sum of advantages for tokens."""
    tangent = entry_array(w.language, bellman.natural_gradient(mdp, w.log_policy))
    mean = (w.law * w.reward).sum(axis=1, keepdims=True)
    return [(w.reward - mean, w.along_strings(tangent))]


def natural_gradient_path(w: World, mdp: FiniteMDP) -> list[Pair]:
    """Steps of size eta from the reference: strings' natural gradient, soft-Bellman, Gibbs.

    After k steps natural gradient on a softmax over whole strings is at the Gibbs law with
    beta = 1 / (k eta), for any eta. On the token tree the KL-proximal step matches it.
    """
    step_size = 1.0 / (STEPS * w.beta)
    logits, log_policy = np.log(w.reference_law), w.log_reference
    pairs: list[Pair] = []
    for k in range(1, STEPS + 1):
        mean = (np.exp(bellman.log_softmax(logits)) * w.reward).sum(axis=1, keepdims=True)
        logits = logits + step_size * (w.reward - mean)
        log_policy = bellman.mirror_descent_step(mdp, log_policy, step_size)
        by_tokens = w.string_log_law(log_policy)
        pairs.append((bellman.log_softmax(logits), by_tokens))
        pairs.append((gibbs_log_law(w, 1.0 / (k * step_size)), by_tokens))
    return pairs


def gibbs_log_law(w: World, beta: float) -> np.ndarray:
    """ln of the Gibbs law over whole strings [prompt, string]."""
    return np.log(objective.gibbs(w.reference_law, w.reward, beta))


ITEMS: dict[str, Callable[[World, FiniteMDP], list[Pair]]] = {
    "values": values,
    "optima": optima,
    "policy gradients": policy_gradients,
    "dense rewards and their sum": dense_rewards,
    "potential shaping": potential_shaping,
    "KL chain rule": kl_chain_rule,
    "entropy chain rule": entropy_chain_rule,
    "Gibbs optimum": gibbs_optimum,
    "V(s0) = beta ln Z": soft_value,
    "natural-gradient tangent": natural_gradient_tangent,
    "natural-gradient path": natural_gradient_path,
}
"""Name -> the quantity, both ways."""


def compare(w: World, mdp: FiniteMDP | None = None) -> dict[str, tuple[float, float]]:
    """Item -> the largest absolute difference, and the largest absolute size of the quantity.

    Args:
        w: the world.
        mdp: what stands for the MDP's side; by default `as_mdp(w.bandit)`.
    """
    mdp = as_mdp(w.bandit) if mdp is None else mdp
    return {name: _largest(item(w, mdp)) for name, item in ITEMS.items()}


def token_steps_apart(w: World, steps: int) -> float:
    """How far token-level natural gradient in finite steps ends from the Gibbs law, in probability.

    Not an item of the suite: only the tangents agree. With more than one token, a step of size eta
    departs by O(eta^2), and 1 / (beta eta) of them by O(eta).
    """
    mdp, log_policy = as_mdp(w.bandit), w.log_reference
    for _ in range(steps):
        log_policy = bellman.natural_gradient_step(mdp, log_policy, 1.0 / (steps * w.beta))
    reached = np.exp(w.string_log_law(log_policy))
    return float(np.abs(reached - objective.gibbs(w.reference_law, w.reward, w.beta)).max())


def _largest(pairs: list[Pair]) -> tuple[float, float]:
    differences = [np.max(np.abs(np.subtract(a, b))) for a, b in pairs]
    # np.max lets NaN through, so that nothing that went wrong looks small.
    return float(np.max(differences)), float(np.max([np.max(np.abs(a)) for a, _ in pairs]))
