"""Transports that take all, keep nothing and answer at once: the client's own work is left."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import requests
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcTransport,
)


def write_client() -> BigQueryWriteClient:
    """A client of the Storage Write API; its requests become bytes, which go nowhere."""
    return BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=_Channel()))


def load_client(project: str) -> bigquery.Client:
    """A client of BigQuery whose tables are made and whose uploads are loaded at once."""
    session = AuthorizedSession(AnonymousCredentials())
    session.mount("https://", _Adapter())
    return bigquery.Client(project=project, credentials=AnonymousCredentials(), _http=session)


class _Channel(grpc.Channel):
    def stream_stream(
        self, method: str, request_serializer: Callable[[Any], bytes], *_: Any, **__: Any
    ) -> Callable[..., Iterator[Any]]:
        def answer(requests: Iterator[Any], **_: Any) -> Iterator[Any]:
            for request in requests:
                assert request_serializer(request)
                yield types.AppendRowsResponse()

        return answer

    def unary_unary(self, method: str, *_: Any, **__: Any) -> Callable[..., Any]:
        """Calls that no benchmark makes."""

        def refuse(*_: Any, **__: Any) -> Any:
            raise NotImplementedError(method)

        return refuse

    unary_stream = stream_unary = unary_unary

    def subscribe(self, *_: Any, **__: Any) -> None: ...

    def unsubscribe(self, *_: Any, **__: Any) -> None: ...

    def close(self) -> None: ...


class _Adapter(requests.adapters.BaseAdapter):
    """Says of a table that it is made as it was asked for, and of an upload that it is loaded."""

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.request, response.url = 200, request, request.url
        if request.method == "PUT":
            self._take_part(request, response)
        else:
            response._content = (
                request.body.encode() if isinstance(request.body, str) else request.body
            )
        if "uploadType=resumable" in request.url and request.method == "POST":
            self._job = json.loads(request.body) | {"status": {"state": "DONE"}}
            response.headers["location"] = request.url
        return response

    def _take_part(self, request: requests.PreparedRequest, response: requests.Response) -> None:
        span, _, total = request.headers["content-range"].removeprefix("bytes ").partition("/")
        if total == "*":
            response.status_code = 308
            response.headers["range"] = f"bytes=0-{span.partition('-')[2]}"
        response._content = json.dumps(self._job).encode()

    def close(self) -> None: ...
