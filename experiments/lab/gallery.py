"""The gallery: strings that a reward model scores highest, found by search and never assumed.

    enumerable   the exact argmax over all strings
    words        the exact argmax on the lattice, by Viterbi's recursion
    neural       a beam over prefixes, and substitutions that the gradient proposes

Beside each stand its proxy and gold scores, in standard deviations above the mean under the
reference, its log-probability there, and how much of it is its commonest word.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from bandit_rlhf.exact import viterbi
from experiments.lab.curves import Ruler
from experiments.lab.dials import Proxy
from experiments.lab.words import WordProxy
from experiments.yardstick import Yardstick

DEGENERATE = 0.75
"""Share of a string's words from which on one word is called its repetition."""
LONG = 4
"""Words from which on a string can be a repetition at all."""


def described(words: Sequence[str], end: str | None) -> dict[str, Any]:
    """What a string looks like: its words, their number, and how far it is one word's repetition.

    >>> described(("the", "the", "the", "the", "</s>"), "</s>")["degenerate"]
    True
    """
    said = [word for word in words if word != end]
    word, times = Counter(said).most_common(1)[0] if said else ("", 0)
    share = times / len(said) if said else 0.0
    return {
        "string": " ".join(said),
        "length": len(said),
        "commonest": word,
        "share": share,
        "degenerate": len(said) >= LONG and share >= DEGENERATE,
    }


def in_enumerable(proxy: Proxy) -> Iterator[dict[str, Any]]:
    """Each prompt's best string by the proxy, by gold, and by the reference."""
    world, ruler = proxy.world, Ruler.of_proxy(proxy)
    wanted = {"proxy": ruler.proxy, "gold": ruler.gold, "reference": world.log_law}
    for prompt, name in enumerate(world.prompts):
        for best_by, reward in wanted.items():
            rank = world.best_string(reward, prompt)
            words = world.language.words(world.language.unrank(rank))
            yield {
                "prompt": " ".join(name),
                "best_by": best_by,
                "proxy": float(ruler.proxy[prompt, rank]) / ruler.proxy_sd,
                "gold": float(ruler.gold[prompt, rank]) / ruler.gold_sd,
                "log_prob": float(world.log_law[prompt, rank]),
                **described(words, world.language.end),
            }


def in_words(proxy: WordProxy) -> Iterator[dict[str, Any]]:
    """The same on the lattice."""
    lattice, language = proxy.lattice, proxy.lattice.language
    ruler = Yardstick.of(lattice, proxy.reward)
    gold = lattice.payoffs["gold"]
    for prompt, name in enumerate(lattice.prompts):
        found = {
            "proxy": viterbi.best_string(lattice, proxy.reward, 1, prompt),
            "gold": viterbi.best_string(lattice, gold, 1, prompt),
            "reference": viterbi.most_probable(lattice.reference, 1, prompt),
        }
        for best_by, (best,) in found.items():
            batch = language.batch([best.string])
            scores = [float(lattice.reward(pay, batch, prompt)[0]) for pay in (proxy.reward, gold)]
            yield {
                "prompt": " ".join(name),
                "best_by": best_by,
                "proxy": (scores[0] - ruler.proxy_mean) / ruler.proxy_sd,
                "gold": scores[1] - ruler.gold_mean,
                "log_prob": float(lattice.reference.log_prob(batch, prompt)[0]),
                **described(language.words(best.string), language.end),
            }


def in_neural(proxy: Any, beam_width: int = 32) -> Iterator[dict[str, Any]]:
    """The best string that a beam and substitutions find, beside the exact argmax.

    Args:
        proxy: a `lab.neural.NeuralProxy`.
        beam_width: prefixes kept at each length.
    """
    import torch

    from bandit_rlhf.neural import search
    from bandit_rlhf.neural.strings import concatenate

    world = proxy.world
    ruler = Ruler.of(world, proxy.gold, proxy.reward, proxy.law)
    for prompt, name in enumerate(world.prompts):
        beamed = search.beam(proxy.model, prompt=prompt, width=beam_width)
        drawn = proxy.reference.sample(torch.Generator().manual_seed(prompt), prompt, 32)
        improved = search.substitute(proxy.model, drawn)
        found = search.gallery(proxy.model, concatenate([beamed, improved]))[0]
        exact = world.best_string(ruler.proxy, prompt)
        for best_by, rank in (("search", world.language.rank(found.string)), ("proxy", exact)):
            words = world.language.words(world.language.unrank(rank))
            yield {
                "prompt": " ".join(name),
                "best_by": best_by,
                "proxy": float(ruler.proxy[prompt, rank]) / ruler.proxy_sd,
                "gold": float(ruler.gold[prompt, rank]) / ruler.gold_sd,
                "log_prob": float(np.log(proxy.law[prompt, rank])),
                **described(words, world.language.end),
            }
