"""The claims of the debate, as data: who claims what, the prediction and its null, the judge.

The prediction and the null are text that stands here before any run; the verdict is computed from
the rows of the experiment alone. Add a claim to the module of its chapter.
"""

from experiments.claims import first_light, formalism, optimisation, preferences, remedies
from experiments.claims.claim import Claim

__all__ = ["CLAIMS", "Claim"]

CHAPTERS = (first_light, optimisation, remedies, formalism, preferences)

CLAIMS: tuple[Claim, ...] = tuple(
    sorted((claim for chapter in CHAPTERS for claim in chapter.CLAIMS), key=lambda c: c.number)
)
