"""Evaluation over several seeds: intervals, reliability together, and what evidence is worth."""

import math

import numpy as np
import polars as pl
import pytest
from judged_calls import DISPLAYS, calls, candidate, five, shown, truth

from pipelines.evaluation.bootstrap import mean_of_seeds
from pipelines.evaluation.evidence import KINDS, apply, count_evidence, with_evidence, with_factors
from pipelines.evaluation.intervals import calibrate_over, compare, mean_figure
from pipelines.evaluation.reading import Rows
from pipelines.evaluation.reliability import (
    as_table,
    calibration_error,
    chance_error,
    reliability,
    sums_error,
    tables_by,
)
from pipelines.evaluation.scoring import list_candidates


def test_means_have_intervals_that_hold_them():
    """One value has no spread; the interval of several lies within their range around the mean."""
    assert mean_of_seeds([[3.0]]) == (3.0, 3.0, 3.0)
    value, low, high = mean_of_seeds([[1.0, 2.0, 3.0, 6.0]])
    assert (value, 1.0 <= low < 3.0 < high <= 6.0) == (3.0, True)
    with pytest.raises(ValueError, match="no seeds"):
        mean_of_seeds([[]])


def test_what_seeds_have_in_common_widens_the_interval():
    """Seeds of one fit are drawn together, so eight seeds of two fits say as little as two."""
    alike = [1.0] * 4, [3.0] * 4
    assert mean_of_seeds(alike) == (2.0, 1.0, 3.0)
    apart = mean_of_seeds([[*alike[0], *alike[1]]])
    assert 1.0 < apart.low < 2.0 < apart.high < 3.0


def test_tables_are_pooled_as_their_calls_are():
    """The tables of two seeds' calls together are that of all, whatever group they are in."""
    found = five()
    parts = [{"reliability": reliability(part)} for part in (found.head(2), found.tail(3))]
    for groups in ([parts], [parts[:1], parts[1:]]):
        pooled = calibrate_over(groups)
        assert as_table(pooled.sums) == [
            row | {"confidence": pytest.approx(row["confidence"])} for row in reliability(found)
        ]
        assert pooled.error.value == pytest.approx(calibration_error(found))
    leading = [{"by": tables_by(found, "leading")}, {"by": {}}]
    assert calibrate_over([leading], "by", "nobody").sums[:, 0].sum() == 2
    assert calibrate_over([leading], "by", "kept number") is None


def test_chance_alone_gives_a_small_table_an_error():
    """A hundred calls at one half, perfectly said, lie from it as the normal approximation has."""
    perfect = np.zeros((10, 3))
    perfect[5] = 100, 50, 50
    assert sums_error(perfect) == 0
    assert chance_error(perfect) == pytest.approx(math.sqrt(2 * 0.25 / (math.pi * 100)))
    assert chance_error(np.zeros((10, 3))) is None


def test_rules_are_compared_over_all_seeds():
    """Wrong calls are summed; the share spared is of the sums, and its interval of seeds' sums."""
    counts = ({"attributed": 10, "ours": 1, "theirs": 4}, {"attributed": 6, "ours": 2, "theirs": 2})
    seeds = [{"baselines": {"rule": {"equal_coverage": count}}} for count in counts]
    found = compare([seeds], "rule", "equal_coverage")
    assert found[:3] == (16, 6, 3)
    assert found.fewer == (0.5, 0.0, 0.75)


def test_figures_without_a_value_in_a_seed_have_no_mean():
    """A share of nothing is nobody's mean."""
    seeds = [{"overall": {"precision": 0.5}}, {"overall": {"precision": None}}]
    assert mean_figure([seeds[:1]], "overall", "precision") == (0.5, 0.5, 0.5)
    assert mean_figure([seeds], "overall", "precision") is None


def test_evidence_is_what_happened_around_the_call():
    """Pages after the call, pages and forms before it, clicks, and who had the number since."""
    found = calls({"candidates": [candidate("1", 0.5, 600, 1), candidate("2", 0.3, 60, 2)]})
    engaged = shown(("1", -9, "n"), ("2", -1, "n")).drop("tracking_number")
    engaged = engaged.with_columns(kind=pl.Series(["action", "click"]), name=pl.lit("x"))
    displays = pl.concat([DISPLAYS, shown(("1", 4, "m"))])
    listed = with_evidence(list_candidates(found), Rows(found, displays, engaged))
    assert listed.select(list(KINDS)).to_dicts() == [
        {"still_browsing": "yes", "repeated_displays": "1", "visit_depth": "2",
         "reallocated": "yes", "form_opened": "yes", "number_clicked": "no"},
        {"still_browsing": "no", "repeated_displays": "2", "visit_depth": "2",
         "reallocated": "no", "form_opened": "no", "number_clicked": "yes"},
    ]  # fmt: skip


def test_evidence_raises_what_was_true_oftener_than_expected():
    """The factor is observed over expected, one added to both, where all that is expected was
    brought to all that was observed; shares are taken again with it."""
    listed = pl.DataFrame(
        {
            "account": "a", "call_id": ["c0", "c0", "c1"], "visitor_id": ["v1", "v2", "v3"],
            "session_id": ["s1", "s2", "s3"], "rank": [0, 1, 0], "probability": [0.5, 0.3, 0.6],
            **dict.fromkeys(KINDS, "no"),
        }
    ).with_columns(still_browsing=pl.Series(["yes", "no", "yes"]))  # fmt: skip
    told = truth(("2", "browsing"), ("4", "later")).drop("reason")
    learned = with_factors(count_evidence(listed, told))
    factors = {
        row["value"]: row["factor"]
        for row in learned.iter_rows(named=True)
        if row["kind"] == "still_browsing"
    }
    assert factors == {
        "yes": pytest.approx(1 / (1.1 / 1.4 + 1)),
        "no": pytest.approx(2 / (0.3 / 1.4 + 1)),
    }
    informed = apply(listed, learned, ["still_browsing"])
    first, second = 0.5 * factors["yes"], 0.3 * factors["no"]
    whole = 0.2 + first + second
    assert informed["session_id"].to_list() == ["s2", "s1", "s3"]
    assert informed["probability"].to_list()[:2] == pytest.approx([second / whole, first / whole])
