"""`bandit-rlhf fit FILE`: rewards from comparisons, how sure they are, and what to trust.

>>> from pathlib import Path
>>> run(Options(Path("votes.csv"), level=2.0))
Traceback (most recent call last):
...
ValueError: --level is 2, but should be between 0 and 1.
"""

from bandit_rlhf.cli.fit.command import run
from bandit_rlhf.cli.fit.options import ABOUT, Options

__all__ = ["ABOUT", "Options", "run"]
