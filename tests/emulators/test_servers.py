"""The servers that other tests run against: what they say when they cannot be had."""

from pathlib import Path

import pytest
from emulators.servers import BigQueryAddresses, EmulatorMissing, binary
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery


def test_without_go_it_is_said_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where there is neither a binary nor Go, the message names both the server and Go."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EmulatorMissing, match="the pubsub server needs Go to be built: install Go"):
        binary("pubsub")


def test_a_failed_build_leaves_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A Go that fails is told with what it printed, and no binary is left in the cache."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text("#!/bin/sh\necho no such module; exit 1\n")
    go.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(go.parent))
    with pytest.raises(EmulatorMissing, match="could not build the pubsub server: no such module"):
        binary("pubsub")
    assert [path.suffix for path in tmp_path.glob("cache/*/*/*/*")] == [".lock"]


def test_bigquery_answers_the_official_client(bigquery_addresses: BigQueryAddresses):
    """The server's address serves the project that was asked for."""
    client = bigquery.Client(
        project=bigquery_addresses.project,
        credentials=AnonymousCredentials(),
        client_options={"api_endpoint": bigquery_addresses.rest},
    )
    with client:
        assert [list(row) for row in client.query_and_wait("SELECT 1 + 1")] == [[2]]
