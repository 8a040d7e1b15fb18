"""The jobs that run on Dataflow: the stream, and a backfill as the work of one machine.

A backfill's stages hand on files beside its output and it is committed at its end, so the whole of
it runs on the worker that takes it; docs/scale.md says how far one machine goes.
"""

import functools
import json
import logging
import os
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import msgspec
import polars as pl
from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, WorkerOptions
from google.api_core.exceptions import GoogleAPICallError
from google.auth.exceptions import GoogleAuthError

from pipelines.asked import asked_of
from pipelines.backfill import Backfill, TooManyDeadLetters, UsageError, run_backfill
from pipelines.bigquery.stream_sink import BigQuerySink, open_bigquery_sink
from pipelines.options import make_parser
from pipelines.output import OutputError
from pipelines.stream_append import Writer
from pipelines.stream_graph import StreamPlan
from pipelines.streaming.outbox import SinkBusy
from schemas.config import Config, ConfigError
from transforms.models import excluded_callers
from transforms.privacy import KEY_VARIABLE, KeyMissing, load_key
from transforms.reading import InputError
from transforms.reading_files import open_file

# Errors whose words are ours and hold no value of an event.
CLEAR = (
    ConfigError,
    InputError,
    KeyMissing,
    OutputError,
    SinkBusy,
    TooManyDeadLetters,
    UsageError,
)
DONE = "attribeam backfill done"

_log = logging.getLogger(__name__)


def load_secret_key(secret: str) -> bytes:
    """The key of ATTRIBEAM_KEY, fetched from Secret Manager where this process has none yet.

    secret: projects/P/secrets/S/versions/N. Raises KeyMissing.
    """
    if not os.environ.get(KEY_VARIABLE):
        os.environ[KEY_VARIABLE] = _fetch(secret)
    return load_key()


def _fetch(secret: str) -> str:
    from google.cloud import secretmanager  # noqa: PLC0415  only jobs of the cloud need it

    try:
        client = secretmanager.SecretManagerServiceClient()
        return str(client.access_secret_version(name=secret).payload.data.decode("ascii"))
    except (GoogleAPICallError, GoogleAuthError, UnicodeDecodeError) as error:
        raise KeyMissing(
            f"{secret}: no key can be had ({type(error).__name__}); check the version, and that "
            "the job's service account has roles/secretmanager.secretAccessor on the secret"
        ) from None


@contextmanager
def local_config(path: str | None) -> Iterator[Path | None]:
    """The configuration as a file of this machine, from a file of it or of Beam's file systems.

    Raises ConfigError.
    """
    if path is None or "://" not in path:
        yield None if path is None else Path(path)
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / Path(path).name
        try:
            with open_file(path) as file:
                copy.write_bytes(file.read())
        except (OSError, ValueError, GoogleAPICallError, GoogleAuthError) as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from error
        yield copy


# --- the backfill --------------------------------------------------------------------------------


@dataclass
class RunBackfill(beam.DoFn):
    """Runs a whole backfill for an element, whatever it is; says the report.

    arguments: the options of `attribeam backfill`. config: where the configuration is. secret: the
    key's place in Secret Manager. What is run again writes the same rows, where the moment they go
    by (--now) is among the options.
    """

    arguments: Sequence[str]
    config: str | None
    secret: str

    def process(self, element: bytes) -> Iterator[dict[str, Any]]:
        with local_config(self.config) as config, _without_values():
            load_secret_key(self.secret)
            report = run_backfill(replace(read_arguments(self.arguments), config=config))
        for warning in report["warnings"]:
            _log.warning("attribeam backfill: %s", warning)
        _log.info("%s: %s", DONE, json.dumps(report["ledger"]))
        yield report


@contextmanager
def _without_values() -> Iterator[None]:
    """Says of an unknown error where it was, not what: its words may hold somebody's values."""
    try:
        yield
    except CLEAR:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        raise RuntimeError(f"unexpected {type(error).__name__} at {place}") from None


def read_arguments(arguments: Sequence[str]) -> Backfill:
    """What options of `attribeam backfill`, and Beam's, ask for. Raises UsageError."""
    options, rest = make_parser().parse_known_args(["backfill", *arguments])
    return asked_of(options, rest)


def run_backfill_pipeline(work: RunBackfill, options: PipelineOptions) -> Any:
    """Starts a job of one element on one worker that has its machine for itself."""
    options.view_as(WorkerOptions).max_num_workers = 1
    debug = options.view_as(DebugOptions)
    debug.add_experiment("no_use_multiple_sdk_containers")
    debug.number_of_worker_harness_threads = 1
    pipeline = beam.Pipeline(options=options)
    _ = (
        pipeline
        | "Start" >> beam.Impulse()
        | "Backfill" >> beam.ParDo(work).with_output_types(dict[str, Any])
    )
    return pipeline.run()


# --- the stream ----------------------------------------------------------------------------------


class BigQueryWriter:
    """The stream's rows to BigQuery; what fails is given again by Beam."""

    def __init__(self, sink: BigQuerySink) -> None:
        self.sink = sink

    def append(self, table: str, rows: pl.DataFrame) -> None:
        """Appends rows to a table. Raises SinkBusy, OutputError and ConfigError."""
        with _one_message():
            self.sink.append(table, {table: rows}, {})


# The writers of this process: each thread has a DoFn of each table, and a new sink looks at all
# tables of the configuration.
_writers: dict[tuple[str, str | None, bytes], Writer] = {}
_opening = threading.Lock()


def open_writer(output: str, config: Config, region: str | None) -> Writer:
    """The process's writer. Raises ConfigError, and OutputError without credentials."""
    key = output, region, msgspec.json.encode((config.default, config.accounts))
    with _opening, _one_message():
        if key not in _writers:
            _writers[key] = BigQueryWriter(open_bigquery_sink(output, config, region))
        return _writers[key]


@contextmanager
def _one_message() -> Iterator[None]:
    """Lets an error go on alone: a worker would log at length all that led to it."""
    try:
        with _without_values():
            yield
    except CLEAR as error:
        raise error from None


def make_stream_plan(
    config: Config,
    *,
    subscription: str,
    output: str,
    shards: int = StreamPlan.shards,
    gather_seconds: float = StreamPlan.gather_seconds,
    region: str | None,
    secret: Callable[[], bytes],
) -> StreamPlan:
    """The plan of the stream's graph; secret: gives the key, here and on each worker."""
    return StreamPlan(
        config=config,
        excluded=excluded_callers(config, secret()),
        origin=subscription,
        make_writer=functools.partial(open_writer, output, config, region),
        shards=shards,
        gather_seconds=gather_seconds,
        secret=secret,
    )
