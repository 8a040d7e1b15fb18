"""A stream's appends by Google's own client, to a service that says what a script says."""

import time

import grpc
import pytest
from append_server import (
    ENDED,
    SILENT,
    TAKEN,
    Broken,
    Step,
    appending,
    failure,
    name_of,
    refusal,
)
from google.cloud.bigquery_storage_v1 import types
from google.rpc import code_pb2
from proto_rows import message_class
from table_rows import table_rows
from warehouse_runs import call, conversions

from pipelines.bigquery.append import (
    CONNECTION_BYTES,
    CONNECTION_REQUESTS,
    REQUEST_BYTES,
    AppendBusy,
)
from pipelines.bigquery.names import Place
from pipelines.bigquery.refused import ROW_IDS
from pipelines.output import OutputError
from schemas.tables import DEAD_LETTERS, TABLES

# So many accounts, each with a place and a row.
FEW = [f"acc{number}" for number in range(4)]


def places(accounts: list[str]) -> dict[str | None, Place]:
    return {account: Place(account, account, "EU", 60) for account in accounts}


def letters(accounts: list[str]) -> object:
    rows = [{"dead_letter_id": account, "account": account} for account in accounts]
    return table_rows(DEAD_LETTERS, *rows)


# --- what goes by one connection -----------------------------------------------------------------


def test_accounts_of_a_location_share_a_connection() -> None:
    """One after the other, in the order of their names; each location has its own."""
    rows = conversions(call("1", "us"), call("2"), call("3", "bank"), call("4"))["conversions"]
    with appending() as (appender, server):
        appender.append("conversions", rows)
    assert server.streams == [["bank/conversions", "shop/conversions"], ["us/conversions"]]
    sizes = [len(r.proto_rows.rows.serialized_rows) for c in server.connections for r in c]
    assert sizes == [1, 2, 1]


def test_a_connection_carries_so_many_requests() -> None:
    """A call's time is that of a bounded number of requests, however many accounts there are."""
    accounts = [f"acc{number:03}" for number in range(2 * CONNECTION_REQUESTS + 1)]
    with appending(places=places(accounts)) as (appender, server):
        appender.append("dead_letters", letters(accounts))
    sizes = [len(connection) for connection in server.connections]
    assert sizes == [CONNECTION_REQUESTS, CONNECTION_REQUESTS, 1]
    assert server.accounts == accounts


