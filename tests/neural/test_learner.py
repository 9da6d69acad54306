"""The loop: deterministic, resumable bit by bit, and what was written stays when it breaks."""

import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bandit_rlhf.loop import within_kl
from bandit_rlhf.neural import (
    Checkpoints,
    ExactJudge,
    FixedPolicy,
    Interrupted,
    NeuralPolicy,
    Optimiser,
    PolicyGradient,
    Round,
    SampledJudge,
    Strings,
    checkpoint,
    from_table,
    train,
)
from bandit_rlhf.neural.judge import Judge
from bandit_rlhf.policy import TabularPolicy
from tests.neural_worlds import LETTERS, policy, random_table

TABLE = random_table(LETTERS, 1, seed=0)
PROXY = from_table(LETTERS, TABLE)
REF = policy(seed=1, dtype="float32")
JUDGE = ExactJudge.of(REF, REF, PROXY)


def rloo(proxy=PROXY, **settings) -> PolicyGradient:
    return PolicyGradient(REF, proxy, beta=0.1, groups=1, draws=8, **settings)


def run(judge: Judge = JUDGE, learner=None, **arguments: Any) -> list[Round]:
    settings: dict[str, Any] = {"steps": 20, "seed": 0} | arguments
    return list(train(REF, learner or rloo(), judge, **settings))


def test_a_training_follows_from_its_seed() -> None:
    torch.manual_seed(0)
    first = run()[-1].policy.string_law()
    torch.manual_seed(1)
    np.testing.assert_array_equal(run()[-1].policy.string_law(), first)
    assert np.abs(run(seed=1)[-1].policy.string_law() - first).max() > 1e-6


def test_looking_changes_nothing() -> None:
    often = run(SampledJudge(REF, PROXY, draws=50), marks=range(20))
    np.testing.assert_array_equal(
        often[-1].policy.string_law(), run(marks=[])[-1].policy.string_law()
    )


def test_rounds_are_frozen_and_the_start_stays() -> None:
    before = REF.string_law()
    rounds = run(marks=[0, 5, 10])
    np.testing.assert_array_equal(REF.string_law(), before)
    assert [one.step for one in rounds] == [0, 5, 10, 20]
    assert rounds[0].loss is None
    assert rounds[0].kl == pytest.approx(0, abs=1e-12)
    for one in rounds:
        law = one.policy.string_law()
        assert one.proxy == pytest.approx(float((law * TABLE).sum()), abs=1e-12)
    assert len({one.policy.string_law()[0, 0] for one in rounds}) == 4
    assert set(rounds[1].row()) >= {"step", "loss", "kl", "proxy", "entropy", "proxy_stderr"}


def test_rules_that_stop_the_loop_stop_this_one() -> None:
    path = train(REF, rloo(), JUDGE, steps=200, optimiser=Optimiser(0.03), seed=0, marks=range(200))
    kept = list(within_kl(path, 0.05))  # pyright: ignore[reportArgumentType]
    assert 1 < len(kept) < 200
    assert all(one.kl <= 0.05 for one in kept)


def test_plain_descent_moves_along_the_gradient() -> None:
    learner = rloo()
    rate, moved = 0.5, run(steps=1, optimiser=Optimiser(0.5, "sgd"))[-1].policy
    generator = torch.Generator().manual_seed(0)
    loss = learner.loss(REF, learner.collect(REF, generator))
    slopes = torch.autograd.grad(loss, list(REF.network.parameters()), allow_unused=True)
    pairs = zip(REF.network.parameters(), moved.network.parameters(), slopes, strict=True)
    for before, after, g in pairs:
        step = torch.zeros_like(before) if g is None else -rate * g
        torch.testing.assert_close(after.detach(), (before + step).detach(), rtol=0, atol=1e-7)


def test_gradients_are_scaled_to_the_largest_norm() -> None:
    moved = run(steps=1, optimiser=Optimiser(1.0, "sgd", largest_norm=0.01))[-1].policy
    pairs = zip(REF.network.parameters(), moved.network.parameters(), strict=True)
    length = np.sqrt(sum(float(((a - b) ** 2).sum().detach()) for a, b in pairs))
    assert length == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_a_resumed_training_goes_on_bit_by_bit(tmp_path: Path, kind: str) -> None:
    written, optimiser = Checkpoints(tmp_path, every=4), Optimiser(0.01, kind)
    whole = run(optimiser=optimiser, checkpoints=written, marks=range(20))
    assert written.steps() == [4, 8, 12, 16, 20]
    rest = run(optimiser=optimiser, resume=written.path(8), marks=range(20))
    assert [one.step for one in rest] == list(range(9, 21))
    np.testing.assert_array_equal(rest[-1].policy.string_law(), whole[-1].policy.string_law())
    assert rest[-1].loss == whole[-1].loss
    # control: without what the optimiser and the generator remember it would go elsewhere
    found = checkpoint.load(written.path(8))
    bare = checkpoint.save(
        tmp_path / "bare.safetensors",
        found.model,
        step=8,
        state={"generator": torch.Generator().manual_seed(0).get_state()},
    )
    other = run(optimiser=optimiser, resume=bare)
    assert np.abs(other[-1].policy.string_law() - whole[-1].policy.string_law()).max() > 1e-6


