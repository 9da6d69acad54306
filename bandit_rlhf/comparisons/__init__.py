"""What people said: comparisons of items, as a table of rows and as counts of pairs."""

from bandit_rlhf.comparisons.aggregation import aggregate, aggregate_stream
from bandit_rlhf.comparisons.pair_counts import Block, PairCounts
from bandit_rlhf.comparisons.ranking_files import rankings_from_frame, read_rankings
from bandit_rlhf.comparisons.rankings import Rankings
from bandit_rlhf.comparisons.reading import aggregate_files, from_frame, read, read_tables
from bandit_rlhf.comparisons.table import Comparisons

__all__ = [
    "Block",
    "Comparisons",
    "PairCounts",
    "Rankings",
    "aggregate",
    "aggregate_files",
    "aggregate_stream",
    "from_frame",
    "rankings_from_frame",
    "read",
    "read_rankings",
    "read_tables",
]
