"""A real BigQuery project in place of the emulator, for `make gcp-test` alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipelines.bigquery.service import Service, connect
from pipelines.bigquery.wanted import LABEL

# Names a project that holds nothing and where everything may be made and removed.
PROJECT = "ATTRIBEAM_GCP_PROJECT"
# The project that tests of the sink write to: that one, or the emulator's.
TESTED = os.environ.get(PROJECT) or "test"


@contextmanager
def real_project(project: str) -> Iterator[Service]:
    """A project's service; what a test made is gone afterwards. Fails where datasets are there."""
    service = connect(project)
    there = [item.dataset_id for item in service.client.list_datasets()]
    if there:
        pytest.fail(f"{project} holds datasets ({there[0]}, …): give an empty project")
    try:
        yield service
    finally:
        for item in service.client.list_datasets():
            if LABEL.items() <= item.labels.items():
                service.client.delete_dataset(item.reference, delete_contents=True)
