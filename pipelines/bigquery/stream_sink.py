"""BigQuery as a stream's sink: the appender, tables made for accounts as they come."""

import logging
import os
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import grpc
import polars as pl
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcTransport,
)

from pipelines.bigquery.append import NEW_SECONDS, AppendBusy, BigQueryAppender
from pipelines.bigquery.compare import not_ours
from pipelines.bigquery.errors import GONE, clear_service_errors
from pipelines.bigquery.names import (
    Place,
    Target,
    control_place,
    find_places,
    home_location,
    parse_target,
)
from pipelines.bigquery.refused import refused_rows
from pipelines.bigquery.service import Service, connect
from pipelines.bigquery.wanted import DETAIL_TABLES, Resource, State, dataset_resource
from pipelines.bigquery.warehouse import BigQueryWarehouse
from pipelines.output import OutputError
from pipelines.streaming.outbox import SinkBusy
from schemas.config import Config, ConfigError
from schemas.tables import DEAD_LETTERS

LOG = logging.getLogger(__name__)
# The emulator's second address, host:port; the service has one.
WRITE_EMULATOR = "BIGQUERY_STORAGE_EMULATOR_HOST"
NOTHING = "the rows stay and go later"


class BigQuerySink:
    """Appends rows to the datasets of a project; threads may share it.

    places: where the rows of each account lie that has come, dead letters of those in `refused`.
    """

    def __init__(self, warehouse: BigQueryWarehouse, appender: BigQueryAppender) -> None:
        self.warehouse = warehouse
        self.appender = appender
        self.places: dict[str | None, Place] = {}
        self.refused: set[str] = set()
        appender.places = self.places
        config = warehouse.config
        self._control = control_place(home_location(config, warehouse.target), config)
        named = find_places(config.accounts, config, warehouse.target)
        self._holders = {place.dataset: account for account, place in named.items()}
        self._lock = threading.Lock()

    def append(self, name: str, rows: dict[str, pl.DataFrame], report: dict[str, Any]) -> None:
        """Appends rows by table; the same rows again stand twice, and show once in the views.

        An account that comes for the first time is checked, and what it lacks is made; rows of one
        that can have no dataset become dead letters. Raises SinkBusy where it has to be tried again
        later, OutputError and ConfigError where it cannot.
        """
        try:
            with self._lock:
                self._know(rows)
            for table, part in with_letters(rows, self.refused).items():
                if not part.is_empty():
                    self.appender.append(table, part)
        except AppendBusy as busy:
            raise SinkBusy(str(busy)) from busy
        except OutputError as error:
            if isinstance(error.__cause__, GONE):
                raise SinkBusy(str(error)) from error
            raise

    def _know(self, rows: Mapping[str, pl.DataFrame]) -> None:
        """Finds a place for each account that comes for the first time, and makes what is missing.

        Of two accounts for one dataset the one that has it keeps it; else the first by name.
        """
        accounts = {account for part in rows.values() for account in part["account"].unique()}
        detail = bool({*rows} & {*DETAIL_TABLES})
        config, target = self.warehouse.config, self.warehouse.target
        while new := accounts - {*self.places}:
            named = new - {None}
            homeless = find_homeless(named, self._holders, config, target)
            taken = self._prepare(named - {*homeless}, detail=detail)
            # Where one's dataset turned out to be taken, those put off for it have another try.
            for account, why in (taken or homeless).items():
                self._refuse(account, why)
            if None in new:
                self.places[None] = self._control

    def _prepare(self, accounts: Collection[str], *, detail: bool) -> dict[str, str]:
        """Makes what accounts lack; of those whose dataset is somebody else's, why it did not."""
        try:
            self._make(accounts, detail=detail)
        except OutputError as error:
            # What the service said is about all of them.
            if error.__cause__ is not None:
                raise
            return self._prepare_singly(accounts, detail=detail)
        return {}

    def _prepare_singly(self, accounts: Collection[str], *, detail: bool) -> dict[str, str]:
        taken = {}
        for account in sorted(accounts):
            try:
                self._make([account], detail=detail)
            except OutputError:
                why = self._why_taken(account)
                if not why or account in self.warehouse.config.accounts:
                    raise
                taken[account] = why
        return taken

    def _make(self, accounts: Iterable[str], *, detail: bool) -> None:
        places, state = self.warehouse.prepare(accounts, detail=detail)
        self.appender.expect(path for path, table in state.tables.items() if _is_new(table))
        self.places.update(places)
        self._holders |= {place.dataset: account for account, place in places.items()}

    def _why_taken(self, account: str) -> str | None:
        """Why the dataset that is there is not the account's; None where that is not so."""
        place = find_places([account], self.warehouse.config, self.warehouse.target)[account]
        with clear_service_errors("looking at a dataset", NOTHING):
            state = self.warehouse.service.read_state(State({place.dataset: {}}))
        there = state.datasets.get(place.dataset)
        wanted = dataset_resource(self.warehouse.target.project, place)
        return None if there is None else not_ours(place.dataset, wanted, there)

    def _refuse(self, account: str, why: str) -> None:
        """Its rows become dead letters, which lie with those of no account."""
        LOG.warning(
            "account %r: its rows become dead letters row_refused in %s: %s, then start the stream "
            "again and backfill the days since",
            account,
            self._control.dataset,
            why,
        )
        self.places[account] = self._control
        self.refused.add(account)


