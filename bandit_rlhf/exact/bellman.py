"""Dynamic programming on any finite MDP, for policies that know the time.

    Q_t(s,a) = sum_o P(o|s,a) (r(s,a,o) + gamma V_{t+1}(s')),    V_horizon = 0

One backward sweep solves each problem; they differ in how V_t(s) follows from Q_t(s,.): the mean
under a policy, the largest, or the soft maximum against a reference. A policy is an array of
ln pi_t(a|s) [time, state, action]. Nothing here knows about strings, so on the token MDP of a
language it is a second road to every sum over strings.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.mdp import FiniteMDP

LogPolicy = Float[np.ndarray, "time state action"]
"""ln pi_t(a|s) of every action, in every state, at every time."""

Improve = Callable[[int, Float[np.ndarray, "state action"]], Float[np.ndarray, " state"]]
"""From the time and Q_t [state, action] to V_t [state]."""


@dataclass(frozen=True, eq=False)
class Solution:
    """A policy and its values.

    Args:
        value: sum_s initial_law(s) V_0(s).
        state_value: V_t(s) for t = 0 .. horizon [step, state]; 0 at the horizon and where terminal.
        action_value: Q_t(s,a) [time, state, action].
        log_policy: ln pi_t(a|s) [time, state, action].
        sweeps: how many times the policy was evaluated.
    """

    value: float
    state_value: Float[np.ndarray, "step state"]
    action_value: Float[np.ndarray, "time state action"]
    log_policy: LogPolicy
    sweeps: int = 1

    @property
    def advantage(self) -> Float[np.ndarray, "time state action"]:
        """A_t(s,a) = Q_t(s,a) - V_t(s)."""
        return self.action_value - self.state_value[:-1, :, None]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logits to log-probabilities: logits - ln sum exp(logits), over the last axis.

    Args:
        logits: [..., action]; minus infinity forbids an action, every row allows one at least.

    Raises:
        ValueError: NaN, plus infinity, or a row of minus infinities.

    >>> np.exp(log_softmax(np.array([0.0, np.log(3.0)]))).round(9)
    array([0.25, 0.75])
    """
    largest = logits.max(axis=-1, keepdims=True)
    if not np.isfinite(largest).all():
        at = tuple(int(i) for i in np.argwhere(~np.isfinite(largest))[0][:-1])
        got = f"the largest logit at {at} is {largest[at][0]}"
        raise ValueError(_check.complaint(got, "finite", "log_softmax"))
    shifted = logits - largest
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def evaluate(mdp: FiniteMDP, log_policy: LogPolicy) -> Solution:
    """V_t(s) = sum_a pi_t(a|s) Q_t(s,a), and the policy's value.

    Args:
        mdp: any finite MDP.
        log_policy: ln pi_t(a|s) [time, state, action].

    Raises:
        ValueError: log-probabilities of another shape, or that do not sum to 1.

    Source: Puterman 1994, Markov Decision Processes, section 4.2.

    >>> choice = FiniteMDP([1], [[[0], [0]]], [[[1], [1]]], [[[0], [4]]], horizon=3, gamma=0.5)
    >>> evaluate(choice, log_softmax(np.zeros((3, 1, 2)))).value
    3.5
    """
    probs = _probabilities("log_policy", mdp, log_policy)
    state_value, action_value = _backward(mdp, lambda t, q: (probs[t] * q).sum(axis=-1))
    return _solution(mdp, state_value, action_value, log_policy)


