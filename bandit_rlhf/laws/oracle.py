"""The dull judge: plain loops over whole strings, in whatever numbers it is fed.

Every quantity is its definition, summed over all strings or histories: on `fractions.Fraction` the
answer is exact, on float or mpmath it is rounded. Nothing is clever here and nothing is shared with
the code it judges: this module imports nothing of the package. One prompt at a time; a sum over
prompts is the caller's.

    string    tuple of token ids 0 .. V-1, ended by the end token V or cut at the horizon
    policy    function from a prefix to the list of next-token probabilities, the end token's last
    law       dict from string to probability
    gradient  dict from (prefix, token) to the derivative in the logit of that token
    log       the natural logarithm of the numbers in use, for instance `math.log` or `mpmath.log`

>>> from fractions import Fraction
>>> coin = lambda prefix: [Fraction(1, 3), Fraction(2, 3)]
>>> twice = law(coin, strings(size=2, horizon=2, end=False))
>>> twice[1, 0], mean(twice, {y: sum(y) for y in twice})
(Fraction(2, 9), Fraction(4, 3))
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Number = Any
"""Fraction, float or mpmath's mpf: anything with + - * / and an order."""
String = tuple[int, ...]
Policy = Callable[[String], Sequence[Number]]
Law = dict[String, Number]
Gradient = dict[tuple[String, int], Number]
Log = Callable[[Number], Number]


# Strings and their law


def strings(size: int, horizon: int, end: bool, prefix: String = ()) -> list[String]:
    """Every string that starts with `prefix`, in lexicographic order of token ids."""
    if len(prefix) == horizon:
        return [prefix]
    longer = [y for a in range(size) for y in strings(size, horizon, end, (*prefix, a))]
    return [*longer, (*prefix, size)] if end else longer


def prefixes(every: Sequence[String]) -> list[String]:
    """Every prefix after which a token is still to be chosen."""
    return sorted({y[:t] for y in every for t in range(len(y))})


def probability(policy: Policy, string: String, start: int = 0) -> Number:
    """prod_t pi(y_t | y_<t), over the tokens from place `start` on."""
    result = 1
    for t in range(start, len(string)):
        result = result * policy(string[:t])[string[t]]
    return result


def law(policy: Policy, every: Sequence[String]) -> Law:
    """pi(y) of every string."""
    return {y: probability(policy, y) for y in every}


def mean(p: Law, payoff: Mapping[String, Number]) -> Number:
    """E f(y) = sum_y p(y) f(y)."""
    return sum(p[y] * payoff[y] for y in p)


def pushforward(p: Law, payoff: Mapping[String, Number]) -> dict[Number, Number]:
    """The law of f(y): from each value, in rising order, to its probability."""
    result: dict[Number, Number] = {value: 0 for value in sorted(set(payoff.values()))}
    for y in p:
        result[payoff[y]] += p[y]
    return result


# Gradients in logits


def probability_gradient(policy: Policy, string: String) -> Gradient:
    """The score form: d pi(y) / d logit(s,a) = pi(y) (1[a = y_t] - pi(a|s)) at s = y_<t, else 0."""
    p = probability(policy, string)
    return {
        (string[:t], a): p * ((a == token) - q)
        for t, token in enumerate(string)
        for a, q in enumerate(policy(string[:t]))
    }


def chain_rule(policy: Policy, slope: Mapping[String, Number]) -> Gradient:
    """The gradient of F: sum_y (dF / d pi(y)) (d pi(y) / d logit), with `slope` = dF / d pi(y)."""
    every = list(slope)
    result = {(s, a): 0 for s in prefixes(every) for a in range(len(policy(s)))}
    for y in every:
        for place, derivative in probability_gradient(policy, y).items():
            result[place] += slope[y] * derivative
    return result


