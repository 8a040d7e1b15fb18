"""BigQuery as it is: a client, the state of datasets and tables, and carrying out a plan."""

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import google.auth
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from pipelines.bigquery.errors import clear_service_errors
from pipelines.bigquery.names import CONTROL_PREFIX
from pipelines.bigquery.plan import Change
from pipelines.bigquery.wanted import COMMITS, LABEL, State
from pipelines.output import OutputError

EMULATOR = "BIGQUERY_EMULATOR_HOST"
SCOPES = ("https://www.googleapis.com/auth/bigquery",)
PATIENCE_SECONDS = 120.0
# The service answers up to 100 requests a second to one user.
THREADS = 8
LISTED_AT_ONCE = 1_000


@dataclass(frozen=True)
class Service:
    """A client of one project and how long to try again what fails for a moment."""

    client: bigquery.Client
    patience_seconds: float = PATIENCE_SECONDS
    retry: Retry = field(init=False)

    def __post_init__(self) -> None:
        patient = bigquery.DEFAULT_RETRY.with_timeout(self.patience_seconds)
        object.__setattr__(self, "retry", patient)

    @property
    def is_emulator(self) -> bool:
        """True where the emulator of tests answers (docs/bigquery.md lists how it differs)."""
        return bool(os.environ.get(EMULATOR))

    @property
    def upload_tries(self) -> int:
        """How often a part of an upload is sent again; the waits double from a second on."""
        return max(1, int(self.patience_seconds).bit_length() - 1)

    @property
    def project(self) -> str:
        """The project."""
        return str(self.client.project)

    def query(
        self, sql: str, location: str, job_id: str | None = None, **parameters: str
    ) -> list[Any]:
        """Runs SQL to its end; its rows. Errors of SQL are raised at once."""
        given = [bigquery.ScalarQueryParameter(k, "STRING", v) for k, v in parameters.items()]
        job = self.client.query(
            sql,
            job_config=bigquery.QueryJobConfig(query_parameters=given),
            job_id=job_id,
            location=location,
            retry=self.retry,
            job_retry=None,
            timeout=self.patience_seconds,
        )
        return list(job.result(retry=self.retry, job_retry=None))

    def account_datasets(self) -> list[tuple[str, str]]:
        """(account, dataset) of the accounts that have a dataset in the project."""
        found = self.client.list_datasets(retry=self.retry)
        return [
            (item.friendly_name, item.dataset_id)
            for item in found
            if LABEL.items() <= item.labels.items()
            and not item.dataset_id.startswith(CONTROL_PREFIX)
            and item.friendly_name
        ]

    def control_datasets(self) -> list[tuple[str, str]]:
        """(name, location) of the control datasets that have a journal."""
        found = self.client.list_datasets(retry=self.retry)
        names = [item.dataset_id for item in found if item.dataset_id.startswith(CONTROL_PREFIX)]
        journals = [name for name in names if self._table((name, COMMITS.name))]
        datasets = [(name, self._dataset(name)) for name in journals]
        return [(name, dataset["location"]) for name, dataset in datasets if dataset]

    def read_state(self, wanted: State, *, texts: bool = False) -> State:
        """What there is of the datasets, tables and views that are wanted.

        A view is only as it is listed, which tells it from a table; texts: with all that is known.
        """
        with ThreadPoolExecutor(THREADS) as threads:
            datasets = _present(wanted.datasets, threads.map(self._dataset, wanted.datasets))
            listed = dict(chain.from_iterable(threads.map(self._listed, datasets)))
            there = {key: table for key, table in wanted.tables.items() if key in listed}
            asked = [key for key, table in there.items() if texts or "view" not in table]
            tables = _present(asked, threads.map(self._table, asked))
        views = {key: listed[key] for key, table in there.items() if not texts and "view" in table}
        return State(datasets, tables | views)

    def apply(self, changes: Iterable[Change]) -> None:
        """Makes changes in their order; what is there already is not made again."""
        for change in changes:
            with clear_service_errors(change.text, "what was not reached yet is as it was"):
                self._apply(change)

    def _apply(self, change: Change) -> None:
        if change.kind == "dataset":
            reference = {"projectId": self.project, "datasetId": change.path[0]}
            dataset = bigquery.Dataset.from_api_repr(
                {"datasetReference": reference} | change.resource
            )
            if change.action == "create":
                made = self.client.create_dataset(dataset, exists_ok=True, retry=self.retry)
                if made.friendly_name != dataset.friendly_name:
                    raise OutputError(
                        f"dataset {change.path[0]} was made in this moment for account "
                        f"{made.friendly_name}: give {dataset.friendly_name} another in "
                        "[accounts.NAME]: dataset = …; nothing was written"
                    )
            else:
                self.client.update_dataset(dataset, [*change.resource], retry=self.retry)
            return
        names = zip(("datasetId", "tableId"), change.path, strict=True)
        reference = {"projectId": self.project, **dict(names)}
        table = bigquery.Table.from_api_repr({"tableReference": reference} | change.resource)
        if change.action == "create":
            self.client.create_table(table, exists_ok=True, retry=self.retry)
        else:
            self.client.update_table(table, [*change.resource], retry=self.retry)

    def _dataset(self, name: str) -> dict[str, Any] | None:
        try:
            found = self.client.get_dataset(f"{self.project}.{name}", retry=self.retry)
        except exceptions.NotFound:
            return None
        return found.to_api_repr()

    def _listed(self, dataset: str) -> list[tuple[tuple[str, str], dict[str, Any]]]:
        """Its tables and views by their keys: one request, where asking for each takes one each."""
        items = self.client.list_tables(
            f"{self.project}.{dataset}", page_size=LISTED_AT_ONCE, retry=self.retry
        )
        try:
            return [((dataset, item.table_id), item.to_api_repr()) for item in items]
        except exceptions.NotFound:
            return []

    def _table(self, key: tuple[str, str]) -> dict[str, Any] | None:
        try:
            found = self.client.get_table(".".join((self.project, *key)), retry=self.retry)
        except exceptions.NotFound:
            return None
        return found.to_api_repr()


def connect(project: str) -> Service:
    """A service with the machine's own credentials, or the emulator's without any.

    Raises OutputError without credentials; never asks anybody.
    """
    with clear_service_errors("signing in", "nothing was written"):
        if os.environ.get(EMULATOR):
            credentials: Any = AnonymousCredentials()
        else:
            credentials, _ = google.auth.default(scopes=SCOPES)
        return Service(bigquery.Client(project=project, credentials=credentials))


def _present(keys: Iterable[Any], found: Iterable[Any]) -> dict[Any, Any]:
    return {key: resource for key, resource in zip(keys, found, strict=True) if resource}
