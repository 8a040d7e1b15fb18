"""attribeam calibrate: from a warehouse to a configuration that can be used, or a reason."""

import base64
import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from tables import KEY

from pipelines.backfill import Backfill, run_backfill
from pipelines.calibrate_words import fit_words, fitted_configuration
from pipelines.cli import main
from pipelines.simulate import simulate
from schemas.config import load_config, parse_config
from transforms.calibration_results import Delays, Fit, HeldOut, Interval, PoolFit, SavedFit

NOW = (1_736_121_600 + 60 * 86_400) * 1_000_000
MODEL = (
    "call_probability", "delay_means", "delay_weights", "background_calls_per_day",
    "saved_number_calls_per_day", "known_caller_factor",
)  # fmt: skip


def attribute(events: Path, output: Path, detail: bool = True) -> Path:
    """The warehouse of a folder of simulated events."""
    asked = Backfill(
        pageviews=[str(events / "pageviews.jsonl")],
        engagements=[str(events / "engagements.jsonl")],
        calls=[str(events / "calls.jsonl")],
        erasures=[],
        config=events / "attribeam.toml",
        output=output,
        now=NOW,
        detail=detail,
    )
    run_backfill(asked)
    return output


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of ten days and its warehouse, one without page views, and one of two days."""
    folder = tmp_path_factory.mktemp("simulated")
    settings = ["visitors_per_day=300", "call_probability=0.3", "pool_numbers=4"]
    simulate(10, 1, "quiet_shop", settings, folder / "events")
    simulate(2, 1, "quiet_shop", settings, folder / "short-events")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ATTRIBEAM_KEY", base64.b64encode(KEY).decode())
        attribute(folder / "events", folder / "warehouse")
        attribute(folder / "events", folder / "plain", detail=False)
        attribute(folder / "short-events", folder / "short")
    return folder


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """The exit code, output and errors of a command."""
    with pytest.raises(SystemExit) as ended:
        main(["calibrate", *arguments])
    told = capsys.readouterr()
    return int(ended.value.code or 0), told.out, told.err


def test_a_fitted_configuration_is_the_given_one_with_what_was_found(simulated, tmp_path, capsys):
    """The file holds the account's settings and fitted values, each with its bounds beside it."""
    source, target = simulated / "events" / "attribeam.toml", tmp_path / "fitted.toml"
    given = ["--output", str(simulated / "warehouse"), "--config", str(source)]
    code, out, _ = run(capsys, *given, "--write", str(target), "--json")
    [found] = json.loads(out)
    assert (code, found["account"], found["refused"]) == (0, "quiet_shop", None)
    before, after = (load_config(path).account("quiet_shop") for path in (source, target))
    assert (after.own_domains, after.retention_days) == (before.own_domains, before.retention_days)
    assert after.pools[0].numbers == before.pools[0].numbers
    assert [key for key in MODEL if getattr(after, key) == getattr(before, key)] == []
    assert after.call_probability == pytest.approx(found["call_probability"][0], rel=1e-3)
    assert after.pools[0].background_calls_per_day is not None
    text = target.read_text(encoding="utf-8")
    for key in MODEL:
        assert f"\n{key} = " in text
    given = "delay_means = [12.0, 40.0, 120.0, 300.0, 900.0, 3000.0]  # given, not fitted"
    bounded = [line for line in text.splitlines() if line.startswith(MODEL) and line != given]
    assert all(" to " in line for line in bounded)
    assert "held-out days" in text


def test_a_file_that_is_there_is_left_alone(simulated, tmp_path, capsys):
    """Nothing is written over, and nothing else is left beside it."""
    target = tmp_path / "fitted.toml"
    target.write_text("mine", encoding="utf-8")
    given = ["--output", str(simulated / "warehouse"), "--write", str(target)]
    code, _, err = run(capsys, *given)
    assert code == 1
    assert "is there already; name another file or remove it" in err
    assert [path.name for path in tmp_path.iterdir()] == ["fitted.toml"]
    assert target.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_is_not_there_is_told_before_anything_is_read(tmp_path, capsys):
    """The warehouse is not even looked for."""
    target = tmp_path / "none" / "fitted.toml"
    code, _, err = run(capsys, "--output", str(tmp_path / "nothing"), "--write", str(target))
    assert code == 1
    assert "fitted.toml: cannot be written: " in err
    assert "is no folder" in err


def test_data_that_cannot_support_a_fit_are_refused_with_the_reason(simulated, tmp_path, capsys):
    """Two days are too few: exit 1, the reason, no file."""
    target = tmp_path / "fitted.toml"
    code, out, err = run(capsys, "--output", str(simulated / "short"), "--write", str(target))
    assert (code, out) == (1, "")
    assert "no account could be fitted; nothing was written" in err
    assert "quiet_shop: not fitted: " in err
    assert "UTC days with calls that have candidates; at least 7 are needed" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("warehouse", "told"),
    [
        ("plain", "has no page views with numbers; run attribeam backfill with --detail"),
        ("nothing", "no warehouse there; make one with attribeam backfill"),
    ],
)
def test_a_warehouse_that_does_not_serve_is_refused(simulated, tmp_path, capsys, warehouse, told):
    """The message says what to do."""
    target = tmp_path / "fitted.toml"
    code, _, err = run(capsys, "--output", str(simulated / warehouse), "--write", str(target))
    assert code == 1
    assert told in err


