"""A stream's appends: rows by the Storage Write API and what it may say."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigquery_runs import backfill as backfill_to_bigquery
from bigquery_runs import everything, local_rows, query, rows_in, warehouse_of
from emulators.servers import bigquery_server
from google.api_core import exceptions
from google.cloud.bigquery_storage_v1 import types
from google.rpc import code_pb2, status_pb2
from proto_rows import message_class
from table_rows import NOON, table_rows
from warehouse_runs import backfill, call, conversions

from pipelines.bigquery.append import REQUEST_BYTES, ROW_IDS, AppendBusy, BigQueryAppender
from pipelines.bigquery.names import Place
from pipelines.bigquery.service import EMULATOR
from pipelines.bigquery.stream_sink import WRITE_EMULATOR, BigQuerySink, open_bigquery_sink
from pipelines.output import OutputError
from pipelines.streaming.outbox import Outbox, SinkBusy
from pipelines.streaming.store import Store
from schemas.config import ConfigError, parse_config
from schemas.tables import DEAD_LETTERS, TABLES

LATER = NOON + dt.timedelta(hours=1)


@pytest.fixture
def sink(bigquery_addresses: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQuerySink]:
    """A sink on an emulator of its own."""
    with bigquery_server() as addresses:
        monkeypatch.setenv(EMULATOR, addresses.rest)
        monkeypatch.setenv(WRITE_EMULATOR, addresses.grpc)
        yield open_bigquery_sink("bigquery://test", parse_config({}))


# --- on the emulator ---------------------------------------------------------------------------


def test_appended_rows_are_those_of_the_local_warehouse(sink: BigQuerySink, tmp_path: Path) -> None:
    """Every table of every account holds what a backfill leaves in a folder."""
    sink.append("1", everything(), {})
    backfill(tmp_path, everything())
    service = sink.warehouse.service
    for name in TABLES:
        for account in ("shop", "bank"):
            assert rows_in(service, account, name) == local_rows(tmp_path, name, account), name
    letters = rows_in(service, "attribeam_eu", "dead_letters")
    assert letters == local_rows(tmp_path, "dead_letters", None)


def test_a_row_that_is_sent_again_shows_once(sink: BigQuerySink) -> None:
    """The default stream may take a row twice; the view knows it by its id."""
    rows = conversions(call("1"), call("2"))
    sink.append("1", rows, {})
    sink.append("1", rows, {})
    service = sink.warehouse.service
    assert query(service, "SELECT COUNT(*) FROM shop.conversions") == [(4,)]
    assert query(service, "SELECT call_id FROM shop.conversions_latest ORDER BY 1") == [
        ("1",),
        ("2",),
    ]


class Unconfirmed:
    """A sink whose process dies between the write and its acknowledgement."""

    def __init__(self, sink: BigQuerySink) -> None:
        self.sink = sink

    def append(self, *shipment: Any) -> None:
        self.sink.append(*shipment)
        raise KeyboardInterrupt


def test_a_shipment_that_was_not_confirmed_goes_again(sink: BigQuerySink, tmp_path: Path) -> None:
    """The outbox keeps the rows until the next start, and each shows once."""
    store = Store(tmp_path, {})
    outbox = Outbox(store)
    outbox.put("conversions", conversions(call("1"), call("2", "bank"))["conversions"])
    store.commit()
    with pytest.raises(KeyboardInterrupt):
        outbox.ship(Unconfirmed(sink), {})
    assert outbox.waiting() == 2
    assert outbox.ship(sink, {}) == 2
    assert outbox.waiting() == 0
    service = sink.warehouse.service
    for account in ("shop", "bank"):
        assert query(service, f"SELECT COUNT(*) FROM {account}.conversions") == [(2,)]
        assert query(service, f"SELECT COUNT(*) FROM {account}.conversions_latest") == [(1,)]


def test_accounts_that_would_share_a_dataset_end_the_stream(sink: BigQuerySink) -> None:
    """Also where the second comes long after the first."""
    sink.append("1", conversions(call("1", "a-b")), {})
    with pytest.raises(ConfigError, match="would share the dataset a_b"):
        sink.append("2", conversions(call("1", "a_b")), {})
    service = sink.warehouse.service
    assert query(service, "SELECT account FROM a_b.conversions") == [("a-b",)]


def test_a_busy_service_leaves_the_rows_in_the_outbox(sink: BigQuerySink) -> None:
    """The stream goes on; the rows go later."""
    busy = Connections(*[exceptions.ServiceUnavailable("gone")] * 99)
    sink.appender.client, sink.appender.patience_seconds = busy, 0.1
    sink.appender.needs_streams = False
    with pytest.raises(SinkBusy, match="the service failed"):
        sink.append("1", conversions(call("1")), {})


def test_a_row_after_a_backfill_is_the_later_one(sink: BigQuerySink) -> None:
    """Latest goes by the moment of writing, not by who wrote; a backfill takes the days back."""
    service = sink.warehouse.service
    latest = "SELECT status FROM shop.conversions_latest"
    sink.append("1", conversions(call("1", revision=7, status="streamed")), {})
    backfill_to_bigquery(warehouse_of(service), conversions(call("1", status="backfilled")))
    assert query(service, latest) == [("backfilled",)]
    sink.append("2", conversions(call("1", emitted_at=LATER, status="streamed later")), {})
    assert query(service, latest) == [("streamed later",)]


# --- what the service may say ------------------------------------------------------------------

PLACES = {
    None: Place(None, "attribeam_eu", "EU", 60),
    **{name: Place(name, name, "EU", 60) for name in ("shop", "bank")},
    "us": Place("us", "us", "US", 60),
}


class Connections:
    """Stands for the service: gives the answers of a script, keeps what was sent."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.sent: list[list[Any]] = []

    def append_rows(self, requests: Iterator[Any], **options: Any) -> Iterator[Any]:
        said = self.script.pop(0) if self.script else None
        if isinstance(said, Exception):
            raise said
        connection: list[Any] = []
        self.sent.append(connection)
        for number, request in enumerate(requests):
            connection.append(request)
            answers = said if isinstance(said, list) else [said] * (number + 1)
            yield answers[number] or types.AppendRowsResponse()

    @property
    def streams(self) -> list[list[str]]:
        return [["/".join(r.write_stream.split("/")[3:6:2]) for r in c] for c in self.sent]


