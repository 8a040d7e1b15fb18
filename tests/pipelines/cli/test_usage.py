"""Bad options and configurations give one clear message; good ones say what was done."""

import importlib.metadata
import json
from pathlib import Path

import pytest
from cli_runs import (
    BAD_CALL,
    PERSONAL,
    SECRET,
    Command,
    Place,
    assert_refused,
    jsonl,
    real,
)


def write_config(place: Place, text: str) -> Path:
    path = place.folder / "attribeam.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sesion_gap_minutes = 30", "sesion_gap_minutes"),
        ("[accounts.a]\nretention = 5", "accounts.a: unknown key `retention`"),
        ("min_probability = 2", "min_probability: must be at most 1"),
        ("session_gap_minutes = 'long'", "session_gap_minutes"),
        ("[accounts.a", "not TOML"),
        (
            "[[accounts.a.pools]]\nname='p'\nnumbers=['70101010']\n"
            "[[accounts.a.pools]]\nname='q'\nnumbers=['+45 70 10 10 10']",
            "accounts.a.pools: +4570101010 stands in two entries at one time",
        ),
    ],
)
def test_a_configuration_error_names_the_key(
    text: str, said: str, place: Place, attribeam: Command
) -> None:
    """Exit 2: the message names the file and the key."""
    config = write_config(place, text)
    before = place.contents()
    message = assert_refused(attribeam(*place.backfill(config=config)), place, before, 2)
    assert str(config) in message
    assert said in message


def test_a_missing_configuration_is_a_configuration_error(place: Place, attribeam: Command) -> None:
    """Exit 2 with the name of the file that is not there."""
    before = place.contents()
    done = attribeam(*place.backfill(config=place.folder / "none.toml"))
    assert "none.toml: cannot be read" in assert_refused(done, place, before, 2)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"from": "2026-05-01", "to": "2026-05-02"}, "no calls from 2026-05-01 to 2026-05-02"),
        ({"from": "2026-03-04"}, "2 calls lie outside"),
        ({"from": "2026-03-03", "to": "2026-03-03"}, "must be before"),
        ({"output": "gs://bucket/warehouse"}, "write a local folder or bigquery://PROJECT"),
        ({"max_dead_leters": "3"}, "did you mean --max-dead-letters?"),
        ({"direct_num_worker": "2"}, "did you mean --direct_num_workers?"),
        ({"from": "1 May"}, "'1 May' is no day; write 2026-06-30"),
        ({"now": "tomorrow"}, "'tomorrow' is no time"),
        ({"shards": "0"}, "must be at least 1"),
        ({"max_dead_letters": "-1"}, "--max-dead-letters"),
        ({"calls": None}, "--calls"),
        ({"output": None}, "--output"),
    ],
)
def test_what_cannot_be_asked_for_is_told(
    changed: dict[str, str], said: str, place: Place, attribeam: Command
) -> None:
    """Exit 2: usage errors name the option and what to write instead."""
    before = place.contents()
    message = assert_refused(attribeam(*place.backfill(**changed)), place, before, 2)
    assert said in message


