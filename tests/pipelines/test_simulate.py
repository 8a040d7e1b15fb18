"""attribeam simulate: what is written, what decides it, and what it may not know."""

import ast
import base64
import csv
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from pure import run_flow
from tables import KEY

from pipelines.cli import main
from pipelines.simulate import SimulationError, simulate, simulate_accounts
from pipelines.simulation.describe import describe
from pipelines.simulation.parameters import DESCRIPTIONS, ParameterError, Parameters
from pipelines.simulation.pool import _lend
from pipelines.simulation.profiles import PROFILES, read_profile
from schemas.config import load_config

ROOT = Path(__file__).parents[2]
FILES = {"pageviews.jsonl", "engagements.jsonl", "calls.jsonl", "attribeam.toml", "truth.csv"}
WITHOUT_SESSION = {"not_tracked", "misdial", "printed_number", "remembered_number"}
NOW = 1_800_000_000_000_000


def imports_of(path: Path) -> set[str]:
    """The modules that a file imports, wherever it does."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def reached_from(paths: list[Path]) -> set[str]:
    """All modules imported by some files and by what of the project they import."""
    reached: set[str] = set()
    waiting = set().union(*map(imports_of, paths))
    while waiting - reached:
        module = (waiting - reached).pop()
        reached.add(module)
        path = ROOT / (module.replace(".", "/") + ".py")
        if path.exists():
            waiting |= imports_of(path)
    return reached


def test_the_simulator_shares_no_code_with_what_it_tests():
    """Nothing of transforms/ is imported by the simulator, not even by way of others."""
    paths = [ROOT / "pipelines/simulate.py", *(ROOT / "pipelines/simulation").glob("*.py")]
    reached = reached_from(paths)
    assert len(paths) > 8
    assert "pipelines.simulation.pool" in reached
    assert [name for name in reached if name.partition(".")[0] == "transforms"] == []


def test_the_walk_of_imports_sees_through_modules():
    """The test above would notice: the options of the command line reach transforms."""
    reached = reached_from([ROOT / "pipelines/cli.py"])
    assert "transforms.decode_times" in reached


def truth_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "truth.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_same_seed_gives_the_same_bytes(tmp_path):
    """Days, seed, profile and parameters decide every byte; another seed gives others."""
    for name, seed in (("one", 7), ("two", 7), ("other", 8)):
        simulate(2, seed, "quiet_shop", ["pool_numbers=4"], tmp_path / name)
    contents = {
        name: {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two", "other")
    }
    assert contents["one"].keys() == FILES
    assert contents["one"] == contents["two"]
    assert contents["one"]["calls.jsonl"] != contents["other"]["calls.jsonl"]


def test_without_a_profile_each_is_an_account(tmp_path):
    """Every profile is an account of its name, as it would be alone, and the files hold all."""
    counts = simulate(1, 3, None, [], tmp_path / "all")
    assert list(counts) == list(PROFILES)
    assert simulate(1, 3, "insurance", [], tmp_path / "one")["insurance"] == counts["insurance"]
    lines = (tmp_path / "all" / "calls.jsonl").read_bytes().splitlines()
    by_account = Counter(json.loads(line)["account"] for line in lines)
    assert by_account == {name: found["calls"] for name, found in counts.items()}
    config = load_config(tmp_path / "all" / "attribeam.toml")
    assert [len(config.account(name).pools[0].numbers) for name in PROFILES] == [8, 18, 25, 10]
    overflow = [
        pool.numbers for pool in config.account("campaign_peak").pools if pool.name == "overflow"
    ]
    assert [len(numbers) for numbers in overflow] == [1]


@pytest.mark.parametrize("profile", ["quiet_shop", "busy_retailer"])
def test_truth_names_sessions_as_the_project_finds_them(tmp_path, profile):
    """Each session of the truth is one that attribution finds, with that start, for ids of the
    tracker and for sessions that follow from time; every call has one line of truth."""
    simulate(3, 5, profile, ["visitors_per_day=300", "call_probability=0.2"], tmp_path / "in")
    lines = [
        (kind, (tmp_path / "in" / f"{kind}s.jsonl").read_bytes().splitlines())
        for kind in ("pageview", "engagement", "call")
    ]
    tables, counts = run_flow(lines, load_config(tmp_path / "in" / "attribeam.toml"), KEY, NOW)
    starts = tables["sessions"]["session_start"].dt.epoch("ms")
    found = set(
        zip(tables["sessions"]["visitor_id"], tables["sessions"]["session_id"], starts, strict=True)
    )
    truth = truth_of(tmp_path / "in")
    named = {
        (row["visitor_id"], row["session_id"], int(row["session_start"]))
        for row in truth
        if row["session_id"]
    }
    assert len(named) > 50
    assert named <= found
    assert sorted(row["call_id"] for row in truth) == sorted(tables["conversions"]["call_id"])
    assert {kind for kind, name in counts if name == "dead_letters"} == set()


def test_truth_has_a_session_or_says_why_not(tmp_path):
    """Calls by nobody on the site and of visits that never arrived have no session; calls from
    pages have one; of callers who kept the number some have one, and the reason stands anyway."""
    settings = ["visitors_per_day=600", "call_probability=0.2", "saved_median_days=0.5"]
    settings += ["misdials_per_number_day=1", "printed_calls_per_day=5"]
    simulate(4, 1, "insurance", settings, tmp_path / "in")
    reasons: dict[str, set[bool]] = defaultdict(set)
    for row in truth_of(tmp_path / "in"):
        reasons[row["reason"]].add(row["session_id"] != "")
    from_pages = {"browsing", "after_visit", "later", "form"}
    otherwise = {"saved_number", "callback", "retry", "repeat", "missed_callback"}
    assert reasons == {
        **{reason: {False} for reason in WITHOUT_SESSION},
        **{reason: {True} for reason in from_pages},
        **{reason: {True, False} for reason in otherwise},
    }


def test_who_kept_the_number_kept_it_tracked_or_not():
    """With nobody tracked only calls from pages lose their reason; repeats and calls from saved
    numbers stay what they are, without a session."""
    settings = ["untracked_share=1", "call_probability=0.3", "saved_median_days=0.5"]
    [account] = simulate_accounts(4, 1, ["insurance"], settings)
    assert account.truth["session_id"].is_not_null().sum() == 0
    assert {"not_tracked", "retry", "repeat", "saved_number"} < set(account.truth["reason"])
    assert not {"browsing", "after_visit", "later", "form"} & set(account.truth["reason"])


def test_nobody_on_the_site_calls_at_hours_of_their_own():
    """Calls by strangers keep to their weights by local hour and weekday, not to the site's."""
    settings = [
        "misdials_per_number_day=50", f"stranger_hour_weights={[0] * 6 + [1] + [0] * 17}",
        "stranger_weekday_weights=[0,0,1,0,0,0,1]", "utc_offset_hours=2", "visitors_per_day=10",
        "clock_skew_seconds=0", "clock_jitter_seconds=0",
    ]  # fmt: skip
    [account] = simulate_accounts(9, 1, ["quiet_shop"], settings)
    calls = account.calls.join(account.truth, on="call_id")
    local = pl.from_epoch(pl.col("start") + 2 * 3_600_000, "ms")
    made = calls.filter(pl.col("reason") == "misdial").select(
        local.dt.hour().alias("hour"), local.dt.date().alias("day")
    )
    assert set(made["hour"]) == {6}
    assert {day.isoformat() for day in made["day"]} == {"2025-01-08", "2025-01-12"}
    # 8 numbers, 50 a day, 3.5 times as many on either day, give or take chance.
    assert 2 * 1300 < made.height < 2 * 1500


