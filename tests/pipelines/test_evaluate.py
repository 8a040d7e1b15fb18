"""attribeam evaluate: figures computed by hand, and what is refused."""

import base64
import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tables import KEY

from pipelines.backfill import Backfill, run_backfill
from pipelines.cli import main
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
from pipelines.evaluation.bootstrap import mean_of_seeds
from pipelines.evaluation.evidence import KINDS, apply, learn, with_evidence
from pipelines.evaluation.metrics import (
    calibration_error,
    chance_error,
    measure,
    measure_by,
    pool_tables,
    reliability,
    table_error,
    with_load,
)
from pipelines.evaluation.reading import Rows, read_truth
from pipelines.evaluation.scoring import list_candidates, score
from pipelines.simulate import simulate

Row = dict[str, Any]
SECOND = 1_000_000
MINUTE = 60 * SECOND
T = 1_736_121_600 * SECOND
NOW = T + 60 * 86_400 * SECOND
CANDIDATE = pl.Struct(
    {
        "session_id": pl.String,
        "visitor_id": pl.String,
        "probability": pl.Float64,
        "first_display": pl.Datetime("us", "UTC"),
        "last_display": pl.Datetime("us", "UTC"),
        "displays": pl.Int64,
    }
)
CALLS = {
    "account": pl.String,
    "call_id": pl.String,
    "start": pl.Int64,
    "tracking_number": pl.String,
    "caller_key": pl.String,
    "status": pl.String,
    "method": pl.String,
    "reason": pl.String,
    "probability": pl.Float64,
    "none_probability": pl.Float64,
    "saved_probability": pl.Float64,
    "visitor_id": pl.String,
    "session_id": pl.String,
    "candidates": pl.List(CANDIDATE),
}


def candidate(name: str, probability: float, seconds_before: int = 60, displays: int = 1) -> Row:
    """A candidate of visitor v<name> and session s<name>."""
    shown = T - seconds_before * SECOND
    return {
        "session_id": f"s{name}",
        "visitor_id": f"v{name}",
        "probability": probability,
        "first_display": shown,
        "last_display": shown,
        "displays": displays,
    }


def calls(*rows: Row) -> pl.DataFrame:
    """Calls c0, c1, … at T to number n; with `session` attributed by the pool to it."""
    filled = []
    for number, row in enumerate(rows):
        session = row.pop("session", None)
        usual: Row = {"account": "a", "call_id": f"c{number}", "start": T, "tracking_number": "n"}
        usual |= {"status": "ambiguous", "method": "none", "candidates": []}
        if session:
            usual |= {"status": "attributed", "method": "number_pool"}
            usual |= {"visitor_id": f"v{session}", "session_id": f"s{session}"}
        filled.append(usual | row)
    return pl.DataFrame(filled, schema=CALLS)


def truth(*rows: tuple[str | None, str]) -> pl.DataFrame:
    """For c0, c1, …: the name of the true session, or none, and the reason."""
    return pl.DataFrame(
        [
            ("a", f"c{number}", name and f"v{name}", name and f"s{name}", reason)
            for number, (name, reason) in enumerate(rows)
        ],
        schema=["account", "call_id", "visitor_id", "session_id", "reason"],
        orient="row",
        infer_schema_length=None,
    ).cast({"visitor_id": pl.String, "session_id": pl.String})


def scored(found: pl.DataFrame, told: pl.DataFrame) -> pl.DataFrame:
    return score(found, list_candidates(found), told)


FIVE = (
    {"session": "1", "probability": 0.8, "none_probability": 0.1,
     "candidates": [candidate("1", 0.8), candidate("2", 0.1)]},
    {"session": "1", "probability": 0.6, "none_probability": 0.1,
     "candidates": [candidate("1", 0.6), candidate("2", 0.3)]},
    {"probability": 0.4, "none_probability": 0.2,
     "candidates": [candidate("1", 0.4), candidate("2", 0.4)]},
    {"status": "unattributed", "probability": 1.0, "none_probability": 1.0},
    {"status": "unattributed", "probability": 0.7, "none_probability": 0.7,
     "candidates": [candidate("1", 0.3)]},
)  # fmt: skip
FIVE_TRUE = truth(
    ("1", "browsing"), ("2", "browsing"), ("2", "later"), (None, "misdial"), ("9", "later")
)