def test_requests_and_connections_stay_below_their_limits() -> None:
    """Many large rows go in several requests, and these by several connections."""
    payload = bytes(REQUEST_BYTES // 3)
    rows = [{"dead_letter_id": str(number), "payload": payload} for number in range(11)]
    with appending() as (appender, server):
        appender.append("dead_letters", table_rows(DEAD_LETTERS, *rows))
    sizes = [
        [sum(map(len, r.proto_rows.rows.serialized_rows)) for r in c] for c in server.connections
    ]
    assert [len(connection) for connection in sizes] == [5, 1]
    assert max(size for connection in sizes for size in connection) <= REQUEST_BYTES
    assert max(map(sum, sizes)) <= CONNECTION_BYTES


# --- rows that are refused -----------------------------------------------------------------------


def test_a_row_that_is_refused_is_a_dead_letter_with_its_id() -> None:
    """The other rows of its request are sent again without it; what was said is not kept."""
    rows = conversions(call("1"), call("2", revision=3), call("3"))["conversions"]
    with appending([refusal(1)]) as (appender, server):
        appender.append("conversions", rows)
    assert server.streams[1:] == [["shop/conversions"], ["shop/dead_letters"]]
    again, letter_request = server.connections[1][0], server.connections[2][0]
    assert len(again.proto_rows.rows.serialized_rows) == 2
    kind = message_class(letter_request.proto_rows.writer_schema.proto_descriptor)
    letter = kind.FromString(letter_request.proto_rows.rows.serialized_rows[0])
    assert (letter.code, letter.event_type) == ("row_refused", "conversions")
    assert letter.message_id == "id of 2/3"
    assert "4520202020" not in str(letter)


def test_a_row_that_is_too_large_is_a_dead_letter() -> None:
    """It is not sent at all."""
    rows = conversions(call("1"), call("2", call_status="x" * REQUEST_BYTES))["conversions"]
    with appending() as (appender, server):
        appender.append("conversions", rows)
    assert server.streams == [["shop/conversions"], ["shop/dead_letters"]]


def test_a_dead_letter_that_is_refused_ends_the_run() -> None:
    """There is no place left to put it; the message names the table."""
    letter = table_rows(DEAD_LETTERS, {"dead_letter_id": "1"})
    with (
        appending([refusal(0)]) as (appender, _),
        pytest.raises(OutputError, match="refuses 1 rows of dead_letters"),
    ):
        appender.append("dead_letters", letter)


# --- connections that break ----------------------------------------------------------------------


@pytest.mark.parametrize("is_named", [True, False])
@pytest.mark.parametrize(
    "script",
    [
        [TAKEN, Broken()],
        [None, TAKEN, Broken()],
        [None, failure(code_pb2.UNAVAILABLE), Broken()],
        [failure(code_pb2.ABORTED), failure(code_pb2.INTERNAL)],
        [None, None, None, Broken(grpc.StatusCode.ABORTED)],
        [None, ENDED],
    ],
)
def test_what_was_not_answered_is_sent_again_and_nothing_else(
    script: list[Step], is_named: bool
) -> None:
    """Every account's row is taken once, wherever a connection breaks."""
    with appending(script, places=places(FEW), is_named=is_named) as (appender, server):
        appender.append("dead_letters", letters(FEW))
    assert sorted(server.accounts) == FEW


@pytest.mark.parametrize(
    "answer",
    [
        types.AppendRowsResponse(
            write_stream="projects/p/datasets/acc1/tables/dead_letters/streams/_default"
        ),
        refusal(1),
    ],
)
def test_an_answer_that_is_of_another_request_confirms_nothing(
    answer: types.AppendRowsResponse,
) -> None:
    """Neither where it names another table, nor where it names rows that were not sent."""
    with appending([answer], places=places(FEW)) as (appender, server):
        appender.append("dead_letters", letters(FEW))
    assert set(server.accounts) == {*FEW}


def test_an_answer_may_name_the_project_by_its_number() -> None:
    """The table is what tells requests apart."""
    stream = "projects/123456/datasets/shop/tables/conversions/streams/_default"
    answer = types.AppendRowsResponse(write_stream=stream)
    with appending([answer]) as (appender, server):
        appender.append("conversions", conversions(call("1"))["conversions"])
    assert len(server.connections) == 1


def test_rows_that_take_longer_than_patience_arrive() -> None:
    """As long as requests are answered nobody gives up, and what was answered is not sent again."""
    script: list[list[Step]] = [[None, SILENT]] * 3
    began = time.monotonic()
    with appending(*script, places=places(FEW), patience_seconds=0.5) as (appender, server):
        appender.append("dead_letters", letters(FEW))
    assert time.monotonic() - began > 3 * 0.5
    assert sorted(server.accounts) == FEW


def test_one_account_that_fails_does_not_hold_up_the_others() -> None:
    """Its request goes last, again and again; theirs are taken."""
    busy = failure(code_pb2.UNAVAILABLE)
    script: list[list[Step]] = [[busy], *[[Broken()]] * 99]
    with (
        appending(*script, places=places(FEW), patience_seconds=0.2) as (appender, server),
        pytest.raises(AppendBusy),
    ):
        appender.append("dead_letters", letters(FEW))
    assert server.accounts == FEW[1:]


def test_what_breaks_a_connection_goes_last() -> None:
    """The next connection begins with another account."""
    with appending([Broken()], places=places(FEW)) as (appender, server):
        appender.append("dead_letters", letters(FEW))
    assert server.accounts == [*FEW[1:], FEW[0]]


def test_a_service_that_stays_busy_is_tried_later() -> None:
    """After a limited time the rows go back to the outbox."""
    script: list[list[Step]] = [[Broken()]] * 99
    rows = conversions(call("1"))["conversions"]
    with (
        appending(*script, patience_seconds=0.1) as (appender, _),
        pytest.raises(AppendBusy, match=r"BigQuery, appending rows: .* the service failed"),
    ):
        appender.append("conversions", rows)


def test_a_service_that_says_nothing_is_tried_later() -> None:
    """A call has an end of its own."""
    script: list[list[Step]] = [[SILENT]] * 99
    rows = conversions(call("1"))["conversions"]
    with (
        appending(*script, patience_seconds=0.3) as (appender, _),
        pytest.raises(AppendBusy, match="the service failed"),
    ):
        appender.append("conversions", rows)


# --- what cannot pass ----------------------------------------------------------------------------

MISSING = "Permission 'TABLES_UPDATE_DATA' denied on resource 'conversions' (or it may not exist)."


@pytest.mark.parametrize(
    ("step", "said"),
    [
        (Broken(grpc.StatusCode.PERMISSION_DENIED, "no"), "no permission"),
        (Broken(grpc.StatusCode.NOT_FOUND, "conversions"), "see attribeam tables diff"),
        (Broken(grpc.StatusCode.INVALID_ARGUMENT, "schema"), "refused .schema."),
        (failure(code_pb2.PERMISSION_DENIED), "no permission"),
        (failure(code_pb2.NOT_FOUND), "see attribeam tables diff"),
    ],
)
def test_what_cannot_pass_ends_the_run(step: Step, said: str) -> None:
    """Permission and schema stop with one message, without another try."""
    with appending([step]) as (appender, server), pytest.raises(OutputError, match=said):
        appender.append("conversions", conversions(call("1"))["conversions"])
    assert len(server.connections) == 1


@pytest.mark.parametrize(
    "step",
    [
        Broken(grpc.StatusCode.NOT_FOUND, "conversions"),
        Broken(grpc.StatusCode.PERMISSION_DENIED, MISSING),
        failure(code_pb2.NOT_FOUND),
    ],
)
def test_a_table_that_was_just_made_may_not_be_found_yet(step: Step) -> None:
    """It is tried again, while tables that were there before keep their message."""
    rows = conversions(call("1"))
    with appending([step]) as (appender, server):
        appender.expect([("shop", "conversions")])
        appender.append("conversions", rows["conversions"])
        assert [name_of(request) for [request] in server.connections] == [
            ("shop", "conversions")
        ] * 2
        assert server.accounts == ["shop"]
    with appending([step]) as (appender, server):
        appender.expect([("shop", "sessions"), ("bank", "conversions")])
        with pytest.raises(OutputError):
            appender.append("conversions", rows["conversions"])


def test_every_table_has_ids_by_which_a_row_is_named() -> None:
    """The columns exist."""
    assert set(ROW_IDS) == set(TABLES)
    assert all(set(ids) <= set(TABLES[name].names) for name, ids in ROW_IDS.items())