def test_no_lost_pages_no_refusals_no_strangers_no_riddles(tmp_path):
    """With every fault set to none, each call has a session and the number it showed."""
    faults = (
        "lost_pageview_probability", "untracked_share", "refused_share", "duplicate_probability",
        "misdials_per_number_day", "remembered_calls_per_day", "printed_calls_per_day",
        "late_probability", "clock_skew_seconds", "clock_jitter_seconds",
    )  # fmt: skip
    [account] = simulate_accounts(5, 2, ["quiet_shop"], [f"{name}=0" for name in faults])
    assert account.truth["session_id"].null_count() == 0
    assert account.pageviews["time_ms"].is_sorted()
    assert account.pageviews.filter(account.pageviews.is_duplicated()).height == 0
    shown = account.pageviews.select("visitor_id", b_number="tracking_numbers").unique()
    inbound = account.calls.filter(pl.col("direction").is_null()).join(account.truth, on="call_id")
    assert inbound.height > 50
    assert inbound.join(shown, on=["visitor_id", "b_number"], how="anti").height == 0


def lent(rows: list[tuple[int, int, int]], **settings: Any) -> list[int]:
    """Numbers for page views (second, visit, visitor); pool of two, held for 100 seconds."""
    usual = {"pool_numbers": 2, "hold_seconds": 100.0}
    times = ((second * 1000, visit, visitor) for second, visit, visitor in rows)
    return _lend(Parameters(**(usual | settings)), times, 10)


def test_a_visit_keeps_its_number_while_it_goes_on():
    """Pages at most the hold apart keep the number; after a longer pause it may be gone."""
    assert lent([(0, 0, 0), (100, 0, 0), (150, 1, 1), (160, 2, 2), (201, 0, 0)]) == [0, 0, 1, 0, 1]
    assert lent([(0, 0, 0), (101, 1, 1), (110, 2, 2), (120, 0, 0)], sticky_days=0) == [0, 1, 0, 1]


