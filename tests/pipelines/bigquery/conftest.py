"""A BigQuery emulator of its own for each test: it cannot forget a dataset and make it again."""

from collections.abc import Iterator

import pytest
from emulators.servers import bigquery_server

from pipelines.bigquery.service import EMULATOR, Service, connect


@pytest.fixture
def service(bigquery_addresses: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The project `test` of an emulator, empty, by the official client; skipped without Go."""
    with bigquery_server() as addresses:
        monkeypatch.setenv(EMULATOR, addresses.rest)
        yield connect(addresses.project)
