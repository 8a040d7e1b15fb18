"""Evaluation of calls: figures computed by hand, and the rules of others."""

import math

import polars as pl
import pytest
from judged_calls import (
    DISPLAYS,
    FIVE,
    FIVE_TRUE,
    MINUTE,
    T,
    calls,
    candidate,
    five,
    scored,
    shown,
    truth,
)

from pipelines.evaluation.baselines import (
    at_equal_coverage,
    choose_all,
    count_choice,
    exclusive_lease,
    last_display,
    likeliest,
    model_order,
    order_displays,
)
from pipelines.evaluation.metrics import measure, measure_by, with_load
from pipelines.evaluation.reliability import (
    as_sums,
    calibration_error,
    of_rows,
    reliability,
    summary,
    tables_by,
)
from pipelines.evaluation.scoring import list_candidates


def test_every_call_has_one_outcome():
    """Attributed is right or wrong, ambiguous is abstained, others are missed or rightly none."""
    found = five()
    outcomes = ["right", "wrong", "abstained", "rightly_none", "missed"]
    assert found["outcome"].to_list() == outcomes


def test_losses_are_those_of_the_true_explanation():
    """Log loss is that of the probability of what is true; Brier sums over all explanations."""
    found = five()
    expected = [0.8, 0.3, 0.4, 1.0, 0.7]
    assert found["log_loss"].to_list() == pytest.approx([-math.log(p) for p in expected])
    brier = [
        0.2**2 + 0.1**2 + 0.1**2,
        0.7**2 + 0.6**2 + 0.1**2,
        0.6**2 + 0.4**2 + 0.2**2,
        0.0,
        0.3**2 + 0.3**2,
    ]
    assert found["brier"].to_list() == pytest.approx(brier)


def test_figures_are_shares_of_all_calls():
    """Shares, precision and recall are those counted by hand; a ratio over nothing is None."""
    found = measure(five())
    assert [found[name] for name in ("attributed", "right", "wrong", "missed")] == [
        0.4,
        0.2,
        0.2,
        0.2,
    ]
    assert (found["abstained"], found["rightly_none"], found["wrong_calls"]) == (0.2, 0.2, 1)
    assert (found["precision"], found["recall"]) == (0.5, 0.25)
    assert measure(five().clear())["precision"] is None


def test_calibration_error_weighs_the_gaps_of_bins():
    """Confidence is the likeliest explanation's, each in its tenth; gaps count by calls."""
    found = five()
    assert found["confidence"].to_list() == [0.8, 0.6, 0.4, 1.0, 0.7]
    assert found["is_confirmed"].to_list() == [True, False, False, True, True]
    assert calibration_error(found) == pytest.approx((0.2 + 0.6 + 0.4 + 0.0 + 0.3) / 5)
    assert [row["bin"] for row in reliability(found)] == [0.4, 0.6, 0.7, 0.8, 0.9]


def test_calls_in_one_bin_are_averaged_before_they_are_compared():
    """Two calls at 0.5, one confirmed, are calibrated; alone each would not be."""
    half = {"none_probability": 0.5, "candidates": [candidate("1", 0.5)], "probability": 0.5}
    found = scored(
        calls(half | {"session": "1"}, half | {"session": "1"}), truth(("1", "x"), ("2", "x"))
    )
    assert calibration_error(found) == 0


def test_a_kept_number_is_true_where_the_caller_kept_it():
    """A repeat call confirms the kept number, also beside the first session; a misdial does not."""
    row = {"method": "returning_caller", "none_probability": 0.1, "saved_probability": 0.7}
    row |= {"candidates": [candidate("1", 0.2)], "probability": 0.7, "session": "1"}
    row |= {"status": "attributed"}
    found = scored(
        calls(*(dict(row) for _ in range(3))),
        truth(("1", "repeat"), (None, "misdial"), ("7", "repeat")),
    )
    assert found["is_confirmed"].to_list() == [True, False, True]
    assert found["log_loss"].to_list() == pytest.approx([-math.log(p) for p in (0.9, 0.1, 0.7)])
    assert found["outcome"].to_list() == ["right", "wrong", "wrong"]


@pytest.mark.parametrize(
    ("reasons", "explanation"),
    [
        (("retry", "repeat", "saved_number", "remembered_number", "printed_number"), "kept number"),
        (("browsing", "after_visit", "later", "form", "not_tracked", "misdial", "x"), "nobody"),
    ],
)
def test_a_reason_says_what_explains_a_call_whose_session_is_not_listed(reasons, explanation):
    """Of a known caller the number was kept only where the reason means that; a visit that is no
    candidate is nobody listed. Where the hypothesis does not stand, nobody is true of all."""
    known = {"none_probability": 0.1, "saved_probability": 0.7, "candidates": [candidate("1", 0.2)]}
    rows = [dict(known) for _ in reasons] + [known | {"saved_probability": None} for _ in reasons]
    found = scored(calls(*rows), truth(*(("7", reason) for reason in (*reasons, *reasons))))
    true = {"kept number": 0.7, "nobody": 0.1}[explanation]
    stood = found["log_loss"].to_list()[: len(reasons)]
    assert stood == pytest.approx([-math.log(true)] * len(reasons))
    assert found["leading"].to_list()[: len(reasons)] == ["kept number"] * len(reasons)
    assert not found["kept_is_true"][len(reasons) :].any()


