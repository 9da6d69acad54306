"""Expectations without sampling: `tree` sums over every string, `lattice` over paths of automata."""
