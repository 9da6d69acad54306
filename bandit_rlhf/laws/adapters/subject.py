"""A function of another library as a subject: who it is, how it is called, what it claims.

>>> Foreign("somelib", "rloo", lambda rewards: rewards, Contract("advantage")).kind
'advantage'
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal

from bandit_rlhf.contract import Contract

Dtype = Literal["float64", "float32", "both"]


@dataclass(frozen=True)
class Foreign:
    """An unmodified function of a library behind a thin translation of its arguments.

    Attributes:
        library: name of the library, a key of `bandit_rlhf.laws.adapters.LIBRARIES`.
        name: of the estimator, as its library calls it.
        function: takes arrays as its kind says; it imports the library when it is called.
        contract: what the library says of it, and the deviations known of it.
        dtype: the precision in which it is judged. Most libraries compute in float32 at best and
            guard quotients with 1e-8, which is nothing there but not in float64.
    """

    library: str
    name: str
    function: Callable[..., Any]
    contract: Contract
    dtype: Dtype = "float32"

    @property
    def kind(self) -> str:
        """The kind of estimator that its contract names."""
        return self.contract.kind

    def terms(self) -> dict[str, Any]:
        """The contract as keyword arguments of `bandit_rlhf.laws.check.check_estimator`."""
        every = {field.name: getattr(self.contract, field.name) for field in fields(Contract)}
        return {name: value for name, value in every.items() if name != "kind"}


@dataclass(frozen=True)
class Library:
    """A library whose functions are subjects.

    Attributes:
        name: for `--library`, and the module of `bandit_rlhf.laws.adapters` that has its SUBJECTS.
        distribution: its name in the package index.
        version: the one that the adapter was written for; "" for our own.
        imports: the modules that its subjects need, imported before any is judged.
        install: what to do where it is missing.
    """

    name: str
    distribution: str
    version: str
    imports: tuple[str, ...]
    install: str