def breaking(calls: int, value: float):
    """A reward whose fourth row turns to `value` from a certain call on."""
    made = 0

    def reward(strings: Strings) -> torch.Tensor:
        nonlocal made
        made += 1
        rewards = PROXY(strings)
        if made > calls:
            rewards[3] = value
        return rewards

    return reward


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_reward_that_breaks_names_step_row_and_value_and_checkpoints_stay(
    tmp_path: Path, value: float
) -> None:
    written, rounds = Checkpoints(tmp_path, every=5), []
    path = train(
        REF,
        rloo(breaking(12, value)),
        JUDGE,
        steps=20,
        seed=0,
        checkpoints=written,
        marks=range(20),
    )
    with pytest.raises(Interrupted) as caught:
        rounds.extend(path)
    message = str(caught.value)
    assert "training stopped at step 13: the reward of" in message
    assert f"is {value}, but should be finite [PolicyGradient, row 3 of 8 in the batch" in message
    assert "The checkpoint of step 10 stays." in message
    assert caught.value.step == 13
    sent = pickle.loads(pickle.dumps(caught.value))  # as between the processes of a sweep
    assert (str(sent), sent.step, sent.checkpoint) == (message, 13, written.path(10))
    assert caught.value.checkpoint == written.path(10)
    assert written.steps() == [5, 10]
    stayed = checkpoint.load(written.path(10))
    sound = run(steps=10)[-1]
    np.testing.assert_array_equal(stayed.model.string_law(), sound.policy.string_law())  # pyright: ignore


def test_rounds_before_a_broken_reward_were_yielded() -> None:
    seen = []
    learner = rloo(breaking(12, float("nan")))
    path = train(REF, learner, JUDGE, steps=20, seed=0, marks=range(20))
    with pytest.raises(Interrupted, match=r"stopped at step 13: .* There is no checkpoint\."):
        seen.extend(one.step for one in path)
    assert seen == list(range(13))


def test_an_infinite_kl_stops_the_training() -> None:
    law = np.array([[0.5, 0.5, 0, 0, 0, 0, 0]])
    narrow = FixedPolicy(TabularPolicy.from_string_law(LETTERS, [()], law), prompts=[0])
    learner = PolicyGradient(narrow, PROXY, beta=0.1, groups=1, draws=64)
    with pytest.raises(
        Interrupted, match=r"step 1: ln ref of .* \(KL\(pi \|\| ref\) is infinite\)"
    ):
        run(learner=learner)
    judge = ExactJudge.of(REF, narrow, PROXY)
    with pytest.raises(Interrupted, match=r"step 0: KL\(pi \|\| ref\) is inf"):
        run(judge)


def test_a_loss_that_is_not_finite_is_named() -> None:
    class Broken:
        updates, calls = 1, 0

        def collect(self, policy, generator):
            self.calls += 1
            return self.calls

        def loss(self, policy, collected):
            value = sum(p.sum() for p in policy.network.parameters())
            return value * (float("inf") if collected == 3 else 1.0)

    with pytest.raises(Interrupted, match=r"step 3: the loss is -?inf, but should be finite"):
        run(learner=Broken())


class Poisoned:
    """A sound learner whose loss, in the last update of one step, passes through `poison`."""

    def __init__(self, at: int, poison: Callable[[torch.Tensor, NeuralPolicy], torch.Tensor]):
        self.sound, self.at, self.poison = rloo(updates=2), at, poison
        self.updates, self.losses = 2, 0

    def collect(self, policy: NeuralPolicy, generator: torch.Generator) -> Any:
        return self.sound.collect(policy, generator)

    def loss(self, policy: NeuralPolicy, collected: Any) -> torch.Tensor:
        self.losses += 1
        loss = self.sound.loss(policy, collected)
        return self.poison(loss, policy) if self.losses == 2 * self.at else loss


def last_parameter(policy: NeuralPolicy) -> tuple[str, torch.Tensor]:
    return list(policy.network.named_parameters())[-1]


