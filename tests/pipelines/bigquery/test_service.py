"""What is asked of BigQuery, and what is sent to it."""

import json
from collections import Counter
from typing import Any

import pytest
import requests
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import bigquery

from pipelines.bigquery.names import Target, find_places
from pipelines.bigquery.plan import Change, make_plan
from pipelines.bigquery.service import Service
from pipelines.bigquery.wanted import State, wanted_state, without_absent_detail
from pipelines.output import OutputError
from schemas.config import parse_config

TARGET = Target("test", "EU")
REFERENCES = {
    "datasetReference": {"projectId": "test", "datasetId": "shop"},
    "tableReference": {"projectId": "test", "datasetId": "shop", "tableId": "displays"},
}


class Recorded(AuthorizedSession):
    """A connection that keeps what is sent and says that it was done."""

    def __init__(self) -> None:
        super().__init__(AnonymousCredentials())
        self.sent: list[tuple[str, Any]] = []

    def request(self, method: Any, url: Any, *_: Any, data: Any = None, **__: Any) -> Any:
        self.sent.append((method, json.loads(data)))
        answer = requests.Response()
        answer.status_code = 200
        answer._content = json.dumps(REFERENCES).encode()
        return answer


@pytest.mark.parametrize(
    ("path", "patch"),
    [
        (("shop",), {"defaultTableExpirationMs": None}),
        (("shop", "displays"), {"expirationTime": None, "requirePartitionFilter": False}),
    ],
)
def test_an_expiration_is_cleared_by_null(path: tuple[str, ...], patch: dict[str, Any]) -> None:
    """The client sends the fields of the plan and no other; the emulator does not take null."""
    connection = Recorded()
    client = bigquery.Client("test", AnonymousCredentials(), _http=connection)
    kind = "dataset" if len(path) == 1 else "table"
    Service(client).apply([Change("update", kind, path, patch)])
    assert connection.sent == [("PATCH", patch)]


class Counted(bigquery.Client):
    """The official client, which counts its requests by their names."""

    def __init__(self) -> None:
        super().__init__("test", AnonymousCredentials())
        self.requests: Counter[str] = Counter()

    def _call_api(self, *given: Any, span_name: str = "", **named: Any) -> Any:
        self.requests[span_name.removeprefix("BigQuery.")] += 1
        return super()._call_api(*given, span_name=span_name, **named)


def test_what_is_not_there_is_not_asked_for(service: Service) -> None:
    """A dataset and its list say what there is; a run needs of a view only that it is one."""
    places = find_places(["shop", "bank"], parse_config({}), TARGET)
    wanted = wanted_state("test", places.values(), ())
    made = without_absent_detail(wanted, State())
    shop = [c for c in make_plan(made, State(), ()).changes if c.path[0] == "shop"]
    service.apply(shop)
    client = Counted()
    state = Service(client).read_state(wanted)
    assert client.requests == {"getDataset": 2, "listTables": 1, "getTable": 5}
    assert {("shop", *c.path[1:]) for c in shop if c.kind != "dataset"} == {*state.tables}
    assert state.tables["shop", "pool_health"]["type"] == "VIEW"
    in_full = Service(client).read_state(wanted, texts=True)
    assert in_full.tables["shop", "pool_health"]["view"]["query"].startswith("-- Columns of")
    assert client.requests["getTable"] == 5 + 10


class Late(Recorded):
    """A connection to a project in which account a-b was quicker; the emulator has no Conflict."""

    def request(self, method: Any, url: Any, *_: Any, data: Any = None, **__: Any) -> Any:
        answer = requests.Response()
        answer.status_code = 409 if method == "POST" else 200
        answer.request = requests.Request(method, url).prepare()
        there = {"datasetReference": {"projectId": "test", "datasetId": "a_b"}}
        answer._content = json.dumps(there | {"friendlyName": "a-b"}).encode()
        return answer


def test_a_dataset_that_another_account_made_in_this_moment_is_not_shared() -> None:
    """Whoever comes second is told."""
    places = find_places(["a_b"], parse_config({}), TARGET)
    plan = make_plan(wanted_state("test", places.values(), ()), State(), ())
    client = bigquery.Client("test", AnonymousCredentials(), _http=Late())
    with pytest.raises(OutputError, match="made in this moment for account a-b: give a_b another"):
        Service(client).apply(plan.creations)
