"""Appending a stream's rows by the Storage Write API, to the default stream of each table.

The default stream takes every row at least once, so a row that is sent again stands twice; the
views show it once. One connection at a time carries requests of all accounts that lie in one
location, one after the other, so thousands of small accounts hold no connections.
"""

import time
from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import polars as pl
from google.api_core import exceptions
from google.api_core.retry import Retry
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types

from pipelines.bigquery.errors import explain
from pipelines.bigquery.limits import LIMITS
from pipelines.bigquery.messages import RowEncoder
from pipelines.bigquery.names import Place
from pipelines.bigquery.refused import refused_rows
from pipelines.output import OutputError
from schemas.tables import DEAD_LETTERS, TABLES

# Room for the schema and the names beside the rows of a request.
REQUEST_BYTES = LIMITS.append_request_bytes - (1 << 20)
# So much goes by one connection: few enough requests to be answered before its time is over.
CONNECTION_REQUESTS = 100
CONNECTION_BYTES = 32 << 20
# So long after a table was made an append may not find it; a minute is usual.
NEW_SECONDS = 120.0
PASSING = (
    exceptions.Aborted,
    exceptions.Cancelled,
    exceptions.GatewayTimeout,
    exceptions.InternalServerError,
    exceptions.ServiceUnavailable,
    exceptions.TooManyRequests,
)
Error: TypeAlias = exceptions.GoogleAPICallError


class AppendBusy(Exception):
    """The service takes no rows now, after many tries; the same rows can be sent later."""


