"""Preferences straight into the policy: DPO and chi-PO by descent on all comparisons at once.

    loss = sum_rows w softplus(-beta (phi(rho_winner) - phi(rho_loser))) / sum_rows w

    rho = pi/ref;   DPO: phi = ln;   chi-PO: phi(z) = z + ln z, the difference cut at a bound

Over the logits of strings DPO's loss is Bradley-Terry's likelihood in beta ln rho: where it has a
maximum, the loss is least at `Tilt` under `Tabular` rewards (theorem 12), and chi-PO's at the tilt
with penalty "kl+chi-squared". Over the logits of tokens, comparisons also move strings that were
never compared, by the prefixes they share. Where comparisons separate, there is no maximum and the
policy drifts for ever: then steps are what regularises.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.comparisons import Comparisons
from bandit_rlhf.loop.state import Evidence, State, as_tabular
from bandit_rlhf.loop.string_law import along, from_log_law, score_gradient
from bandit_rlhf.policy import TabularPolicy
from bandit_rlhf.preference_loss.against_reference import LARGEST_LOG_RATIO

Loss = Literal["dpo", "chi-po"]
Logits = Literal["token", "string"]


@dataclass(frozen=True)
class PreferenceDescent:
    """Full-batch gradient descent on a loss of comparisons; fitted rewards are not looked at.

    Args:
        loss: "dpo" or "chi-po".
        beta: coefficient of the KL, above 0.
        step_size: above 0; of the loss divided by the number of comparisons.
        descents: gradient steps in each step of the loop, at least 1.
        logits: what is moved: logits of tokens, or of whole strings.
        bound: chi-PO's 2 R_max, above 0: beyond it a pair has no gradient.

    Raises:
        ValueError: a number out of its range, an unknown loss.

    Source: Rafailov et al. 2023 (2305.18290), equation 7; Huang et al. 2024 (2407.13399),
        equation 9. The losses are `preference_loss.dpo` and `chi_po`.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> rows = Comparisons.from_ids([1, 1, 1, 0], [0, 0, 0, 1])
    >>> state, seen = State(half, half, np.ones(1)), Evidence(np.zeros((1, 2)), rows)
    >>> learner = PreferenceDescent("dpo", beta=1.0, step_size=4.0, descents=30)
    >>> as_tabular(learner.step(state, seen, np.random.default_rng(0)).policy).string_law().round(4)
    array([[0.25, 0.75]])
    """

    loss: Loss
    beta: float
    step_size: float
    descents: int = 1
    logits: Logits = "token"
    bound: float = 20.0

    def __post_init__(self) -> None:
        where = "PreferenceDescent"
        for name in ("beta", "step_size", "bound"):
            _check.positive(name, getattr(self, name), where)
        _check.integer_at_least("descents", self.descents, 1, where)
        for name, known in (("loss", ("dpo", "chi-po")), ("logits", ("token", "string"))):
            if getattr(self, name) not in known:
                got = f"{name} is {getattr(self, name)!r}"
                raise ValueError(_check.complaint(got, f"one of {', '.join(known)}", where))

    def step(self, state: State, evidence: Evidence, rng: np.random.Generator) -> State:
        """Some descents on all comparisons so far; nothing is random.

        Raises:
            ValueError: no comparisons; ties; a compared string that the reference never writes.
        """
        policy, reference = as_tabular(state.policy), as_tabular(state.reference)
        rows = judged_rows(evidence.comparisons, reference)
        for _ in range(self.descents):
            weights = -self.slopes(policy, reference, rows)
            if self.logits == "string":
                log_law = policy.string_log_law()
                pull = np.exp(log_law) * weights.sum(axis=1, keepdims=True)
                moved = log_law + self.step_size * (weights - pull)
                policy = from_log_law(policy.language, policy.prompts, moved)
            else:
                gradient = score_gradient(policy, along(policy.language, weights))
                logits = policy.log_probs() + self.step_size * gradient
                policy = TabularPolicy(policy.language, policy.prompts, logits)
        return state.moved(policy)

    def slopes(
        self, policy: TabularPolicy, reference: TabularPolicy, rows: Comparisons
    ) -> Float[np.ndarray, "prompt string"]:
        """The derivative of the loss in ln pi(y | x) of each string, [prompt, string].

        Args:
            policy: pi.
            reference: ref.
            rows: the comparisons, without ties.
        """
        prompt = np.zeros(rows.row_count, np.int64) if rows.prompt is None else rows.prompt
        weight = np.ones(rows.row_count) if rows.weight is None else rows.weight
        chosen, rejected = (prompt, rows.winner), (prompt, rows.loser)
        log_ratio = _log_ratio(policy, reference)
        if self.loss == "dpo":
            link, slope = log_ratio, np.ones_like(log_ratio)
        else:
            # Cut as the loss itself does: far beyond any bound, where no gradient is left.
            slope = 1.0 + np.exp(np.minimum(log_ratio, LARGEST_LOG_RATIO))
            link = log_ratio + slope - 1.0
        gap = self.beta * (link[chosen] - link[rejected])
        steep = -self.beta * _sigmoid(-gap) * weight / weight.sum()
        if self.loss == "chi-po":
            steep = np.where(np.abs(gap) < self.bound, steep, 0.0)
        result = np.zeros_like(log_ratio)
        np.add.at(result, chosen, steep * slope[chosen])
        np.add.at(result, rejected, -steep * slope[rejected])
        return result


def judged_rows(comparisons: Comparisons | None, reference: TabularPolicy) -> Comparisons:
    """Return comparisons that these losses can read, or say why they cannot.

    Raises:
        ValueError: none; ties; other strings; a string that the reference never writes.

    >>> from bandit_rlhf.language import Language
    >>> half = TabularPolicy.uniform(Language(("a", "b"), 1), [()])
    >>> judged_rows(None, half)
    Traceback (most recent call last):
    ...
    ValueError: there are no comparisons, but should be some [PreferenceDescent]. Pass ...
    """
    where = "PreferenceDescent"
    if comparisons is None:
        do = "Pass survey=... or comparisons=... to rounds."
        raise ValueError(_check.complaint("there are no comparisons", "some", where, do))
    if comparisons.tie_count:
        got = f"{comparisons.tie_count} of {comparisons.row_count} comparisons are ties"
        do = "Drop them, or fit a reward with ties and tilt."
        raise ValueError(_check.complaint(got, "decided", where, do))
    law = reference.string_law()
    asked = (len(comparisons.prompts), comparisons.item_count)
    if asked != law.shape:
        got = f"comparisons are about {asked[0]} prompts and {asked[1]} strings"
        raise ValueError(_check.complaint(got, f"about {law.shape[0]} and {law.shape[1]}", where))
    rows = comparisons
    prompt = np.zeros(rows.row_count, np.int64) if rows.prompt is None else rows.prompt
    impossible = (law[prompt, rows.winner] == 0) | (law[prompt, rows.loser] == 0)
    if impossible.any():
        row = int(impossible.argmax())
        got = f"row {row} compares strings {rows.winner[row]} and {rows.loser[row]}, "
        got += "one of which the reference never writes"
        do = "Drop the row: ln(pi/ref) is undefined there."
        raise ValueError(_check.complaint(got, "both possible", where, do))
    return comparisons


def _log_ratio(
    policy: TabularPolicy, reference: TabularPolicy
) -> Float[np.ndarray, "prompt string"]:
    """The ln(pi/ref), 0 where the reference has no mass: such strings are never compared."""
    log_reference = reference.string_log_law()
    possible = ~np.isneginf(log_reference)
    own = np.where(possible, policy.string_log_law(), 0.0)
    return own - np.where(possible, log_reference, 0.0)


def _sigmoid(x: Float[np.ndarray, " row"]) -> Float[np.ndarray, " row"]:
    return 0.5 * (1.0 + np.tanh(0.5 * x))
