"""Real servers for tests: skipped with the reason where they cannot be built, or failed.

A test that starts servers of its own uses `pubsub_binary`; the others take addresses.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from emulators.servers import (
    BigQueryAddresses,
    EmulatorMissing,
    bigquery_server,
    binary,
    pubsub_server,
)


@pytest.fixture(scope="session")
def pubsub_binary() -> Path:
    """The Pub/Sub server, built."""
    return _built("pubsub")


@pytest.fixture(scope="session")
def pubsub_address(pubsub_binary: Path) -> Iterator[str]:
    """The address of a Pub/Sub server that this worker's tests share; deadlines from 1 s on."""
    with pubsub_server(ack_deadline_seconds=1) as address:
        yield address


@pytest.fixture(scope="session")
def bigquery_addresses() -> Iterator[BigQueryAddresses]:
    """The addresses of a BigQuery server that this worker's tests share, with project `test`."""
    _built("bigquery")
    with bigquery_server() as addresses:
        yield addresses


def _built(name: str) -> Path:
    try:
        return binary(name)
    except EmulatorMissing as missing:
        if os.environ.get("ATTRIBEAM_REQUIRE_EMULATORS") == "1":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))
