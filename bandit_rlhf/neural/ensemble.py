"""Ensembles of neural reward models: members, their aggregation, and the average of their weights.

Aggregations are those of `bandit_rlhf.reward.ensemble`, pure functions of scores [member, ...].
They depend on the constant of each member and prompt, which comparisons do not identify: `anchored`
gives every member mean zero under one law.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.bandit import Prompt
from bandit_rlhf.language import Language
from bandit_rlhf.neural.reward_model import RewardModel, RewardModelFit, fit
from bandit_rlhf.neural.string_comparisons import StringComparisons
from bandit_rlhf.neural.strings import Strings
from bandit_rlhf.reward import ensemble

Aggregation = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class NeuralEnsemble:
    """Reward models of one language and one aggregation: a reward.

    Args:
        members: one or more, on one device.
        aggregation: of `bandit_rlhf.reward.ensemble`, from [member, ...] to [...].
        anchors: what is taken off each member's scores [member, prompt]; None: nothing.

    Raises:
        ValueError: no members, or members of different languages or prompts.

    >>> from bandit_rlhf.language import Language
    >>> from bandit_rlhf.neural.network import Architecture
    >>> letters = Language(("a", "b"), 1)
    >>> member = RewardModel.initial(letters, [()], Architecture("counts"), seed=0)
    >>> NeuralEnsemble((member, member))(Strings.of(letters.batch([(0,)]))).tolist()
    [0.0]
    """

    members: tuple[RewardModel, ...]
    aggregation: Aggregation = ensemble.mean
    anchors: Float[np.ndarray, "member prompt"] | None = None

    def __post_init__(self) -> None:
        where = "NeuralEnsemble"
        if not self.members:
            raise ValueError(_check.complaint("members is empty", "one model or more", where))
        first = self.members[0]
        for index, member in enumerate(self.members):
            if (member.language, member.prompts) != (first.language, first.prompts):
                got = f"member {index} has another language or other prompts"
                raise ValueError(_check.complaint(got, "those of member 0", where))
        if self.anchors is not None:
            shape = (len(self.members), len(first.prompts))
            _check.shaped("anchors", self.anchors, shape, "member, prompt", where)

    @property
    def language(self) -> Language:
        """The members' language."""
        return self.members[0].language

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """The members' prompts."""
        return self.members[0].prompts

    @property
    def device(self) -> torch.device:
        """Where the members live."""
        return self.members[0].device

    def member_scores(self, strings: Strings) -> Float[np.ndarray, "member string"]:
        """Every member's score of every row, less its anchor."""
        with torch.no_grad():
            rows = [member.scores(strings).double().cpu().numpy() for member in self.members]
        scores = np.stack(rows)
        if self.anchors is None:
            return scores
        return scores - self.anchors[:, strings.prompt.cpu().numpy()]

    def reward_tables(self) -> Float[np.ndarray, "member prompt string"]:
        """Every member's score of every string of an enumerable language."""
        tables = np.stack([member.reward_table() for member in self.members])
        return tables if self.anchors is None else tables - self.anchors[:, :, None]

    def __call__(self, strings: Strings) -> Float[Tensor, " string"]:
        """The aggregated score of every row, without a gradient."""
        scores = self.aggregation(self.member_scores(strings))
        return torch.as_tensor(scores, device=strings.tokens.device)


def anchored(
    members: NeuralEnsemble, law: ArrayLike | None = None, *, strings: Strings | None = None
) -> NeuralEnsemble:
    """The same ensemble with every member's mean at zero, prompt by prompt.

    Args:
        members: the ensemble.
        law: exact probabilities [prompt, string] under which the means are taken; or
        strings: a sample that has rows of every prompt.

    Raises:
        ValueError: neither or both of law and strings; a prompt without strings.
    """
    where = "anchored"
    if (law is None) == (strings is None):
        got = "neither or both of law and strings are given"
        raise ValueError(_check.complaint(got, "one of them", where))
    bare = replace(members, anchors=None)
    if law is not None:
        probs = _check.distribution("law", law, where)
        return replace(members, anchors=(bare.reward_tables() * probs).sum(axis=-1))
    assert strings is not None
    scores, prompts = bare.member_scores(strings), strings.prompt.cpu().numpy()
    means = []
    for prompt in range(len(members.members[0].prompts)):
        if not (prompts == prompt).any():
            got = f"prompt {prompt} has no strings"
            raise ValueError(_check.complaint(got, "some of every prompt", where))
        means.append(scores[:, prompts == prompt].mean(axis=1))
    return replace(members, anchors=np.stack(means, axis=1))


