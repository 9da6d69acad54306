"""The conformance matrix: every verdict has its cell, letter and shade; all stays on the page."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from bandit_rlhf.laws.matrix import LETTERS
from bandit_rlhf.plot import PAPER, Venue, conformance, drawn_for, save
from bandit_rlhf.plot.conformance import CELL, LOOKS

STATUSES = tuple(LETTERS)


def estimator(name: str, kind: str, **said: str) -> dict[str, Any]:
    verdicts = [{"law": law.replace("_", "-"), "status": status} for law, status in said.items()]
    return {"estimator": name, "kind": kind, "error": "", "verdicts": verdicts}


def table_of(**libraries: list[dict[str, Any]]) -> dict[str, Any]:
    rows = []
    for name, estimators in libraries.items():
        said = Counter(v["status"] for e in estimators for v in e["verdicts"])
        counts = {status: said[status] for status in STATUSES}
        row = {"library": name, "version": "1.0", "error": "", "counts": counts}
        rows.append(row | {"estimators": estimators})
    total = {status: sum(row["counts"][status] for row in rows) for status in STATUSES}
    return {"counts": total, "libraries": rows}


SMALL = table_of(
    one=[
        estimator("rloo", "advantage", A1="PASS", A2="FAIL", A3="NOT APPLICABLE"),
        estimator("k1", "kl", U1_gradient="PRECONDITION", K1="DECLARED"),
    ],
    two=[estimator("grpo", "advantage", A1="ERROR", A2="PASS", A3="NOT APPLICABLE")],
)


def crowded() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    kinds = ("policy_loss", "advantage", "kl", "preference_loss")
    return table_of(
        **{
            f"library_{k}": [
                estimator(
                    f"estimator {k} {j} of a long name, with=settings, and=more",
                    str(rng.choice(kinds)),
                    **{f"L{law}_direction": str(rng.choice(STATUSES)) for law in range(9)},
                )
                for j in range(4)
            ]
            for k in range(5)
        }
    )


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def cells(figure: Figure) -> Counter[str]:
    """How many squares of each colour."""
    faces = {to_rgb(look.face): status for status, look in LOOKS.items()}
    patches = [p for p in figure.axes[0].patches if isinstance(p, Rectangle)]
    return Counter(faces[to_rgb(patch.get_facecolor()[:3])] for patch in patches)


def test_every_verdict_has_its_cell_and_letter() -> None:
    with drawn_for():
        figure = conformance(SMALL)
    legend = Counter(dict.fromkeys(STATUSES, 1))
    expected = Counter(PASS=2, FAIL=1, PRECONDITION=1, DECLARED=1, ERROR=1)
    assert cells(figure) == legend + expected  # A3 never applies, and has no column
    said = Counter(texts(figure))
    for status, letter in LETTERS.items():
        assert said[letter] == legend[status] + expected[status] + 1, status  # the foot's heading
    assert {"rloo", "grpo", "k1", "advantage", "kl", "A1", "U1-gradient"} <= set(said)
    assert "A3" not in said


def test_counts_of_each_library_stand_below() -> None:
    with drawn_for():
        axes = conformance(SMALL).axes[0]
    heights = {t.get_text(): t.get_position()[1] for t in axes.texts}
    for name, row in zip(("one 1.0", "two 1.0"), SMALL["libraries"], strict=True):
        line = [t for t in axes.texts if t.get_position()[1] == heights[name]]
        numbers = [t.get_text() for t in line if t.get_text().isdigit()]
        assert numbers == [str(row["counts"][status]) for status in STATUSES]


def test_estimators_of_a_library_stand_together_below_its_name() -> None:
    with drawn_for():
        axes = conformance(SMALL, kinds=("advantage",)).axes[0]
    place = {t.get_text(): t.get_position()[1] for t in axes.texts}
    assert place["one"] < place["rloo"] < place["two"] < place["grpo"]


def test_an_estimator_that_could_not_be_judged_has_a_row_of_errors() -> None:
    broken = estimator("lost", "advantage") | {"error": "ImportError"}
    figure = conformance(table_of(one=[estimator("rloo", "advantage", A1="PASS"), broken]))
    assert cells(figure)["ERROR"] == 2


def test_a_library_that_is_missing_is_named() -> None:
    table = table_of(one=[estimator("rloo", "advantage", A1="PASS")], gone=[])
    table["libraries"][1] |= {"version": "", "error": "not installed: pip install gone==1.0"}
    assert {"gone", "not installed"} <= set(texts(conformance(table)))


def test_kinds_can_be_chosen() -> None:
    figure = conformance(SMALL, kinds=("kl",))
    assert "k1" in texts(figure)
    assert "rloo" not in texts(figure)


def lightness(colour: str) -> float:
    """CIE L* of a colour, which is what grey print shows."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    y = float(np.dot([0.2126, 0.7152, 0.0722], linear))
    return 116 * y ** (1 / 3) - 16 if y > 0.008856 else 903.3 * y


