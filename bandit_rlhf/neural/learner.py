"""The one loop of neural learners: collect, step, and every so often a frozen round.

A learner says what to collect from a policy and which loss to lower on it; `train` does the rest:
optimiser, checkpoints, measuring. Randomness is a generator of the training alone: how often one
looks changes nothing, and a run that was interrupted goes on bit by bit from its last checkpoint.

>>> Checkpoints(Path("run"), every=10).path(20).name
'step-000020.safetensors'
"""

import os
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from bandit_rlhf import _check
from bandit_rlhf.neural import checkpoint
from bandit_rlhf.neural.checkpoint import Checkpoint
from bandit_rlhf.neural.judge import Judge, Measures
from bandit_rlhf.neural.policy import NeuralPolicy


@runtime_checkable
class Learner(Protocol):
    """What to collect, and the loss to lower on it."""

    @property
    def updates(self) -> int:
        """Steps of the optimiser on each collection."""
        ...

    def collect(self, policy: NeuralPolicy, generator: torch.Generator) -> Any:
        """Strings, or whatever else the loss needs; without gradients."""
        ...

    def loss(self, policy: NeuralPolicy, collected: Any) -> Tensor:
        """A number to be lowered, as a tensor without axes."""
        ...


@dataclass(frozen=True)
class Optimiser:
    """Adam, or plain gradient descent.

    Args:
        learning_rate: above 0.
        kind: "adam" or "sgd".
        largest_norm: gradients are scaled down to this norm; None: they are left alone.
    """

    learning_rate: float = 3e-3
    kind: str = "adam"
    largest_norm: float | None = None

    def __post_init__(self) -> None:
        _check.positive("learning_rate", self.learning_rate, "Optimiser")
        if self.kind not in ("adam", "sgd"):
            got = f"kind is {self.kind!r}"
            raise ValueError(_check.complaint(got, "'adam' or 'sgd'", "Optimiser"))
        if self.largest_norm is not None:
            _check.positive("largest_norm", self.largest_norm, "Optimiser")

    def of(self, policy: NeuralPolicy) -> torch.optim.Optimizer:
        """The torch optimiser of a policy's parameters."""
        kind = torch.optim.Adam if self.kind == "adam" else torch.optim.SGD
        return kind(policy.network.parameters(), lr=self.learning_rate)


@dataclass(frozen=True)
class Checkpoints:
    """Where and how often to write.

    Args:
        folder: of the files `step-<step>.safetensors`.
        every: steps between two of them, at least 1.
    """

    folder: Path
    every: int = 50

    def __post_init__(self) -> None:
        _check.integer_at_least("every", self.every, 1, "Checkpoints")

    def path(self, step: int) -> Path:
        """The file of a step."""
        return Path(self.folder) / f"step-{step:06d}.safetensors"

    def steps(self) -> list[int]:
        """The steps that have a file."""
        files = Path(self.folder).glob("step-*.safetensors")
        return sorted(int(file.stem.removeprefix("step-")) for file in files)


@dataclass(frozen=True, eq=False)
class Round:
    """The state of a training after a step.

    Args:
        step: steps taken.
        policy: as it was then, with parameters of its own.
        measures: KL, proxy, gold, entropy.
        loss: of the last update; None before the first.
    """

    step: int
    policy: NeuralPolicy
    measures: Measures
    loss: float | None

    @property
    def kl(self) -> float:
        """KL(pi || ref), nats."""
        return self.measures.kl.mean

    @property
    def proxy(self) -> float:
        """E_pi of the fitted reward."""
        return self.measures.proxy.mean

    @property
    def gold(self) -> float | None:
        """E_pi of the true reward, where it is known."""
        return None if self.measures.gold is None else self.measures.gold.mean

    def row(self) -> dict[str, float | None]:
        """A flat row of a results table."""
        return {"step": self.step, "loss": self.loss, **self.measures.row()}


