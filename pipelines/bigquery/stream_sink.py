"""BigQuery as a stream's sink: the appender, tables made for accounts as they come."""

import os
from typing import Any

import grpc
import polars as pl
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcTransport,
)

from pipelines.bigquery.append import AppendBusy, BigQueryAppender
from pipelines.bigquery.errors import clear_service_errors
from pipelines.bigquery.names import Place, control_place, find_places, home_location, parse_target
from pipelines.bigquery.service import Service, connect
from pipelines.bigquery.wanted import DETAIL_TABLES
from pipelines.bigquery.warehouse import BigQueryWarehouse
from pipelines.streaming.outbox import SinkBusy
from schemas.config import Config

# The emulator's second address, host:port; the service has one.
WRITE_EMULATOR = "BIGQUERY_STORAGE_EMULATOR_HOST"
NOTHING = "the rows stay and go later"


class BigQuerySink:
    """Appends rows to the datasets of a project."""

    def __init__(self, warehouse: BigQueryWarehouse, appender: BigQueryAppender) -> None:
        self.warehouse = warehouse
        self.appender = appender
        self.places: dict[str | None, Place] = {}
        appender.places = self.places

    def append(self, name: str, rows: dict[str, pl.DataFrame], report: dict[str, Any]) -> None:
        """Appends rows by table; the same rows again stand twice, and show once in the views.

        An account that comes for the first time is checked, and what it lacks is made. Raises
        SinkBusy where it has to be tried again later, OutputError and ConfigError where it cannot.
        """
        self._know(rows)
        try:
            for table, part in rows.items():
                if not part.is_empty():
                    self.appender.append(table, part)
        except AppendBusy as busy:
            raise SinkBusy(str(busy)) from busy

    def _know(self, rows: dict[str, pl.DataFrame]) -> None:
        accounts = {account for part in rows.values() for account in part["account"].unique()}
        new = accounts - {*self.places}
        if None in new:
            home = home_location(self.warehouse.config, self.warehouse.target)
            self.places[None] = control_place(home, self.warehouse.config)
        if new:
            everyone = {account for account in {*self.places} | accounts if account is not None}
            find_places(everyone, self.warehouse.config, self.warehouse.target)
            detail = bool({*rows} & {*DETAIL_TABLES})
            places, _ = self.warehouse.prepare(new - {None}, detail=detail)
            self.places.update(places)


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