def test_shades_stay_apart_in_grey_and_letters_stand_out() -> None:
    shades = sorted(lightness(look.face) for look in LOOKS.values())
    assert min(np.diff(shades)) > 5
    assert len(set(LETTERS.values())) == len(STATUSES) == len(LOOKS)
    for status, look in LOOKS.items():
        if status != "NOT APPLICABLE":
            assert abs(lightness(look.face) - lightness(look.ink)) > 45, status


@pytest.mark.parametrize("venue", [PAPER, Venue(3.25, 6.75, PAPER.rc)])
def test_nothing_runs_off_the_page_or_into_cells(venue: Venue) -> None:
    with drawn_for(venue):
        figure = conformance(crowded())
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        renderer = canvas.get_renderer()
        width, height = figure.get_size_inches() * figure.dpi
        boxes = {t: t.get_window_extent(renderer) for t in figure.axes[0].texts}
        assert figure.get_size_inches()[0] == venue.page
        for text, box in boxes.items():
            assert box.x0 >= 0, text
            assert box.y0 >= 0, text
            assert box.x1 <= width, text
            assert box.y1 <= height, text
        squares = [p.get_window_extent(renderer) for p in figure.axes[0].patches]
        names = [box for text, box in boxes.items() if text.get_text().startswith("estimator ")]
        assert len(names) == 20
        for name in names:
            assert not any(name.overlaps(square) for square in squares)


def test_control_a_name_that_is_not_cut_would_run_off_the_page() -> None:
    with drawn_for():
        figure = conformance(crowded())
        canvas = FigureCanvasAgg(figure)
        (text, *_) = (t for t in figure.axes[0].texts if t.get_text().startswith("estimator "))
        text.set_text("estimator 0 1 of a long name, with=settings, and=more" * 2)
        canvas.draw()
        assert text.get_window_extent(canvas.get_renderer()).x0 < 0


def test_letters_fit_their_cells() -> None:
    with drawn_for():
        figure = conformance(SMALL)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        side = CELL * figure.dpi
        letters = [t for t in figure.axes[0].texts if t.get_text() in LETTERS.values()]
        for letter in letters:
            assert letter.get_window_extent(canvas.get_renderer()).width < side


@pytest.mark.parametrize("ending", ["pdf", "svg", "png"])
def test_the_same_table_gives_the_same_bytes(tmp_path: Path, ending: str) -> None:
    written = []
    for name in ("a", "b"):
        with drawn_for():
            save(conformance(SMALL), tmp_path / f"{name}.{ending}")
        written.append((tmp_path / f"{name}.{ending}").read_bytes())
    assert written[0] == written[1]


def test_nothing_judged_is_refused() -> None:
    with pytest.raises(ValueError, match="table has no estimators, but should have some"):
        conformance(table_of(gone=[]))
    with pytest.raises(ValueError, match="table has no estimators"):
        conformance(SMALL, kinds=("entropy",))
