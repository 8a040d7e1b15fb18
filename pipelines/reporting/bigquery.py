"""The report's queries in BigQuery: each account's dataset adds up its own rows.

Only sums leave the service, so a report of many millions of sessions fetches no more than one of a
few.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product

import polars as pl

from pipelines.bigquery.errors import clear_service_errors
from pipelines.bigquery.names import SCHEME
from pipelines.bigquery.service import THREADS, Service
from pipelines.bigquery.views import bigquery_sql
from pipelines.reporting.source import DEAD_LETTERS, QUERIES, Parameters, query_text
from pipelines.reporting.tables import Results

NOTHING = "no report was written"
# What the dialects have no common words for, beside those of the views: DuckDB's, BigQuery's.
DIALECT = {"EPOCH_US(": "UNIX_MICROS(", "GENERATE_SERIES(": "GENERATE_ARRAY("}
PARAMETERS = {"account": "STRING", "first_day": "DATE", "last_day": "DATE"}


@dataclass(frozen=True)
class Dataset:
    """A dataset, where it lies, and whose rows it holds; account None: of no known account."""

    account: str | None
    name: str
    location: str

    def answers(self, query: str, account: str | None) -> bool:
        """Whether it holds what a query is about: of no known account there are dead letters."""
        if self.account is None:
            return account is None and query == DEAD_LETTERS
        return account in (None, self.account)


class BigQuerySource:
    """A project: the accounts that have a dataset in it, each where it lies."""

    def __init__(self, service: Service) -> None:
        """Looks up the datasets. Raises OutputError."""
        self.name = f"{SCHEME}{service.project}"
        self._service = service
        with clear_service_errors("reading the project's datasets", NOTHING):
            self._datasets = _datasets(service)

    def results(self, names: Iterable[str], parameters: Parameters) -> Results:
        """The results of named queries, asked of all datasets at the same time."""
        account = parameters["account"]
        found: dict[str, list[pl.DataFrame]] = {name: [] for name in names}
        asked = [
            (name, dataset)
            for name, dataset in product(found, self._datasets)
            if dataset.answers(name, None if account is None else str(account))
        ]
        with ThreadPoolExecutor(THREADS) as threads:
            answers = threads.map(lambda one: self._rows(one[0], one[1], parameters), asked)
            for (name, _), rows in zip(asked, answers, strict=True):
                found[name].append(rows)
        return {name: QUERIES[name].add_up(parts) for name, parts in found.items()}

    def _rows(self, name: str, dataset: Dataset, parameters: Parameters) -> pl.DataFrame:
        sql = dialect_sql(query_text(name), f"{self._service.project}.{dataset.name}", parameters)
        used = {key: str(value) for key, value in parameters.items() if f"@{key}" in sql}
        with clear_service_errors(f"reading the dataset {dataset.name}", NOTHING):
            rows = self._service.query(sql, dataset.location, **used)
        return pl.DataFrame([dict(row) for row in rows], QUERIES[name].schema)


def dialect_sql(sql: str, dataset: str, parameters: Parameters) -> str:
    """A query in BigQuery's SQL over a dataset (`project.dataset`); values come as text."""
    for duckdb, bigquery in DIALECT.items():
        sql = sql.replace(duckdb, bigquery)
    for name, kind in PARAMETERS.items():
        value = "NULL" if parameters.get(name) is None else f"@{name}"
        sql = sql.replace(f"${name}", f"CAST({value} AS {kind})")
    return bigquery_sql(sql, dataset)


def _datasets(service: Service) -> list[Dataset]:
    """Accounts' datasets, then the control datasets.

    By how they are labelled: their names and places may come from a
    configuration that the report does not have.
    """
    accounts = service.account_datasets()
    get = partial(service.client.get_dataset, retry=service.retry)
    with ThreadPoolExecutor(THREADS) as threads:
        found = threads.map(get, [name for _, name in accounts])
        held = [
            Dataset(account, name, dataset.location)
            for (account, name), dataset in zip(accounts, found, strict=True)
        ]
    return [*held, *(Dataset(None, *control) for control in service.control_datasets())]