def occupancy(mdp: FiniteMDP, log_policy: LogPolicy) -> Float[np.ndarray, "step state"]:
    """d_t(s) = P(s_t = s) for t = 0 .. horizon, without discount; each row sums to 1.

    d_{t+1}(s') = sum over edges into s' of d_t(s) pi_t(a|s) P(o|s,a)

    Args:
        mdp: any finite MDP.
        log_policy: ln pi_t(a|s) [time, state, action].

    Raises:
        ValueError: log-probabilities of another shape, or that do not sum to 1.
    """
    probs = _probabilities("log_policy", mdp, log_policy)
    law = np.empty((mdp.horizon + 1, mdp.state_count))
    law[0] = mdp.initial_law
    for t in range(mdp.horizon):
        flow = (law[t, :, None] * probs[t])[:, :, None] * mdp.probability
        law[t + 1] = np.bincount(mdp.successor.ravel(), flow.ravel(), minlength=mdp.state_count)
    return law


def policy_gradient(
    mdp: FiniteMDP, log_policy: LogPolicy
) -> Float[np.ndarray, "time state action"]:
    """The gradient of J in logits: dJ / dlogit(t,s,a) = gamma^t d_t(s) pi_t(a|s) A_t(s,a).

    Args:
        mdp: any finite MDP.
        log_policy: ln pi_t(a|s) [time, state, action], the softmax of the logits.

    Raises:
        ValueError: log-probabilities of another shape, or that do not sum to 1.

    Source: Sutton, McAllester, Singh and Mansour 1999, theorem 1, here for a softmax and a finite
    horizon.
    """
    reached = occupancy(mdp, log_policy)[:-1, :, None]
    discount = mdp.gamma ** np.arange(mdp.horizon)[:, None, None]
    return discount * reached * np.exp(log_policy) * evaluate(mdp, log_policy).advantage


def value_iteration(mdp: FiniteMDP) -> Solution:
    """V_t(s) = max_a Q_t(s,a): the optimum by one backward sweep; ties go to the first action.

    Source: Bellman 1957; Puterman 1994, section 4.5.

    >>> choice = FiniteMDP([1], [[[0], [0]]], [[[1], [1]]], [[[0], [4]]], horizon=3, gamma=0.5)
    >>> value_iteration(choice).value
    7.0
    """
    state_value, action_value = _backward(mdp, lambda t, q: q.max(axis=-1))
    return _solution(mdp, state_value, action_value, _committed(action_value.argmax(axis=-1), mdp))


def policy_iteration(mdp: FiniteMDP) -> Solution:
    """The optimum by evaluating a policy and acting greedily on its values, until nothing changes.

    It starts from the first action everywhere, and leaves an action only for a strictly better one.
    From the last step back, each sweep settles one more time step for good: it ends after at most
    horizon + 1 sweeps.

    Source: Howard 1960, Dynamic Programming and Markov Processes, chapter 4.
    """
    action = np.zeros((mdp.horizon, mdp.state_count), dtype=np.int64)
    sweeps = 0
    while True:
        current, sweeps = evaluate(mdp, _committed(action, mdp)), sweeps + 1
        q = current.action_value
        better = q.max(axis=-1) > np.take_along_axis(q, action[..., None], axis=-1)[..., 0]
        if not better.any():
            return replace(current, sweeps=sweeps)
        action = np.where(better, q.argmax(axis=-1), action)


def kl(
    mdp: FiniteMDP,
    log_policy: LogPolicy,
    log_reference: LogPolicy,
) -> float:
    """KL between the laws of trajectories: sum_t E_{s ~ d_t} KL(pi_t(.|s) || ref_t(.|s)).

    This is the chain rule (theorem 8). The transitions are common to both laws and cancel;
    terminal states offer no choice.

    Args:
        mdp: any finite MDP; its gamma plays no part.
        log_policy: ln pi_t(a|s) [time, state, action].
        log_reference: ln ref_t(a|s) [time, state, action].

    Returns:
        the divergence in nats; infinite if the policy leaves the reference's support.

    Raises:
        ValueError: log-probabilities of another shape, or that do not sum to 1.
    """
    _probabilities("log_reference", mdp, log_reference)
    with np.errstate(invalid="ignore"):
        surprise = np.where(np.isneginf(log_policy), 0.0, log_policy - log_reference)
    return _expected_cost(mdp, log_policy, surprise)


