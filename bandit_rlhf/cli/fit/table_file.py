"""The leaderboard as a file: CSV, or Parquet by polars."""

import csv
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bandit_rlhf import _check
from bandit_rlhf.leaderboard import Leaderboard


def require_table_ending(path: Path) -> None:
    """Refuse a path that ends in something else than .csv or .parquet.

    Raises:
        ValueError: it does.
        ImportError: .parquet, and there is no polars.
    """
    ending = path.suffix.lower()
    if ending not in (".csv", ".parquet"):
        got = f"--output ends in {ending!r}" if ending else "--output has no ending"
        raise ValueError(_check.complaint(got, "in .csv or .parquet", str(path)))
    if ending == ".parquet":
        try:
            import polars  # noqa: F401
        except ImportError as error:
            raise ImportError(
                "--output .parquet is written by polars, which is not installed. Write .csv, or "
                "install the extra: pip install 'bandit-rlhf[experiments]'."
            ) from error


def write_table(board: Leaderboard, path: Path) -> None:
    """Write one row an item; an item of a prompt has its prompt in a column of its own.

    Args:
        board: the leaderboard.
        path: ending in .csv or .parquet.

    Raises:
        ValueError: another ending.
        OSError: the file cannot be written.

    >>> import tempfile
    >>> import numpy as np
    >>> from bandit_rlhf.comparisons import Comparisons
    >>> from bandit_rlhf.leaderboard import leaderboard
    >>> from bandit_rlhf.reward import fit
    >>> rows = Comparisons.from_labels(["tea", "mate"], ["mate", "tea"])
    >>> path = Path(tempfile.mkdtemp()) / "board.csv"
    >>> write_table(leaderboard(fit(rows), rows, None, np.random.default_rng(0)), path)
    >>> path.read_text().splitlines()[1]
    'mate,0,1,,,0.0,,,,2.0'
    """
    require_table_ending(path)
    records = [_record(asdict(line)) for line in board]
    if path.suffix.lower() == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, records[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(records)
        return
    import polars

    polars.DataFrame(records, infer_schema_length=None).write_parquet(path)


def _record(line: dict[str, Any]) -> dict[str, Any]:
    item = line.pop("item")
    if isinstance(item, tuple):
        return {"prompt": item[0], "item": item[1], **line}
    return {"item": item, **line}