def root_of_nothing(loss: torch.Tensor, policy: NeuralPolicy) -> torch.Tensor:
    """Adds sqrt(0), whose slope times the inner slope 0 is a NaN."""
    _, x = last_parameter(policy)
    return loss + ((x - x.detach()) ** 2).sum().sqrt()


def steep(loss: torch.Tensor, policy: NeuralPolicy) -> torch.Tensor:
    """Adds 0, with slopes of 1e30: finite in float32, their squares are not."""
    _, x = last_parameter(policy)
    return loss + 1e30 * (x - x.detach()).sum()


@pytest.mark.parametrize("largest_norm", [None, 1.0])
@pytest.mark.parametrize("step", [10, 13])  # 10 would have been written
@pytest.mark.parametrize(
    ("poison", "said"),
    [
        (root_of_nothing, r"\[0.*\] is nan \(\d+ of \d+ entries\), but should be finite"),
        (steep, r" reaches 1e\+30, but should be of finite norm"),
    ],
)
def test_a_gradient_that_breaks_under_a_finite_loss_is_named_before_anything_is_written(
    tmp_path: Path, step: int, largest_norm: float | None, poison, said: str
) -> None:
    written, optimiser = Checkpoints(tmp_path, every=5), Optimiser(0.01, largest_norm=largest_norm)
    kept = 10 if step > 10 else 5
    name, _ = last_parameter(REF)
    expected = (
        rf"stopped at step {step}: the gradient of {re.escape(name)}{said} "
        rf"\[train, update 2 of 2 on the batch\]\. .* The checkpoint of step {kept} stays\."
    )
    with pytest.raises(Interrupted, match=expected) as caught:
        run(learner=Poisoned(step, poison), optimiser=optimiser, checkpoints=written)
    assert (caught.value.step, caught.value.checkpoint) == (step, written.path(kept))
    assert written.steps()[-1] == kept
    found = checkpoint.load(written.path(kept))
    tensors = [*found.model.network.state_dict().values(), *found.state.values()]
    assert all(torch.isfinite(one).all() for one in tensors)
    sound = rloo(updates=2)
    resumed = run(learner=sound, optimiser=optimiser, resume=written.path(kept))[-1]
    whole = run(learner=sound, optimiser=optimiser)[-1]
    np.testing.assert_array_equal(resumed.policy.string_law(), whole.policy.string_law())


def test_an_update_beyond_the_floating_range_is_named_before_it_is_written(
    tmp_path: Path,
) -> None:
    """A finite gradient times a finite rate may be infinite, though no loss is taken after it."""
    written, name = Checkpoints(tmp_path, every=1), last_parameter(REF)[0]

    class Descent:
        updates = 1

        def collect(self, policy: NeuralPolicy, generator: torch.Generator) -> Any:
            return None

        def loss(self, policy: NeuralPolicy, collected: Any) -> torch.Tensor:
            return 1e15 * last_parameter(policy)[1].sum()

    expected = rf"step 1: the updated {re.escape(name)}\[0.*\] is -inf .*, but should be finite"
    with pytest.raises(Interrupted, match=expected):
        run(learner=Descent(), steps=1, optimiser=Optimiser(1e30, "sgd"), checkpoints=written)
    assert written.steps() == []
    run(learner=Descent(), steps=1, optimiser=Optimiser(1e-15, "sgd"), checkpoints=written)
    assert written.steps() == [1]  # control: a step that can be taken


def test_wrong_arguments_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="steps is 0, but should be at least 1"):
        run(steps=0)
    with pytest.raises(ValueError, match="learning_rate is 0, but should be above 0"):
        Optimiser(0.0)
    with pytest.raises(ValueError, match="kind is 'lion'"):
        Optimiser(kind="lion")
    with pytest.raises(ValueError, match="every is 0, but should be at least 1"):
        Checkpoints(tmp_path, every=0)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        run(resume=tmp_path / "absent.safetensors")
    bare = checkpoint.save(tmp_path / "bare.safetensors", REF, step=3)
    with pytest.raises(ValueError, match="holds a policy alone"):
        train(REF, rloo(), JUDGE, steps=20, seed=0, resume=bare)  # at once, not at the first round
    done = Checkpoints(tmp_path, every=2)
    run(steps=2, checkpoints=done)
    with pytest.raises(ValueError, match="has seen 2 steps, but should be below steps = 2"):
        run(steps=2, resume=done.path(2))
    other = checkpoint.save(tmp_path / "other.safetensors", policy(width=4))
    with pytest.raises(ValueError, match="the architecture in"):
        run(resume=other)
