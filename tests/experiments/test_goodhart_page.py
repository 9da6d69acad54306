import pytest

from experiments import goodhart_page
from experiments.lab.reading import DIALS
from tests.experiments.paths import OFF, joined, path, rising, turning


def table(falling, tiers=("enumerable", "words"), seeds=10):
    """Each dial alone; the named ones turn the curve."""
    parts = []
    for tier in tiers:
        for dial in DIALS:
            config = {"tier": tier, **OFF, dial: goodhart_page.ON[tier][dial]}
            gold = turning(2.0) if dial in falling else rising
            parts.append(path(gold, seeds=seeds, config=config))
        parts.append(path(rising, seeds=seeds, config={"tier": tier, **OFF}))
    return joined(parts)


@pytest.mark.parametrize(
    ("falling", "verdict"),
    [
        (("misspecification",), "supported"),
        (("tail",), "refuted"),
        ((), "refuted"),
    ],
)
def test_the_verdict_is_a_function_of_the_rows(falling, verdict):
    assert goodhart_page.judge(table(falling)).verdict == verdict


def test_one_seed_decides_nothing():
    assert goodhart_page.judge(table(("tail",), seeds=1)).verdict == "undecided"


def test_the_plan_turns_every_dial_alone_and_all_together():
    few = goodhart_page.settings("enumerable", 7, every=False)
    assert sorted(goodhart_page.switches(config) for config in few) == [0, 1, 1, 1, 1, 4]
    assert len(goodhart_page.settings("words", 32, every=True)) == 16


def test_cells_run_and_the_page_draws():
    rows = []
    for config in goodhart_page.SWEEP["smoke"].configs[:2]:
        found = goodhart_page.run(config, 1)
        assert found == goodhart_page.run(config, 1)
        assert {row["method"] for row in found} == {"tilt"}
        rows += found
    assert len(rows) == len(goodhart_page.BETAS) * sum(
        config.worlds for config in goodhart_page.SWEEP["smoke"].configs[:2]
    )
    assert len(goodhart_page.draw(table(("misspecification",))).axes) == 12
