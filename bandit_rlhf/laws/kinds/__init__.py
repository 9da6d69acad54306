"""The kinds of estimator that laws judge, and how each is called.

The judge speaks one dialect a kind: arguments in this order, arrays with these axes, masks true
where a token participates. A contract translates where a function differs.

>>> KINDS["advantage"].arguments
('rewards',)
"""

import difflib

from bandit_rlhf.laws.kinds import divergence, exact, policy, preference, value
from bandit_rlhf.laws.kinds.kind import Kind

__all__ = ["KINDS", "Kind", "kind_named"]

KINDS = {
    kind.name: kind
    for family in (policy, divergence, preference, value, exact)
    for kind in family.KINDS
}
"""Name -> kind."""


def kind_named(name: str) -> Kind:
    """The kind of that name.

    Raises:
        ValueError: there is none; the message proposes the nearest.
    """
    if name in KINDS:
        return KINDS[name]
    near = difflib.get_close_matches(name, KINDS, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(KINDS)}."
    raise ValueError(f"kind is {name!r}, but should be a kind of estimator. {hint}")
