"""The stream's writer on Dataflow: one a process, one clear message where it cannot write."""

import functools
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import grpc
import polars as pl
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from append_server import Broken, Step, append_server, write_client
from beam_streams import Clock
from bigquery_runs import query
from emulators.servers import bigquery_server
from warehouse_runs import call, conversions

from pipelines.bigquery.service import EMULATOR, connect
from pipelines.bigquery.stream_sink import WRITE_EMULATOR, open_bigquery_sink
from pipelines.flex_jobs import BigQueryWriter, open_writer
from pipelines.output import OutputError
from pipelines.stream_append import AppendRows, PackRows, Writer
from pipelines.streaming.outbox import SinkBusy
from schemas.config import ConfigError, parse_config

# By the name of a test's run: DoFns are pickled, so they name their writer.
WRITERS: dict[str, Writer] = {}


@dataclass(frozen=True)
class Named:
    """Gives a writer of this process."""

    name: str

    def __call__(self) -> Writer:
        return WRITERS[self.name]


# The command line turns its logger off, in whatever test ran before.
BEAM = "apache_beam"


@pytest.fixture
def emulator(bigquery_addresses: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An emulator of the test's own."""
    with bigquery_server() as addresses:
        monkeypatch.setenv(EMULATOR, addresses.rest)
        monkeypatch.setenv(WRITE_EMULATOR, addresses.grpc)
        yield


def append_in_a_pipeline(make_writer: Any, rows: pl.DataFrame) -> None:
    """Rows through the stream's last step, each as a block of its own."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        _ = (
            pipeline
            | beam.Create([*rows.iter_slices(1)])
            | beam.ParDo(PackRows("conversions")).with_output_types(tuple[int, bytes])
            | "Append conversions" >> beam.ParDo(AppendRows(make_writer, 0, Clock(0)))
        )


def test_a_process_has_one_writer(emulator: None) -> None:
    """However many threads open one, of however many copies of the configuration."""
    settings = {"retention_days": 50, "accounts": {"shop": {"retention_days": 40}}}
    ready = threading.Barrier(4)

    def open_one(number: int) -> Writer:
        ready.wait()
        return open_writer("bigquery://test/EU", parse_config(settings), "europe-west4")

    with ThreadPoolExecutor(4) as threads:
        writers = [*threads.map(open_one, range(4))]
    assert len({id(writer) for writer in writers}) == 1
    other = open_writer("bigquery://test/EU", parse_config({}), "europe-west4")
    assert other is not writers[0]


def test_a_writer_that_cannot_be_opened_is_opened_later(
    emulator: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was missing may be there when the bundle is repeated."""
    where = ("bigquery://test/EU", parse_config({"allowed_locations": ["EU"]}))
    with pytest.raises(OutputError, match="allowed_locations"):
        open_writer(*where, "us-east1").append("conversions", conversions(call("1"))["conversions"])
    with pytest.raises(ConfigError, match="bigquery://PROJECT"):
        open_writer("bigquery://P", parse_config({}), None)
    open_writer(*where, "EU").append("conversions", conversions(call("1"))["conversions"])
    assert query(connect("test"), "SELECT call_id FROM shop.conversions") == [("1",)]


@pytest.mark.parametrize(
    ("step", "kind", "said"),
    [
        (
            Broken(grpc.StatusCode.PERMISSION_DENIED, "denied\nto +4520202020"),
            OutputError,
            "no permission (denied); give the run's account the roles",
        ),
        (Broken(text="moved\nfrom +4520202020"), SinkBusy, "given up after many tries"),
    ],
)
def test_a_worker_logs_one_clear_message(
    emulator: None,
    caplog: pytest.LogCaptureFixture,
    step: Step,
    kind: type[Exception],
    said: str,
) -> None:
    """It begins with BigQuery, names the step, and nothing that led to it is logged as well."""
    rows = conversions(call("1"))["conversions"]
    sink = open_bigquery_sink("bigquery://test", parse_config({}))
    script: list[list[Step]] = [[step]] * 99
    with append_server(*script) as server, write_client(server.address) as client:
        sink.appender.client, sink.appender.patience_seconds = client, 0.1
        sink.appender.needs_streams = False
        WRITERS["failing"] = BigQueryWriter(sink)
        with pytest.raises(kind), caplog.at_level(logging.ERROR, BEAM):
            append_in_a_pipeline(Named("failing"), rows)
    logged = [record for record in caplog.records if record.name.startswith("apache_beam")]
    assert any(
        record.getMessage().startswith("BigQuery, appending rows: ")
        and said in record.getMessage()
        and "[while running 'Append conversions']" in record.getMessage()
        for record in logged
    )
    assert "4520202020" not in caplog.text
    assert "GoogleAPICallError" not in caplog.text
    assert "status = StatusCode" not in caplog.text


def test_an_unknown_error_says_where_it_was_and_not_what(
    emulator: None, caplog: pytest.LogCaptureFixture
) -> None:
    """Its words might hold somebody's values."""
    writer = BigQueryWriter(open_bigquery_sink("bigquery://test", parse_config({})))
    rows = conversions(call("1"))["conversions"].with_columns(call_ring=pl.lit("mr 4520202020"))
    with pytest.raises(RuntimeError, match="unexpected InvalidOperationError at ") as found:
        writer.append("conversions", rows)
    assert "4520202020" not in str(found.value)
    assert found.value.__suppress_context__


def test_a_writer_that_cannot_be_opened_is_told_with_the_step(
    emulator: None, caplog: pytest.LogCaptureFixture
) -> None:
    """As an append is that fails."""
    config = parse_config({"accounts": {"København": {}}})
    make_writer = functools.partial(open_writer, "bigquery://test/EU", config, None)
    with pytest.raises(ConfigError), caplog.at_level(logging.ERROR, BEAM):
        append_in_a_pipeline(make_writer, conversions(call("1"))["conversions"])
    said = [record.getMessage() for record in caplog.records]
    assert any(
        text.startswith("account 'København': no dataset can have this name")
        and "[while running 'Append conversions']" in text
        for text in said
    )
