"""The theorems that the toolkit rests on: statement, machine-checked proof, code, law, gap.

The registry is `proofs/theorems.toml`, one table a theorem; Coq checks the proofs (`make proofs`).

>>> theorem("10").name
'gibbs_optimum'
"""

from bandit_rlhf.theorems.registry import Theorem, of_law, theorem, theorems

__all__ = ["Theorem", "of_law", "theorem", "theorems"]