class Interrupted(ValueError):
    """A training that cannot go on: a NaN, an infinite KL; what was written before it stays.

    Args:
        message: what happened, at which step.
        step: of the failure.
        checkpoint: the last whole checkpoint, or None.
    """

    def __init__(self, message: str, step: int, checkpoint: Path | None) -> None:
        super().__init__(message, step, checkpoint)  # all three, so that processes can send it
        self.step = step
        self.checkpoint = checkpoint

    def __str__(self) -> str:
        return self.args[0]


def train(
    policy: NeuralPolicy,
    learner: Learner,
    judge: Judge,
    *,
    steps: int,
    optimiser: Optimiser | None = None,
    seed: int,
    marks: Collection[int] | None = None,
    checkpoints: Checkpoints | None = None,
    resume: str | os.PathLike[str] | None = None,
) -> Iterator[Round]:
    """Train a copy of a policy, yielding a round at step 0 and at every mark.

    Args:
        policy: where to start; it stays as it is.
        learner: `PolicyGradient`, `ExactGradient`, `PreferenceLearner`, `ExpertIteration`, or
            another.
        judge: what measures a round.
        steps: collections, each followed by the learner's updates.
        optimiser: None: Adam.
        seed: of everything random.
        marks: steps that are measured, those beyond `steps` never come; None: some forty, evenly
            spread. The last always is.
        checkpoints: where to write policy, optimiser and generator; None: nowhere.
        resume: a checkpoint of the same training to go on from; the rounds before it are not
            yielded again.

    Raises:
        Interrupted: a reward that is NaN or infinite, an infinite KL; the message names step, row
            of the batch, string and value. A loss, gradient or parameter that is not finite; the
            message names step, update on the batch, parameter and value. Nothing of such a step
            is written, and checkpoints before it stay.
        FileNotFoundError: at once, no checkpoint to resume from.
        ValueError: at once, a wrong argument; a checkpoint of another policy, without the state
            of a training, or with nothing left to do.
    """
    where = "neural.train"
    steps = _check.integer_at_least("steps", steps, 1, where)
    if marks is None:
        marks = {*range(0, steps, max(1, steps // 40))}
    marks = {*marks, steps}
    policy = policy.copy()
    generator = torch.Generator(device=policy.device).manual_seed(seed)
    settings = Optimiser() if optimiser is None else optimiser
    if resume is None:
        first, torch_optimiser = 0, settings.of(policy)
        marks.add(0)
    else:
        found = _resumable(resume, policy, steps)
        policy, first = found.model, found.step
        generator.set_state(found.state["generator"].cpu())
        torch_optimiser = settings.of(policy)
        _set_state(torch_optimiser, found.state)
        marks.discard(first)  # it was yielded before

    def rounds() -> Iterator[Round]:
        value = None
        for step in range(first, steps + 1):
            try:
                if step > first:
                    value = take_step(policy, learner, generator, torch_optimiser, settings)
                    if checkpoints is not None and step % checkpoints.every == 0:
                        kept = _state(torch_optimiser) | {"generator": generator.get_state()}
                        checkpoint.save(checkpoints.path(step), policy, step=step, state=kept)
                reached = _round(step, policy, judge, seed, value) if step in marks else None
            except ValueError as error:
                raise _interrupted(error, step, checkpoints) from error
            if reached is not None:
                yield reached

    return rounds()


def last(rounds: Iterable[Round]) -> Round:
    """The last round of a training; those before it are let go."""
    return deque(rounds, maxlen=1).pop()


def take_step(
    policy: NeuralPolicy,
    learner: Learner,
    generator: torch.Generator,
    torch_optimiser: torch.optim.Optimizer,
    settings: Optimiser,
) -> float:
    """Collect, then update a policy's parameters in place; the loss of the last update.

    Raises:
        ValueError: a loss, a gradient or an updated parameter that is not finite, and whatever the
            learner complains of.
    """
    with torch.no_grad():
        collected = learner.collect(policy, generator)
    value, parameters = float("nan"), dict(policy.network.named_parameters())
    for update in range(1, learner.updates + 1):
        where = f"train, update {update} of {learner.updates} on the batch"
        torch_optimiser.zero_grad()
        loss = learner.loss(policy, collected)
        value = loss.item()
        if not np.isfinite(value):
            got = f"the loss is {value}"
            raise ValueError(_check.complaint(got, "finite", where, "Lower the learning rate."))
        loss.backward()
        _judge_norm("the gradient of ", _gradients(parameters), where, "Mend the loss.")
        if settings.largest_norm is not None:
            torch.nn.utils.clip_grad_norm_(policy.network.parameters(), settings.largest_norm)
        torch_optimiser.step()
        _judge_norm("the updated ", parameters, where, "Lower the learning rate.")
    return value


def _gradients(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of the parameters that the loss depends on."""
    return {name: p.grad for name, p in parameters.items() if p.grad is not None}


def _judge_norm(what: str, tensors: Mapping[str, Tensor], where: str, do: str) -> None:
    """Refuse tensors without a finite norm; only then is the culprit looked for.

    A norm beyond the floating range is refused although every entry is finite: squares of such
    entries, which Adam keeps, are infinite.
    """
    if not tensors:
        return
    with torch.no_grad():
        norm = torch.stack([torch.linalg.vector_norm(one) for one in tensors.values()]).norm()
    if torch.isfinite(norm):
        return
    for name, one in tensors.items():
        _check.finite(f"{what}{name}", one.detach().double().cpu().numpy(), where, do)
    largest = max(tensors, key=lambda name: float(tensors[name].detach().abs().max()))
    got = f"{what}{largest} reaches {float(tensors[largest].detach().abs().max()):g}"
    raise ValueError(_check.complaint(got, "of finite norm", where, do))


def _resumable(
    path: str | os.PathLike[str], policy: NeuralPolicy, steps: int
) -> Checkpoint[NeuralPolicy]:
    """A checkpoint from which a training can go on."""
    found, where = checkpoint.restore(path, policy), "neural.train"
    if "generator" not in found.state:
        got = f"{str(path)!r} holds a policy alone"
        do = "Start from it: train(checkpoint.load(path).model, ...)."
        raise ValueError(_check.complaint(got, "one that train(checkpoints=...) wrote", where, do))
    if found.step >= steps:
        got = f"{str(path)!r} has seen {found.step} steps"
        raise ValueError(_check.complaint(got, f"below steps = {steps}", where))
    return found


def _round(step: int, policy: NeuralPolicy, judge: Judge, seed: int, loss: float | None) -> Round:
    """Measured with a generator of its own, so that looking does not change the training."""
    own = np.random.SeedSequence((seed, step)).generate_state(1, np.uint64)[0]
    generator = torch.Generator(device=policy.device).manual_seed(int(own) >> 1)
    frozen = policy.copy()
    return Round(step, frozen, judge(frozen, generator), loss)


def _interrupted(error: ValueError, step: int, checkpoints: Checkpoints | None) -> Interrupted:
    written = [] if checkpoints is None else [s for s in checkpoints.steps() if s <= step]
    last_file = checkpoints.path(written[-1]) if checkpoints is not None and written else None
    stays = f"The checkpoint of step {written[-1]} stays." if written else "There is no checkpoint."
    return Interrupted(f"training stopped at step {step}: {error} {stays}", step, last_file)


def _state(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's tensors under flat names."""
    return {
        f"optimiser.{index}.{name}": value
        for index, slots in optimiser.state_dict()["state"].items()
        for name, value in slots.items()
        if isinstance(value, Tensor)
    }


def _set_state(optimiser: torch.optim.Optimizer, state: dict[str, Tensor]) -> None:
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in state.items():
        if name.startswith("optimiser."):
            _, index, slot = name.split(".")
            slots.setdefault(int(index), {})[slot] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": slots})
