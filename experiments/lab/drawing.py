"""What the lab's figures share: the distance's label, and legends that cover no curve."""

from typing import Any

from matplotlib.axes import Axes

DISTANCE = r"$d=\sqrt{\mathrm{KL}}$, in $\sqrt{\mathrm{nats}}$"
"""The label of every axis that shows how far a policy has moved from the reference."""


def legend_below(axes: Axes, share: float = 0.6, columns: int = 1, **more: Any) -> None:
    """Widen a linear axis downwards by this share of its height, and put the legend there."""
    low, high = axes.get_ylim()
    axes.set_ylim(low - share * (high - low), high)
    axes.legend(loc="lower left", fontsize="xx-small", ncols=columns, columnspacing=1, **more)


def legend_above(axes: Axes, share: float = 0.6, columns: int = 1, **more: Any) -> None:
    """The same upwards; of a logarithmic axis, by this share of its decades."""
    low, high = axes.get_ylim()
    if axes.get_yscale() == "log":
        axes.set_ylim(low, high * (high / low) ** share)
    else:
        axes.set_ylim(low, high + share * (high - low))
    axes.legend(loc="upper left", fontsize="xx-small", ncols=columns, columnspacing=1, **more)
