"""`attribeam doctor`: each line says what is, and where it is a problem what to do."""

import importlib.metadata
import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement

from pipelines.doctor import (
    Check,
    check_libraries,
    check_output,
    check_python,
    diagnose,
    library_problem,
)

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
PAGEVIEW = '{"account":"a","visitor_id":"v","time":"2025-03-01T12:00:00Z","url":"https://a.dk/"}\n'


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the key of the machine it runs on."""
    monkeypatch.delenv("ATTRIBEAM_KEY", raising=False)
    monkeypatch.delenv("ATTRIBEAM_KEY_FILE", raising=False)


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_only_supported_pythons_are_ok() -> None:
    """3.11 and 3.12 are, others say which are."""
    assert check_python("3.11.7").ok
    assert check_python("3.12.0").ok
    for version in ("3.10.12", "3.13.1"):
        check = check_python(version)
        assert not check.ok
        assert ">=3.11" in check.advice


def test_the_pythons_are_those_of_the_project() -> None:
    """What the doctor asks for is what pyproject asks for."""
    project = Path(__file__).parents[2] / "pyproject.toml"
    assert 'requires-python = ">=3.11,<3.13"' in project.read_text(encoding="utf-8")


def test_libraries_are_compared_with_what_is_asked_for() -> None:
    """A library that is missing or of another version is named with both versions."""
    installed = importlib.metadata.version("polars")
    assert library_problem(Requirement("polars")) is None
    assert library_problem(Requirement("polars>=99")) == (
        f"{installed} is installed, >=99 is needed"
    )
    assert library_problem(Requirement("no-such-library>=1")) == "is missing, >=1 is needed"


def test_each_misfitting_library_has_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Extras that nobody asked for are left out; where all fit there is one line."""
    asked = ["polars>=99", "duckdb", "nothing-here; extra == 'dev'"]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: asked)
    assert [(check.name, check.ok) for check in check_libraries()] == [("polars", False)]
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: asked[1:])
    assert [(check.name, check.detail) for check in check_libraries()] == [
        ("libraries", "1 as asked for")
    ]


def test_the_key_is_checked_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, a short key and a good key; no line repeats any of it."""
    missing = by_name(diagnose().checks)["key"]
    assert (missing.ok, missing.detail) == (False, "no secret key")
    assert missing.advice.startswith("set ATTRIBEAM_KEY to 32 random bytes")
    monkeypatch.setenv("ATTRIBEAM_KEY", KEY[:8])
    short = diagnose()
    assert not by_name(short.checks)["key"].ok
    assert KEY[:8] not in short.text()
    monkeypatch.setenv("ATTRIBEAM_KEY", KEY)
    good = diagnose()
    assert by_name(good.checks)["key"] == Check("key", True, "32 bytes")
    assert KEY not in good.text()


def test_the_configuration_is_read(tmp_path: Path) -> None:
    """A wrong key is named, a good file counted."""
    path = tmp_path / "config.toml"
    path.write_text("[accounts.shop]\nlookback_day = 3\n")
    check = by_name(diagnose(path).checks)["configuration"]
    assert not check.ok
    assert "lookback_day" in check.detail
    path.write_text("[accounts.shop]\nlookback_days = 3\n")
    assert by_name(diagnose(path).checks)["configuration"].detail == f"{path}: 1 accounts"


class Sample(NamedTuple):
    text: str
    ok: bool
    detail: str


@pytest.mark.parametrize(
    "sample",
    [
        Sample(PAGEVIEW * 3, True, "3 of the first 3 lines are events"),
        Sample(
            PAGEVIEW * 2 + "{\n",
            True,
            "2 of the first 3 lines are events; dead letters: not_json 1",
        ),
        Sample(
            PAGEVIEW + "{\n[]\n",
            False,
            "1 of the first 3 lines are events; dead letters: not_json 1, not_object 1",
        ),
        Sample("\n \n", False, "no lines there"),
    ],
)
def test_an_input_sample_is_decoded(tmp_path: Path, sample: Sample) -> None:
    """The first lines are counted as a run would; mostly dead letters are a problem."""
    path = tmp_path / "pageviews.jsonl"
    path.write_text(sample.text)
    check = by_name(diagnose(inputs={"pageview": [str(path)]}).checks)["pageview input"]
    assert check.ok == sample.ok
    assert check.detail.endswith(sample.detail)
    assert bool(check.advice) == (not sample.ok)


def test_an_input_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """The path is named; kinds without paths have no line."""
    missing = str(tmp_path / "missing.jsonl")
    checks = by_name(diagnose(inputs={"call": [missing], "pageview": []}).checks)
    assert not checks["call input"].ok
    assert missing in checks["call input"].detail
    assert "pageview input" not in checks


def test_the_output_can_be_written_and_nothing_is_left(tmp_path: Path) -> None:
    """A folder that is not there yet is judged by the nearest one that is."""
    checks = list(check_output(str(tmp_path / "a" / "b"), 0))
    assert [(check.name, check.ok) for check in checks] == [("output", True), ("disk", True)]
    assert list(tmp_path.iterdir()) == []


def test_an_output_that_is_a_file_is_a_problem(tmp_path: Path) -> None:
    """The file is named, and what to do."""
    (tmp_path / "file").write_text("")
    for output in (tmp_path / "file", tmp_path / "file" / "below"):
        (check,) = check_output(str(output), 0)
        assert not check.ok
        assert check.detail == f"{tmp_path / 'file'} is not a folder"
        assert "choose another --output" in check.advice


def test_too_little_disk_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for at least the input's size is asked for."""
    free = shutil.disk_usage(tmp_path)._replace(free=2_000_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: free)
    assert list(check_output(str(tmp_path), 1_900_000_000))[1].ok
    disk = list(check_output(str(tmp_path), 2_100_000_000))[1]
    assert disk.line() == "problem  disk: 2.0 GB free; free some space: 2.1 GB are wanted"


def test_exit_code_and_json_follow_the_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any problem is exit code 1; the JSON has the same checks."""
    monkeypatch.setattr(importlib.metadata, "requires", lambda _: [])
    monkeypatch.setenv("ATTRIBEAM_KEY", KEY)
    fit = diagnose(output=str(tmp_path))
    assert (fit.exit_code, json.loads(fit.json())["ok"]) == (0, True)
    assert all(line.startswith("ok") for line in fit.text().splitlines())
    monkeypatch.delenv("ATTRIBEAM_KEY")
    unfit = diagnose(output=str(tmp_path))
    assert unfit.exit_code == 1
    found = json.loads(unfit.json())
    assert not found["ok"]
    assert [check["name"] for check in found["checks"] if not check["ok"]] == ["key"]
