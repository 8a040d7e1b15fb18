"""Appending a stream's rows by the Storage Write API, to the default stream of each table.

The default stream takes every row at least once, so a row that is sent again stands twice; the
views show it once. One connection at a time carries the requests of all accounts that lie in one
location, one after the other, so thousands of small accounts hold no connections.
"""

import hashlib
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types

from pipelines.bigquery.errors import explain
from pipelines.bigquery.limits import LIMITS
from pipelines.bigquery.messages import RowEncoder
from pipelines.bigquery.names import Place
from pipelines.output import OutputError
from schemas.tables import DEAD_LETTERS, TABLES

# Room for the schema and the names beside the rows of a request.
REQUEST_BYTES = LIMITS.append_request_bytes - (1 << 20)
PASSING = (
    exceptions.Aborted,
    exceptions.Cancelled,
    exceptions.GatewayTimeout,
    exceptions.InternalServerError,
    exceptions.ServiceUnavailable,
    exceptions.TooManyRequests,
)
# What makes a row of a table one row; a row that is refused is named by it.
ROW_IDS = {
    "conversions": ("conversion_id", "revision"),
    "sessions": ("visitor_id", "session_id", "session_start", "revision"),
    "displays": ("tracking_number", "visitor_id", "session_id", "session_start", "revision"),
    "pageviews": ("visitor_id", "event_id", "time"),
    "engagements": ("visitor_id", "event_id", "time"),
    "dead_letters": ("dead_letter_id",),
}


class AppendBusy(Exception):
    """The service takes no rows now, after many tries; the same rows can be sent later."""


@dataclass(frozen=True)
class Request:
    """Rows of one account for one request: their numbers in the table that was given."""

    location: str
    stream: str
    numbers: tuple[int, ...]
    rows: tuple[bytes, ...]


@dataclass
class BigQueryAppender:
    """Appends rows of output tables, each to its account's dataset.

    places: where accounts' rows lie (None: rows of no known account). needs_streams: whether a
    default stream must be asked for before its first use, and times in records are text, as the
    emulator wants it.
    """

    client: BigQueryWriteClient
    project: str
    places: Mapping[str | None, Place]
    patience_seconds: float = 60.0
    needs_streams: bool = False
    _known: set[str] = field(default_factory=set)

    def append(self, table_name: str, rows: pl.DataFrame) -> None:
        """Appends rows of a table, of any accounts; what the service refuses is a dead letter.

        Raises AppendBusy where it can be tried later, OutputError where it cannot.
        """
        refused = self._append(table_name, rows)
        if refused and table_name == DEAD_LETTERS.name:
            raise OutputError(
                f"BigQuery, appending: it refuses {len(refused)} rows of dead_letters; "
                "see attribeam tables diff"
            )
        if refused:
            self.append(DEAD_LETTERS.name, refused_rows(table_name, rows, refused))

    def _append(self, table_name: str, rows: pl.DataFrame) -> set[int]:
        """Sends rows; the numbers of those that were refused."""
        encoder = RowEncoder(TABLES[table_name], nested_text=self.needs_streams)
        encoded = encoder.encode(rows)
        refused = {number for number, row in enumerate(encoded) if len(row) > REQUEST_BYTES}
        pending = [*self._requests(table_name, rows["account"], encoded, refused)]

        def send() -> None:
            while pending:
                self._send(pending, encoder, refused)

        again = Retry(predicate=_is_passing, initial=0.5, maximum=30, timeout=self.patience_seconds)
        try:
            again(send)()
        except exceptions.RetryError as error:
            raise AppendBusy(explain(error)) from error
        except exceptions.GoogleAPICallError as error:
            raise OutputError(f"BigQuery, appending rows: {explain(error)}") from error
        return refused

    def _requests(
        self,
        table_name: str,
        accounts: pl.Series,
        encoded: list[bytes],
        left_out: Container[int],
    ) -> Iterator[Request]:
        """Requests of at most the size allowed, by account in the order of names and rows."""
        by_account: dict[str | None, list[int]] = {}
        for number, account in enumerate(accounts):
            if number not in left_out:
                by_account.setdefault(account, []).append(number)
        for account in sorted(by_account, key=lambda name: (name is not None, name or "")):
            place = self.places[account]
            table = f"projects/{self.project}/datasets/{place.dataset}/tables/{table_name}"
            for numbers in _packed(by_account[account], encoded):
                packed = tuple(encoded[number] for number in numbers)
                yield Request(place.location, f"{table}/streams/_default", numbers, packed)

    def _send(self, pending: list[Request], encoder: RowEncoder, refused: set[int]) -> None:
        """Sends what is pending of one location; takes out what is answered."""
        sent = [request for request in pending if request.location == pending[0].location]
        for request in sent:
            self._know(request.stream)
        answers = self.client.append_rows(
            _messages(sent, encoder),
            timeout=self.patience_seconds,
            metadata=(("x-goog-request-params", f"write_stream={sent[0].stream}"),),
        )
        answered = 0
        for request, answer in zip(sent, answers, strict=False):
            errors = {error.index for error in answer.row_errors}
            if answer.error.code and not errors:
                raise _error_of(answer.error)
            place = pending.index(request)
            pending[place : place + 1] = [*_without(request, errors)] if errors else []
            refused |= {request.numbers[index] for index in errors}
            answered += 1
        if not answered:
            raise exceptions.ServiceUnavailable("the connection ended without an answer")

    def _know(self, stream: str) -> None:
        if self.needs_streams and stream not in self._known:
            self.client.get_write_stream(name=stream)
            self._known.add(stream)


