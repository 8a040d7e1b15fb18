"""A Storage Write API in this process, which says what a script says; for Google's own client."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import grpc
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcTransport,
)
from google.rpc import code_pb2, status_pb2

from pipelines.bigquery.append import BigQueryAppender
from pipelines.bigquery.names import Place

METHOD = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"
# Far more than any test's connection takes; nothing waits for its end.
LIMIT_SECONDS = 120.0


@dataclass(frozen=True)
class Broken:
    """The connection ends with this instead of an answer."""

    code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE
    text: str = "the server moved"


# Takes a request without answering it, as a server does that ends before it can.
TAKEN = "taken"
# Takes a request and says nothing more until the client has had enough.
SILENT = "silent"
# Takes a request and ends the connection in peace.
ENDED = "ended"
Step: TypeAlias = str | Broken | types.AppendRowsResponse | None


@dataclass
class AppendServer:
    """The service: a script for each connection, in order, says what follows each request.

    None, or the end of a script: the rows are taken. connections: requests by connection. stored:
    rows that were taken, as (account, table, bytes); those of requests without answer are not.
    is_named: whether answers say their table.
    """

    script: list[list[Step]]
    is_named: bool = True
    connections: list[list[Any]] = field(default_factory=list)
    stored: list[tuple[str, str, bytes]] = field(default_factory=list)
    address: str = ""

    def append(self, requests: Iterator[Any], call: Any) -> Iterator[Any]:
        number = len(self.connections)
        connection: list[Any] = []
        self.connections.append(connection)
        steps = self.script[number] if number < len(self.script) else []
        ended = threading.Event()
        call.add_callback(ended.set)
        following = itertools.chain(steps, itertools.repeat(None))
        for request in requests:
            connection.append(request)
            step = next(following)
            if isinstance(step, Broken):
                call.abort(step.code, step.text)
            elif step == SILENT:
                ended.wait(LIMIT_SECONDS)
                return
            elif step == ENDED:
                return
            elif step is None:
                self._store(request)
                name = request.write_stream if self.is_named else ""
                yield types.AppendRowsResponse(write_stream=name)
            elif step != TAKEN:
                yield step

    def _store(self, request: Any) -> None:
        account, table = name_of(request)
        rows = request.proto_rows.rows.serialized_rows
        self.stored += [(account, table, bytes(row)) for row in rows]

    @property
    def streams(self) -> list[list[str]]:
        """dataset/table of the requests, by connection."""
        return [["/".join(name_of(request)) for request in c] for c in self.connections]

    @property
    def accounts(self) -> list[str]:
        """Whose rows were taken, in order."""
        return [account for account, *_ in self.stored]


def name_of(request: Any) -> tuple[str, str]:
    """Dataset and table of a request."""
    _, _, _, dataset, _, table, *_ = request.write_stream.split("/")
    return dataset, table


@contextmanager
def append_server(*script: list[Step], is_named: bool = True) -> Iterator[AppendServer]:
    """A running service."""
    service = AppendServer([*script], is_named)
    handler = grpc.stream_stream_rpc_method_handler(
        service.append,
        request_deserializer=types.AppendRowsRequest.deserialize,
        response_serializer=types.AppendRowsResponse.serialize,
    )
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((_Handlers(handler),))
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield service
    finally:
        server.stop(None).wait()


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, handler: Any) -> None:
        self._handler = handler

    def service(self, details: Any) -> Any:
        return self._handler if details.method == METHOD else None


@contextmanager
def write_client(address: str) -> Iterator[BigQueryWriteClient]:
    """The official client of a service at an address."""
    with grpc.insecure_channel(address) as channel:
        yield BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=channel))


PLACES = {
    None: Place(None, "attribeam_eu", "EU", 60),
    **{name: Place(name, name, "EU", 60) for name in ("shop", "bank")},
    "us": Place("us", "us", "US", 60),
}


@contextmanager
def appending(
    *script: list[Step],
    places: Any = PLACES,
    patience_seconds: float = 60.0,
    is_named: bool = True,
) -> Iterator[tuple[BigQueryAppender, AppendServer]]:
    """An appender with the official client, and the service that it appends to."""
    with (
        append_server(*script, is_named=is_named) as server,
        write_client(server.address) as client,
    ):
        yield BigQueryAppender(client, "p", places, patience_seconds), server


def refusal(*indexes: int) -> types.AppendRowsResponse:
    """Says that these rows of a request are bad."""
    return types.AppendRowsResponse(
        error=status_pb2.Status(code=code_pb2.INVALID_ARGUMENT, message="rows"),
        row_errors=[types.RowError(index=index, message="bad +4520202020") for index in indexes],
    )


def failure(code: int) -> types.AppendRowsResponse:
    """Says that a request failed, and goes on."""
    return types.AppendRowsResponse(error=status_pb2.Status(code=code, message="not now"))
