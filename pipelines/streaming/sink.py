"""The local warehouse as a stream's sink: rows appended as files, safe to repeat."""

from pathlib import Path
from typing import Any

import polars as pl

from pipelines.output import OutputError
from pipelines.parquet import write_rows
from pipelines.streaming.outbox import SinkBusy
from pipelines.warehouse import APPENDED, LocalWarehouse, WarehouseHeld
from schemas.config import Config
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


def open_sink(output: str, config: Config) -> LocalSink:
    """The sink that `--output` names. Raises OutputError where it names none."""
    if "://" in output:
        raise OutputError(f"--output {output}: a stream writes to a local folder only")
    return LocalSink(Path(output))
