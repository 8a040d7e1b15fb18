"""Where a stream's rows go; the local warehouse as a sink: files appended, safe to repeat."""

from pathlib import Path
from typing import Any

import polars as pl

from pipelines.bigquery.names import is_bigquery
from pipelines.parquet import write_rows
from pipelines.streaming.outbox import Sink, SinkBusy
from pipelines.warehouse import APPENDED, LocalWarehouse, WarehouseHeld
from schemas.config import Config, ConfigError
from schemas.tables import TABLES


class LocalSink:
    """Appends rows to a local warehouse, while nobody else writes to it."""

    def __init__(self, folder: Path) -> None:
        self.warehouse = LocalWarehouse(folder)

    def append(self, name: str, rows: dict[str, pl.DataFrame], report: dict[str, Any]) -> None:
        """Appends rows by table, and the run's report.

        Raises SinkBusy while a backfill writes, OutputError where the folder cannot be written.
        """
        try:
            with self.warehouse.open_run() as run:
                for table, part in rows.items():
                    write_rows(run.staging, TABLES[table], part, f"{APPENDED}{name}")
                run.append(name, report)
        except WarehouseHeld as held:
            raise SinkBusy(str(held)) from held


def open_sink(output: str, config: Config, region: str | None = None) -> Sink:
    """The sink that `--output` names; region: where the run works.

    Raises ConfigError where it names none, OutputError where BigQuery cannot be had.
    """
    if not is_bigquery(output):
        if "://" in output:
            raise ConfigError(f"--output {output}: write a folder or bigquery://PROJECT[/LOCATION]")
        return LocalSink(Path(output))
    # Google's client takes a second to import, which a local stream need not wait for.
    from pipelines.bigquery.stream_sink import open_bigquery_sink  # noqa: PLC0415

    return open_bigquery_sink(output, config, region)
