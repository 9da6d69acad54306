"""Laws as pytest ids: which are made, what they raise, and what makes none."""

import numpy as np
import pytest

from bandit_rlhf.contract import Declared, estimator
from bandit_rlhf.laws.parametrize import pairs, parametrize_with_laws
from bandit_rlhf.laws.verdict import LawsBroken, Status


@estimator("advantage", claims={"unbiased", "centred", "finite"})
def leave_one_out(rewards):
    """The mean of the others as baseline."""
    n = rewards.shape[1]
    rest = (rewards.sum(axis=1, keepdims=True) - rewards) / max(n - 1, 1)
    return rewards - rest if n > 1 else rewards - rewards


@estimator("advantage", declared={"A1": Declared("a mean over the group", slope="(n-1)/n")})
def own_sample_inside(rewards):
    """(n - 1)/n of the gradient, declared."""
    return rewards - rewards.mean(axis=1, keepdims=True)


@estimator("aggregation", mask="pad", names={"values": "loss", "mask": "ignored"})
def pads_are_true(ignored, loss):
    """A masked mean in a dialect of its own, which must not look like a changed argument."""
    return np.where(ignored, 0, loss).sum() / loss.dtype.type((~ignored).sum())


@parametrize_with_laws(None, [pads_are_true], claims=())
def test_a_dialect_of_its_own_is_no_offence(estimator, law):
    law(estimator)


def ids(kind, estimators, **terms):
    """The ids of the tests that would be made."""
    return list(parametrize_with_laws(kind, estimators, **terms).mark.kwargs["ids"])


@parametrize_with_laws("advantage", [leave_one_out, own_sample_inside])
def test_laws_hold(estimator, law):
    law(estimator)


def test_one_id_for_each_estimator_and_law_that_concerns_it():
    assert ids("advantage", [leave_one_out]) == [
        f"leave_one_out-{law}" for law in ("U3", "U7", "A1", "A2", "A7")
    ]
    assert ids(None, [leave_one_out, own_sample_inside], laws=("A1",)) == [
        "leave_one_out-A1",
        "own_sample_inside-A1",
    ]


@pytest.mark.parametrize(
    ("terms", "law", "made"),
    [
        ({"claims": {"scale_degree"}}, "A4", False),
        ({"claims": {"scale_degree"}, "facts": {"degree": 1}}, "A4", True),
        ({"claims": {"unbiased"}}, "A3", False),
        ({"claims": {"shift_invariant"}}, "A3", True),
    ],
)
def test_claims_and_facts_decide(terms, law, made):
    assert (f"leave_one_out-{law}" in ids("advantage", [leave_one_out], **terms)) is made


def pad_dependent(values, mask):
    """A mean that multiplies with the mask, which NaN at pads survives."""
    return (values * mask).sum() / mask.sum()


def test_what_the_caller_must_do_makes_no_test():
    made, spared = (
        ids("aggregation", [pad_dependent], claims=(), preconditions=frozenset(words))
        for words in ((), ("pads are clean",))
    )
    assert "pad_dependent-U1" in made
    assert "pad_dependent-U1" not in spared
    assert "pad_dependent-U2" in spared


def test_derivatives_in_float32_alone_make_no_test():
    both, single = (ids("aggregation", [pad_dependent], dtype=d) for d in ("both", "float32"))
    assert set(both) - set(single) == {"pad_dependent-U1-gradient"}


def test_laws_of_autograd_are_asked_of_torch_functions_that_do_not_declare_it():
    import torch

    def loss(log_prob, old_log_prob, advantages, mask):
        ratio = torch.exp(log_prob - old_log_prob.detach())
        return -torch.where(mask, ratio * advantages.detach(), 0.0).sum() / mask.sum()

    made = ids("policy_loss", [loss], claims={"no_leak"})
    assert "loss-L7" in made
    ((_, law),) = pairs("policy_loss", [loss], laws=("L7",), claims={"no_leak"})
    assert [v.status for v in law(loss).verdicts] == [Status.PASS]


def test_a_broken_law_raises_its_report():
    ((function, law),) = pairs("advantage", [lambda r: 2 * r], laws=("A1",))
    with pytest.raises(LawsBroken, match=r"FAIL A1: .*(?s:.)*pure scale error x2"):
        law(function)


def test_an_estimator_that_cannot_be_asked_raises_as_well():
    ((function, law),) = pairs("advantage", [lambda r: r[:, 0]], laws=("A1",))
    with pytest.raises(LawsBroken, match=r"ERROR +A1: returned shape"):
        law(function)


def test_a_declared_deviation_that_is_gone_raises():
    mended = estimator("advantage", declared={"A1": Declared("once biased")})(lambda r: 1.0 * r)
    ((function, law),) = pairs(None, [mended], laws=("A1",))
    with pytest.raises(LawsBroken, match="declared to deviate"):
        law(function)


@pytest.mark.parametrize(
    ("estimators", "terms", "words"),
    [
        ([], {}, "an empty list of estimators makes no test"),
        ([leave_one_out, np.negative], {"laws": ("A5",)}, "leave_one_out, negative makes no test"),
        ([leave_one_out], {"laws": ("AA1",)}, "Did you mean 'A1'"),
    ],
)
def test_no_test_is_an_error(estimators, terms, words):
    with pytest.raises(ValueError, match=words):
        parametrize_with_laws("advantage", estimators, **terms)


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="Did you mean 'advantage'"):
        parametrize_with_laws("advantages", [leave_one_out])
