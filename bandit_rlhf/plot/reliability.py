"""The reliability curve: how often favourites win, against how often they are said to."""

from matplotlib.figure import Figure

from bandit_rlhf.diagnosis import Calibration
from bandit_rlhf.plot import style


def reliability(calibration: Calibration) -> Figure:
    """Draw predicted against observed scores of favourites, a tie counting half.

    Args:
        calibration: by `diagnosis.calibration` or `cross_validated_calibration`.

    Returns:
        A figure as wide as a column of the venue.

    >>> from bandit_rlhf.diagnosis import CalibrationBin
    >>> found = Calibration((CalibrationBin(0.6, 0.7, 0.5, 0.9, 20.0),), 0.6, 0.69, 0.2, 1.2, 0.1,
    ...                     20.0, 0, 10)
    >>> reliability(found).axes[0].get_title()
    'slope 1.20 ± 0.10, log loss 0.600 of 0.690 nats (10-fold)'
    """
    width = style.current_venue().column
    figure = Figure(figsize=(width, 0.62 * width), layout="constrained")
    axes = figure.subplots()
    axes.axline((0.5, 0.5), slope=1, color="0.6", lw=0.8, ls="-", label="calibrated", zorder=0)
    bins = calibration.bins
    predicted, observed = (
        [getattr(one, name) for one in bins] for name in ("predicted", "observed")
    )
    below = [max(0.0, one.observed - one.low) for one in bins]
    above = [max(0.0, one.high - one.observed) for one in bins]
    look = style.series(0)
    axes.errorbar(
        predicted,
        observed,
        yerr=(below, above),
        fmt=look["marker"],
        color=look["color"],
        elinewidth=0.8,
        label=f"{calibration.judgements:,.0f} judgements, 95 % intervals",
    )
    axes.set(
        xlabel="predicted score of the favourite (1: wins, 1/2: ties)",
        ylabel="observed score",
        xlim=(0.49, 1.01),
    )
    how = f"{calibration.folds}-fold" if calibration.folds else "in sample"
    axes.set_title(
        f"slope {calibration.slope:.2f} ± {calibration.slope_stderr:.2f}, log loss "
        f"{calibration.log_loss:.3f} of {calibration.baseline_log_loss:.3f} nats ({how})"
    )
    axes.legend(loc="lower right")
    return figure
