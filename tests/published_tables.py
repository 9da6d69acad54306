"""Small published tables of comparisons, with the estimates published for them."""

import numpy as np

from bandit_rlhf.comparisons import Comparisons

# American League East, 1987: (home team, away team, home wins, home losses).
# Agresti 1990, Categorical Data Analysis, tables 10.10 and 10.11.
BASEBALL = """
Milwaukee Detroit 4 3; Milwaukee Toronto 4 2; Milwaukee NewYork 4 3
Milwaukee Boston 6 1; Milwaukee Cleveland 4 2; Milwaukee Baltimore 6 0
Detroit Milwaukee 3 3; Detroit Toronto 4 2; Detroit NewYork 4 3
Detroit Boston 6 0; Detroit Cleveland 6 1; Detroit Baltimore 4 3
Toronto Milwaukee 2 5; Toronto Detroit 4 3; Toronto NewYork 2 4
Toronto Boston 4 3; Toronto Cleveland 4 2; Toronto Baltimore 6 0
NewYork Milwaukee 3 3; NewYork Detroit 5 1; NewYork Toronto 2 5
NewYork Boston 4 3; NewYork Cleveland 4 2; NewYork Baltimore 6 1
Boston Milwaukee 5 1; Boston Detroit 2 5; Boston Toronto 3 3
Boston NewYork 4 2; Boston Cleveland 5 2; Boston Baltimore 6 0
Cleveland Milwaukee 2 5; Cleveland Detroit 3 3; Cleveland Toronto 3 4
Cleveland NewYork 4 3; Cleveland Boston 4 2; Cleveland Baltimore 2 4
Baltimore Milwaukee 2 5; Baltimore Detroit 1 5; Baltimore Toronto 1 6
Baltimore NewYork 2 4; Baltimore Boston 1 6; Baltimore Cleveland 3 4
"""

# Turner and Firth 2012, Bradley-Terry models in R, J. Statistical Software 48(9), section 3.2:
# estimates and standard errors relative to Baltimore, without and with the home advantage.
BASEBALL_ALONE = {
    "Boston": (1.1077, 0.3339),
    "Cleveland": (0.6839, 0.3319),
    "Detroit": (1.4364, 0.3396),
    "Milwaukee": (1.5814, 0.3433),
    "NewYork": (1.2476, 0.3359),
    "Toronto": (1.2945, 0.3367),
}
BASEBALL_AT_HOME = {
    "Boston": (1.1438, 0.3378),
    "Cleveland": (0.7047, 0.3350),
    "Detroit": (1.4754, 0.3446),
    "Milwaukee": (1.6196, 0.3474),
    "NewYork": (1.2813, 0.3404),
    "Toronto": (1.3271, 0.3403),
}
HOME_ADVANTAGE = (0.3023, 0.1309)
BASEBALL_DEVIANCES = (44.05, 38.64)

# Citations between statistics journals, 1987-89: (first, second, first's wins, second's wins).
# Agresti 1990, table 10.12 (from Stigler 1994); estimates relative to Biometrika from Turner and
# Firth 2012, section 2.1.
CITATIONS = """
Biometrika Communications 730 33; Biometrika JASA 498 320; Biometrika JRSS-B 221 284
Communications JASA 68 813; Communications JRSS-B 17 276; JASA JRSS-B 142 325
"""
CITATION_SCORES = {
    "Communications": (-2.94907, 0.10255),
    "JASA": (-0.47957, 0.06059),
    "JRSS-B": (0.26895, 0.07083),
}

# Chocolate puddings: (i, j, wins of i, wins of j, ties). Davidson 1970, J. Amer. Statist. Assoc.
# 65:317, example 2, with his worths (adding up to one) and tie parameter; standard errors of
# contrasts with brand 1, and of ln nu, from Turner et al. 2020, Computational Statistics 35:1027.
PUDDINGS = """
1 2 19 22 16; 1 3 16 19 12; 2 3 19 19 10; 1 4 18 23 13; 2 4 23 19 9
3 4 19 20 15; 1 5 13 19 18; 2 5 16 20 12; 3 5 16 15 17; 4 5 17 14 16
1 6 18 21 12; 2 6 22 20 12; 3 6 13 18 10; 4 6 14 19 18; 5 6 11 21 12
"""
PUDDING_WORTHS = (0.1388, 0.1730, 0.1617, 0.1654, 0.1587, 0.2024)
PUDDING_TIE = 0.7468
PUDDING_ERRORS = (0.1872, 0.1935, 0.1882, 0.1927, 0.1924)
PUDDING_TIE_ERROR = 0.0825


def entries(table: str) -> list[list[str]]:
    """The table's entries, split into words."""
    return [entry.split() for line in table.strip().splitlines() for entry in line.split(";")]


def tabled(table: str, position: bool = False) -> Comparisons:
    """The table as weighted rows: what stands first is shown first."""
    left, right, outcome, weight = [], [], [], []
    for first, second, *counts in entries(table):
        for side, count in zip((1, -1, 0), counts, strict=False):
            left.append(first)
            right.append(second)
            outcome.append(side)
            weight.append(int(count))
    return Comparisons.from_sides(left, right, np.array(outcome), weight=weight, position=position)
