"""The debate as experiments: `python -m experiments list | run | draw | debate`.

An experiment is one module of this package that defines four names: `Config`, `SWEEP`, `run` and
`draw` (see `experiments.experiment`). The claims that it decides stand in `experiments.claims`.
"""