def appender(*script: Any, patience_seconds: float = 60) -> tuple[BigQueryAppender, Connections]:
    connections = Connections(*script)
    return BigQueryAppender(connections, "p", PLACES, patience_seconds), connections


def refusal(*indexes: int) -> types.AppendRowsResponse:
    return types.AppendRowsResponse(
        error=status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="rows"),
        row_errors=[types.RowError(index=index, message="bad +4520202020") for index in indexes],
    )


def test_accounts_of_a_location_share_a_connection() -> None:
    """One after the other, in the order of their names; each location has its own."""
    made, connections = appender()
    rows = conversions(call("1", "us"), call("2"), call("3", "bank"), call("4"))
    made.append("conversions", rows["conversions"])
    assert connections.streams == [["bank/conversions", "shop/conversions"], ["us/conversions"]]
    sizes = [len(r.proto_rows.rows.serialized_rows) for c in connections.sent for r in c]
    assert sizes == [1, 2, 1]


def test_requests_stay_below_the_limit() -> None:
    """Many large rows go in several requests."""
    made, connections = appender()
    payload = bytes(REQUEST_BYTES // 3)
    letters = [{"dead_letter_id": str(number), "payload": payload} for number in range(5)]
    made.append("dead_letters", table_rows(DEAD_LETTERS, *letters))
    [connection] = connections.sent
    sizes = [sum(map(len, r.proto_rows.rows.serialized_rows)) for r in connection]
    assert len(sizes) == 3
    assert max(sizes) <= REQUEST_BYTES


def test_a_row_that_is_refused_is_a_dead_letter_with_its_id() -> None:
    """The other rows of its request are sent again without it; what was said is not kept."""
    made, connections = appender(refusal(1))
    rows = conversions(call("1"), call("2", revision=3), call("3"))["conversions"]
    made.append("conversions", rows)
    again, letters = connections.sent[1][0], connections.sent[2][0]
    assert connections.streams[1:] == [["shop/conversions"], ["shop/dead_letters"]]
    assert len(again.proto_rows.rows.serialized_rows) == 2
    kind = message_class(letters.proto_rows.writer_schema.proto_descriptor)
    letter = kind.FromString(letters.proto_rows.rows.serialized_rows[0])
    assert (letter.code, letter.event_type) == ("row_refused", "conversions")
    assert letter.message_id == "id of 2/3"
    assert "4520202020" not in str(letter)


def test_a_row_that_is_too_large_is_a_dead_letter() -> None:
    """It is not sent at all."""
    made, connections = appender()
    rows = conversions(call("1"), call("2", call_status="x" * REQUEST_BYTES))["conversions"]
    made.append("conversions", rows)
    assert connections.streams == [["shop/conversions"], ["shop/dead_letters"]]


def test_a_dead_letter_that_is_refused_ends_the_run() -> None:
    """There is no place left to put it; the message names the table."""
    made, _ = appender(refusal(0))
    with pytest.raises(OutputError, match="refuses 1 rows of dead_letters"):
        made.append("dead_letters", table_rows(DEAD_LETTERS, {"dead_letter_id": "1"}))


def test_only_what_was_not_answered_is_sent_again() -> None:
    """A connection that breaks costs the requests that it did not answer."""
    busy = types.AppendRowsResponse(error=status_pb2.Status(code=code_pb2.UNAVAILABLE))
    made, connections = appender(exceptions.ServiceUnavailable("gone"), [None, busy])
    made.append("conversions", conversions(call("1"), call("2", "bank"))["conversions"])
    assert connections.streams == [["bank/conversions", "shop/conversions"], ["shop/conversions"]]


def test_a_service_that_stays_busy_is_tried_later() -> None:
    """After a limited time the rows go back to the outbox."""
    busy = [exceptions.ServiceUnavailable("gone")] * 9
    made, _ = appender(*busy, patience_seconds=0.1)
    with pytest.raises(AppendBusy, match="the service failed"):
        made.append("conversions", conversions(call("1"))["conversions"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (exceptions.PermissionDenied("no"), "no permission"),
        (exceptions.NotFound("conversions"), "see attribeam tables diff"),
        (exceptions.InvalidArgument("schema"), "refused .schema."),
    ],
)
def test_what_cannot_pass_ends_the_run(error: Exception, said: str) -> None:
    """Permission and schema stop with one message, without another try."""
    made, connections = appender(error)
    with pytest.raises(OutputError, match=said):
        made.append("conversions", conversions(call("1"))["conversions"])
    assert connections.sent == []


def test_every_table_has_ids_by_which_a_row_is_named() -> None:
    """The columns exist."""
    assert set(ROW_IDS) == set(TABLES)
    assert all(set(ids) <= set(TABLES[name].names) for name, ids in ROW_IDS.items())