def entropy(mdp: FiniteMDP, log_policy: LogPolicy) -> float:
    """The entropy of the choices: sum_t E_{s ~ d_t} H(pi_t(.|s)), in nats.

    With deterministic transitions it is, by the chain rule (theorem 9), the entropy of the
    trajectory after its first state; else the causal entropy, which leaves the outcomes' out.

    Args:
        mdp: any finite MDP; its gamma plays no part.
        log_policy: ln pi_t(a|s) [time, state, action].

    Raises:
        ValueError: log-probabilities of another shape, or that do not sum to 1.

    Source: Ziebart, Bagnell and Dey 2010, Modeling interaction via the principle of maximum causal
    entropy, definition 1.
    """
    return _expected_cost(mdp, log_policy, np.where(np.isneginf(log_policy), 0.0, -log_policy))


def soft_optimum(mdp: FiniteMDP, log_reference: LogPolicy, beta: float) -> Solution:
    """The maximiser of E sum_t gamma^t (r_t - beta ln(pi_t / ref_t)), by soft backward induction.

    V_t(s) = beta ln sum_a ref_t(a|s) exp(Q_t(s,a) / beta),    pi_t = ref_t exp((Q_t - V_t) / beta)

    With gamma = 1 and deterministic transitions it is the Gibbs law over strings, and
    V_0(x) = beta ln Z(x) (theorem 11); with a stochastic user it is not, as a policy cannot tilt
    the user's dice.

    Args:
        mdp: any finite MDP.
        log_reference: ln ref_t(a|s) [time, state, action].
        beta: weight of the KL term, in units of reward, above 0.

    Returns:
        the optimum with its soft values; `value` is the regularised objective.

    Raises:
        ValueError: beta not above 0; log-probabilities of another shape, or that do not sum to 1.

    Source: Levine 2018, arXiv:1805.00909, with a reference in place of the uniform policy;
    Rafailov et al. 2024, arXiv:2404.12358.
    """
    do = "Without a KL penalty the optimum is greedy: use value_iteration."
    beta = _check.positive("beta", beta, "soft_optimum", do)
    _probabilities("log_reference", mdp, log_reference)

    def soft_maximum(t: int, q: np.ndarray) -> np.ndarray:
        scores = log_reference[t] + q / beta
        largest = scores.max(axis=-1)
        total = np.exp(scores - largest[:, None]).sum(axis=-1)
        return np.where(mdp.terminal, 0.0, beta * (largest + np.log(total)))

    state_value, action_value = _backward(mdp, soft_maximum)
    log_policy = log_softmax(log_reference + action_value / beta)
    return _solution(mdp, state_value, action_value, log_policy)


def natural_gradient(
    mdp: FiniteMDP, log_policy: LogPolicy
) -> Float[np.ndarray, "time state action"]:
    """The tangent of natural policy gradient: d ln pi_t(a|s) / d eta = A_t(s,a).

    The Fisher matrix has the blocks gamma^t d_t(s) (diag pi - pi pi^T); applied to A_t(s,.) they
    give the policy gradient. Along a trajectory of a deterministic MDP with gamma = 1 the
    advantages sum to the return less V_0: the direction that whole strings as actions give.

    Args:
        mdp: any finite MDP.
        log_policy: ln pi_t(a|s) [time, state, action].

    Returns:
        the tangent, also in states that the policy never reaches, where Fisher does not define it.

    Raises:
        ValueError: log-probabilities of another shape, or that do not sum to 1.

    Source: Kakade 2001, A natural policy gradient; Agarwal et al. 2021, arXiv:1908.00261.
    """
    return evaluate(mdp, log_policy).advantage


