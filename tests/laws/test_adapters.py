"""Adapters: nothing is imported before it is called, contracts are well formed, the way in and out.

The libraries themselves are not here: what they are told is read from stand-ins of the same
signatures, and what the translations do to tensors is compared with loops.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bandit_rlhf.contract import Declared
from bandit_rlhf.laws import suite
from bandit_rlhf.laws.adapters import LIBRARIES, library_named, subjects_of, translation
from bandit_rlhf.laws.adapters.subject import Foreign
from bandit_rlhf.laws.judging import claims_of
from bandit_rlhf.laws.kinds import KINDS

ROOT = Path(__file__).resolve().parents[2]
FOREIGN = tuple(name for name in LIBRARIES if name != "bandit_rlhf")
EVERY = [subject for library in LIBRARIES.values() for subject in subjects_of(library)]


def loaded_after(statement: str) -> set[str]:
    """The libraries, and torch, that a fresh interpreter holds after a statement."""
    program = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return set(done.stdout.split()) & {"torch", *FOREIGN}


def test_importing_adapters_imports_no_library_and_no_torch() -> None:
    assert loaded_after("import bandit_rlhf.laws.adapters, bandit_rlhf.laws.matrix") == set()
    subjects = "from bandit_rlhf.laws.adapters import *; import bandit_rlhf.laws.adapters as a"
    assert loaded_after(f"{subjects}; [a.subjects_of(x) for x in a.LIBRARIES.values()]") == set()


def test_control_a_loaded_torch_is_seen() -> None:
    assert loaded_after("sys.modules['torch'] = sys.modules['trl.trainer'] = sys") == {
        "torch",
        "trl",
    }


@pytest.mark.parametrize("subject", EVERY, ids=lambda s: f"{s.library} {s.name}")
def test_contracts_are_well_formed(subject: Foreign) -> None:
    contract = subject.contract
    assert contract.kind in KINDS
    assert subject.library in LIBRARIES
    assert subject.name
    assert claims_of(contract) <= set(KINDS[contract.kind].claims)
    own = {law.id for law in suite.of_kind(contract.kind)}
    assert set(contract.declared) <= own
    for declared in contract.declared.values():
        assert isinstance(declared, Declared)
        assert len(declared.reason) > 15
    if subject.library != "bandit_rlhf":
        assert contract.backend == "torch"
        assert contract.claims is not None


@pytest.mark.parametrize("subject", EVERY, ids=lambda s: f"{s.library} {s.name}")
def test_every_claim_is_asked_by_a_law_that_has_its_facts(subject: Foreign) -> None:
    """A claim that no law can ask would be a promise that nobody keeps."""
    laws = suite.of_kind(subject.kind)
    for claim in claims_of(subject.contract):
        asking = [law for law in laws if law.claim == claim]
        assert asking, claim
        known = {*subject.contract.facts} | (
            {"reduction"} if subject.contract.reduction != "none" else set()
        )
        assert any(set(law.facts) <= known for law in asking), claim


@pytest.mark.parametrize("name", LIBRARIES)
def test_names_are_unique_and_functions_can_be_imported_by_name(name: str) -> None:
    subjects = subjects_of(LIBRARIES[name])
    assert len(subjects) >= 6
    pairs = [(subject.name, subject.kind) for subject in subjects]
    assert len(set(pairs)) == len(pairs)
    for subject in subjects:
        module = sys.modules[subject.function.__module__]
        assert getattr(module, subject.function.__qualname__) is subject.function


def test_versions_are_those_of_the_pins() -> None:
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints-matrix.txt").read_text().splitlines()
        if "==" in line
    )
    for name in FOREIGN:
        library = LIBRARIES[name]
        assert pins[library.distribution] == library.version
        assert f"{library.distribution}=={library.version}" in library.install


def test_an_unknown_library_has_a_nearest_name() -> None:
    with pytest.raises(ValueError, match=r"library is 'vrl'.*Did you mean 'verl'"):
        library_named("vrl")
    with pytest.raises(ValueError, match="There are: bandit_rlhf, polgrad"):
        library_named("#")


# Translations, against loops


def random_mask(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    mask = rng.random((rows, columns)) < 0.6
    mask[np.arange(rows), rng.integers(columns, size=rows)] = True
    return mask


def test_pads_go_right_and_come_back() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = random_mask(rng, 3, 5)
        x = np.where(mask, rng.standard_normal((3, 5)), np.nan)
        (moved,), real, back = translation.pads_right(torch.tensor(mask), torch.tensor(x))
        for i, row in enumerate(mask):
            kept = x[i][row]
            np.testing.assert_array_equal(
                moved[i].numpy(), np.append(kept, np.zeros(5 - len(kept)))
            )
            np.testing.assert_array_equal(real[i].numpy(), np.arange(5) < len(kept))
        np.testing.assert_array_equal(back(moved).numpy(), np.where(mask, x, 0.0))


def test_what_comes_after_a_cut_enters_the_last_real_reward() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        mask = random_mask(rng, 3, 4)
        rewards, final = rng.standard_normal((3, 4)), rng.standard_normal(3)
        expected = rewards.copy()
        for i, row in enumerate(mask):
            expected[i, np.flatnonzero(row)[-1]] += 0.5 * final[i]
        arrays = (torch.tensor(rewards), torch.tensor(mask), torch.tensor(final))
        np.testing.assert_allclose(translation.with_final(*arrays, 0.5).numpy(), expected)
        np.testing.assert_array_equal(arrays[0].numpy(), rewards)


def test_without_anything_after_a_cut_rewards_stay() -> None:
    rewards, mask = torch.ones(1, 2), torch.ones(1, 2).bool()
    assert translation.with_final(rewards, mask, None, 0.5) is rewards


def test_draws_become_strings_of_one_token() -> None:
    column, prompts, mask = translation.by_prompt(torch.arange(6.0).reshape(2, 3))
    assert column.tolist() == [[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]]
    assert prompts.tolist() == [0, 0, 0, 1, 1, 1]
    assert mask.tolist() == [[1.0]] * 6


def test_trinity_batches_interleave_pairs() -> None:
    from bandit_rlhf.laws.adapters import trinity

    rows = trinity._interleaved(torch.tensor([1.0, 2.0]), torch.tensor([-1.0, -2.0]))
    assert rows.tolist() == [[1.0], [-1.0], [2.0], [-2.0]]


def test_trl_batches_stack_pairs() -> None:
    from bandit_rlhf.laws.adapters import trl_trainers

    rows = trl_trainers._stacked(torch.tensor([1.0, 2.0]), torch.tensor([-1.0, -2.0]))
    assert rows.tolist() == [1.0, 2.0, -1.0, -2.0]


def test_gradients_flow_through_translations() -> None:
    """Each law that differentiates would see zeros if a translation cut the graph."""
    from bandit_rlhf.laws.adapters import trinity, trl_trainers

    for join in (trinity._interleaved, trl_trainers._stacked):
        pair = [torch.tensor([1.0, 2.0], requires_grad=True) for _ in range(2)]
        (join(*pair).square().sum()).backward()
        assert [x.grad.tolist() for x in pair if x.grad is not None] == [[2.0, 4.0], [2.0, 4.0]]
