"""Checkpoints: a round trip bit by bit, whole files only, clear refusals."""

import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bandit_rlhf.language import Language
from bandit_rlhf.neural import checkpoint
from tests import neural_worlds as worlds

LANGUAGE = Language(("a", "b"), 3, "$")
PROMPTS = (("x", "y"), ())


@pytest.mark.parametrize("kind", ["gru", "transformer"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_policy_comes_back_as_it_was(tmp_path: Path, kind: str, dtype: str) -> None:
    pi = worlds.policy(LANGUAGE, kind, seed=3, prompts=PROMPTS, dtype=dtype)
    state = {"extra": torch.arange(3)}
    path = checkpoint.save(tmp_path / "new" / "pi.safetensors", pi, step=7, state=state)
    found = checkpoint.load(path)
    assert (found.model.language, found.model.prompts) == (LANGUAGE, PROMPTS)
    assert (found.model.architecture, found.step) == (pi.architecture, 7)
    assert found.state["extra"].tolist() == [0, 1, 2]
    np.testing.assert_array_equal(found.model.string_law(), pi.string_law())  # pyright: ignore
    assert [p.name for p in path.parent.iterdir()] == ["pi.safetensors"]


@pytest.mark.parametrize("kind", ["gru", "transformer", "counts", "bigrams"])
def test_a_reward_model_comes_back_as_it_was(tmp_path: Path, kind: str) -> None:
    model = worlds.reward_model(LANGUAGE, kind, seed=3, prompts=PROMPTS)
    with torch.no_grad():
        for parameter in model.network.parameters():
            parameter.add_(torch.linspace(0, 1, parameter.numel()).reshape(parameter.shape))
    path = checkpoint.save(tmp_path / "r.safetensors", model)
    found = checkpoint.load(path).model
    np.testing.assert_array_equal(found.reward_table(), model.reward_table())  # pyright: ignore
    assert np.ptp(model.reward_table()) > 1e-3


def test_nothing_is_executed_on_loading(tmp_path: Path) -> None:
    """A pickle with a side effect is refused, and the side effect does not happen."""
    target = tmp_path / "touched"

    class Touch:
        def __reduce__(self):
            return os.mkdir, (str(target),)

    path = tmp_path / "evil.safetensors"
    path.write_bytes(pickle.dumps(Touch()))
    with pytest.raises(ValueError, match=r"is no safetensors file .* Pickles .* are not read"):
        checkpoint.load(path)
    assert not target.exists()
    pickle.loads(path.read_bytes())  # control: it would have happened
    assert target.exists()


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    good = checkpoint.save(tmp_path / "good.safetensors", worlds.policy(LANGUAGE))
    with pytest.raises(FileNotFoundError, match=r"no file .*absent.* are: good\.safetensors"):
        checkpoint.load(tmp_path / "absent.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:-10])
    with pytest.raises(ValueError, match="is no safetensors file"):
        checkpoint.load(cut)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    with pytest.raises(ValueError, match="has format None, but should be 'bandit_rlhf checkpoint"):
        checkpoint.load(foreign)
    for about in ("not json", "[1]", '{"format": "bandit_rlhf checkpoint, version 1"}'):
        save_file({"x": torch.zeros(1)}, foreign, metadata={"about": about})
        with pytest.raises(ValueError, match="has format"):
            checkpoint.load(foreign)
    half = '{"format": "bandit_rlhf checkpoint, version 1", "kind": "policy", "prompts": [[]]}'
    save_file({"x": torch.zeros(1)}, foreign, metadata={"about": half})
    with pytest.raises(ValueError, match=r"the metadata of .* are broken \(KeyError\('language"):
        checkpoint.load(foreign)


def test_metadata_that_do_not_fit_the_tensors_are_refused(tmp_path: Path) -> None:
    pi = worlds.policy(LANGUAGE, width=8)
    lying = replace(pi, architecture=replace(pi.architecture, width=16))
    path = checkpoint.save(tmp_path / "lying.safetensors", lying)
    with pytest.raises(ValueError, match=r"tensor '.*' of .* has shape \(\d+.*; the file|differ"):
        checkpoint.load(path)


def test_restoring_asks_for_the_same_model(tmp_path: Path) -> None:
    pi = worlds.policy(LANGUAGE, width=8)
    path = checkpoint.save(tmp_path / "pi.safetensors", pi)
    assert checkpoint.restore(path, pi).model.architecture == pi.architecture
    with pytest.raises(ValueError, match=r"the architecture in .* is Architecture\(kind='gru'"):
        checkpoint.restore(path, worlds.policy(LANGUAGE, width=16))
    with pytest.raises(ValueError, match=r"the language in"):
        checkpoint.restore(path, worlds.policy(Language(("a", "b"), 4, "$")))
    with pytest.raises(ValueError, match=r"the prompts in"):
        checkpoint.restore(path, worlds.policy(LANGUAGE, prompts=(("x",),)))
    with pytest.raises(ValueError, match=r"holds a NeuralPolicy, but should be a RewardModel"):
        checkpoint.restore(path, worlds.reward_model(LANGUAGE))


def test_an_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = (worlds.policy(LANGUAGE, seed=seed) for seed in (0, 1))
    path = checkpoint.save(tmp_path / "pi.safetensors", old)

    def half(tensors, file, metadata):
        Path(file).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr(checkpoint, "save_file", half)
    with pytest.raises(OSError, match="no space left"):
        checkpoint.save(path, new)
    assert [p.name for p in tmp_path.iterdir()] == ["pi.safetensors"]
    found = checkpoint.load(path).model
    np.testing.assert_array_equal(found.string_law(), old.string_law())  # pyright: ignore
