"""Claims on what helps against an imperfect reward, and on what RLHF can reach at all."""

from experiments.claims.claim import Claim

CLAIMS: tuple[Claim, ...] = ()