def fit_ensemble(
    start: Callable[[int], RewardModel] | RewardModel,
    comparisons: StringComparisons,
    members: int,
    *,
    source: Literal["shared", "private", "bootstrap"] = "shared",
    seed: int,
    **options,
) -> list[RewardModelFit]:
    """Fit several reward models.

    Args:
        start: from a seed to a fresh model; or one model that all members start from, as weight
            averaging needs.
        comparisons: what there is to learn from.
        members: how many, at least 1.
        source: what a member learns from: all pairs ("shared"), its part of a random partition
            ("private"), or as many pairs drawn with replacement ("bootstrap").
        seed: of members' parameters, of parts, and of the order of the pairs.
        options: of `reward_model.fit`; `held_out` may be a share, then taken off each member's own
            pairs.

    Returns:
        one fit a member; `NeuralEnsemble(tuple(f.model for f in fits))` makes them a reward.

    Raises:
        ValueError: no members, fewer pairs than private parts, an unknown source.
    """
    where = "fit_ensemble"
    count = _check.integer_at_least("members", members, 1, where)
    seeds = np.random.SeedSequence(seed).generate_state(2 * count + 1, np.uint32).tolist()
    fits = []
    for index, own in enumerate(samples(comparisons, count, source, seeds[-1])):
        model = start if isinstance(start, RewardModel) else start(seeds[2 * index])
        chosen = dict(options)
        held_out = chosen.get("held_out")
        if isinstance(held_out, float):
            own, chosen["held_out"] = own.split(held_out, seed=seeds[2 * index + 1])
        fits.append(fit(model, own, seed=seeds[2 * index + 1], **chosen))
    return fits


def samples(
    comparisons: StringComparisons, members: int, source: str, seed: int
) -> list[StringComparisons]:
    """What each member learns from."""
    if source == "shared":
        return [comparisons] * members
    if source == "private":
        return comparisons.parts(members, seed)
    if source != "bootstrap":
        got = f"source is {source!r}"
        raise ValueError(_check.complaint(got, "'shared', 'private' or 'bootstrap'", "samples"))
    rng = np.random.default_rng(seed)
    count = len(comparisons)
    draw = partial(rng.integers, count, size=count)
    return [comparisons.take(torch.as_tensor(draw())) for _ in range(members)]


def weight_average(members: Sequence[RewardModel]) -> RewardModel:
    """The model whose parameters are the members' means: WARM.

    For linear kinds its scores are the mean ensemble's (theorem 21); for others that holds to first
    order in the distance of the members, which therefore should start from one model.

    Raises:
        ValueError: no members, or members of different architecture, language or prompts.

    Source: Ramé et al. 2024 (2401.12187), equation 1.
    """
    where = "weight_average"
    if not members:
        raise ValueError(_check.complaint("members is empty", "one model or more", where))
    first = members[0]
    for index, member in enumerate(members):
        for name in ("architecture", "language", "prompts"):
            if getattr(member, name) != getattr(first, name):
                got = f"the {name} of member {index} is {getattr(member, name)}"
                expected = f"{getattr(first, name)}, as member 0 has"
                raise ValueError(_check.complaint(got, expected, where))
    average = first.copy()
    states = [member.network.state_dict() for member in members]
    means = {name: torch.stack([s[name] for s in states]).mean(dim=0) for name in states[0]}
    average.network.load_state_dict(means)
    return average