def test_what_leads_is_the_likeliest_explanation():
    """A session, a kept number or nobody; ties go to them in that order; forms have none."""
    listed = [candidate("1", 0.4)]
    found = scored(
        calls(
            {"candidates": listed, "none_probability": 0.4, "saved_probability": 0.2},
            {"candidates": listed, "none_probability": 0.1, "saved_probability": 0.5},
            {"candidates": listed, "none_probability": 0.6},
            {"none_probability": 0.5, "saved_probability": 0.5},
            {"session": "1", "method": "form_phone", "probability": 0.99},
        ),
        truth(*[("1", "browsing")] * 5),
    )
    expected = ["session", "kept number", "nobody", "kept number", None]
    assert found["leading"].to_list() == expected


def test_a_row_is_held_against_its_session():
    """Of an attributed row its probability is said, and true is that the session is right."""
    found = scored(
        calls(
            {"session": "1", "method": "returning_caller", "probability": 0.9},
            {"session": "1", "probability": 0.6, "candidates": [candidate("1", 0.6)]},
            {"probability": 0.4, "candidates": [candidate("1", 0.4)]},
        ),
        truth(("2", "repeat"), ("1", "browsing"), ("1", "browsing")),
    )
    tables = tables_by(of_rows(found), "method")
    assert {name: summary(as_sums(table))[:3] for name, table in tables.items()} == {
        "number_pool": (1, 0.6, 1.0),
        "returning_caller": (1, 0.9, 0.0),
    }


def test_a_form_is_judged_by_the_probability_it_states():
    """Of a call decided by a form the row's session is true or not; no explanations are weighed."""
    row = {"session": "1", "method": "form_phone", "probability": 0.99, "none_probability": 1.0}
    found = scored(calls(dict(row), dict(row)), truth(("1", "form"), ("2", "form")))
    assert found["confidence"].to_list() == [0.99, 0.99]
    assert found["is_confirmed"].to_list() == [True, False]
    assert found["log_loss"].to_list() == pytest.approx([-math.log(0.99), -math.log(0.01)])


def test_a_candidate_that_the_row_does_not_list_has_the_rest():
    """Of more candidates than a row lists, the true one's probability is what is left over."""
    row = {"none_probability": 0.1, "candidates": [candidate("1", 0.6)], "probability": 0.6}
    found = scored(calls(row), truth(("2", "browsing")))
    assert found["log_loss"].to_list() == pytest.approx([-math.log(0.3)])


def test_calls_without_truth_are_left_out():
    """What the truth does not know is not judged."""
    found = scored(calls({"session": "1"}, {"session": "1"}), truth(("1", "browsing")))
    assert found["call_id"].to_list() == ["c0"]


def test_parts_are_named_and_hold_their_calls():
    """Counts of candidates and delays are cut at their bounds."""
    found = five()
    by = measure_by(found, "n_candidates")
    assert [(row["n_candidates"], row["calls"]) for row in by] == [("0", 1), ("1", 1), ("2", 3)]
    by = measure_by(found, "delay_seconds")
    assert [(row["delay_seconds"], row["calls"]) for row in by] == [("1 to 5 min", 4)]


def test_load_is_sessions_of_the_hour_for_each_number():
    """Three sessions in the call's hour and two numbers are 1.5; another hour does not count."""
    displays = shown(("1", 0, "n"), ("1", 1, "n"), ("2", 5, "m"), ("3", 9, "n"), ("4", 61, "n"))
    found = with_load(calls({}, {"start": T - 120 * MINUTE}), displays)
    assert found["load"].to_list() == [1.5, None]


def chosen(choice: pl.DataFrame) -> dict[str, str]:
    return dict(choice.select("call_id", "session_id").iter_rows())


def test_the_last_display_before_the_call_wins():
    """Of the number called, at or before the call, within the bound; none is chosen outside."""
    asked = calls(
        {}, {"start": T - 9 * MINUTE}, {"start": T - 39 * MINUTE}, {"start": T - 80 * MINUTE}
    )
    ordered = order_displays(DISPLAYS)
    assert chosen(last_display(ordered, asked, 30)) == {"c0": "s2", "c1": "s1"}
    assert chosen(last_display(ordered, asked)) == {"c0": "s2", "c1": "s1", "c2": "s1"}
    assert last_display(ordered, asked, 30).sort("call_id")["certainty"].to_list() == [-60.0, -60.0]


def test_a_lease_is_exclusive_only_alone():
    """A session holds the number for five minutes; where another displayed it then, none does."""
    ordered = order_displays(DISPLAYS)
    times = (0, -6, -9, -3, 2, 5, 7)
    asked = calls(*({"start": T + minutes * MINUTE} for minutes in times))
    expected = {"c0": "s2", "c1": "s1", "c2": "s1", "c3": "s2", "c5": "s3"}
    assert chosen(exclusive_lease(ordered, asked)) == expected


def test_choices_are_compared_where_both_attribute_as_many():
    """The surest of each count; wrong is whatever is not the true session."""
    found = calls(*(dict(row) for row in FIVE))
    listed = list_candidates(found)
    sessions = FIVE_TRUE.drop("reason")
    always = likeliest(listed)
    assert count_choice(always, sessions) == {"attributed": 4, "wrong": 3}
    ours = model_order(found, listed)
    two = ours.filter(pl.col("call_id").is_in(["c1", "c2"]))
    assert at_equal_coverage(ours, two, sessions) == {"attributed": 2, "ours": 1, "theirs": 2}
    names = choose_all(DISPLAYS, found, listed)
    assert len(names) == 5