def _messages(requests: Iterable[Request], encoder: RowEncoder) -> Iterator[Any]:
    """Each with the schema, as the connection goes from table to table.

    Filled in as plain protocol buffers: the client's own classes look at every row.
    """
    for request in requests:
        message = types.AppendRowsRequest.pb()(write_stream=request.stream)
        message.proto_rows.writer_schema.proto_descriptor.CopyFrom(encoder.descriptor)
        message.proto_rows.rows.serialized_rows.extend(request.rows)
        yield types.AppendRowsRequest.wrap(message)


def refused_rows(table_name: str, rows: pl.DataFrame, refused: Collection[int]) -> pl.DataFrame:
    """Dead letters for rows that the service refused; message_id is the row's id."""
    bad = rows[sorted(refused)]
    moment = pl.col("emitted_at")
    identity = pl.concat_str(
        [pl.col(name).cast(pl.String).fill_null("") for name in ROW_IDS[table_name]], separator="/"
    )
    known = bad.select(
        "account",
        received_date=moment.dt.date(),
        received_at=moment,
        code=pl.lit("row_refused"),
        event_type=pl.lit(table_name),
        origin=pl.lit(f"rows of {table_name}"),
        message_id=identity,
    )
    ids = [
        hashlib.sha256(
            "\0".join((table_name, row["account"], row["message_id"])).encode()
        ).hexdigest()[:32]
        for row in known.iter_rows(named=True)
    ]
    empty = pl.DataFrame(DEAD_LETTERS.arrow_schema().empty_table())
    letters = known.with_columns(pl.Series("dead_letter_id", ids, pl.String))
    return pl.concat([empty, letters], how="diagonal_relaxed").select(DEAD_LETTERS.names)


def _packed(numbers: Iterable[int], encoded: list[bytes]) -> Iterator[tuple[int, ...]]:
    part: list[int] = []
    size = 0
    for number in numbers:
        length = len(encoded[number])
        if part and size + length > REQUEST_BYTES:
            yield tuple(part)
            part, size = [], 0
        part.append(number)
        size += length
    if part:
        yield tuple(part)


def _without(request: Request, errors: Container[int]) -> Iterator[Request]:
    """The rows of a request that were not at fault, if any; nothing of it was written."""
    kept = [index for index in range(len(request.rows)) if index not in errors]
    if kept:
        numbers = tuple(request.numbers[index] for index in kept)
        rows = tuple(request.rows[index] for index in kept)
        yield Request(request.location, request.stream, numbers, rows)


def _error_of(status: Any) -> exceptions.GoogleAPICallError:
    error: exceptions.GoogleAPICallError = exceptions.from_grpc_status(status.code, status.message)
    return error


def _is_passing(error: Exception) -> bool:
    return isinstance(error, PASSING)