@dataclass(frozen=True)
class Request:
    """Rows of one account for one request: their numbers in the table that was given."""

    location: str
    stream: str
    numbers: tuple[int, ...]
    rows: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes of its rows."""
        return sum(map(len, self.rows))


@dataclass
class BigQueryAppender:
    """Appends rows of output tables, each to its account's dataset.

    places: where accounts' rows lie (None: rows of no known account). patience_seconds: how long
    no request is answered before rows are given up for now. needs_streams: whether a default stream
    must be asked for before its first use, and times in records are text, as the emulator wants it.
    """

    client: BigQueryWriteClient
    project: str
    places: Mapping[str | None, Place]
    patience_seconds: float = 60.0
    needs_streams: bool = False
    _known: set[str] = field(default_factory=set)
    _new: dict[str, float] = field(default_factory=dict)

    def expect(self, tables: Iterable[tuple[str, str]]) -> None:
        """Tables (dataset, name) that were just made: not finding them passes, for a while."""
        until = time.monotonic() + NEW_SECONDS
        self._new |= {self._stream(dataset, name): until for dataset, name in tables}

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
        pending = deque(self._requests(table_name, rows["account"], encoded, refused))
        again = Retry(predicate=_is_passing, initial=0.5, maximum=30, timeout=self.patience_seconds)
        # For each connection anew: rows that are being taken are not given up.
        send = again(self._send)
        try:
            while pending:
                send(pending, encoder, refused)
        except exceptions.RetryError as error:
            raise AppendBusy(f"BigQuery, appending rows: {explain(error)}") from error
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
        """Requests of at most the size allowed, by location, then account in the order of names."""
        by_account: dict[str | None, list[int]] = {}
        for number, account in enumerate(accounts):
            if number not in left_out:
                by_account.setdefault(account, []).append(number)
        places = self.places
        for account in sorted(by_account, key=lambda name: (places[name].location, name or "")):
            place = places[account]
            stream = self._stream(place.dataset, table_name)
            for numbers in _packed(by_account[account], encoded):
                packed = tuple(encoded[number] for number in numbers)
                yield Request(place.location, stream, numbers, packed)

    def _stream(self, dataset: str, table: str) -> str:
        return f"projects/{self.project}/datasets/{dataset}/tables/{table}/streams/_default"

    def _send(self, pending: deque[Request], encoder: RowEncoder, refused: set[int]) -> None:
        """Sends by one connection what comes first; what it settles is not pending any more.

        Raises the service's error where it settled nothing, and one that does not pass.
        """
        sent = _take_connection(pending)
        unanswered, again = deque(sent), list[Request]()
        found: Error | None = None
        try:
            for request, answer in self._answers(sent, encoder):
                errors = {error.index for error in answer.row_errors}
                if answer.error.code and not errors:
                    found = self._judged(_error_of(answer.error), [request])
                    again.append(request)
                elif errors:
                    refused |= {request.numbers[index] for index in errors}
                    again += _without(request, errors)
                unanswered.popleft()
                if found and not _is_passing(found):
                    break
        except exceptions.GoogleAPICallError as error:
            found = self._judged(error, unanswered)
            # The others go first, where it was this one that broke the connection.
            unanswered.rotate(-1)
        pending.extend((*again, *unanswered))
        is_settled = _count_rows((*again, *unanswered)) < _count_rows(sent)
        if found and not (is_settled and _is_passing(found)):
            raise found

    def _answers(
        self, sent: list[Request], encoder: RowEncoder
    ) -> Iterator[tuple[Request, types.AppendRowsResponse]]:
        """Each request with its answer: they come in the order of the requests.

        Raises the service's error where requests stay without one.
        """
        for request in sent:
            self._know(request.stream)
        # Without the client's own retry: it goes on with the requests that were not read yet, so
        # answers would stand beside the wrong ones and those before would be lost.
        call: Any = self.client.append_rows(
            _messages(sent, encoder),
            retry=None,
            timeout=self.patience_seconds,
            metadata=(("x-goog-request-params", f"write_stream={sent[0].stream}"),),
        )
        answered = 0
        try:
            for request in sent:
                answer = next(call, None)
                if answer is None:
                    raise exceptions.ServiceUnavailable("the connection ended without an answer")
                if not _is_answer(request, answer):
                    raise exceptions.ServiceUnavailable("an answer was not that of its request")
                answered += 1
                yield request, answer
        finally:
            if answered < len(sent):
                call.cancel()

    def _know(self, stream: str) -> None:
        if self.needs_streams and stream not in self._known:
            self.client.get_write_stream(name=stream, retry=None, timeout=self.patience_seconds)
            self._known.add(stream)

    def _judged(self, error: Error, requests: Iterable[Request]) -> Error:
        """The error, or one that passes where it may be of a table that is too new to be found."""
        is_unseen = isinstance(error, exceptions.NotFound) or "may not exist" in str(error.message)
        now = time.monotonic()
        if is_unseen and any(self._new.get(request.stream, now) > now for request in requests):
            return exceptions.ServiceUnavailable("a table that was just made is not found yet")
        return error


def _take_connection(pending: deque[Request]) -> list[Request]:
    """Takes off what goes by one connection: of one location, and not too much."""
    taken = [pending.popleft()]
    size = taken[0].size
    while pending and len(taken) < CONNECTION_REQUESTS:
        size += pending[0].size
        if pending[0].location != taken[0].location or size > CONNECTION_BYTES:
            break
        taken.append(pending.popleft())
    return taken


def _is_answer(request: Request, answer: types.AppendRowsResponse) -> bool:
    """False where an answer names another table, or rows that the request does not have."""
    # Without the project, which has a name and a number.
    _, _, named = answer.write_stream.partition("/datasets/")
    is_named = not named or request.stream.endswith(f"/datasets/{named}")
    return is_named and all(error.index < len(request.rows) for error in answer.row_errors)


def _count_rows(requests: Iterable[Request]) -> int:
    return sum(len(request.rows) for request in requests)


def _messages(requests: Iterable[Request], encoder: RowEncoder) -> Iterator[Any]:
    """Each with the schema, as the connection goes from table to table.

    Filled in as plain protocol buffers: the client's own classes look at every row.
    """
    for request in requests:
        message = types.AppendRowsRequest.pb()(write_stream=request.stream)
        message.proto_rows.writer_schema.proto_descriptor.CopyFrom(encoder.descriptor)
        message.proto_rows.rows.serialized_rows.extend(request.rows)
        yield types.AppendRowsRequest.wrap(message)


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


def _error_of(status: Any) -> Error:
    error: Error = exceptions.from_grpc_status(status.code, status.message)
    return error


def _is_passing(error: Exception) -> bool:
    return isinstance(error, PASSING)