def five() -> pl.DataFrame:
    return scored(calls(*(dict(row) for row in FIVE)), FIVE_TRUE)


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
    assert reliability(found)["bin"].to_list() == [0.4, 0.6, 0.7, 0.8, 0.9]


def test_calls_in_one_bin_are_averaged_before_they_are_compared():
    """Two calls at 0.5, one confirmed, are calibrated; alone each would not be."""
    half = {"none_probability": 0.5, "candidates": [candidate("1", 0.5)], "probability": 0.5}
    found = scored(
        calls(half | {"session": "1"}, half | {"session": "1"}), truth(("1", "x"), ("2", "x"))
    )
    assert calibration_error(found) == 0


def test_tables_are_pooled_as_their_calls_are():
    """The table of two sets of calls is that of all; chance alone gives a small one an error."""
    found = five()
    both = pool_tables([reliability(found.head(2)), reliability(found.tail(3))])
    whole = reliability(found)
    assert both["calls"].to_list() == whole["calls"].to_list()
    assert table_error(both) == pytest.approx(table_error(whole))
    perfect = pl.DataFrame({"bin": [0.5], "calls": [100], "confidence": [0.5], "confirmed": [0.5]})
    assert table_error(perfect) == 0
    assert chance_error(perfect) == pytest.approx(math.sqrt(2 * 0.25 / (math.pi * 100)))


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


def shown(*rows: tuple[str, int, str]) -> pl.DataFrame:
    """Displays: session's name, minutes from T, number."""
    return pl.DataFrame(
        [
            ("a", f"v{name}", f"s{name}", T + minutes * MINUTE, number)
            for name, minutes, number in rows
        ],
        schema=["account", "visitor_id", "session_id", "time", "tracking_number"],
        orient="row",
    )


def test_load_is_sessions_of_the_hour_for_each_number():
    """Three sessions in the call's hour and two numbers are 1.5; another hour does not count."""
    displays = shown(("1", 0, "n"), ("1", 1, "n"), ("2", 5, "m"), ("3", 9, "n"), ("4", 61, "n"))
    found = with_load(calls({}, {"start": T - 120 * MINUTE}), displays)
    assert found["load"].to_list() == [1.5, None]


DISPLAYS = shown(
    ("1", -70, "n"), ("1", -10, "n"), ("2", -4, "n"), ("2", -1, "n"), ("3", 1, "n"), ("4", -2, "m")
)


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