def test_the_number_free_longest_is_lent():
    """Of free numbers the one released first goes out."""
    assert lent([(0, 0, 0), (10, 1, 1), (200, 2, 2), (201, 3, 3), (400, 4, 4)]) == [0, 1, 0, 1, 0]


def test_an_empty_pool_shares_or_overflows():
    """Without a free number the one longest unseen is shared, or the overflow number shown."""
    rows = [(0, 0, 0), (10, 1, 1), (20, 2, 2), (30, 3, 3)]
    assert lent(rows) == [0, 1, 0, 1]
    assert lent(rows, overflow="number") == [0, 1, 2, 2]


def test_a_visitor_who_returns_gets_the_same_number_if_free():
    """Stickiness holds for so many days, and only where nobody else has the number."""
    rows = [(0, 0, 0), (10, 1, 1), (300, 2, 1)]
    assert lent(rows) == [0, 1, 1]
    assert lent(rows, sticky_days=0) == [0, 1, 0]
    assert lent([*rows[:2], (290, 3, 3), (295, 4, 4), (300, 2, 1)]) == [0, 1, 0, 1, 0]


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("pool_number=3", "unknown parameter 'pool_number'; did you mean pool_numbers?"),
        ("zzz=3", "unknown parameter 'zzz'; see docs/simulate.md"),
        ("call_probability=-0.1", "call_probability: Expected `float` >= 0.0"),
        ("call_probability=1.5", "call_probability: Expected `float` <= 1.0"),
        ("hold_seconds=-1", "hold_seconds: Expected `float` >= 0.0"),
        ("pool_numbers=0", "pool_numbers: Expected `int` >= 1"),
        ("pool_numbers", "'pool_numbers': write name=value, such as pool_numbers=20"),
        ("overflow=never", "overflow: Expected `str` matching regex"),
        ("hour_weights=[1]", "hour_weights: Expected `array` of length >= 24"),
        (f"stranger_hour_weights={[0] * 24}", "stranger_hour_weights: at least one must be"),
        ("delay_shares=[0,0,0,0]", "delay_shares: at least one must be above 0"),
        ("open_from_hour=20", "open_from_hour: must be before open_to_hour"),
    ],
)
def test_parameters_that_cannot_be_are_refused(setting, told):
    """The message names the parameter and what it should be."""
    with pytest.raises(ParameterError) as refused:
        read_profile("quiet_shop", [setting])
    assert told in str(refused.value)


def test_an_unknown_profile_is_refused_with_the_known_ones():
    """The message lists the profiles."""
    with pytest.raises(ParameterError, match=r"unknown profile 'shop'; there are quiet_shop, busy"):
        read_profile("shop", [])


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    """Nothing is written over; nothing is left beside it."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(SimulationError, match="not empty; choose another"):
        simulate(1, 1, "quiet_shop", [], tmp_path / "out")
    (tmp_path / "file").write_text("x")
    with pytest.raises(SimulationError, match="cannot be written: Not a directory; nothing"):
        simulate(1, 1, "quiet_shop", [], tmp_path / "file" / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "out"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine"]


def test_the_command_prints_counts_and_exits_by_its_codes(tmp_path, capsys, monkeypatch):
    """0 with the counts, 2 for a wrong parameter, 1 where the output cannot be written."""
    monkeypatch.setenv("ATTRIBEAM_KEY", base64.b64encode(KEY).decode())
    common = ["simulate", "--days", "1", "--seed", "1", "--profile", "quiet_shop"]
    output = ["--output", str(tmp_path / "out")]
    codes = []
    for more in ([*output, "--json"], output, [*output, "--set", "x=1"]):
        with pytest.raises(SystemExit) as ended:
            main([*common, *more])
        codes.append(ended.value.code)
    told = capsys.readouterr()
    assert codes == [0, 1, 2]
    assert json.loads(told.out)["quiet_shop"]["calls"] > 0
    assert "attribeam: error: unknown parameter 'x'" in told.err


def test_every_parameter_is_described():
    """Each has words of its own in docs/simulate.md, with its default and the profiles' values; the
    page is the one that make accuracy would write."""
    page = (ROOT / "docs" / "simulate.md").read_text(encoding="utf-8")
    assert page == describe()
    assert DESCRIPTIONS.keys() == set(Parameters.__struct_fields__)
    assert [
        name for name, text in DESCRIPTIONS.items() if f"| `{name}` | {text} |" not in page
    ] == []
    assert [name for name in PROFILES if name not in page] == []
