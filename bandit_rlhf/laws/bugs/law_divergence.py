"""Broken and correct divergences between laws.

>>> import numpy as np
>>> float(cross_minus_own(np.array([0.5, 0.5]), np.array([0.5, 0.5])))
0.0
"""

import numpy as np

from bandit_rlhf.contract import estimator
from bandit_rlhf.laws.bugs.record import Bug, Twin

KL = {"non_negative", "pinsker", "variational", "chain_rule", "data_processing", "heavy_tail"}
CHI = {"non_negative", "pinsker", "data_processing", "transfer"}


@estimator("law_divergence", claims=KL)
def cross_minus_own(law, reference):
    """The cross entropy minus the entropy."""
    return (law * np.log(law)).sum() - (law * np.log(reference)).sum()


@estimator("law_divergence", claims=CHI)
def squared_gaps(law, reference):
    """The sum of (p - q)^2 / q."""
    return ((law - reference) ** 2 / reference).sum()


@estimator("law_divergence", claims={"non_negative"})
def entropy_gap(law, reference):
    """How much less entropy the law has: of either sign."""
    return (law * np.log(law)).sum() - (reference * np.log(reference)).sum()


@estimator("law_divergence", claims={"pinsker", "chain_rule"})
def quarter_distance(law, reference):
    """The squared distance over 4: too small for Pinsker, and no chain rule."""
    return np.abs(law - reference).sum() ** 2 / 4


@estimator("law_divergence", claims={"variational", "heavy_tail"})
def reversed_kl(law, reference):
    """The other direction."""
    return (reference * np.log(reference / law)).sum()


@estimator("law_divergence", claims={"variational", "heavy_tail"})
def chi_for_kl(law, reference):
    """Chi-squared, claimed to be KL: it does not vanish under a heavy tail."""
    return ((law - reference) ** 2 / reference).sum()


@estimator("law_divergence", claims={"data_processing"})
def averaged(law, reference):
    """The mean over strings of their terms: fewer strings, a larger mean."""
    return (law * np.log(law / reference)).mean()


@estimator("law_divergence", claims={"transfer"})
def kl_for_chi(law, reference):
    """KL, claimed to be chi-squared."""
    return (law * np.log(law / reference)).sum()


def _bug(law: tuple[str, ...], words: str, function) -> Bug:
    return Bug(function.__name__, "law_divergence", law, "mutant", words, function)


BUGS = (
    _bug(("E10",), "of either sign", entropy_gap),
    _bug(("E11", "E13"), "a quarter of the squared distance", quarter_distance),
    _bug(("E12",), "the reverse KL", reversed_kl),
    _bug(("E12", "E16"), "chi-squared for KL", chi_for_kl),
    _bug(("E14",), "a mean over strings", averaged),
    _bug(("E15",), "KL for chi-squared", kl_for_chi),
)

TWINS = (
    Twin("cross_minus_own", "law_divergence", "rewrite", "two entropies", cross_minus_own),
    Twin("squared_gaps", "law_divergence", "rewrite", "gaps over the reference", squared_gaps),
)
