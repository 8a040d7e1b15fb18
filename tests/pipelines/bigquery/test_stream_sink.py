"""BigQuery as a stream's sink, on the emulator: rows, accounts as they come, and failures."""

import datetime as dt
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from append_server import Broken, append_server, failure, write_client
from bigquery_runs import backfill as backfill_to_bigquery
from bigquery_runs import everything, local_rows, query, rows_in, warehouse_of
from emulators.servers import bigquery_server
from gcp_project import TESTED
from google.cloud import bigquery
from google.rpc import code_pb2
from table_rows import NOON, table_rows
from warehouse_runs import backfill, call, conversions

from pipelines.bigquery.service import EMULATOR, Service
from pipelines.bigquery.stream_sink import (
    WRITE_EMULATOR,
    BigQuerySink,
    open_bigquery_sink,
    with_letters,
)
from pipelines.output import OutputError
from pipelines.streaming.outbox import Outbox, SinkBusy
from pipelines.streaming.store import Store
from schemas.config import ConfigError, parse_config
from schemas.tables import DEAD_LETTERS, TABLES

LATER = NOON + dt.timedelta(hours=1)
CONTROL = "attribeam_eu"
# Names of which a dataset can be neither made nor had: letters, a reserved beginning, a length.
HOPELESS = ("København", "attribeam_eu", "x" * 1_025)


@pytest.fixture
def sink(service: Service) -> BigQuerySink:
    """A sink on an emulator of its own."""
    return open_bigquery_sink(f"bigquery://{service.project}", parse_config({}))


def another(sink: BigQuerySink, **settings: Any) -> BigQuerySink:
    """A sink of a later process on the same project."""
    return open_bigquery_sink(f"bigquery://{TESTED}", parse_config(settings))


def calls_of(service: Service, dataset: str) -> list[tuple[Any, ...]]:
    return query(service, f"SELECT account, call_id FROM {dataset}.conversions ORDER BY 1, 2")


def refused_in(service: Service) -> list[tuple[Any, ...]]:
    """(account, table, row) of what was refused and lies with what belongs to no account."""
    return query(
        service,
        f"SELECT account, event_type, message_id FROM {CONTROL}.dead_letters "
        "WHERE code = 'row_refused' ORDER BY 1, 2, 3",
    )


# --- rows ----------------------------------------------------------------------------------------


def test_appended_rows_are_those_of_the_local_warehouse(sink: BigQuerySink, tmp_path: Path) -> None:
    """Every table of every account holds what a backfill leaves in a folder."""
    sink.append("1", everything(), {})
    backfill(tmp_path, everything())
    service = sink.warehouse.service
    for name in TABLES:
        for account in ("shop", "bank"):
            assert rows_in(service, account, name) == local_rows(tmp_path, name, account), name
    letters = rows_in(service, CONTROL, "dead_letters")
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


def test_a_row_after_a_backfill_is_the_later_one(sink: BigQuerySink) -> None:
    """Latest goes by the moment of writing, not by who wrote; a backfill takes the days back."""
    service = sink.warehouse.service
    latest = "SELECT status FROM shop.conversions_latest"
    sink.append("1", conversions(call("1", revision=7, status="streamed")), {})
    backfill_to_bigquery(warehouse_of(service), conversions(call("1", status="backfilled")))
    assert query(service, latest) == [("backfilled",)]
    sink.append("2", conversions(call("1", emitted_at=LATER, status="streamed later")), {})
    assert query(service, latest) == [("streamed later",)]


# --- accounts that can have no dataset -----------------------------------------------------------


def test_an_account_without_a_dataset_stops_nobody(
    sink: BigQuerySink, caplog: pytest.LogCaptureFixture
) -> None:
    """Its rows become dead letters where those of no account lie; all others are written."""
    bad = [call(str(number), account) for number, account in enumerate(HOPELESS)]
    letters = table_rows(DEAD_LETTERS, {"dead_letter_id": "1", "account": "København"})
    with caplog.at_level(logging.WARNING):
        sink.append("1", {**conversions(call("1"), *bad), "dead_letters": letters}, {})
        sink.append("2", conversions(call("2"), call("3", "København")), {})
    service = sink.warehouse.service
    assert calls_of(service, "shop") == [("shop", "1"), ("shop", "2")]
    ids = [(account, "conversions", f"id of {n}/1") for n, account in enumerate(HOPELESS)]
    ids.append(("København", "conversions", "id of 3/1"))
    assert refused_in(service) == sorted(ids)
    other = f"SELECT account FROM {CONTROL}.dead_letters WHERE code <> 'row_refused'"
    assert query(service, other) == [("København",)]
    warned = [record.getMessage() for record in caplog.records]
    assert len(warned) == len(HOPELESS)
    assert all("[accounts.NAME]: dataset = …" in text for text in warned)
    assert all("backfill the days since" in text for text in warned)


