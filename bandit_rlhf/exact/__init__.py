"""Expectations without sampling: `tree` sums over strings, `lattice` over paths of automata."""