def natural_gradient_step(
    mdp: FiniteMDP, log_policy: LogPolicy, step_size: float
) -> Float[np.ndarray, "time state action"]:
    """One step of natural policy gradient in the logits: pi_t(a|s) exp(eta A_t(s,a)) / Z_t(s).

    Over more than one time step, a finite step is not the one that whole strings as actions take:
    the normalisers Z_t(s) = 1 + O(eta^2) differ from state to state.

    Args:
        mdp: any finite MDP.
        log_policy: ln pi_t(a|s) [time, state, action].
        step_size: eta, in 1 / reward, above 0.

    Raises:
        ValueError: eta not above 0; log-probabilities of another shape, or that do not sum to 1.
    """
    step_size = _check.positive("step_size", step_size, "natural_gradient_step")
    return log_softmax(log_policy + step_size * natural_gradient(mdp, log_policy))


def mirror_descent_step(
    mdp: FiniteMDP, log_policy: LogPolicy, step_size: float
) -> Float[np.ndarray, "time state action"]:
    """The maximiser of J(pi) - KL(pi || current) / eta: soft induction from the current policy.

    With gamma = 1 and deterministic transitions k steps of size eta from a reference are the
    Gibbs law at beta = 1 / (k eta), exactly, for any eta (theorem 14).

    With gamma < 1 the divergence is discounted like the reward.

    Args:
        mdp: any finite MDP.
        log_policy: ln pi_t(a|s) of the current policy [time, state, action].
        step_size: eta, in 1 / reward, above 0.

    Raises:
        ValueError: eta not above 0; log-probabilities of another shape, or that do not sum to 1.

    Source: Geist, Scherrer and Pietquin 2019, arXiv:1901.11275, section 5, here for a finite
    horizon and whole trajectories.
    """
    step_size = _check.positive("step_size", step_size, "mirror_descent_step")
    return soft_optimum(mdp, log_policy, 1.0 / step_size).log_policy


def _backward(mdp: FiniteMDP, improve: Improve) -> tuple[np.ndarray, np.ndarray]:
    """From the horizon back: Q_t from V_{t+1}, then V_t from Q_t as the problem has it."""
    state_value = np.zeros((mdp.horizon + 1, mdp.state_count))
    action_value = np.empty((mdp.horizon, mdp.state_count, mdp.action_count))
    reward = mdp.expected_reward()
    for t in reversed(range(mdp.horizon)):
        following = (mdp.probability * state_value[t + 1][mdp.successor]).sum(axis=-1)
        action_value[t] = reward + mdp.gamma * following
        state_value[t] = improve(t, action_value[t])
    return state_value, action_value


def _solution(
    mdp: FiniteMDP,
    state_value: np.ndarray,
    action_value: np.ndarray,
    log_policy: np.ndarray,
) -> Solution:
    return Solution(float(mdp.initial_law @ state_value[0]), state_value, action_value, log_policy)


def _expected_cost(mdp: FiniteMDP, log_policy: np.ndarray, cost: np.ndarray) -> float:
    """sum_t E_{s ~ d_t} sum_a pi_t(a|s) cost_t(s,a), over states with a choice."""
    by_state = (_probabilities("log_policy", mdp, log_policy) * cost).sum(axis=-1)
    reached = occupancy(mdp, log_policy)[:-1] * ~mdp.terminal
    return float((reached * np.where(reached > 0, by_state, 0.0)).sum())


def _committed(action: np.ndarray, mdp: FiniteMDP) -> np.ndarray:
    """The policy that surely takes these actions [time, state]."""
    chosen = action[..., None] == np.arange(mdp.action_count)
    return np.where(chosen, 0.0, -np.inf)


def _probabilities(name: str, mdp: FiniteMDP, log_probs: np.ndarray) -> np.ndarray:
    """The probabilities, after checking that they are a policy of this MDP."""
    shape = (mdp.horizon, mdp.state_count, mdp.action_count)
    _check.shaped(name, log_probs, shape, "time, state, action", "exact.bellman")
    return _check.distribution(f"exp({name})", np.exp(log_probs), "exact.bellman")
