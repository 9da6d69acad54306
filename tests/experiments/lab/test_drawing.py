import pytest

from experiments import style
from experiments.lab.drawing import legend_above, legend_below


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_legends_get_room_beyond_the_curves(scale):
    axes = style.figure().subplots()
    axes.plot([0, 1], [1, 10], label="curve")
    axes.set_yscale(scale)
    low, high = axes.get_ylim()
    legend_above(axes, 1.0)
    assert axes.get_ylim()[0] == pytest.approx(low)
    assert axes.get_ylim()[1] == pytest.approx(
        high * high / low if scale == "log" else 2 * high - low
    )
    assert axes.get_legend() is not None


def test_a_legend_below_leaves_the_top_alone():
    axes = style.figure().subplots()
    axes.plot([0, 1], [0, 1], label="curve")
    low, high = axes.get_ylim()
    legend_below(axes, 0.5)
    assert axes.get_ylim() == pytest.approx((low - 0.5 * (high - low), high))
