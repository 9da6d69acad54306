"""Networks: causal, the same step by step, deterministic, linear where they say so."""

import numpy as np
import pytest
import torch

from bandit_rlhf.language import Language
from bandit_rlhf.neural.network import Architecture, HiddenNetwork, build
from tests.neural_worlds import all_strings

HORIZON, ACTIONS, ROWS = 5, 3, 7


def network(kind: str, seed: int = 0, layers: int = 2, outputs: int = 2):
    architecture = Architecture(kind, width=8, layers=layers, dtype="float64")  # pyright: ignore
    return build(
        architecture, prompts=2, actions=ACTIONS, horizon=HORIZON, outputs=outputs, seed=seed
    )


def inputs(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    prompt = torch.as_tensor(rng.integers(2, size=ROWS))
    tokens = torch.as_tensor(rng.integers(ACTIONS, size=(ROWS, HORIZON)))
    return prompt, tokens, torch.nn.functional.one_hot(tokens, ACTIONS).double()


def forgets_the_future(net, place: int) -> bool:
    """Whether outputs before a place stay when the token at the place changes."""
    prompt, tokens, _ = inputs()
    changed = tokens.clone()
    changed[:, place] = (changed[:, place] + 1) % ACTIONS
    before, after = (
        net(prompt, torch.nn.functional.one_hot(t, ACTIONS).double()) for t in (tokens, changed)
    )
    return bool(torch.equal(before[:, : place + 1], after[:, : place + 1]))


@pytest.mark.parametrize("kind", ["gru", "transformer", "counts", "bigrams"])
@pytest.mark.parametrize("place", range(HORIZON))
def test_outputs_know_only_the_past(kind: str, place: int) -> None:
    net = network(kind)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(
                0.1 * torch.arange(1.0, parameter.numel() + 1).reshape(parameter.shape).sin()
            )
    assert forgets_the_future(net, place)
    prompt, _, one_hot = inputs()
    other = one_hot.clone()
    other[:, place] = other[:, place].roll(1, dims=-1)
    assert not torch.equal(net(prompt, one_hot)[:, place + 1], net(prompt, other)[:, place + 1])


def test_control_a_network_that_sees_the_future_is_caught() -> None:
    class Reversed(torch.nn.Module):
        def forward(self, prompt, one_hot):
            return network("gru")(prompt, one_hot.flip(1))

    assert not forgets_the_future(Reversed(), HORIZON - 1)


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_steps_say_what_the_whole_says(kind: str) -> None:
    net, (prompt, tokens, one_hot) = network(kind), inputs()
    assert isinstance(net, HiddenNetwork)
    whole = net(prompt, one_hot)
    output, state = net.step(None, prompt, None)
    steps = [output]
    for place in range(HORIZON):
        output, state = net.step(state, prompt, tokens[:, place])
        steps.append(output)
    torch.testing.assert_close(torch.stack(steps, dim=1), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["gru", "transformer", "counts", "bigrams"])
def test_parameters_follow_from_the_seed_alone(kind: str) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = network(kind, seed=3).state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(6)
    second, other = network(kind, seed=3).state_dict(), network(kind, seed=4).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    if kind in ("gru", "transformer"):
        assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("kind", ["gru", "transformer"])
def test_fresh_outputs_are_of_order_one(kind: str) -> None:
    prompt, _, one_hot = inputs()
    spread = float(network(kind)(prompt, one_hot).detach().std())
    assert 0.01 < spread < 10


def test_linear_kinds_are_sums_over_tokens_and_pairs() -> None:
    language = Language(("a", "b"), 3, "$")
    rng = np.random.default_rng(0)
    counts, bigrams = (
        build(Architecture(k, dtype="float64"), prompts=1, actions=3, horizon=3, outputs=1, seed=0)
        for k in ("counts", "bigrams")
    )
    worth, pairs = rng.normal(size=3), rng.normal(size=(4, 3))
    with torch.no_grad():
        counts.weights.copy_(torch.as_tensor(worth)[None, :, None])  # pyright: ignore
        bigrams.weights.copy_(torch.as_tensor(pairs)[:, :, None])  # pyright: ignore
    strings = all_strings(language)
    one_hot = strings.one_hot(torch.float64)
    sums = [net(strings.prompt, one_hot)[..., 0].detach() for net in (counts, bigrams)]
    for row, string in enumerate(language.all_strings().strings()):
        total = pair_total = 0.0
        for place, token in enumerate(string):
            total += worth[token]
            pair_total += pairs[string[place - 1] if place else 3, token]
            assert float(sums[0][row, place + 1]) == pytest.approx(total, abs=1e-12)
            assert float(sums[1][row, place + 1]) == pytest.approx(pair_total, abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "lstm"}, "kind is 'lstm', but should be one of gru, transformer"),
        ({"dtype": "float16"}, "dtype is 'float16'"),
        ({"width": 0}, "width is 0, but should be at least 1"),
        ({"kind": "transformer", "width": 9}, "width is 9, but should be a multiple of heads = 2"),
    ],
)
def test_wrong_architectures_are_refused(arguments: dict, message: str) -> None:
    # Built past the run-time types, as a user without them would.
    with pytest.raises(Exception) as caught:  # noqa: PT011
        Architecture(**arguments)
    assert message in str(caught.value) or "Literal" in str(caught.value)
