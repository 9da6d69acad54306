"""Hallucination: scores by a second fit, thresholds by hand, exact against sampled, judges."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy.optimize import minimize

from bandit_rlhf.exact import path_sum
from experiments import hallucination
from experiments.hallucination import (
    NEURAL,
    Config,
    beliefs,
    claims_of,
    edge_payoff,
    fitted_scores,
    judge_caught,
    judge_threshold,
    keeps_rule,
    network,
    questions,
)
from experiments.word_world import mean, world


@pytest.mark.parametrize("penalty", [0.0, 1.0, 3.0])
def test_who_catches_all_or_nothing_is_fitted_exactly(penalty):
    knows, layman = (fitted_scores(quality, penalty, 2.0) for quality in (1.0, 0.0))
    assert (knows.right, knows.wrong) == pytest.approx((1.0, -penalty), abs=1e-9)
    assert (layman.right, layman.wrong) == pytest.approx((1.0, 1.0), abs=1e-9)
    assert knows.threshold == pytest.approx(penalty / (1 + penalty), abs=1e-9)


def test_the_fit_to_a_mixture_against_a_general_optimiser():
    quality, rewards = 0.6, 3.0 * np.array([[1.0, 0.0, -2.0], [1.0, 0.0, 1.0]])
    pairs = [(0, 1), (0, 2), (1, 2)]
    wins = [
        np.array([quality, 1 - quality]) @ (1 / (1 + np.exp(rewards[:, b] - rewards[:, a])))
        for a, b in pairs
    ]

    def loss(free):
        score = np.array([free[0], 0.0, free[1]])
        gaps = np.array([score[a] - score[b] for a, b in pairs])
        return float(
            np.dot(wins, np.logaddexp(0, -gaps))
            + np.dot(np.subtract(1, wins), np.logaddexp(0, gaps))
        )

    right, wrong = minimize(loss, np.zeros(2), tol=1e-12).x / 3.0
    found = fitted_scores(quality, 2.0, 3.0)
    assert (found.right, found.wrong) == pytest.approx((right, wrong), abs=1e-5)


def test_the_tilted_answers_by_hand():
    """Two candidates, one question: every term of the Gibbs law written out."""
    config = Config(candidates=2, confidences=2, beta=0.5, abstains=0.2)
    scores = hallucination.Scores(1.0, -1.0)
    rows = questions(config, scores, 0)
    sure = rows[2]  # confidence 1: the other candidate is impossible
    assert sure["claims"] == pytest.approx(0.8 * np.exp(2) / (0.8 * np.exp(2) + 0.2))
    even = rows[1]  # confidence 1/2: claims earn 0, as abstaining does
    assert even["claims"] == pytest.approx(0.8)
    wrong = (0.8 * 0.5 + 0.0) / 2
    assert rows[0]["wrong"] == pytest.approx(wrong)
    assert rows[0]["wrong_before"] == pytest.approx(wrong)


def test_a_weaker_penalty_moves_the_switch_down():
    switches = [
        questions(Config(), fitted_scores(1.0, penalty, 4.0), 0)[0]["switches_at"]
        for penalty in (0.25, 1.0, 9.0)
    ]
    assert switches == pytest.approx([0.2, 0.5, 0.9], abs=0.02)


def test_wrong_words_are_what_sampling_finds():
    lattice = world(6, 5, 1)
    confidence, claims = claims_of(lattice)
    payoff = edge_payoff(lattice, claims * (1 - confidence))
    policy, _ = path_sum.gibbs_optimum(lattice, payoff, 1.0)
    batch = policy.sample(np.random.default_rng(0), 20_000)
    found = lattice.reward(payoff, batch)
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - mean(policy, payoff)) < 5 * error
    assert error > 0


def test_the_rule_is_kept_by_whoever_keeps_it():
    """A policy that claims the best word where it passes the threshold, and ends elsewhere."""
    lattice = world(6, 5, 1)
    confidence, claims = claims_of(lattice)
    best = np.where(claims, confidence, -1.0)
    chosen = np.where(best.max(axis=1) > 0.3, best.argmax(axis=1), lattice.language.end_token)
    scores = np.full(lattice.log_reference.shape, -40.0)
    scores[np.arange(len(scores)), chosen] = 0.0
    policy = path_sum.softmax(lattice, np.broadcast_to(scores, (5, *scores.shape)))
    assert keeps_rule(policy, confidence, claims, 0.3) == pytest.approx(1.0)
    assert keeps_rule(lattice.reference, confidence, claims, 0.3) < 0.95


def test_a_network_ends_near_the_exact_tilt():
    """Sampled against exact: what a tuned network answers, and what the Gibbs law does."""
    config = replace(NEURAL, candidates=4, confidences=7, steps=150)
    scores = fitted_scores(0.9, 1.0, 4.0)
    (tuned,) = network(config, scores, 0)
    exact = questions(config, scores, 0)[0]
    for name in ("claims", "wrong"):
        assert abs(tuned[name] - exact[name]) < 0.1
        assert abs(tuned[f"{name}_before"] - exact[f"{name}_before"]) < 0.03
    assert tuned["wrong"] < 0.7 * tuned["wrong_before"]


def test_beliefs_are_laws():
    sure, belief, reference = beliefs(Config(confidences=5))
    assert belief.sum(axis=1) == pytest.approx(np.ones(5))
    assert reference.sum(axis=1) == pytest.approx(np.ones(5))
    assert (belief.argmax(axis=1) == 0).all()
    assert belief[:, 0] == pytest.approx(sure)


def table(caught: float, missed: float) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "tier": ["enumerable"] * 2 + ["words"] * 2 + ["neural"] * 6,
            "row": "all",
            "quality": [0.9, 0.0] * 5,
            "penalty": 1.0,
            "wrong": [
                0.2,
                0.5,
                0.2,
                0.5,
                caught,
                missed,
                caught + 0.01,
                missed,
                caught,
                missed + 0.01,
            ],
            "wrong_before": 0.5,
        }
    )


def test_judges_of_hallucination():
    assert judge_caught(table(0.2, 0.6)).verdict == "supported"
    assert judge_caught(table(0.4, 0.6)).verdict == "refuted"
    assert judge_caught(table(0.2, 0.3)).verdict == "refuted"  # fewer, though none is caught
    assert "refuted on neural" in judge_caught(table(0.4, 0.6)).measured


@pytest.mark.parametrize(("switch", "verdict"), [(0.5, "supported"), (0.6, "refuted")])
def test_judge_of_the_threshold(switch, verdict):
    rows = pl.DataFrame(
        {
            "tier": "enumerable",
            "row": "all",
            "quality": 1.0,
            "penalty": [0.25, 1.0],
            "switches_at": [0.2, switch],
        }
    )
    assert judge_threshold(rows).verdict == verdict
