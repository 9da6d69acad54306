"""The leaderboard: order, games, intervals and components, each against a second way."""

import numpy as np
import pytest
from scipy.stats import norm

from bandit_rlhf.comparisons import Comparisons, Rankings, aggregate
from bandit_rlhf.diagnosis import rank_intervals
from bandit_rlhf.leaderboard import leaderboard
from bandit_rlhf.ranking_uncertainty import ranking_covariance
from bandit_rlhf.reward import fit, fit_rankings
from bandit_rlhf.uncertainty import bootstrap, covariance
from tests.published_tables import BASEBALL, BASEBALL_ALONE, entries, tabled

ISLANDS = Comparisons.from_labels(
    ["a", "b", "c", "d", "e", "d", "e", "e"], ["b", "a", "d", "c", "d", "e", "c", "f"]
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_baseball_stands_in_its_published_order():
    rows = tabled(BASEBALL)
    found = fit(rows)
    board = leaderboard(found, rows, covariance(found, rows), rng())
    published = sorted(
        [*BASEBALL_ALONE, "Baltimore"], key=lambda t: -BASEBALL_ALONE.get(t, (0,))[0]
    )
    assert [line.item for line in board] == published
    assert [line.rank for line in board] == list(range(1, 8))
    games = {
        team: sum(int(a) + int(b) for *pair, a, b in entries(BASEBALL) if team in pair)
        for team in published
    }
    assert {line.item: line.games for line in board} == games
    assert [line.score for line in board] == sorted(found.scores, reverse=True)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_intervals_are_the_normal_ones_of_the_covariance(level):
    rows = tabled(BASEBALL)
    found = fit(rows)
    sure = covariance(found, rows, "sandwich")
    board = leaderboard(found, rows, sure, rng(), level=level)
    ranks = rank_intervals(sure, rng(), level=level)
    for line in board:
        i = found.index(line.item)
        assert line.stderr == pytest.approx(np.sqrt(sure.matrix[i, i]))
        assert (line.low, line.high) == pytest.approx(
            norm.interval(level, line.score, np.sqrt(sure.matrix[i, i]))
        )
        assert (line.rank_low, line.rank_high) == (ranks.low[i], ranks.high[i])
    assert board.uncertainty == "sandwich"


def test_the_bootstrap_gives_percentiles():
    rows = tabled(BASEBALL)
    found = fit(rows)
    sure = bootstrap(found, rows, rng(), resamples=50)
    board = leaderboard(found, rows, sure, rng(), level=0.8)
    first = board.standings[0]
    draws = sure.scores[:, found.index(first.item)]
    assert (first.low, first.high) == pytest.approx(tuple(np.quantile(draws, [0.1, 0.9])))
    assert first.stderr == pytest.approx(draws.std(ddof=1))
    assert board.uncertainty == "bootstrap"


def test_components_have_leaderboards_of_their_own_the_largest_first():
    found = fit(ISLANDS, ridge=0.5)
    board = leaderboard(found, ISLANDS, covariance(found, ISLANDS), rng())
    groups = [{line.item for line in board if line.component == k} for k in (0, 1)]
    assert groups == [{"c", "d", "e", "f"}, {"a", "b"}]
    assert [line.rank for line in board] == [1, 2, 3, 4, 1, 1]  # a and b won one game each
    assert [line.component for line in board] == [0] * 4 + [1] * 2
    assert {line.rank_high for line in board if line.component} <= {1, 2}


def test_without_errors_ranks_are_the_same():
    found = fit(ISLANDS, ridge=0.5)
    bare = leaderboard(found, ISLANDS, None, rng())
    sure = leaderboard(found, aggregate(ISLANDS), covariance(found, ISLANDS), rng())
    assert [(line.item, line.rank, line.games) for line in bare] == [
        (line.item, line.rank, line.games) for line in sure
    ]
    assert {(line.stderr, line.low, line.high, line.rank_low) for line in bare} == {(None,) * 4}
    assert bare.uncertainty is None


def test_rankings_count_as_games():
    rankings = Rankings.from_lists([["a", "b", "c"], ["b", "c"], ["c", "a"]], weight=[1, 2, 1])
    found = fit_rankings(rankings)
    board = leaderboard(found, rankings, ranking_covariance(found, rankings), rng())
    assert {line.item: line.games for line in board} == {"a": 2, "b": 3, "c": 4}


def test_what_is_refused():
    found, other = fit(ISLANDS, ridge=0.5), fit(ISLANDS, ridge=1.0)
    with pytest.raises(ValueError, match="level is 1, but should be between 0 and 1"):
        leaderboard(found, ISLANDS, None, rng(), level=1.0)
    with pytest.raises(ValueError, match="sure is of another fit"):
        leaderboard(found, ISLANDS, covariance(other, ISLANDS), rng())
