"""Checkpoints: parameters and what is needed to go on, as safetensors, never as pickles.

One file holds the tensors, and as its metadata a JSON text: what it is, language, prompts,
architecture, step. Files are written under another name and moved into place, so that a file with
the final name is always whole.

>>> import tempfile
>>> start = RewardModel.initial(Language(("a",), 1), [()], Architecture("counts"), seed=0)
>>> with tempfile.TemporaryDirectory() as folder:
...     load(save(Path(folder) / "reward.safetensors", start, step=3)).step
3
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bandit_rlhf import _check
from bandit_rlhf.language import Language
from bandit_rlhf.neural.network import Architecture
from bandit_rlhf.neural.policy import NeuralPolicy
from bandit_rlhf.neural.reward_model import RewardModel

FORMAT = "bandit_rlhf checkpoint, version 1"
KINDS: dict[str, type[NeuralPolicy] | type[RewardModel]] = {
    "policy": NeuralPolicy,
    "reward model": RewardModel,
}
Model = TypeVar("Model", NeuralPolicy, RewardModel)


@dataclass(frozen=True, eq=False)
class Checkpoint(Generic[Model]):
    """What a file held.

    Args:
        model: the policy or reward model.
        step: steps of training that it had seen.
        state: further tensors by name, such as an optimiser's.
    """

    model: Model
    step: int
    state: dict[str, Tensor]


def save(
    path: str | os.PathLike[str],
    model: NeuralPolicy | RewardModel,
    *,
    step: int = 0,
    state: dict[str, Tensor] | None = None,
) -> Path:
    """Write a policy or a reward model, whole or not at all.

    Args:
        path: of the file; its folder is made.
        model: what to keep.
        step: steps of training that it has seen.
        state: further tensors to keep, by name.
    """
    path = Path(path)
    about = {
        "format": FORMAT,
        "kind": "policy" if isinstance(model, NeuralPolicy) else "reward model",
        "language": asdict(model.language),
        "prompts": model.prompts,
        "architecture": asdict(model.architecture),
        "step": step,
    }
    tensors = {f"network.{k}": v for k, v in model.network.state_dict().items()}
    tensors |= {f"state.{k}": v for k, v in (state or {}).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(whole, unfinished, metadata={"about": json.dumps(about)})
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path


def load(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Checkpoint[Any]:
    """Read what `save` wrote.

    Raises:
        FileNotFoundError: no such file.
        ValueError: no safetensors file, or one that holds something else.
    """
    path, where = Path(path), "checkpoint.load"
    if not path.is_file():
        beside = sorted(p.name for p in path.parent.glob("*.safetensors"))
        got = f"there is no file {str(path)!r}"
        do = f"In its folder are: {', '.join(beside) or 'no checkpoints'}."
        raise FileNotFoundError(_check.complaint(got, "a checkpoint", where, do))
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            about = _read((file.metadata() or {}).get("about", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        got = f"{str(path)!r} is no safetensors file ({error})"
        do = "Pickles (.pt, .pth) are not read; write checkpoints with checkpoint.save."
        raise ValueError(_check.complaint(got, "one", where, do)) from error
    if about.get("format") != FORMAT or about.get("kind") not in KINDS:
        got = f"{str(path)!r} has format {about.get('format')!r}"
        raise ValueError(_check.complaint(got, repr(FORMAT), where))
    try:
        model, step = _build(KINDS[about["kind"]], about, device), int(about["step"])
    except (KeyError, TypeError, ValueError) as error:
        got = f"the metadata of {str(path)!r} are broken ({error!r})"
        raise ValueError(_check.complaint(got, "what checkpoint.save wrote", where)) from error
    own = {k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")}
    _fit_in(model, own, path)
    state = {k.removeprefix("state."): v for k, v in tensors.items() if k.startswith("state.")}
    return Checkpoint(model, step, state)


def restore(path: str | os.PathLike[str], like: Model) -> Checkpoint[Model]:
    """Read a checkpoint that must match a given model in everything but its parameters.

    Raises:
        FileNotFoundError: no such file.
        ValueError: another kind, language, prompts or architecture; no safetensors file.
    """
    found = load(path, like.device)
    if type(found.model) is not type(like):
        got = f"{str(path)!r} holds a {type(found.model).__name__}"
        raise ValueError(_check.complaint(got, f"a {type(like).__name__}", "checkpoint.restore"))
    for name in ("architecture", "language", "prompts"):
        kept, wanted = getattr(found.model, name), getattr(like, name)
        if kept != wanted:
            got = f"the {name} in {str(path)!r} is {kept}"
            do = "Load it by checkpoint.load, or train anew."
            raise ValueError(_check.complaint(got, f"{wanted}", "checkpoint.restore", do))
    return found


def _read(text: str) -> dict[str, Any]:
    """The metadata; empty where they are no JSON object, which no format has."""
    try:
        about = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return about if isinstance(about, dict) else {}


def _build(kind: type, about: dict[str, Any], device: str | torch.device) -> Any:
    written = about["language"]
    language = Language(tuple(written["vocabulary"]), written["horizon"], written["end"])
    prompts = [tuple(prompt) for prompt in about["prompts"]]
    return kind.initial(
        language, prompts, Architecture(**about["architecture"]), seed=0, device=device
    )


def _fit_in(model: Any, tensors: dict[str, Tensor], path: Path) -> None:
    """Put tensors into a model's network, or say which does not fit."""
    wanted = {name: tuple(value.shape) for name, value in model.network.state_dict().items()}
    given = {name: tuple(value.shape) for name, value in tensors.items()}
    if wanted != given:
        names = sorted(n for n in wanted.keys() | given.keys() if wanted.get(n) != given.get(n))
        got = f"tensor {names[0]!r} of {str(path)!r} has shape {given.get(names[0])}"
        do = f"{len(names)} tensors differ; the file is not what its metadata say."
        raise ValueError(_check.complaint(got, f"{wanted.get(names[0])}", "checkpoint.load", do))
    model.network.load_state_dict(tensors)