def test_a_configuration_that_cannot_be_read_is_exit_2(simulated, tmp_path, capsys):
    """As for every command."""
    given = ["--output", str(simulated / "warehouse"), "--config", str(tmp_path / "none.toml")]
    code, _, err = run(capsys, *given, "--write", str(tmp_path / "fitted.toml"))
    assert code == 2
    assert "none.toml: cannot be read" in err


def fitted(account: str) -> Fit:
    """A fit with values that are easy to see."""
    one = Interval(0.5, 0.25, 0.75)
    saved = SavedFit(Interval(0.01, 0.005, 0.02), Interval(0.002, 0.001, 0.004), 3, 30.0, 1.0)
    delays = Delays(Interval(0.03, 0.02, 0.04), (Interval(40, 40, 40),), (Interval(1, 1, 1),))
    return Fit(
        account,
        calls=200,
        days=20,
        call_probability=one,
        delay_means=(Interval(12, 12, 12), Interval(120, 120, 120)),
        delay_weights=(one, one),
        background=Interval(2, 1, 3),
        saved=saved,
        held_out=(-2.0, -1.5),
        held_out_error=0.125,
        pools={
            "large": PoolFit(150, Interval(4, 3, 5)),
            "other": PoolFit(160, Interval(5, 4, 6), delays, HeldOut(-2.0, -1.75, 0.0625), saved),
        },
    )


def test_what_was_configured_otherwise_stays(tmp_path):
    """Dates, static numbers, names that need quotes, other accounts, and a pool that was not fitted
    are as they were; of a fitted pool what gives way to the account's is told, and what is its own
    is written."""
    source = tmp_path / "attribeam.toml"
    source.write_text(
        """\
match_window_minutes = 45
[accounts."shop.dk"]
excluded_callers = ["+4519000001"]
[[accounts."shop.dk".static_numbers]]
number = "+4510101010"
source = 'a "leaflet"'
valid_from = 2026-01-01
[[accounts."shop.dk".pools]]
name = "large"
numbers = ["+4510200100"]
call_probability = 0.1
min_probability = 0.7
[[accounts."shop.dk".pools]]
name = "small"
numbers = ["+4510200101"]
background_calls_per_day = 9
delay_means = [60]
delay_weights = [1]
[[accounts."shop.dk".pools]]
name = "other"
numbers = ["+4510200102"]
call_probability = 0.1
[accounts.other]
assume_answered = true
""",
        encoding="utf-8",
    )
    given = tomllib.loads(source.read_text(encoding="utf-8"))
    text = fitted_configuration(source, [fitted("shop.dk"), Fit("other", "too few calls")])
    made = tomllib.loads(text)
    account = made["accounts"]["shop.dk"]
    assert made["match_window_minutes"] == 45
    assert made["accounts"]["other"] == given["accounts"]["other"]
    assert account["static_numbers"] == given["accounts"]["shop.dk"]["static_numbers"]
    assert account["delay_means"] == [12.0, 120.0]
    large, small, other = account["pools"]
    assert large == {
        "name": "large",
        "numbers": ["+4510200100"],
        "min_probability": 0.7,
        "background_calls_per_day": 4.0,
    }
    assert small == given["accounts"]["shop.dk"]["pools"][1]
    assert (other["call_probability"], other["delay_means"]) == (0.03, [40.0])
    assert (other["background_calls_per_day"], other["saved_number_calls_per_day"]) == (5.0, 0.01)
    assert "# other: not fitted: too few calls" in text
    assert "(better by 0.5000, standard error 0.1250)" in text
    assert "background_calls_per_day = 4.0  # 3 to 5\n" in text
    assert "# 150 calls with candidates; call_probability and delays are the account's\n" in text
    assert '# call_probability was 0.1; now the account\'s\n[[accounts."shop.dk".pools]]' in text
    assert "its own: on held-out days its own say better by 0.2500, standard error 0.0625" in text
    assert parse_config(made).account("shop.dk").saved_number_calls_per_day == 0.01


def test_pools_are_told_with_the_account():
    """Each pool's values stand below the account's."""
    told = fit_words(fitted("shop.dk"))
    assert told[0] == "shop.dk: fitted to 200 calls with candidates on 20 days"
    place = told.index(
        "  pool large: 150 calls with candidates; call_probability and delays are the account's"
    )
    assert told[place + 1] == "    background_calls_per_day = 4.0  # 3 to 5"


def test_a_history_shorter_than_the_lookback_is_told():
    """Rates of kept numbers come out too high then."""
    short = "data of 20 days, less than lookback_days (30)"
    assert any(short in line for line in fit_words(replace(fitted("a"), lookback_days=30)))
    assert not any("lookback" in line for line in fit_words(replace(fitted("a"), lookback_days=20)))
    assert "give at\n# least lookback_days of data" in fitted_configuration(None, [fitted("a")])
