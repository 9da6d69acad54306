"""Limited attention: what is left of a reward for someone who sees only part of a string."""

import numpy as np
from numpy.typing import ArrayLike

from bandit_rlhf import _check
from bandit_rlhf._array import Float, Int
from bandit_rlhf.language import Language


def glimpsed_reward(
    true_reward: ArrayLike, law: ArrayLike, part: ArrayLike
) -> Float[np.ndarray, "prompt item"]:
    """The mean reward of all items that look the same at a glance.

    g(x, y) = sum_{y' : part(y') = part(y)} law(y' | x) r(x, y') / sum_{...} law(y' | x)

    It is the best guess, in squared error, of a person who sees the part and knows how items come
    about; at one glance two items of one part are equal.

    Args:
        true_reward: [prompt, item].
        law: [prompt, item], probabilities: what the person expects to be shown.
        part: [item], equal numbers for items that look the same; `prefix_part` for strings.

    Returns:
        [prompt, item]; the plain mean over a part that the law gives no mass.

    >>> glimpsed_reward([[0.0, 4.0, 5.0]], [[0.75, 0.25, 0.0]], [0, 0, 1])
    array([[1., 1., 5.]])
    """
    where = "glimpsed_reward"
    reward = _check.finite("true_reward", true_reward, where)
    law = _check.distribution("law", law, where)
    _check.shaped("law", law, reward.shape, "prompt, item", where)
    labels = _check.shaped("part", np.asarray(part), (reward.shape[1],), "item", where)
    member = np.unique(labels, return_inverse=True)[1]
    indicator = np.eye(member.max() + 1)[member]  # [item, part]
    mass = law @ indicator
    size = np.where(mass > 0, mass, indicator.sum(axis=0))
    weight = np.where((mass > 0)[:, member], law, 1.0)
    return (((weight * reward) @ indicator) / size)[:, member]


def prefix_part(language: Language, tokens: int) -> Int[np.ndarray, " string"]:
    """[string], equal for strings that begin with the same `tokens` tokens, or are the same.

    Args:
        language: the strings, in its order.
        tokens: how many tokens are read, at least 0; the end token counts as one.

    >>> letters = Language(("a", "b"), 2)   # aa, ba, ab, bb
    >>> prefix_part(letters, 1).tolist(), prefix_part(letters, 0).tolist()
    ([0, 1, 0, 1], [0, 0, 0, 0])
    """
    tokens = _check.integer_at_least("tokens", tokens, 0, "prefix_part")
    seen: dict[tuple[int, ...], int] = {}
    heads = (string[:tokens] for string in language.all_strings().strings())
    return np.array([seen.setdefault(head, len(seen)) for head in heads])