def test_a_refused_row_that_comes_again_has_the_same_id(sink: BigQuerySink) -> None:
    """So it is one dead letter."""
    rows = conversions(call("1", "København"))
    sink.append("1", rows, {})
    another(sink).append("1", rows, {})
    ids = query(sink.warehouse.service, f"SELECT dead_letter_id FROM {CONTROL}.dead_letters")
    assert len(ids) == 2
    assert len({*ids}) == 1


def test_the_first_account_keeps_a_dataset_that_two_would_share(sink: BigQuerySink) -> None:
    """The first is the one that came first, and by name where they come together."""
    sink.append("1", conversions(call("1", "a_b"), call("2", "x.y"), call("3", "x-y")), {})
    sink.append("2", conversions(call("4", "a-b"), call("5", "a_b"), call("6", "x-y")), {})
    service = sink.warehouse.service
    assert calls_of(service, "a_b") == [("a_b", "1"), ("a_b", "5")]
    assert calls_of(service, "x_y") == [("x-y", "3"), ("x-y", "6")]
    assert refused_in(service) == [
        ("a-b", "conversions", "id of 4/1"),
        ("x.y", "conversions", "id of 2/1"),
    ]


def test_a_dataset_that_is_there_is_its_accounts(sink: BigQuerySink) -> None:
    """Also where another account comes first to a later process, or before it by name."""
    sink.append("1", conversions(call("1", "a_b")), {})
    later = another(sink)
    later.append("2", conversions(call("2", "a-b"), call("3")), {})
    later.append("3", conversions(call("4", "a-b"), call("5", "a_b")), {})
    another(sink).append("4", conversions(call("6", "a-b"), call("7", "a_b")), {})
    service = sink.warehouse.service
    assert calls_of(service, "a_b") == [("a_b", "1"), ("a_b", "5"), ("a_b", "7")]
    assert calls_of(service, "shop") == [("shop", "3")]
    assert [row for _, _, row in refused_in(service)] == ["id of 2/1", "id of 4/1", "id of 6/1"]


def test_a_dataset_of_somebody_else_is_left_alone(sink: BigQuerySink) -> None:
    """An event cannot make the stream write into whatever dataset the project has."""
    service = sink.warehouse.service
    service.client.create_dataset(bigquery.Dataset(f"{TESTED}.finance"))
    sink.append("1", conversions(call("1", "finance"), call("2")), {})
    assert calls_of(service, "shop") == [("shop", "2")]
    assert [account for account, *_ in refused_in(service)] == ["finance"]
    assert [*service.client.list_tables(f"{TESTED}.finance")] == []


def test_a_configured_account_holds_its_dataset(sink: BigQuerySink) -> None:
    """Before it comes, too."""
    named = another(sink, accounts={"zoo": {"dataset": "a_b"}, "København": {"dataset": "kbh"}})
    named.append("1", conversions(call("1", "a-b"), call("2", "zoo"), call("3", "København")), {})
    service = sink.warehouse.service
    assert calls_of(service, "a_b") == [("zoo", "2")]
    assert calls_of(service, "kbh") == [("København", "3")]
    assert [account for account, *_ in refused_in(service)] == ["a-b"]


@pytest.mark.parametrize(
    "settings",
    [
        {"accounts": {"København": {}}},
        {"accounts": {"a-b": {}, "a_b": {}}},
    ],
)
def test_a_configured_account_without_a_dataset_is_an_error_at_the_start(
    sink: BigQuerySink, settings: dict[str, Any]
) -> None:
    """Whoever writes the configuration can mend it."""
    with pytest.raises(ConfigError, match="dataset"):
        another(sink, **settings)


