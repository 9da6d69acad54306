"""Broken and correct wirings of a loss to a model's logits.

>>> import numpy as np
>>> logits, tokens = np.zeros((1, 2, 2)), np.zeros((1, 1), dtype=int)
>>> float(right(logits, logits, tokens, tokens == 0, np.ones(1)))
-1.0
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

BOTH = {"on_policy_gradient", "off_policy_gradient", "unit_ratio"}


def _scores(logits, tokens, temperature=1.0):
    """Log-probabilities of the tokens, each from the row before it."""
    scaled = logits / logits.dtype.type(temperature)
    top = scaled.max(axis=-1, keepdims=True)
    log_law = scaled - top - np.log(np.exp(scaled - top).sum(axis=-1, keepdims=True))
    return np.take_along_axis(log_law, tokens[..., None], axis=-1)[..., 0]


def _loss(new, old, mask, advantages):
    ratio = np.exp(np.where(mask, new - old, 0).sum(axis=1))
    return -(ratio * advantages).mean()


@estimator("model_loss", claims=BOTH)
def right(logits, sampler_logits, tokens, mask, advantages):
    """Importance sampling of whole strings; the last row of logits is left out."""
    new, old = (_scores(x[:, :-1], tokens) for x in (logits, sampler_logits))
    return _loss(new, old, mask, advantages)


@estimator("model_loss", claims=BOTH, facts={"temperature": 2.0})
def at_temperature(logits, sampler_logits, tokens, mask, advantages):
    """The sampler's temperature in both scores."""
    new, old = (_scores(x[:, :-1], tokens, 2.0) for x in (logits, sampler_logits))
    return _loss(new, old, mask, advantages)


@estimator("model_loss", claims=BOTH)
def one_row_late(logits, sampler_logits, tokens, mask, advantages):
    """Each token is scored by the row after it."""
    new, old = (_scores(x[:, 1:], tokens) for x in (logits, sampler_logits))
    return _loss(new, old, mask, advantages)


@estimator("model_loss", claims=BOTH, facts={"temperature": 2.0})
def temperature_forgotten(logits, sampler_logits, tokens, mask, advantages):
    """Drawn at temperature 2, scored at 1."""
    new, old = (_scores(x[:, :-1], tokens) for x in (logits, sampler_logits))
    return _loss(new, old, mask, advantages)


@estimator("model_loss", claims=BOTH, facts={"temperature": 2.0})
def temperature_on_one_side(logits, sampler_logits, tokens, mask, advantages):
    """The scorer knows of the temperature, the stored scores do not."""
    new, old = _scores(logits[:, :-1], tokens, 2.0), _scores(sampler_logits[:, :-1], tokens)
    return _loss(new, old, mask, advantages)


@estimator("model_loss", claims={"unit_ratio"})
def cut_vocabulary(logits, sampler_logits, tokens, mask, advantages):
    """The sampler's scores are of a law cut to its likeliest token, the scorer's are not."""
    rows = sampler_logits[:, :-1]
    kept = np.where(rows == rows.max(axis=-1, keepdims=True), rows, rows - 20)
    return _loss(_scores(logits[:, :-1], tokens), _scores(kept, tokens), mask, advantages)


@estimator("model_loss", claims={"unit_ratio"})
def dropout_in_training(logits, sampler_logits, tokens, mask, advantages):
    """One unit of the model is dropped where the gradient is taken."""
    dropped = logits[:, :-1] * np.array([1, 0], dtype=logits.dtype)
    new, old = _scores(dropped, tokens), _scores(sampler_logits[:, :-1], tokens)
    return _loss(new, old, mask, advantages)


@estimator("model_loss", claims=BOTH)
def computed_anew(logits, sampler_logits, tokens, mask, advantages):
    """The sampler's scores are computed with the current model."""
    new = _scores(logits[:, :-1], tokens)
    return _loss(new, new, mask, advantages)


@estimator("model_loss", claims={"on_policy_gradient"})
def tokens_after_the_end(logits, sampler_logits, tokens, mask, advantages):
    """What stands after the end of a string is scored as well."""
    new = _scores(logits[:, :-1], tokens)
    return -(new.sum(axis=1) * advantages).mean()


@estimator("model_loss", claims={"on_policy_gradient"})
def score_function(logits, sampler_logits, tokens, mask, advantages):
    """REINFORCE through the model."""
    new = np.where(mask, _scores(logits[:, :-1], tokens), 0)
    return -(new.sum(axis=1) * advantages).mean()


BUGS = (
    Bug(
        "one_row_late",
        "model_loss",
        ("L1",),
        "lucidrains/PaLM-rlhf-pytorch issue 31",
        "actions and logits are misaligned",
        one_row_late,
    ),
    Bug(
        "temperature_forgotten",
        "model_loss",
        ("L1",),
        "huggingface/trl PR 3029; OpenRLHF PR 853; marin issue 1741",
        "temperature missing in the log-probabilities",
        temperature_forgotten,
    ),
    Bug(
        "temperature_on_one_side",
        "model_loss",
        ("L6",),
        "huggingface/trl PR 3029; OpenRLHF PR 853; marin issue 1741",
        "temperature in one of two scores",
        temperature_on_one_side,
    ),
    Bug(
        "cut_vocabulary",
        "model_loss",
        ("L6",),
        "NVIDIA/NeMo-Aligner issue 46; trl PR 6944; ms-swift PR 8442",
        "the sampler's support differs from the scorer's",
        cut_vocabulary,
    ),
    Bug(
        "dropout_in_training",
        "model_loss",
        ("L6",),
        "CarperAI/trlx issue 107; huggingface/trl issues 454, 4",
        "dropout makes old and new log-probabilities differ",
        dropout_in_training,
    ),
    Bug(
        "computed_anew",
        "model_loss",
        ("L1", "L2"),
        "radixark/miles PR 1829",
        "a stale denominator, recomputed with the current actor",
        computed_anew,
    ),
    Bug(
        "tokens_after_the_end",
        "model_loss",
        ("U1",),
        "huggingface/trl PR 2708; OpenRLHF issue 294",
        "tokens after the end, or of the prompt, are not masked",
        tokens_after_the_end,
    ),
)

TWINS = (
    Twin("right", "model_loss", "rewrite", "as it should be", right),
    Twin("at_temperature", "model_loss", "rewrite", "one temperature for all", at_temperature),
    Twin("score_function", "model_loss", "rewrite", "REINFORCE", score_function),
)
