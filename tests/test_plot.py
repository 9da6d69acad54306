"""Figures: what they show is what the fit says, everything is legible, fonts are embedded."""

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from bandit_rlhf.comparisons import Comparisons, PairCounts, aggregate
from bandit_rlhf.diagnosis import Calibration, CalibrationBin
from bandit_rlhf.leaderboard import Leaderboard, leaderboard
from bandit_rlhf.plot import (
    PAPER,
    Venue,
    comparison_network,
    drawn_for,
    forest,
    reliability,
    save,
    win_matrix,
)
from bandit_rlhf.plot.names import short_name
from bandit_rlhf.plot.style import COLOURS, MARKERS
from bandit_rlhf.reward import fit
from bandit_rlhf.uncertainty import covariance
from tests.published_tables import BASEBALL, PUDDINGS, tabled


def board_of(rows: Comparisons, **how) -> tuple[Leaderboard, PairCounts]:
    found = fit(rows, **how)
    board = leaderboard(found, rows, covariance(found, rows), np.random.default_rng(0))
    return board, aggregate(rows)


def many(items: int, games: int = 4000) -> tuple[Leaderboard, PairCounts]:
    """A crowded leaderboard of long names."""
    rng = np.random.default_rng(items)
    names = [f"organisation-{k % 7}/model-{k}-instruct-{3 * k}b-preview" for k in range(items)]
    first = rng.integers(items, size=games)
    second = (first + rng.integers(1, items, size=games)) % items
    theta = rng.standard_normal(items)
    wins = rng.random(games) < 1 / (1 + np.exp(theta[second] - theta[first]))
    winner, loser = np.where(wins, first, second), np.where(wins, second, first)
    rows = Comparisons.from_labels([names[i] for i in winner], [names[i] for i in loser])
    return board_of(rows, ridge=0.1)


ISLANDS = Comparisons.from_labels(
    ["a", "b", "c", "d", "e", "d", "e", "e"], ["b", "a", "d", "c", "d", "e", "c", "f"]
)


def boxes(figure: Figure) -> dict[Text, Bbox]:
    """Where every visible text stands, in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = {t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_visible()}
    for axes in figure.axes:  # ticks beyond the axes' limits are kept, but not drawn
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = sorted(limits)
            beyond = [tick for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high]
            texts -= {label for tick in beyond for label in (tick.label1, tick.label2)}
    return {t: t.get_window_extent(canvas.get_renderer()) for t in texts if t.get_text().strip()}


def cut_off(figure: Figure) -> list[str]:
    """Texts that the edge of the figure cuts."""
    page = figure.bbox
    slack = 1.0  # pixel
    return [
        text.get_text()
        for text, box in boxes(figure).items()
        if box.x0 < page.x0 - slack
        or box.y0 < page.y0 - slack
        or box.x1 > page.x1 + slack
        or box.y1 > page.y1 + slack
    ]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Pairs of upright texts that cover each other."""
    upright = {t: b for t, b in boxes(figure).items() if t.get_rotation() % 90 == 0}
    shrunk = {t: b.padded(-0.1 * min(b.width, b.height)) for t, b in upright.items()}
    return [
        (one.get_text(), two.get_text())
        for (one, a), (two, b) in itertools.combinations(shrunk.items(), 2)
        if a.overlaps(b)
    ]


