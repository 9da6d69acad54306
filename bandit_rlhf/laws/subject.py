"""The estimator under judgement, spoken to in the dialect of its kind.

A subject casts the judge's arrays to its dtype and backend, puts axes, masks and names as the
contract says, and brings the answer back as float64. What goes wrong on the way has one error each.

>>> half = Subject(lambda rewards: rewards / 2, Contract("advantage"), dtype="float32")
>>> half(np.array([[1.0, 3.0]]))
array([[0.5, 1.5]])
"""

import contextlib
import inspect
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bandit_rlhf.contract import Contract
from bandit_rlhf.laws.gradient import numpy_grad, numpy_slope
from bandit_rlhf.laws.kinds import Kind, kind_named


class CannotJudge(Exception):
    """The subject did not give an answer that could be judged."""


class Raised(CannotJudge):
    """It raised."""


class WrongResult(CannotJudge):
    """It returned something else than the kind says."""


class TooSlow(CannotJudge):
    """It took longer than the time limit of a law."""


class Random(CannotJudge):
    """Two calls on the same arguments differed."""


@dataclass(frozen=True)
class Subject:
    """A function, its contract, a backend and a dtype.

    Attributes:
        function: the estimator.
        contract: what it declares.
        dtype: "float64" or "float32".
        backend: "numpy" or "torch".
        shares: whether what it does to its arguments is done to the judge's arrays.
        whole: whether a reduction over pairs is left as it is, instead of asked pair by pair.
        step: of differences, for numpy.
    """

    function: Callable[..., Any]
    contract: Contract
    dtype: str = "float64"
    backend: str = "numpy"
    shares: bool = False
    whole: bool = False
    step: float = 1 / 32
    _told: dict[str, Any] = field(default_factory=dict, compare=False)

    @cached_property
    def kind(self) -> Kind:
        """The kind that the contract names."""
        return kind_named(self.contract.kind)

    @cached_property
    def _parameters(self) -> dict[str, inspect.Parameter] | None:
        """Its parameters by name; None where there is no telling, or it takes any."""
        try:
            parameters = inspect.signature(self.function).parameters
        except (TypeError, ValueError):
            return None
        any_kind = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        return None if any(p.kind in any_kind for p in parameters.values()) else dict(parameters)

    @cached_property
    def ways(self) -> tuple[str | None, ...]:
        """How each of the kind's arguments is handed over: by a name, by place (""), not (None).

        Those beyond the required ones are, if the function has a parameter of that name, or one in
        that place without a default whose name is its own.
        """
        return tuple(self._way(place, name) for place, name in enumerate(self.kind.arguments))

    def _way(self, place: int, name: str) -> str | None:
        own = self.contract.names.get(name, name)
        parameters = list((self._parameters or {}).values())
        if place >= self.kind.required and not self.takes(name):
            there = parameters[place : place + 1]
            fits = any(
                p.name not in self.kind.arguments
                and p.default is p.empty
                and p.kind is not p.KEYWORD_ONLY
                for p in there
            )
            return "" if fits else None
        at = next((k for k, p in enumerate(parameters) if p.name == own), place)
        worded = parameters[at : at + 1] and parameters[at].kind is inspect.Parameter.KEYWORD_ONLY
        moved = place >= self.kind.required and (at != place or worded)
        return own if self.contract.names or moved else ""

    def takes(self, name: str) -> bool:
        """Whether it takes this argument beyond the required ones."""
        own = self.contract.names.get(name, name)
        return self._parameters is None or own in self._parameters

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """The answer on the judge's arrays, as float64 numpy arrays (a tuple if several)."""
        if self._reduces(arrays):
            return np.array([float(self(*row, **named)) for row in _rows(arrays)])
        places, words = self._arguments(arrays, named)
        answer = self._run(places, words)
        if self.shares:
            self._share(arrays, places, words)
        elif "fixed" not in self._told:  # until seen to be: whether it draws inside
            if not _same_answer(answer, self._run(*self._arguments(arrays, named))):
                raise Random(
                    "two calls on the same arguments differ, but should agree: fix its randomness, "
                    "or check the expectation it is meant to have"
                )
            self._told["fixed"] = True
        return self._judged(answer, arrays, named)

    def slope(self, place: int, direction: np.ndarray, *arrays: Any) -> Any:
        """The derivative of the sum of its answer along a direction of one argument."""
        if self.backend == "torch":
            return float(np.sum(self.grad(place, *arrays) * direction))
        return numpy_slope(self, place, direction, *arrays, h=self.step)

    def grad(self, place: int, *arrays: Any) -> np.ndarray:
        """The gradient of the sum of its answer in one argument."""
        if self._reduces(arrays):
            return np.concatenate([self.grad(place, *row) for row in _rows(arrays)])
        if self.backend == "torch":
            from bandit_rlhf.laws import torch_backend

            return torch_backend.gradient(self, place, arrays)
        return numpy_grad(self, place, *arrays, h=self.step)

    def _reduces(self, arrays: tuple[Any, ...]) -> bool:
        """Whether it returns a mean or sum of losses of which the judge wants each."""
        return not self.whole and self.contract.reduction != "none" and len(arrays[0]) > 1

    # Going in

    def _arguments(self, arrays: tuple[Any, ...], named: dict[str, Any]) -> tuple[list, dict]:
        """The judge's arguments in the function's own dialect: by place, and by name."""
        places, words = [], {}
        for way, name, array in zip(self.ways, self.kind.arguments, arrays, strict=False):
            if way:
                words[way] = self._translated(name, array)
            elif way is not None:
                places.append(self._translated(name, array))
        for name, array in named.items():
            words[self.contract.names.get(name, name)] = self._translated(name, array)
        return places, words | dict(self.contract.settings)

    def _translated(self, name: str, value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        axes = self.contract.axes
        if axes and value.ndim == len(axes) == len(self.kind.axes):
            value = value.transpose([self.kind.axes.index(axis) for axis in axes])
        if name == "mask" and self.contract.mask == "pad":
            value = ~value
        value = value.astype(self.dtype) if value.dtype == np.float64 else value
        if self.backend == "torch":
            from bandit_rlhf.laws import torch_backend

            return torch_backend.tensor(value)
        return np.ascontiguousarray(value)

    def _run(self, places: list, words: dict) -> Any:
        try:
            with np.errstate(all="ignore"):
                return self.function(*places, **words)
        except CannotJudge:
            raise
        except (Exception, SystemExit) as error:  # whoever exits has not passed
            raise Raised(f"raised {type(error).__name__}: {error}") from error

    def _share(self, arrays: tuple[Any, ...], places: list, words: dict) -> None:
        """Write the arguments, as the function left them, over the judge's arrays."""
        for place, (name, array) in enumerate(zip(self.kind.arguments, arrays, strict=False)):
            if isinstance(array, np.ndarray) and self.ways[place] is not None:
                own = words.get(self.contract.names.get(name, name)) if words else None
                left = self._back(np.asarray(places[place] if own is None else own))
                turned = name == "mask" and self.contract.mask == "pad"
                array[...] = (~left if turned else left).astype(array.dtype)

    # Coming out

    def _back(self, value: np.ndarray) -> np.ndarray:
        """An array with the kind's order of axes."""
        axes = self.contract.axes
        if axes and value.ndim == len(axes) == len(self.kind.axes):
            return value.transpose([axes.index(axis) for axis in self.kind.axes])
        return value

    def _judged(self, answer: Any, arrays: tuple[Any, ...], named: dict[str, Any]) -> Any:
        parts = answer if isinstance(answer, tuple) else (answer,)
        results = tuple(self._array(part) for part in parts[: self.kind.results])
        if self.kind.like is not None:
            given = dict(zip(self.kind.arguments, arrays, strict=False)) | named
            shape = np.shape(given[self.kind.like]) if self.kind.like else ()
            for result in results:
                if result.shape != shape:
                    raise WrongResult(
                        f"returned shape {result.shape}, but should be {shape}"
                        + (f", as {self.kind.like} has" if self.kind.like else ", a number")
                    )
        return results if self.kind.results > 1 else results[0]

    def _array(self, part: Any) -> np.ndarray:
        if self.backend == "torch":
            from bandit_rlhf.laws import torch_backend

            part = torch_backend.array(part)
        if isinstance(part, (bool, np.bool_)) or not isinstance(
            part, (np.ndarray, np.generic, float, int)
        ):
            raise WrongResult(f"returned {type(part).__name__}, but should return an array")
        if isinstance(part, (np.ndarray, np.generic)):
            if part.dtype.kind != "f" and self.kind.like != "" and not self.kind.whole:
                raise WrongResult(f"returned dtype {part.dtype}, but should be {self.dtype}")
            kept = part.dtype == self.dtype or self.kind.widens
            if part.dtype.kind == "f" and not kept and part.ndim:
                raise WrongResult(
                    f"returned dtype {part.dtype}, but should be {self.dtype}, as it was given"
                )
        return np.asarray(self.contract.sign * self._back(np.asarray(part, dtype=np.float64)))


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise `TooSlow` after so many seconds, where signals can (main thread, not Windows)."""
    able = threading.current_thread() is threading.main_thread() and hasattr(signal, "setitimer")
    if not able:
        yield
        return

    def stop(*_: Any) -> None:
        raise TooSlow(f"took more than {seconds:g} s, the time limit of a law")

    before = signal.signal(signal.SIGALRM, stop)
    others = signal.setitimer(
        signal.ITIMER_REAL, seconds
    )  # somebody else's limit goes on after ours
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *others)


def _rows(arrays: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """Batches of one, in order; numbers stay as they are."""
    for i in range(len(arrays[0])):
        yield tuple(x[i : i + 1] if np.ndim(x) else x for x in arrays)


def _same_answer(first: Any, second: Any) -> bool:
    if isinstance(first, tuple) and isinstance(second, tuple):
        return len(first) == len(second) and all(map(_same_answer, first, second))
    try:
        one, other = (np.asarray(_plain(x), float) for x in (first, second))
        return np.array_equal(one, other, equal_nan=True)
    except (TypeError, ValueError):
        return True  # no array: judged elsewhere


def _plain(value: Any) -> Any:
    torch = sys.modules.get("torch")
    return value.detach() if torch is not None and isinstance(value, torch.Tensor) else value
