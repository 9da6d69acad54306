"""Functions of other libraries, unmodified, as subjects of the laws.

One module a library, each with SUBJECTS: thin functions that import the library when they are
called and translate arguments, nothing else. Claims are the library's own words, docstrings, names
of papers, or follow from the name of a formula; a deviation that it announces, or that a paper it
follows asks for, is declared with the reason. What it does not say is measured, not judged.

`python -m bandit_rlhf.laws.adapters LIBRARY` judges a library in a process of its own (`matrix`).
Importing this package imports no library, and no torch.

>>> sorted(LIBRARIES)
['bandit_rlhf', 'polgrad', 'torchtune', 'trinity', 'trl', 'verl']
>>> library_named("torchtuna")
Traceback (most recent call last):
...
ValueError: library is 'torchtuna', but should be one with adapters. Did you mean 'torchtune'?
"""

import difflib
import importlib

from bandit_rlhf.laws.adapters.subject import Foreign, Library

_ALL = (
    Library(
        "bandit_rlhf",
        "bandit-rlhf",
        "",
        (
            "bandit_rlhf.advantage",
            "bandit_rlhf.divergence",
            "bandit_rlhf.policy_loss",
            "bandit_rlhf.preference_loss",
        ),
        "pip install bandit-rlhf",
    ),
    Library(
        "polgrad",
        "polgrad",
        "0.2.1",
        ("polgrad",),
        "pip install polgrad==0.2.1",
    ),
    Library(
        "torchtune",
        "torchtune",
        "0.6.1",
        ("torchtune.rlhf", "torchtune.rlhf.loss"),
        "pip install torchtune==0.6.1 torchao==0.13.0",
    ),
    Library(
        "trinity",
        "trinity-rft",
        "0.6.0",
        ("trinity.algorithm.policy_loss_fn", "trinity.algorithm.kl_fn.kl_fn"),
        "pip install --no-deps trinity-rft==0.6.0; pip install ray",
    ),
    Library(
        "trl",
        "trl",
        "1.16.0",
        (
            "trl.trainer.dpo_trainer",
            "trl.trainer.grpo_trainer",
            "trl.trainer.kto_trainer",
            "trl.trainer.reward_trainer",
            "trl.trainer.rloo_trainer",
        ),
        "pip install trl==1.16.0",
    ),
    Library(
        "verl",
        "verl",
        "0.9.1",
        ("verl.trainer.ppo.core_algos", "verl.workers.config"),
        "pip install --no-deps verl==0.9.1; pip install ray tensordict peft hydra-core codetiming "
        "orjson transformers datasets",
    ),
)

LIBRARIES = {library.name: library for library in _ALL}
"""Name -> library."""


def library_named(name: str) -> Library:
    """The library of that name.

    Raises:
        ValueError: there is none; the message proposes the nearest.
    """
    if name in LIBRARIES:
        return LIBRARIES[name]
    near = difflib.get_close_matches(name, LIBRARIES, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(LIBRARIES)}."
    raise ValueError(f"library is {name!r}, but should be one with adapters. {hint}")


def subjects_of(library: Library) -> tuple[Foreign, ...]:
    """The subjects of a library; the library itself is imported for our own alone."""
    module = "own" if library.name == "bandit_rlhf" else library.name
    return importlib.import_module(f"bandit_rlhf.laws.adapters.{module}").SUBJECTS
