"""Adversarial strings, found: what string does a reward model score highest?

`beam` writes from left to right and keeps the best prefixes; wide enough, it is exhaustive.
`substitute` improves given strings by single tokens, which a gradient proposes: with tokens as unit
vectors e, the score is r(..., e_t, ...), and to first order a replacement of token b by a at place
t changes it by (e_a - e_b) . dr/de_t, the difference of two entries of one gradient; the best
proposals are then scored truly (HotFlip: Ebrahimi et al. 2018, 1712.06751, section 3).

>>> from bandit_rlhf.neural.network import Architecture
>>> letters = Language(("a", "b"), 3, "$")
>>> model = RewardModel.initial(letters, [()], Architecture("gru", width=4), seed=0)
>>> found = gallery(model, beam(model, width=4))[0]
>>> abs(found.proxy - float(model.reward_table().max())) < 1e-6
True
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from bandit_rlhf import _check
from bandit_rlhf._array import Float
from bandit_rlhf.language import Language, String
from bandit_rlhf.neural.ensemble import NeuralEnsemble
from bandit_rlhf.neural.reference import Reference
from bandit_rlhf.neural.reward_model import RewardModel, at_the_end
from bandit_rlhf.neural.strings import ROWS_AT_ONCE, Reward, Strings, concatenate, finite


@dataclass(frozen=True)
class Adversary:
    """A string that was found, and what is said of it.

    Args:
        prompt: the index of its prompt.
        string: token ids.
        words: spelled out.
        proxy: the score of the reward model that was searched.
        gold: the true reward, where given.
        ref_log_prob: ln ref(y | x), nats, where a reference was given.
    """

    prompt: int
    string: String
    words: tuple[str, ...]
    proxy: float
    gold: float | None = None
    ref_log_prob: float | None = None


def beam(
    model: RewardModel | NeuralEnsemble, *, prompt: int = 0, width: int = 32, keep: int = 1
) -> Strings:
    """The highest-scored strings that a beam of prefixes comes across, best first.

    A prefix is ranked by its score if it ended there, or as it stands in a language without end
    token; ties go to the prefix met first. With `width` at least V^(H-1) every string is scored.

    Args:
        model: what is searched: one reward model, or an ensemble under its aggregation.
        prompt: which answer is sought.
        width: prefixes kept at each length, at least 1.
        keep: strings returned, at most as many as were scored.
    """
    where = "search.beam"
    language, size = model.language, model.language.vocabulary_size
    width = _check.integer_at_least("width", width, 1, where)
    keep = _check.integer_at_least("keep", keep, 1, where)
    _check.place("prompt", prompt, len(model.prompts), where)
    prefixes = torch.empty((1, 0), dtype=torch.int64, device=model.device)
    found, scores = [], []
    if language.end is not None:
        found.append(_ended(language, prefixes, prompt))
        scores.append(_scored(model, found[-1]))
    for length in range(1, language.horizon + 1):
        tokens = torch.arange(size, device=model.device).repeat(len(prefixes))
        prefixes = torch.cat([prefixes.repeat_interleave(size, dim=0), tokens[:, None]], dim=1)
        whole = length == language.horizon
        if whole or language.end is not None:
            found.append(_ended(language, prefixes, prompt))
            worth = _scored(model, found[-1])
            scores.append(worth)
        else:
            worth = _scored(model, _padded(language, prefixes, prompt))
        prefixes = prefixes[worth.argsort(descending=True, stable=True)[:width]]
    best = torch.cat(scores).argsort(descending=True, stable=True)[:keep]
    return concatenate(found).take(best)


def substitution_gains(
    model: RewardModel, strings: Strings
) -> Float[Tensor, "string token action"]:
    """First-order gains of replacing each token by each other: dr/de_t[a] - dr/de_t[y_t].

    Args:
        model: what is searched.
        strings: where to look from.

    Returns:
        gains, minus infinity where nothing can be replaced: pads, the end token, by itself.
    """
    one_hot = strings.one_hot(model.dtype).requires_grad_()
    total = at_the_end(model.scores_of_one_hot(strings, one_hot), strings).sum()
    (gradient,) = torch.autograd.grad(total, one_hot)
    size = strings.language.vocabulary_size
    ordinary = strings.mask & (strings.tokens < size)
    tokens = torch.where(ordinary, strings.tokens, 0)[..., None]
    gains = gradient - gradient.gather(-1, tokens)
    actions = torch.arange(gains.shape[-1], device=gains.device)
    allowed = ordinary[..., None] & (actions < size) & (actions != tokens)
    return torch.where(allowed, gains, -torch.inf)


def substitute(
    model: RewardModel, strings: Strings, *, candidates: int = 8, rounds: int = 50
) -> Strings:
    """Improve strings by single tokens until no proposal improves any; scores never fall.

    Args:
        model: what is searched.
        strings: where to start, such as draws of the reference; their lengths stay.
        candidates: proposals of the gradient that are scored truly, for each string and round;
            with token places x V of them the result is a local optimum for sure.
        rounds: replacements in each string, at most.
    """
    where = "search.substitute"
    candidates = _check.integer_at_least("candidates", candidates, 1, where)
    for _ in range(_check.integer_at_least("rounds", rounds, 1, where)):
        gains = substitution_gains(model, strings).flatten(1)
        proposed = gains.topk(min(candidates, gains.shape[1]), dim=1)
        possible = torch.isfinite(proposed.values)
        place = proposed.indices // strings.language.action_count
        action = proposed.indices % strings.language.action_count
        row = torch.arange(len(strings), device=place.device)[:, None].expand_as(place)
        changed = strings.take(row.reshape(-1))
        every = torch.arange(len(changed), device=place.device)
        at = (every, place.reshape(-1))
        tokens = changed.tokens.clone()
        tokens[at] = torch.where(possible.reshape(-1), action.reshape(-1), tokens[at])
        changed = Strings(changed.language, changed.prompt, tokens, changed.mask)
        before, after = _scored(model, strings), _scored(model, changed).reshape(place.shape)
        best = after.max(dim=1)
        better = best.values > before
        if not bool(better.any()):
            break
        pick = row[:, 0] * place.shape[1] + best.indices
        tokens = torch.where(better[:, None], changed.tokens[pick], strings.tokens)
        strings = Strings(strings.language, strings.prompt, tokens, strings.mask)
    return strings


def gallery(
    proxy: Reward,
    strings: Strings,
    *,
    gold: Reward | None = None,
    reference: Reference | None = None,
) -> list[Adversary]:
    """Found strings with their scores, the highest proxy first, each string once a prompt.

    Args:
        proxy: the reward that was searched.
        strings: what was found.
        gold: the true reward, or None.
        reference: whose ln ref is told, or None; minus infinity is a value here, not an error.
    """
    with torch.no_grad():
        scored = finite(proxy, strings, "search.gallery").tolist()
        true = None if gold is None else finite(gold, strings, "search.gallery").tolist()
        logs = None if reference is None else reference.token_log_probs(strings).sum(1).tolist()
    rows = [
        Adversary(
            prompt=int(strings.prompt[row]),
            string=string,
            words=strings.language.words(string),
            proxy=scored[row],
            gold=None if true is None else true[row],
            ref_log_prob=None if logs is None else logs[row],
        )
        for row, string in enumerate(strings.batch().strings())
    ]
    once = {(one.prompt, one.string): one for one in rows}
    return sorted(once.values(), key=lambda one: -one.proxy)


def _scored(model: Reward, strings: Strings) -> Tensor:
    with torch.no_grad():
        parts = torch.arange(len(strings)).split(ROWS_AT_ONCE)
        return torch.cat([finite(model, strings.take(part), "search") for part in parts])


def _padded(language: Language, prefixes: Tensor, prompt: int) -> Strings:
    """Prefixes as rows as they stand, which need not be strings of the language."""
    rows, length = prefixes.shape
    pads = prefixes.new_full((rows, language.horizon - length), language.pad_token)
    mask = torch.arange(language.horizon, device=prefixes.device) < length
    return Strings(
        language,
        prefixes.new_full((rows,), prompt),
        torch.cat([prefixes, pads], dim=1),
        mask.expand(rows, -1),
    )


def _ended(language: Language, prefixes: Tensor, prompt: int) -> Strings:
    """Prefixes with the end token after them where there is room for it."""
    if prefixes.shape[1] == language.horizon:
        return _padded(language, prefixes, prompt)
    end = prefixes.new_full((len(prefixes), 1), language.vocabulary_size)
    return _padded(language, torch.cat([prefixes, end], dim=1), prompt)