def test_means_have_intervals_that_hold_them():
    """One value has no spread; the interval of several lies within their range around the mean."""
    assert mean_of_seeds([3.0]) == (3.0, 3.0, 3.0)
    value, low, high = mean_of_seeds([1.0, 2.0, 3.0, 6.0])
    assert (value, 1.0 <= low < 3.0 < high <= 6.0) == (3.0, True)
    with pytest.raises(ValueError, match="no seeds"):
        mean_of_seeds([])


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
    """The factor is observed over expected, one added to both; shares are taken again with it."""
    listed = pl.DataFrame(
        {
            "account": "a", "call_id": ["c0", "c0", "c1"], "visitor_id": ["v1", "v2", "v3"],
            "session_id": ["s1", "s2", "s3"], "rank": [0, 1, 0], "probability": [0.5, 0.3, 0.6],
            **dict.fromkeys(KINDS, "no"),
        }
    ).with_columns(still_browsing=pl.Series(["yes", "no", "yes"]))  # fmt: skip
    told = truth(("2", "browsing"), ("4", "later")).drop("reason")
    learned = learn(listed, told)
    factors = {
        row["value"]: row["factor"]
        for row in learned.iter_rows(named=True)
        if row["kind"] == "still_browsing"
    }
    assert factors == {"yes": pytest.approx(1 / 2.1), "no": pytest.approx(2 / 1.3)}
    informed = apply(listed, learned, ["still_browsing"])
    first, second = 0.5 * factors["yes"], 0.3 * factors["no"]
    whole = 0.2 + first + second
    assert informed["session_id"].to_list() == ["s2", "s1", "s3"]
    assert informed["probability"].to_list()[:2] == pytest.approx([second / whole, first / whole])


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small simulated site, and its warehouse beside it."""
    folder = tmp_path_factory.mktemp("simulated")
    simulate(3, 1, "quiet_shop", ["call_probability=0.2"], folder / "events")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTRIBEAM_KEY", base64.b64encode(KEY).decode())
        for name, detail in (("warehouse", True), ("plain", False)):
            events = {
                kind: [str(folder / "events" / f"{kind}.jsonl")]
                for kind in ("pageviews", "engagements", "calls")
            }
            config = folder / "events" / "attribeam.toml"
            run_backfill(
                Backfill(
                    **events,
                    erasures=[],
                    config=config,
                    output=folder / name,
                    now=NOW,
                    detail=detail,
                )
            )
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The exit code, output and errors of a command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


def test_a_simulated_site_is_measured(simulated, capsys):
    """All inbound calls have a truth; most calls while browsing are right; rules are compared."""
    common = [
        "--output",
        str(simulated / "warehouse"),
        "--truth",
        str(simulated / "events" / "truth.csv"),
    ]
    code, out, _ = run(capsys, "evaluate", *common, "--json")
    found = json.loads(out)
    account = found["accounts"]["quiet_shop"]
    assert (code, found["without_truth"]) == (0, 0)
    assert account["overall"]["calls"] == found["calls"] > 50
    outcomes = ("right", "wrong", "missed", "abstained", "rightly_none")
    assert sum(account["overall"][name] for name in outcomes) == pytest.approx(1)
    [browsing] = [row for row in account["by"]["true_reason"] if row["true_reason"] == "browsing"]
    assert browsing["right"] > 0.8
    assert len(account["baselines"]) == 5
    code, out, _ = run(capsys, "evaluate", *common)
    assert code == 0
    assert "exclusive lease, 5 minutes" in out


def test_without_page_views_the_rest_is_measured(simulated, capsys):
    """A warehouse without --detail has no baselines, and the output says why."""
    truth_file = str(simulated / "events" / "truth.csv")
    code, out, _ = run(
        capsys, "evaluate", "--output", str(simulated / "plain"), "--truth", truth_file
    )
    assert code == 0
    assert "run attribeam backfill with --detail" in out


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "truth.csv: no such file"),
        ("account,call_id\na,b\n", "truth.csv: lacks the column visitor_id"),
        ("account,call_id,visitor_id,session_id,reason\n", "truth.csv: no calls there"),
        ("account,call_id,visitor_id,session_id,reason\na,c,,,x\na,c,,,x\n", "has a call twice"),
        ("account,call_id,visitor_id,session_id,reason\na,c,,,x\n", "none of the warehouse's"),
        ("", "truth.csv: cannot be read as .csv"),
    ],
)  # fmt: skip
def test_a_truth_that_cannot_be_used_is_refused(simulated, tmp_path, capsys, content, told):
    """The message names the file and what is wrong; the exit code is 1."""
    file = tmp_path / "truth.csv"
    if content is not None:
        file.write_text(content)
    code, out, err = run(
        capsys, "evaluate", "--output", str(simulated / "warehouse"), "--truth", str(file)
    )
    assert (code, out) == (1, "")
    assert told in err


def test_truth_in_parquet_is_read_alike(tmp_path):
    """The same columns, the same rows; empty text is none."""
    rows = truth(("1", "browsing"), (None, "misdial"))
    rows.write_parquet(tmp_path / "truth.parquet")
    rows.write_csv(tmp_path / "truth.csv")
    assert read_truth(tmp_path / "truth.parquet").equals(read_truth(tmp_path / "truth.csv"))


def test_a_folder_without_a_warehouse_is_refused(tmp_path, capsys):
    """The message says how to make one."""
    (tmp_path / "truth.csv").write_text("")
    code, _, err = run(
        capsys, "evaluate", "--output", str(tmp_path), "--truth", str(tmp_path / "truth.csv")
    )
    assert code == 1
    assert "no warehouse there; make one with attribeam backfill" in err
