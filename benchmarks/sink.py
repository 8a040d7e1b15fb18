"""Measure the sink of BigQuery: rows a second and core of the client, by load and by append.

python benchmarks/sink.py [FOLDER] [--json]

The rows are those that a backfill makes of the events of generate.py (made into FOLDER where
absent). Each way is measured with a transport that goes nowhere, which leaves the client's own
work, and, where Go can build it, through the server of tests/emulators, which takes a core itself:
there the wall time is the server's.
"""

import argparse
import base64
import json
import os
import runpy
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from statistics import median

import nowhere
import polars as pl
from measure import machine

from pipelines.bigquery.append import BigQueryAppender
from pipelines.bigquery.names import Place
from pipelines.bigquery.service import EMULATOR, Service
from pipelines.bigquery.staging import load, merge_files
from pipelines.bigquery.stream_sink import WRITE_EMULATOR, open_bigquery_sink
from pipelines.parquet import read_file, table_files, write_rows
from schemas.config import parse_config
from schemas.tables import TABLES

HERE = Path(__file__).resolve().parent
SERVERS = HERE.parent / "tests" / "emulators" / "servers.py"
TABLES_MEASURED = ("conversions", "sessions", "displays")
PAGEVIEWS = 2_000_000
ROWS, ROWS_EMULATOR = 30_000, 2_000
ROUNDS = 3
# What a flush of the stream brings at once.
APPENDED_AT_ONCE = 10_000
TARGET = 25_000
PROJECT = "test"


@dataclass
class Rate:
    """Rows of one table by one way; a core's second is one of the client's processor time."""

    way: str
    transport: str
    table: str
    rows: int
    rows_per_core_second: float
    rows_per_second: float

    def __str__(self) -> str:
        judged = ""
        if self.transport == "nowhere":
            judged = "  met" if self.rows_per_core_second >= TARGET else "  MISSED"
        return (
            f"{self.way:8}{self.transport:10}{self.table:13}{self.rows:8,}"
            f"{self.rows_per_core_second:12,.0f} rows/s/core{self.rows_per_second:12,.0f} rows/s"
            f"{judged}"
        )


def make_warehouse(folder: Path) -> Path:
    """A local warehouse of the generator's events, once."""
    if not (folder / "facts.json").exists():
        generate = [sys.executable, str(HERE / "generate.py"), str(folder)]
        subprocess.run([*generate, "--pageviews", str(PAGEVIEWS)], check=True, stdout=sys.stderr)
    warehouse = folder / "warehouse"
    if not (warehouse / "run_report.json").exists():
        command = [str(Path(sys.executable).parent / "attribeam"), "backfill"]
        for kind in ("pageviews", "engagements", "calls"):
            command += [f"--{kind}", f"{folder}/{kind}*.jsonl"]
        command += ["--config", f"{folder}/attribeam.toml", "--output", str(warehouse)]
        key = base64.b64encode(bytes(range(32))).decode("ascii")
        subprocess.run(
            [*command, "--keep-expired"],
            check=True,
            stdout=sys.stderr,
            env=os.environ | {"ATTRIBEAM_KEY": key},
        )
    return warehouse


def read_rows(warehouse: Path, name: str) -> pl.DataFrame:
    """The first rows of a table."""
    table = TABLES[name]
    rows: list[pl.DataFrame] = []
    for file in table_files(warehouse, table):
        rows.append(pl.DataFrame(read_file(file, table)))
        if sum(part.height for part in rows) >= ROWS:
            break
    return pl.concat(rows)[:ROWS]


def timed(way: str, transport: str, name: str, rows: pl.DataFrame, do: Callable[[], None]) -> Rate:
    """The median rate of something done with rows; what a first time costs is left out."""
    do()
    walls, cores = [], []
    for _ in range(ROUNDS):
        wall, core = time.perf_counter(), time.process_time()
        do()
        cores.append(time.process_time() - core)
        walls.append(time.perf_counter() - wall)
    per_second = [rows.height / median(seconds) for seconds in (cores, walls)]
    return Rate(way, transport, name, rows.height, *per_second)


def append(appender: BigQueryAppender, name: str, rows: pl.DataFrame) -> None:
    """Appends rows as flushes of a stream would."""
    for part in rows.iter_slices(APPENDED_AT_ONCE):
        appender.append(name, part)


def stage(service: Service, folder: Path, name: str) -> None:
    """Loads rows that lie in files, as a backfill left them, into a new staging table."""
    job = f"bench-{os.urandom(4).hex()}"
    file = folder / f"{name}.parquet"
    accounts = pl.read_parquet(table_files(folder, TABLES[name]), columns=["account"])["account"]
    merge_files(folder, TABLES[name], accounts.unique(), file)
    target = f"{PROJECT}.attribeam_eu.{job}"
    load(service, file, TABLES[name], target, location="EU", job_id=job)


def rates(
    transport: str, appender: BigQueryAppender, service: Service, rows: dict[str, pl.DataFrame]
) -> Iterator[Rate]:
    """Each table by each way."""
    for name, part in rows.items():
        yield timed("append", transport, name, part, partial(append, appender, name, part))
    with tempfile.TemporaryDirectory() as folder:
        for name, part in rows.items():
            write_rows(Path(folder), TABLES[name], part, "part")
            yield timed("load", transport, name, part, partial(stage, service, Path(folder), name))


def nowhere_rates(rows: dict[str, pl.DataFrame]) -> Iterator[Rate]:
    """The client's own work."""
    places = {account: Place(account, account, "EU", 60) for account in accounts_of(rows)}
    appender = BigQueryAppender(nowhere.write_client(), PROJECT, places)
    yield from rates("nowhere", appender, Service(nowhere.load_client(PROJECT)), rows)


def emulator_rates(rows: dict[str, pl.DataFrame]) -> Iterator[Rate]:
    """The same through the server of tests/emulators; nothing where it cannot be had."""
    servers = runpy.run_path(str(SERVERS))
    try:
        with servers["bigquery_server"](PROJECT) as addresses:
            os.environ |= {EMULATOR: addresses.rest, WRITE_EMULATOR: addresses.grpc}
            sink = open_bigquery_sink(f"bigquery://{PROJECT}", parse_config({}))
            few = {name: part[:ROWS_EMULATOR] for name, part in rows.items()}
            places, _ = sink.warehouse.prepare(accounts_of(few), detail=False)
            sink.places.update(places)
            yield from rates("emulator", sink.appender, sink.warehouse.service, few)
    except servers["EmulatorMissing"] as missing:
        print(f"not through a server: {missing}", file=sys.stderr)


def accounts_of(rows: dict[str, pl.DataFrame]) -> set[str]:
    """The accounts that rows are of."""
    return {account for part in rows.values() for account in part["account"].unique()}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("bench-data"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    warehouse = make_warehouse(options.folder)
    rows = {name: read_rows(warehouse, name) for name in TABLES_MEASURED}
    print(json.dumps(machine()) if options.json else machine())
    for rate in chain(nowhere_rates(rows), emulator_rates(rows)):
        print(json.dumps(asdict(rate)) if options.json else rate, flush=True)


if __name__ == "__main__":
    main()