def test_a_stray_word_is_refused(place: Place, attribeam: Command) -> None:
    """An argument that belongs to no option is a mistake, not Beam's."""
    before = place.contents()
    done = attribeam(*place.backfill(json=True), "stray")
    assert "stray" in assert_refused(done, place, before, 2)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (None, "no secret key: set ATTRIBEAM_KEY"),
        ("", "no secret key: set ATTRIBEAM_KEY"),
        ("c2hvcnQ=", "ATTRIBEAM_KEY: not 32 bytes in base64"),
        ("anna", "ATTRIBEAM_KEY: not 32 bytes in base64"),
    ],
)
def test_without_a_usable_key_nothing_is_read(
    key: str | None,
    said: str,
    place: Place,
    attribeam: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit 2: the message says how to make a key and never shows the one that was given."""
    if key is None:
        monkeypatch.delenv("ATTRIBEAM_KEY")
    else:
        monkeypatch.setenv("ATTRIBEAM_KEY", key)
    before = place.contents()
    assert said in assert_refused(attribeam(*place.backfill()), place, before, 2)


def test_a_key_file_that_is_missing_is_named(
    place: Place, attribeam: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key may come from a file; where it is not there, exit 2 with its name."""
    monkeypatch.delenv("ATTRIBEAM_KEY")
    monkeypatch.setenv("ATTRIBEAM_KEY_FILE", str(place.folder / "key"))
    before = place.contents()
    message = assert_refused(attribeam(*place.backfill()), place, before, 2)
    assert f"{place.folder / 'key'} cannot be read" in message
    (place.folder / "key").write_text(SECRET + "\n")
    assert attribeam(*place.backfill()).code == 0


def test_more_dead_letters_than_allowed_exit_3(place: Place, attribeam: Command) -> None:
    """The message counts them by code and nothing of their content is in it."""
    bad = json.dumps(BAD_CALL).encode()
    jsonl(place.calls, "call", bad, bad[:-9], b"anna 20202020")
    before = place.contents()
    done = attribeam(*place.backfill(max_dead_letters=2))
    message = assert_refused(done, place, before, 3)
    assert "3 dead letters, 2 allowed (--max-dead-letters)" in message
    assert "{'missing_field': 1, 'not_json': 2}" in message


def test_dead_letters_within_the_limit_are_a_warning(place: Place, attribeam: Command) -> None:
    """Exit 0: many of them are told on stderr by code, without what they hold."""
    jsonl(place.calls, "call", json.dumps(BAD_CALL).encode())
    done = attribeam(*place.backfill(max_dead_letters=1))
    assert done.code == 0
    assert "1 of 4 events could not be used: {'missing_field': 1}" in done.err
    for value in PERSONAL:
        assert value not in done.err + done.out


def test_short_history_is_refused_without_the_flag(place: Place, attribeam: Command) -> None:
    """Exit 2: which days, of which account, and the flag that does it all the same."""
    before = place.contents()
    done = attribeam(*place.backfill(short_history=None))
    message = assert_refused(done, place, before, 2)
    assert "2026-03-02 to 2026-03-03 of account a already has rows" in message
    assert "--short-history" in message


def test_results_go_to_stdout(place: Place, attribeam: Command) -> None:
    """The report as JSON is all of stdout; as text it says where the warehouse is."""
    done = attribeam(*place.backfill(json=True))
    report = json.loads(done.out)
    assert (done.code, done.errors) == (0, [])
    assert report["rows"]["conversions"] == {"written": 2, "expired": 0, "outside": 0}
    told = attribeam(*place.backfill()).out
    assert "2 conversions written" in " ".join(told.split())
    assert str(place.output / "warehouse.duckdb") in told


@pytest.mark.parametrize("output", ["bigquery://my-project/EU", "gs://bucket/warehouse"])
@pytest.mark.parametrize(
    "command",
    [["explain", "c1"], ["evaluate", "--truth", "t.csv"], ["calibrate", "--write", "f.toml"]],
)
def test_commands_that_read_a_folder_say_how_to_get_one(
    command: list[str], output: str, attribeam: Command
) -> None:
    """Exit 2, and what is elsewhere is named as it was given."""
    done = attribeam(*command, "--output", output)
    assert done.code == 2
    assert f"{output}: this command reads a local warehouse; write the days" in done.err


def test_the_version_is_told(attribeam: Command) -> None:
    """As it was installed."""
    done = attribeam("--version")
    assert (done.code, done.out) == (0, f"attribeam {importlib.metadata.version('attribeam')}\n")


def test_the_real_command_says_what_it_can_do() -> None:
    """Help with examples, and usage errors with exit code 2, from a process of its own."""
    helped = real("backfill", "--help")
    assert helped.code == 0
    for part in ("--short-history", "examples:", "attribeam backfill --pageviews"):
        assert part in helped.out
    wrong = real("backfil")
    assert wrong.code == 2
    assert "backfill" in wrong.err