def mean_gradient(policy: Policy, payoff: Mapping[String, Number]) -> Gradient:
    """The gradient of E f(y): sum_y pi(y) f(y) sum_t (1[a_t = a, s_t = s] - pi(a|s) 1[s_t = s])."""
    return chain_rule(policy, payoff)


# Divergences and entropies


def kl(p: Law, q: Law, log: Log = math.log) -> Number:
    """KL(p || q) = sum_y p(y) ln(p(y) / q(y)), infinite where q lacks support."""
    if any(p[y] > 0 and q[y] == 0 for y in p):
        return math.inf
    return sum(p[y] * log(p[y] / q[y]) for y in p if p[y] > 0)


def kl_gradient(policy: Policy, q: Law, log: Log = math.log) -> Gradient:
    """The gradient of KL(pi || q), where finite: slope ln(pi(y) / q(y)) + 1."""
    p = law(policy, list(q))
    return chain_rule(policy, {y: log(p[y] / q[y]) + 1 if p[y] > 0 else 0 for y in q})


def kl_from_gradient(policy: Policy, q: Law) -> Gradient:
    """The gradient of KL(q || pi), where finite: slope -q(y) / pi(y)."""
    p = law(policy, list(q))
    return chain_rule(policy, {y: -q[y] / p[y] if q[y] > 0 else 0 for y in q})


def entropy(p: Law, log: Log = math.log) -> Number:
    """H(p) = -sum_y p(y) ln p(y)."""
    return -sum(p[y] * log(p[y]) for y in p if p[y] > 0)


def entropy_gradient(policy: Policy, every: Sequence[String], log: Log = math.log) -> Gradient:
    """The gradient of H(pi): slope -ln pi(y) - 1."""
    p = law(policy, every)
    return chain_rule(policy, {y: -log(p[y]) - 1 if p[y] > 0 else 0 for y in every})


def next_token_entropy(policy: Policy, prefix: String, log: Log = math.log) -> Number:
    """H(pi(. | s)) of the next token after one prefix."""
    return -sum(q * log(q) for q in policy(prefix) if q > 0)


def token_entropies(policy: Policy, every: Sequence[String], log: Log = math.log) -> Law:
    """(1/|y|) sum_t H(pi(. | y_<t)) of every string; its mean is the mean token entropy."""
    return {
        y: sum(next_token_entropy(policy, y[:t], log) for t in range(len(y))) / len(y)
        for y in every
    }


def token_entropy_gradient(
    policy: Policy, every: Sequence[String], log: Log = math.log
) -> Gradient:
    """The gradient of the mean token entropy: the strings' probabilities move, and the entropies.

    dH(s) / d logit(s, a) = -sum_b (ln pi(b|s) + 1) pi(b|s) (1[a = b] - pi(a|s))
    """
    result = mean_gradient(policy, token_entropies(policy, every, log))
    for y in every:
        share = probability(policy, y) / len(y)
        for t in range(len(y)):
            q = policy(y[:t])
            for a in range(len(q)):
                for b in range(len(q)):
                    if q[b] > 0:
                        result[y[:t], a] -= share * (log(q[b]) + 1) * q[b] * ((a == b) - q[a])
    return result


def chi_squared(p: Law, q: Law) -> Number:
    """chi^2(p || q) = sum_y p(y)^2 / q(y) - 1, infinite where q lacks support."""
    if any(p[y] > 0 and q[y] == 0 for y in p):
        return math.inf
    return sum(p[y] * p[y] / q[y] for y in p if p[y] > 0) - 1


def chi_squared_gradient(policy: Policy, q: Law) -> Gradient:
    """The gradient of chi^2(pi || q), where finite: slope 2 pi(y) / q(y)."""
    p = law(policy, list(q))
    return chain_rule(policy, {y: 2 * p[y] / q[y] if p[y] > 0 else 0 for y in q})


# Optima


def gibbs(reference: Law, weight: Mapping[String, Number]) -> Law:
    """The law ref(y) w(y) / sum ref w, with w = exp(r / beta) given, so that no exp is taken."""
    total = mean(reference, weight)
    return {y: reference[y] * weight[y] / total for y in reference}


