"""A BigQuery emulator of its own for each test: it cannot forget a dataset and make it again."""

import os
from collections.abc import Iterator

import pytest
from emulators.servers import bigquery_server
from gcp_project import PROJECT, real_project

from pipelines.bigquery.service import EMULATOR, Service, connect
from pipelines.bigquery.stream_sink import WRITE_EMULATOR


@pytest.fixture
def service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """The project `test` of an emulator, empty, by the official client; skipped without Go.

    For `make gcp-test` the real project that ATTRIBEAM_GCP_PROJECT names.
    """
    if project := os.environ.get(PROJECT):
        with real_project(project) as real:
            yield real
        return
    request.getfixturevalue("bigquery_addresses")
    with bigquery_server() as addresses:
        monkeypatch.setenv(EMULATOR, addresses.rest)
        monkeypatch.setenv(WRITE_EMULATOR, addresses.grpc)
        yield connect(addresses.project)
