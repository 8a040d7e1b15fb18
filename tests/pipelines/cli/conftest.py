"""The command in this process, and a place with input and a warehouse."""

import shutil
from pathlib import Path

import pytest
from cli_runs import (
    SECRET,
    Command,
    Outcome,
    Place,
    jsonl,
    real,
)

from pipelines.cli import main


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTRIBEAM_KEY", SECRET)
    monkeypatch.delenv("ATTRIBEAM_KEY_FILE", raising=False)


@pytest.fixture
def attribeam(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process: its exit code, stdout and stderr."""

    def run(*arguments: str | Path) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Outcome(code, said.out, said.err)

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with a warehouse, made once by the real command."""
    place = Place(tmp_path_factory.mktemp("made"))
    jsonl(place.pageviews, "pageview")
    jsonl(place.folder / "engagements.jsonl", "engagement")
    jsonl(place.calls, "call")
    done = real(*place.backfill(engagements=place.folder / "engagements.jsonl"))
    assert done.code == 0, done.err
    return place.folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    return Place(Path(shutil.copytree(made, tmp_path / "place")))
