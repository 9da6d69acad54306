"""Paper figures of fits and verdicts: fonts embedded, colours that survive print and eyes.

`forest` draws the leaderboard, `win_matrix` who beat whom, `reliability` the calibration curve,
`comparison_network` who met whom, `conformance` which laws hold of which estimators. Draw inside
`style.drawn_for(venue)`, which sets width and type; `save` writes PDF, SVG or PNG. This is the only
room that imports matplotlib.
"""

from bandit_rlhf.plot.comparison_network import comparison_network
from bandit_rlhf.plot.conformance import conformance
from bandit_rlhf.plot.forest import forest
from bandit_rlhf.plot.reliability import reliability
from bandit_rlhf.plot.saving import save
from bandit_rlhf.plot.style import PAPER, Venue, drawn_for
from bandit_rlhf.plot.win_matrix import win_matrix

__all__ = [
    "PAPER",
    "Venue",
    "comparison_network",
    "conformance",
    "drawn_for",
    "forest",
    "reliability",
    "save",
    "win_matrix",
]
