"""The key, and the story as files."""

import base64
from pathlib import Path

import pytest
from backfill_runs import story_files, write
from tables import KEY


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTRIBEAM_KEY", base64.b64encode(KEY).decode())


@pytest.fixture
def story(tmp_path: Path) -> Path:
    return write(tmp_path / "in", story_files())
