"""The scheduled checks of the rows, run as they would be: on the emulator, with today's clock."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigquery_runs import backfill, warehouse_of
from emulators.servers import bigquery_server
from google.api_core.exceptions import GoogleAPIError
from table_rows import table_rows
from warehouse_runs import call, conversions

from pipelines.bigquery.service import EMULATOR, Service, connect
from schemas.tables import DEAD_LETTERS

CHECKS = Path(__file__).parents[2] / "deploy" / "terraform" / "checks"
GIVEN = {
    "dataset": "test.shop",
    "dead_letter_share": "0.05",
    "unattributed_share": "0.6",
    "staleness_hours": "26",
    "unreadable_events": "1",
}
CONTROL = GIVEN | {"dataset": "test.attribeam_eu"}
NOW = dt.datetime.now(dt.UTC)
YESTERDAY = NOW.date() - dt.timedelta(days=1)


@pytest.fixture
def service(bigquery_addresses: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with bigquery_server() as addresses:
        monkeypatch.setenv(EMULATOR, addresses.rest)
        yield connect(addresses.project)


def said(service: Service, name: str) -> str:
    """What a check answers, or the message it fails with."""
    text = (CHECKS / f"{name}.sql").read_text("utf-8")
    for key, value in (CONTROL if name == "unreadable_events" else GIVEN).items():
        text = text.replace(f"${{{key}}}", value)
    try:
        [row] = service.query(text, "EU")
    except GoogleAPIError as error:
        return str(error)
    return str(row[0])


def calls(count: int, **more: Any) -> dict[str, Any]:
    rows = [call(str(n), day=YESTERDAY, **({"emitted_at": NOW} | more)) for n in range(count)]
    return conversions(*rows)


def test_rows_that_are_right_pass_all_checks(service: Service) -> None:
    """Yesterday's calls, attributed and written now."""
    backfill(warehouse_of(service), calls(20, status="attributed"))
    assert {said(service, file.stem) for file in CHECKS.glob("*.sql")} == {"right"}


def test_many_unattributed_calls_fail(service: Service) -> None:
    """The message says how many; fewer than 20 calls say nothing."""
    backfill(warehouse_of(service), calls(19))
    assert said(service, "unattributed_share") == "right"
    backfill(warehouse_of(service), calls(20))
    assert "attribeam unattributed_share of test.shop: 20 of 20 calls" in said(
        service, "unattributed_share"
    )


def test_many_dead_letters_fail(service: Service) -> None:
    """Two among twenty events are more than one in twenty."""
    letters = [
        {"dead_letter_id": str(n), "received_date": YESTERDAY, "account": "shop"} for n in range(2)
    ]
    backfill(
        warehouse_of(service), calls(18) | {"dead_letters": table_rows(DEAD_LETTERS, *letters)}
    )
    assert "2 dead letters beside 18 events" in said(service, "dead_letter_share")


def test_many_events_without_an_account_fail(service: Service) -> None:
    """They are of no account's dataset; one that came twice counts once."""
    letters = [{"dead_letter_id": n, "received_date": YESTERDAY, "account": None} for n in "aab"]
    backfill(warehouse_of(service), {"dead_letters": table_rows(DEAD_LETTERS, *letters[:2])})
    assert said(service, "unreadable_events") == "right"
    backfill(warehouse_of(service), {"dead_letters": table_rows(DEAD_LETTERS, *letters)})
    assert "attribeam unreadable_events in test.attribeam_eu: 2" in said(
        service, "unreadable_events"
    )


def test_rows_of_long_ago_fail(service: Service) -> None:
    """The message says when the last was written; no row at all fails too."""
    backfill(warehouse_of(service), calls(1, emitted_at=NOW - dt.timedelta(hours=27)))
    assert "attribeam staleness of test.shop: the latest row is of 20" in said(service, "staleness")
    backfill(warehouse_of(service), calls(1, emitted_at=NOW))
    assert said(service, "staleness") == "right"