def labels(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


# Forest plots.


def test_the_forest_shows_scores_and_intervals():
    board, _ = board_of(tabled(BASEBALL))
    with drawn_for():
        figure = forest(board)
    axes = figure.axes[0]
    assert labels(figure) == [line.item for line in board]
    lines = {tuple(np.asarray(line.get_xdata())) for line in axes.lines}
    for line in board:
        assert (line.low, line.high) in lines
        assert (line.score,) in lines
    ranks = [text.get_text() for text in axes.texts]
    assert f"{board.standings[0].rank}  (1-6)" in ranks
    assert axes.get_xlabel() == "score, nats, with its 95 % interval"


def test_the_best_item_is_on_top():
    board, _ = board_of(tabled(BASEBALL))
    axes = forest(board).axes[0]
    bottom, top = axes.get_ylim()
    assert bottom > top
    assert list(axes.get_yticks()) == sorted(axes.get_yticks())


def test_components_stand_apart():
    board, _ = board_of(ISLANDS, ridge=0.5)
    ticks = np.diff(forest(board).axes[0].get_yticks())
    assert ticks.tolist() == [1, 1, 1, 2, 1]


def test_without_errors_points_alone():
    found = fit(ISLANDS, ridge=0.5, model="thurstone")
    board = leaderboard(found, ISLANDS, None, np.random.default_rng(0))
    axes = forest(board, top=2).axes[0]
    assert [np.size(line.get_xdata()) for line in axes.lines[:2]] == [1, 1]
    assert len(axes.get_yticks()) == 2
    assert axes.get_xlabel() == "score, standard deviations of the noise"


@pytest.mark.parametrize("items", [2, 60, 150])
def test_every_line_of_a_forest_is_legible(items):
    board, _ = many(items)
    with drawn_for():
        figure = forest(board)
        assert cut_off(figure) == []
        assert overlapping(figure) == []
    assert figure.get_figwidth() == PAPER.column


def test_control_a_forest_without_room_is_seen():
    board, _ = many(60)
    with drawn_for():
        figure = forest(board)
        figure.set_size_inches(5.5, 3)
        assert len(overlapping(figure)) > 10
        figure.text(0.99, 0.5, "over the edge")
        assert "over the edge" in cut_off(figure)


def test_the_venue_sets_the_width():
    board, _ = board_of(tabled(BASEBALL))
    heights = []
    for letter in (5, 10):
        with drawn_for(Venue(3.25, 6.75, {"ytick.labelsize": letter})):
            figure = forest(board)
        assert figure.get_figwidth() == 3.25
        heights.append(figure.get_figheight())
    assert heights[1] == pytest.approx(2 * heights[0])


# Win matrices.


def test_the_win_matrix_holds_the_shares():
    board, counts = board_of(tabled(PUDDINGS), model="davidson")
    figure = win_matrix(board, counts)
    share = np.ma.asarray(figure.axes[0].images[0].get_array())
    rows = tabled(PUDDINGS)
    assert rows.tie is not None
    assert rows.weight is not None
    for (i, one), (j, two) in itertools.permutations(enumerate(board), 2):
        a, b = board.fit.index(one.item), board.fit.index(two.item)
        met = ((rows.winner == a) & (rows.loser == b)) | ((rows.winner == b) & (rows.loser == a))
        won = rows.weight[met & (rows.winner == a) & ~rows.tie].sum()
        tied = rows.weight[met & rows.tie].sum()
        assert share[i, j] == pytest.approx((won + tied / 2) / rows.weight[met].sum())
    assert np.ma.getmaskarray(share).diagonal().all()
    assert {t.get_text() for t in figure.axes[0].texts} == {
        f"{100 * s:.0f}" for s in share.compressed()
    }


def test_pairs_that_never_met_are_masked():
    board, counts = board_of(ISLANDS, ridge=0.5)
    share = np.ma.asarray(win_matrix(board, counts, top=6).axes[0].images[0].get_array())
    met = {
        frozenset(pair)
        for pair in zip(ISLANDS.winner.tolist(), ISLANDS.loser.tolist(), strict=True)
    }
    assert int(np.ma.getmaskarray(share).sum()) == 36 - 2 * len(met)


@pytest.mark.parametrize("items", [2, 59, 120])
def test_every_name_of_a_win_matrix_is_legible(items):
    board, counts = many(items)
    with drawn_for():
        figure = win_matrix(board, counts)
        assert cut_off(figure) == []
        assert overlapping(figure) == []
    assert figure.get_figwidth() == PAPER.column


# Networks.


def test_the_network_joins_who_met_and_dashes_one_sided_pairs():
    board, counts = board_of(ISLANDS, ridge=0.5)
    axes = comparison_network(board, counts).axes[0]
    place = {
        text.get_text(): dot
        for text, dot in zip(axes.texts, np.asarray(dots_of(axes).get_offsets()), strict=True)
    }
    found: dict[str, set] = {}
    for lines in (c for c in axes.collections if isinstance(c, LineCollection)):
        looks: Any = lines.get_linestyle()
        kind = "solid" if looks[0][1] is None else "dashed"
        for ends in lines.get_segments():
            names = {n for n, p in place.items() if any(np.allclose(p, end) for end in ends)}
            found.setdefault(kind, set()).add(frozenset(names))
    assert found == {
        "solid": {frozenset("ab"), frozenset("cd"), frozenset("de")},
        "dashed": {frozenset("ce"), frozenset("ef")},
    }


def dots_of(axes) -> PathCollection:
    return next(c for c in axes.collections if isinstance(c, PathCollection))


def test_each_component_is_a_circle_of_its_own():
    board, counts = board_of(ISLANDS, ridge=0.5)
    dots = np.asarray(dots_of(comparison_network(board, counts).axes[0]).get_offsets())
    circles = [dots[:4], dots[4:]]
    centres = [circle.mean(axis=0) for circle in circles]
    radii = [np.linalg.norm(c - m, axis=1) for c, m in zip(circles, centres, strict=True)]
    assert all(np.ptp(r) < 1e-9 for r in radii)
    assert np.linalg.norm(centres[0] - centres[1]) > radii[0][0] + radii[1][0]


@pytest.mark.parametrize("items", [2, 3, 60, 150])
def test_every_name_of_a_network_is_on_the_page(items):
    board, counts = many(items)
    with drawn_for():
        figure = comparison_network(board, counts)
        assert cut_off(figure) == []
        assert overlapping(figure) == []


def test_many_small_components_find_room():
    pairs = [(f"left {k}", f"right {k}") for k in range(30)]
    rows = Comparisons.from_labels([a for a, _ in pairs], [b for _, b in pairs])
    board, counts = board_of(rows, ridge=1.0)
    with drawn_for():
        figure = comparison_network(board, counts)
        assert cut_off(figure) == []
        assert overlapping(figure) == []


def test_too_many_items_are_refused_with_a_way_out():
    board, counts = many(210)
    for draw in (win_matrix, comparison_network):
        with pytest.raises(ValueError, match=r"210 items, but should be at most 200 .* Give top"):
            draw(board, counts)
        assert draw(board, counts, top=20).axes
    with pytest.raises(ValueError, match="top is 0, but should be at least 1"):
        forest(board, top=0)
    with pytest.raises(ValueError, match="Pass the counts that were fitted"):
        win_matrix(board, aggregate(ISLANDS))


# Reliability.


def test_the_reliability_curve_shows_the_bins():
    bins = (CalibrationBin(0.55, 0.5, 0.4, 0.6, 10.0), CalibrationBin(0.9, 0.95, 0.9, 1.0, 30.0))
    with drawn_for():
        figure = reliability(Calibration(bins, 0.6, 0.69, 0.2, 1.1, 0.1, 40.0, 0, 0))
        assert cut_off(figure) == []
    axes = figure.axes[0]
    curve = next(line for line in axes.lines if line.get_marker() == MARKERS[0])
    assert np.asarray(curve.get_xydata()).ravel().tolist() == [0.55, 0.5, 0.9, 0.95]
    bars = next(c for c in axes.collections if isinstance(c, LineCollection))
    np.testing.assert_allclose([s[:, 1] for s in bars.get_segments()], [[0.4, 0.6], [0.9, 1.0]])
    assert "in sample" in axes.get_title()


# Names, colours, files.


def test_long_names_keep_both_ends():
    name = short_name("organisation/model-with-a-date-2024-11-22-preview", 20)
    assert len(name) == 20
    assert name.startswith("organisati")
    assert name.endswith("…2-preview"[1:])
    assert short_name(7) == "7"


def test_dollars_are_no_formulas():
    rows = Comparisons.from_labels(["$x_", "y^$"], ["y^$", "$x_"])
    board, _ = board_of(rows)
    figure = forest(board)
    FigureCanvasAgg(figure).draw()  # a broken formula would raise here
    assert labels(figure) == [r"\$x_", r"y^\$"]


def test_figures_use_the_palette():
    board, _ = board_of(tabled(BASEBALL))
    drawn = {line.get_color() for line in forest(board).axes[0].lines}
    assert drawn <= {COLOURS[0], "0.6"}


@pytest.mark.parametrize("draw", [forest, win_matrix, comparison_network])
def test_fonts_are_embedded_and_bytes_repeat(tmp_path: Path, draw):
    board, counts = board_of(tabled(BASEBALL))
    written = []
    for name in ("one", "two"):
        with drawn_for():
            figure = draw(board) if draw is forest else draw(board, counts)
            for form in ("pdf", "svg", "png"):
                save(figure, tmp_path / f"{name}.{form}")
        written.append({p.suffix: p.read_bytes() for p in tmp_path.glob(f"{name}.*")})
    assert written[0] == written[1]
    pdf = written[0][".pdf"]
    assert b"/Subtype /Type3" not in pdf
    assert pdf.count(b"/FontFile2") == pdf.count(b"/Type /FontDescriptor") >= 1
    assert b"<text" not in written[0][".svg"]
    width = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf)
    assert width
    assert float(width[1]) == pytest.approx(72 * PAPER.column)


def test_only_three_formats(tmp_path):
    with pytest.raises(
        ValueError, match=r"ends in '\.jpeg', but should be in \.pdf, \.svg or \.png"
    ):
        save(Figure(), tmp_path / "a.jpeg")
    with pytest.raises(ValueError, match="the path has no ending"):
        save(Figure(), tmp_path / "a")
