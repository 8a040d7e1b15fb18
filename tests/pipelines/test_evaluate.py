"""attribeam evaluate: what the command prints, and what it refuses."""

import base64
import json
from pathlib import Path

import pytest
from judged_calls import T, truth
from tables import KEY
from warehouse_runs import backfill, call, conversions

from pipelines.backfill import Backfill, run_backfill
from pipelines.cli import main
from pipelines.evaluation.reading import read_truth, read_warehouse
from pipelines.simulate import simulate

NOW = T + 60 * 86_400 * 1_000_000


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


def test_several_warehouses_have_intervals(simulated, capsys):
    """A warehouse taken twice has its own figures with intervals of no width, and twice the calls;
    what has no truth or no pair is refused."""
    pair = ["--output", str(simulated / "warehouse")]
    pair += ["--truth", str(simulated / "events" / "truth.csv")]
    _, once, _ = run(capsys, "evaluate", *pair, "--json")
    code, out, _ = run(capsys, "evaluate", *pair, *pair, "--json")
    one, both = (json.loads(text)["accounts"]["quiet_shop"] for text in (once, out))
    assert (code, json.loads(out)["calls"]) == (0, 2 * json.loads(once)["calls"])
    for part in ("overall", "modelled"):
        assert both[part].keys() == one[part].keys()
        for key, value in one[part].items():
            assert list(both[part][key].values()) == pytest.approx([value] * 3)
    assert both["calibration"]["ece"]["value"] == pytest.approx(one["modelled"]["ece"])
    for rule, counts in both["baselines"].items():
        for scope in ("equal_coverage", "equal_coverage_modelled"):
            assert counts[scope]["ours"] == 2 * one["baselines"][rule][scope]["ours"]
    code, out, _ = run(capsys, "evaluate", *pair, *pair)
    assert code == 0
    assert "quiet_shop, 2 warehouses: means, 95% intervals" in out
    code, _, err = run(capsys, "evaluate", *pair, *pair[:2])
    assert code == 2
    assert "as many --truth as --output" in err


def test_a_truth_of_other_events_is_warned_of(simulated, tmp_path, capsys):
    """Call ids are alike in every seed, sessions are not: the warning goes to stderr, and there is
    none with the warehouse's own truth."""
    simulate(3, 2, "quiet_shop", ["call_probability=0.2"], tmp_path / "other")
    pair = ["--output", str(simulated / "warehouse"), "--truth"]
    code, _, err = run(capsys, "evaluate", *pair, str(tmp_path / "other" / "truth.csv"))
    assert code == 0
    assert "attribeam: warning: " in err
    assert "does it belong to these events?" in err
    _, _, err = run(capsys, "evaluate", *pair, str(simulated / "events" / "truth.csv"))
    assert err == ""


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
        ("account,call_id\na,b\n", "truth.csv: lacks visitor_id, session_id, reason; needed are"),
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


def test_calls_of_which_no_session_is_asked_are_left_out(tmp_path):
    """Outbound and excluded ones, and those of static numbers: they have a source, no session."""
    static = call("2", status="attributed", method="static_number")
    others = (call("3", status="excluded"), call("4", direction="outbound"))
    backfill(tmp_path, conversions(call("1"), static, *others))
    assert read_warehouse(tmp_path).calls["call_id"].to_list() == ["1"]


def test_a_folder_without_a_warehouse_is_refused(tmp_path, capsys):
    """The message says how to make one."""
    (tmp_path / "truth.csv").write_text("")
    code, _, err = run(
        capsys, "evaluate", "--output", str(tmp_path), "--truth", str(tmp_path / "truth.csv")
    )
    assert code == 1
    assert "no warehouse there; make one with attribeam backfill" in err