def find_homeless(
    accounts: Iterable[str], holders: Mapping[str, str], config: Config, target: Target
) -> dict[str, str]:
    """Accounts whose name gives them no dataset of their own, and why.

    holders: who has a dataset already. Raises ConfigError where no account could have one.
    """
    held = dict(holders)
    homeless = {}
    for account in sorted(accounts):
        try:
            dataset = find_places([account], config, target)[account].dataset
            find_places([account, held.setdefault(dataset, account)], config, target)
        except ConfigError as error:
            # What is wrong for an account of any name is not the name's fault.
            find_places(["any"], Config(config.default, {}), target)
            homeless[account] = str(error)
    return homeless


def with_letters(
    rows: dict[str, pl.DataFrame], refused: Collection[str]
) -> dict[str, pl.DataFrame]:
    """Rows by table, with dead letters in place of rows of accounts that are refused."""
    if not refused:
        return rows
    is_refused = pl.col("account").is_in([*refused]).fill_null(value=False)
    kept = {name: part.filter(~is_refused) for name, part in rows.items()}
    # Their dead letters are what they should be; only they lie elsewhere.
    letters = [rows[DEAD_LETTERS.name]] if DEAD_LETTERS.name in rows else []
    for name, part in rows.items():
        bad = part.filter(is_refused)
        if name != DEAD_LETTERS.name and not bad.is_empty():
            letters.append(refused_rows(name, bad, range(bad.height)))
    if letters:
        kept[DEAD_LETTERS.name] = pl.concat(letters, how="diagonal_relaxed")
    return kept


def _is_new(table: Resource) -> bool:
    """True for a table that was made so lately that an append may not find it.

    One that was made just now has not been read yet, so it does not say when.
    """
    made_ms = table.get("creationTime")
    return made_ms is None or int(made_ms) / 1000 > time.time() - NEW_SECONDS


def open_bigquery_sink(output: str, config: Config, region: str | None = None) -> BigQuerySink:
    """The sink that `bigquery://…` names. Raises ConfigError, and OutputError without credentials.

    The accounts of the configuration are checked at once.
    """
    target = parse_target(output)
    service = connect(target.project)
    warehouse = BigQueryWarehouse(service, target, config, region)
    warehouse.check(config.accounts)
    appender = BigQueryAppender(
        _write_client(service), target.project, {}, needs_streams=service.is_emulator
    )
    return BigQuerySink(warehouse, appender)


def _write_client(service: Service) -> BigQueryWriteClient:
    with clear_service_errors("signing in", NOTHING):
        if service.is_emulator:
            channel = grpc.insecure_channel(os.environ[WRITE_EMULATOR])
            return BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=channel))
        return BigQueryWriteClient(credentials=service.client._credentials)
