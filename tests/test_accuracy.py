"""docs/accuracy.md: figures that seeds alone decide, and a page that says what they are."""

import copy
import json
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
Results = dict[str, Any]


@pytest.fixture(scope="module")
def scripts() -> Any:
    """The modules of scripts/ that make the page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "scripts")
        yield import_module("make_accuracy"), import_module("accuracy_page")


@pytest.fixture(scope="module")
def twice(scripts: tuple[ModuleType, ModuleType], tmp_path_factory: Any) -> list[Results]:
    """A tiny plan measured twice, in folders of its own."""
    make_accuracy, _ = scripts
    plan = make_accuracy.Plan(fits={11: [12]}, fit_days=14, days=2, profiles=["quiet_shop"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTRIBEAM_KEY", make_accuracy.KEY)
        return [
            make_accuracy.measure_all(tmp_path_factory.mktemp("run") / "data", plan, map)
            for _ in range(2)
        ]


def test_the_same_seeds_give_the_same_page(scripts, twice):
    """Every figure and every byte of the page is the same when measured again."""
    _, accuracy_page = scripts
    first, second = (json.dumps(results) for results in twice)
    assert first == second
    page = accuracy_page.page(json.loads(first))
    assert page == accuracy_page.page(json.loads(second))
    assert "11 with 12." in page
    assert "### quiet_shop: wrong calls, weighed calls" in page


def test_the_plan_measures_seeds_that_no_fit_saw(scripts):
    """Five fits, four seeds each, none used twice, and none of those looked at before."""
    plan = scripts[0].PLAN
    measured = [seed for seeds in plan.fits.values() for seed in seeds]
    assert list(plan.fits) == [1, 2, 3, 4, 5]
    assert sorted(measured) == list(range(41, 61))
    assert {len(seeds) for seeds in plan.fits.values()} == {4}


def test_a_rule_that_makes_no_more_wrong_calls_is_a_loss(scripts, twice):
    """Where a rule does as well, of all or of weighed calls, the target is missed and the page
    says against which."""
    _, accuracy_page = scripts
    results = copy.deepcopy(twice[0])
    rule = "exclusive lease, 5 minutes"
    for group in results["groups"]:
        for seed in group:
            for name, counts in seed["fitted"]["quiet_shop"]["baselines"].items():
                theirs = 7 if name == rule else 8
                counts["equal_coverage_modelled"] |= {"ours": 7, "theirs": theirs}
    page = accuracy_page.page(results)
    assert f"**missed** against {rule} |" in page
    assert (
        f"- quiet_shop, weighed calls, fitted parameters: {rule} makes 7 wrong, attribeam 7."
        in page
    )