def test_what_is_wrong_for_every_account_is_an_error(sink: BigQuerySink) -> None:
    """Settings that no account can be written with do not turn all rows into dead letters."""
    key = "projects/p/locations/us/keyRings/r/cryptoKeys/k"
    with pytest.raises(ConfigError, match="name a key of that location"):
        another(sink, kms_key=key).append("1", conversions(call("1"), call("2", "bank")), {})
    with pytest.raises(OutputError, match="allowed_locations"):
        another(sink, allowed_locations=["US"]).append("1", conversions(call("1")), {})


def test_tables_that_are_not_as_they_should_be_end_the_stream(sink: BigQuerySink) -> None:
    """They are the account's own, so the rows wait until they are mended."""
    sink.append("1", conversions(call("1")), {})
    with pytest.raises(OutputError, match="attribeam tables diff"):
        another(sink, retention_days=30).append("2", conversions(call("2"), call("3", "new")), {})


def test_rows_without_refused_accounts_are_left_as_they_are() -> None:
    """Also those of no account."""
    rows = everything()
    assert with_letters(rows, set()) is rows
    kept = with_letters(rows, {"bank"})
    assert {*kept} == {*rows}
    for name, part in kept.items():
        assert "bank" not in part["account"] or name == "dead_letters"
        same = pl.col("account").is_null() | (pl.col("account") != "bank")
        assert part.filter(same).equals(rows[name].filter(same)), name


@pytest.mark.emulator
def test_a_table_that_was_made_for_an_account_may_not_be_found_yet(
    sink: BigQuerySink, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are sent again; where the table was there before it is missing, and that is said."""
    monkeypatch.setattr("pipelines.bigquery.stream_sink.NEW_SECONDS", 0.0)
    missing = failure(code_pb2.NOT_FOUND)
    for step, made in enumerate((sink, another(sink))):
        with append_server([missing]) as server, write_client(server.address) as client:
            made.appender.client, made.appender.needs_streams = client, False
            if step == 0:
                made.append("1", conversions(call("1")), {})
                assert server.accounts == ["shop"]
            else:
                with pytest.raises(OutputError, match="not found"):
                    made.append("2", conversions(call("2")), {})


@pytest.mark.emulator
def test_threads_may_share_a_sink(sink: BigQuerySink, caplog: pytest.LogCaptureFixture) -> None:
    """An account that comes to all of them is looked at once, and every row is sent."""
    rows = [conversions(call(str(n)), call(str(n), "København")) for n in range(8)]
    with (
        append_server() as server,
        write_client(server.address) as client,
        ThreadPoolExecutor(4) as threads,
        caplog.at_level(logging.WARNING),
    ):
        # The emulator does not take rows of a table from two connections at once.
        sink.appender.client, sink.appender.needs_streams = client, False
        list(threads.map(lambda part: sink.append("1", part, {}), rows))
        assert sorted(server.accounts) == [CONTROL] * 8 + ["shop"] * 8
    assert len(caplog.records) == 1


# --- a service that is not there -----------------------------------------------------------------


@pytest.mark.emulator
def test_a_busy_service_leaves_the_rows_in_the_outbox(sink: BigQuerySink) -> None:
    """The stream goes on; the rows go later."""
    with append_server(*[[Broken()]] * 99) as server, write_client(server.address) as client:
        sink.appender.client, sink.appender.patience_seconds = client, 0.1
        sink.appender.needs_streams = False
        with pytest.raises(SinkBusy, match="the service failed"):
            sink.append("1", conversions(call("1")), {})


@pytest.mark.emulator
def test_a_service_that_dies_is_told_in_time(
    bigquery_addresses: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows of an account that has come, and of one that has not, stay for later."""
    with bigquery_server() as addresses:
        monkeypatch.setenv(EMULATOR, addresses.rest)
        monkeypatch.setenv(WRITE_EMULATOR, addresses.grpc)
        sink = open_bigquery_sink("bigquery://test", parse_config({}))
        sink.warehouse.service = Service(sink.warehouse.service.client, patience_seconds=1)
        sink.append("1", conversions(call("1")), {})
    sink.appender.patience_seconds = 1
    for account in ("shop", "new"):
        began = time.monotonic()
        with pytest.raises(SinkBusy, match=r"^BigQuery, .*(failed|cannot be reached)"):
            sink.append("2", conversions(call("2", account)), {})
        assert time.monotonic() - began < 30
    later = table_rows(TABLES["sessions"], {"session_id": "s", "visitor_id": "v"})
    with pytest.raises(SinkBusy, match=r"^BigQuery, appending rows"):
        sink.append("3", {"sessions": later}, {})
