"""What a kind of estimator is: a calling convention and what may be claimed.

>>> Kind("mean", "numbers -> mean", ("x",), 1, "", frozenset(), {}).results
1
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A calling convention and what it promises by itself.

    Attributes:
        name: such as "advantage".
        about: one line for users.
        arguments: names in order; those after `required` are passed only to functions that take
            them.
        required: how many arguments every function of the kind takes.
        like: the argument whose shape the result has; "" for a scalar, None where laws look
            themselves.
        results: how many arrays are returned; others beyond the first may be left out.
        implied: claims that every estimator of the kind makes by being of the kind.
        claims: from each word that may be claimed to what it says.
        axes: of its arrays.
        whole: whether the result may be whole numbers.
        widens: whether the result may have more digits than the arguments.
    """

    name: str
    about: str
    arguments: tuple[str, ...]
    required: int
    like: str | None
    implied: frozenset[str]
    claims: dict[str, str]
    results: int = 1
    axes: tuple[str, ...] = ("string", "token")
    whole: bool = False
    widens: bool = False
