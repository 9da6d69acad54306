"""The files of human comparisons, which may not stand in the repository."""

import os
from pathlib import Path

import pytest

ABSENT = "BANDIT_RLHF_DATA names no folder with the human comparisons"
"""Why a test on real files is skipped; it is not among the reasons that CI accepts."""


def real(name: str) -> Path:
    """The path of a file in the folder that BANDIT_RLHF_DATA names; skips the test without one.

    Raises:
        FileNotFoundError: the folder is named, but lacks the file.
    """
    folder = os.environ.get("BANDIT_RLHF_DATA")
    if not folder:
        pytest.skip(ABSENT)
    path = Path(folder) / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: BANDIT_RLHF_DATA should name a whole copy.")
    return path
