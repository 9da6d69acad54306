"""Figures: colours that can be told apart, fonts that are embedded, widths that venues set."""

import itertools
import os
import re
import subprocess
import sys

import matplotlib
import numpy as np
import polars as pl
import pytest
from matplotlib import pyplot
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from experiments import style
from experiments.figures import render, save

TABLE = pl.DataFrame({"step": [0, 1, 2], "gain": [0.0, 1.0, 4.0]})

# Severity 1 of Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of
# color vision deficiency", IEEE TVCG 15(6), 2009, table 1; on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = np.array([0.95047, 1.0, 1.08883])  # D65


def lab(colour: str, vision: str = "normal") -> np.ndarray:
    """CIE L*a*b* of an sRGB colour, as an eye sees it."""
    rgb = np.array(to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    ratio = XYZ @ np.clip(VISION[vision] @ linear, 0, 1) / WHITE
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(colours, vision: str = "normal", axes: int = 3) -> float:
    """The least distance of two colours; of their lightness alone for axes = 1."""
    points = [lab(colour, vision)[:axes] for colour in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(points, 2))


def test_the_lab_of_known_colours():
    assert lab("white") == pytest.approx([100, 0, 0], abs=0.01)
    assert lab("red") == pytest.approx([53.24, 80.09, 67.20], abs=0.02)  # the published value


def test_colours_differ_in_grey_print():
    assert nearest(style.COLOURS, axes=1) > 10
    assert all(lab(colour)[0] < 80 for colour in style.COLOURS)  # and from white paper
    default = matplotlib.rcParamsDefault["axes.prop_cycle"].by_key()["color"]
    assert nearest(default, axes=1) < 2  # the control


@pytest.mark.parametrize("vision", VISION)
def test_colours_differ_for_every_eye(vision):
    assert nearest(style.COLOURS, vision) > 18
    assert nearest(["red", "green", "blue", "orange", "olive"], "deuteranopia") < 18  # the control


def test_colour_is_never_the_only_difference():
    for kind in ("linestyle", "marker"):
        assert len({str(style.series(n)[kind]) for n in range(6)}) == 6
    with pytest.raises(ValueError, match=r"series is 6, but should be in 0\.\.5"):
        style.series(6)


def draw(table: pl.DataFrame) -> Figure:
    figure = style.figure(columns=2)
    left, right = figure.subplots(1, 2)
    left.plot(table["step"], table["gain"], label=r"$\beta = 0.1$", **style.series(1))
    left.set(xlabel="step", ylabel="gain, nats")
    left.legend()
    right.text(0.5, 0.5, r"$\sum_t \log \pi(a_t|s_t)$")
    return figure


WIDTHS = {"neurips": 5.5, "icml": 6.75, "jmlr": 6.0, "talk": 12.0}  # inches, two panels


def pdf_width(pdf: bytes) -> float:
    box = re.search(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf)
    assert box
    return float(box[1]) / 72


@pytest.mark.parametrize("name", WIDTHS)
def test_the_venue_sets_the_width(name):
    assert pdf_width(render(draw, TABLE, name)["pdf"]) == pytest.approx(WIDTHS[name], abs=1e-3)


def test_a_figure_of_any_size_gets_the_nearer_width_and_keeps_its_shape():
    def careless(table: pl.DataFrame) -> Figure:
        figure, axes = pyplot.subplots(figsize=(4, 3))
        axes.plot(table["step"], table["gain"])
        return figure

    pdf = render(careless, TABLE, "icml")["pdf"]
    assert pdf_width(pdf) == pytest.approx(3.25, abs=1e-3)
    assert b"/MediaBox [ 0 0 234 175.5 ]" in pdf  # 72 * 3.25 * 3/4
    assert pyplot.get_fignums() == []  # and pyplot does not pile figures up


@pytest.mark.parametrize("name", WIDTHS)
def test_fonts_are_embedded_as_truetype(name):
    pdf = render(draw, TABLE, name)["pdf"]
    assert b"/Subtype /Type3" not in pdf
    assert pdf.count(b"/FontFile2") >= 1
    assert pdf.count(b"/FontFile2") == pdf.count(b"/Type /FontDescriptor")
    svg = render(draw, TABLE, name)["svg"]
    assert b"<text" not in svg  # outlines: an SVG cannot hold a font
    assert render(draw, TABLE, name)["png"].startswith(b"\x89PNG")


def test_the_check_for_embedded_fonts_can_fail(monkeypatch):
    def words(table: pl.DataFrame) -> Figure:
        figure = style.figure()
        figure.text(0.5, 0.5, "words")
        return figure

    monkeypatch.setitem(style.SHARED, "pdf.fonttype", 3)
    monkeypatch.setitem(style.SHARED, "svg.fonttype", "none")
    pictures = render(words, TABLE, "neurips")
    assert b"/Subtype /Type3" in pictures["pdf"]
    assert b"<text" in pictures["svg"]


def test_the_same_table_gives_the_same_bytes_in_another_process():
    code = (
        "import hashlib, runpy; test = runpy.run_path('tests/experiments/test_style.py'); "
        "pictures = test['render'](test['draw'], test['TABLE'], 'jmlr'); "
        "print({k: hashlib.sha256(v).hexdigest() for k, v in pictures.items()})"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": seed * 8},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1


def test_what_is_left_out_of_the_files_would_differ(monkeypatch):
    """The control: with a date, two bytes of the same figure differ."""
    from experiments import figures

    monkeypatch.setitem(figures.METADATA, "pdf", {})
    written = set()
    for epoch in ("1000000000", "1100000000"):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
        written.add(render(draw, TABLE, "neurips")["pdf"])
    assert len(written) == 2


def test_a_matplotlibrc_has_no_say():
    plain = render(draw, TABLE, "neurips")
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "savefig.bbox": "tight"}):
        assert render(draw, TABLE, "neurips") == plain
        assert matplotlib.rcParams["font.size"] == 30  # and gets it back


def test_what_is_no_style_and_no_figure_is_refused():
    with pytest.raises(ValueError, match="neurips, icml, jmlr, talk"):
        render(draw, TABLE, "nature")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="draw returned a list"):
        render(lambda table: [], TABLE, "icml")  # type: ignore[arg-type, return-value]


def test_all_three_files_are_written(tmp_path):
    pictures = render(draw, TABLE, "talk")
    paths = save(pictures, tmp_path / "new", "waves")
    assert [path.name for path in paths] == ["waves.pdf", "waves.svg", "waves.png"]
    assert [path.read_bytes() for path in paths] == list(pictures.values())
    assert len(list((tmp_path / "new").iterdir())) == 3
