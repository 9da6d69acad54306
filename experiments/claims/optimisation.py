"""Claims on optimising an imperfect reward: what turns the curve, and when."""

from experiments.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
