"""`python -m experiments`."""

import os

from experiments.provenance import THREAD_VARIABLES

# Before NumPy is loaded: parallelism is over cells, so that linear algebra on several threads would
# only oversubscribe the cores, and would make the last bits of a row depend on their number.
for name in THREAD_VARIABLES:
    os.environ.setdefault(name, "1")
os.environ.setdefault("MPLBACKEND", "agg")

if __name__ == "__main__":
    from experiments.cli import main

    raise SystemExit(main())