def partition(reference: Policy, weight: Mapping[String, Number], prefix: String = ()) -> Number:
    """Z(s) = sum over the strings y below s of ref(y | s) w(y); V(s) = beta ln Z(s)."""
    start = len(prefix)
    below = [y for y in weight if y[:start] == prefix]
    return sum(probability(reference, y, start) * weight[y] for y in below)


def best_of_n(reference: Law, reward: Mapping[String, Number], n: int) -> Law:
    """The law of the best of n draws, an equal best broken by a fair draw.

    The best reward is at most r with probability F(r)^n; given its value, the winner is a string of
    that level as the reference draws it.
    """
    result = {}
    for y in reference:
        below = sum(reference[z] for z in reference if reward[z] < reward[y])
        level = sum(reference[z] for z in reference if reward[z] == reward[y])
        won = (below + level) ** n - below**n
        result[y] = won * reference[y] / level if level > 0 else 0
    return result


def best_of_n_by_tuples(reference: Law, reward: Mapping[String, Number], n: int) -> Law:
    """The same law, summed over all n-tuples of strings; each of k equal winners gets a k-th."""
    result: Law = {y: 0 for y in reference}
    for drawn in itertools.product(reference, repeat=n):
        chance = 1
        for y in drawn:
            chance = chance * reference[y]
        best = max(reward[y] for y in drawn)
        winners = [y for y in drawn if reward[y] == best]
        for y in winners:
            result[y] += chance / len(winners)
    return result


# Finite decision processes

State = Any
Model = Callable[[State], Sequence[Sequence[tuple[Number, Number, State]]]]
"""From a state to, for each action, the outcomes (probability, reward, next state); [] ends it."""
History = tuple[Any, ...]
"""state, action, state, ..., state"""


def process_value(
    model: Model,
    policy: Callable[[History], Sequence[Number]],
    history: History,
    steps: int,
    gamma: Number = 1,
) -> Number:
    """E sum_t gamma^t r_t over the next `steps` steps, by recursion over histories."""
    actions = model(history[-1]) if steps else []
    if not actions:
        return 0
    choice = policy(history)
    return sum(
        choice[a]
        * p
        * (r + gamma * process_value(model, policy, (*history, a, s), steps - 1, gamma))
        for a, outcomes in enumerate(actions)
        for p, r, s in outcomes
    )


def optimal_value(model: Model, state: State, steps: int, gamma: Number = 1) -> Number:
    """max_pi E sum_t gamma^t r_t: the best action against the best future, at every step."""
    actions = model(state) if steps else []
    if not actions:
        return 0
    return max(
        sum(p * (r + gamma * optimal_value(model, s, steps - 1, gamma)) for p, r, s in outcomes)
        for outcomes in actions
    )


def histories(model: Model, history: History, steps: int) -> list[History]:
    """Every history after which an action is to be chosen, from this one on."""
    actions = model(history[-1]) if steps else []
    if not actions:
        return []
    following = [(*history, a, s) for a, outcomes in enumerate(actions) for _, _, s in outcomes]
    later = [h for longer in following for h in histories(model, longer, steps - 1)]
    return [history, *dict.fromkeys(later)]


def optimal_value_by_enumeration(
    model: Model, state: State, steps: int, gamma: Number = 1
) -> Number:
    """The same optimum as the largest value of all deterministic policies, histories and all."""
    seen = histories(model, (state,), steps)
    values = []
    for chosen in itertools.product(*(range(len(model(history[-1]))) for history in seen)):
        action = dict(zip(seen, chosen, strict=True))

        def policy(history: History, action=action) -> list[int]:
            return [int(a == action[history]) for a in range(len(model(history[-1])))]

        values.append(process_value(model, policy, (state,), steps, gamma))
    return max(values)
