"""Every result turns into JSON and keeps its numbers."""

import dataclasses
import json
from collections.abc import Callable

import numpy as np
import pytest

from bandit_rlhf import diagnosis
from bandit_rlhf.diagnosis import plain
from bandit_rlhf.reward import fit
from bandit_rlhf.uncertainty import covariance
from tests.comparison_worlds import simulated

PEOPLE = np.arange(300) % 6
ALONE = simulated(np.array([0.7, 0.0, -0.7]), 300, np.random.default_rng(0))
ROWS = dataclasses.replace(
    ALONE,
    annotator=PEOPLE,
    annotators=tuple("abcdef"),
    covariates=np.random.default_rng(1).normal(size=(300, 1)),
    covariate_names=("length",),
)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


RESULTS: dict[str, Callable[[], object]] = {
    "ranks": lambda: diagnosis.rank_intervals(covariance(fit(ROWS), ROWS), rng(), draws=99),
    "goodness": lambda: diagnosis.goodness_of_fit(fit(ALONE), ALONE, rng(), resamples=3),
    "nested": lambda: diagnosis.likelihood_ratio(fit(ALONE), fit(ROWS)),
    "calibration": lambda: diagnosis.cross_validated_calibration(fit(ROWS), ROWS, rng(), folds=3),
    "intransitivity": lambda: diagnosis.intransitivity(fit(ALONE), ALONE, rng(), resamples=3),
    "others": lambda: diagnosis.agreement_with_others(ROWS, rng(), resamples=9),
    "oneself": lambda: diagnosis.agreement_with_oneself(ROWS),
    "consistency": lambda: diagnosis.annotator_consistency(fit(ROWS), ROWS, rng(), draws=299),
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_survive_json(name: str) -> None:
    result = RESULTS[name]()
    assert dataclasses.is_dataclass(result)
    back = json.loads(json.dumps(plain(result), allow_nan=False))
    assert back == plain(result)
    assert list(back) == [field.name for field in dataclasses.fields(result)]
    for key, value in back.items():
        original = getattr(result, key)
        if isinstance(original, float):
            assert value == original
        if isinstance(original, np.ndarray):
            np.testing.assert_allclose(np.array(value, float), original)


def test_what_json_lacks() -> None:
    assert plain(np.array([1.0, np.nan, np.inf])) == [1.0, None, None]
    assert plain((("prompt", 3), None, True, np.int64(4))) == [["prompt", 3], None, True, 4]
    assert plain({1: range(2)}) == {"1": [0, 1]}
    assert plain(complex(1, 2)) == "(1+2j)"
