"""The backfill's sink on the emulator: the same rows as in the local warehouse, all or nothing."""

import datetime as dt
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from bigquery_runs import (
    FailingClient,
    Row,
    backfill,
    everything,
    local_rows,
    query,
    rows_in,
    warehouse_of,
)
from emulators.servers import bigquery_server
from table_rows import DAY, table_rows
from warehouse_runs import NEXT, call, conversions, covered
from warehouse_runs import backfill as backfill_locally

from pipelines.bigquery.limits import Limits
from pipelines.bigquery.service import EMULATOR, Service, connect
from pipelines.output import OutputError
from pipelines.parquet import write_rows
from schemas.tables import DEAD_LETTERS, DISPLAYS, SESSIONS, TABLES


def calls_in(service: Service, dataset: str = "shop") -> list[tuple[Any, ...]]:
    return query(
        service, f"SELECT call_id, call_date, status FROM {dataset}.conversions ORDER BY 1, 2"
    )


def tables_in(service: Service, dataset: str) -> set[str]:
    return {table.table_id for table in service.client.list_tables(f"{service.project}.{dataset}")}


# --- rows --------------------------------------------------------------------------------------


def test_rows_are_those_of_the_local_warehouse(service: Service, tmp_path: Path) -> None:
    """Every table of every account holds what the same run leaves in a folder; views too."""
    rows = everything()
    backfill(warehouse_of(service), rows)
    backfill_locally(tmp_path, rows)
    for name in TABLES:
        for account in ("shop", "bank"):
            assert rows_in(service, account, name) == local_rows(tmp_path, name, account), name
    assert rows_in(service, "attribeam_eu", "dead_letters") == local_rows(
        tmp_path, "dead_letters", None
    )


def test_the_same_backfill_twice_leaves_the_same_rows(service: Service) -> None:
    """Nothing is doubled, and nothing of a run stays in the staging dataset."""
    backfill(warehouse_of(service), everything())
    before = {name: rows_in(service, "shop", name) for name in TABLES}
    backfill(warehouse_of(service), everything())
    assert {name: rows_in(service, "shop", name) for name in TABLES} == before
    assert tables_in(service, "attribeam_eu") == {"commits", "dead_letters"}


def test_a_run_replaces_its_days_and_no_other(service: Service) -> None:
    """Other days and accounts stay, and a covered day without new rows is empty."""
    warehouse = warehouse_of(service)
    old = [call("1"), call("2", day=NEXT), call("3", day=NEXT + dt.timedelta(1)), call("4", "bank")]
    backfill(warehouse, conversions(*old))
    new = conversions(call("5", status="ambiguous"))
    backfill(warehouse, new, covered("conversions", "shop", DAY, NEXT))
    assert calls_in(service) == [
        ("3", NEXT + dt.timedelta(1), "unattributed"),
        ("5", DAY, "ambiguous"),
    ]
    assert calls_in(service, "bank") == [("4", DAY, "unattributed")]


def test_a_run_of_no_rows_empties_the_days_it_covers(service: Service) -> None:
    """Without a staged row there is nothing to load, only days to replace."""
    warehouse = warehouse_of(service)
    backfill(warehouse, conversions(call("1"), call("2", day=NEXT)))
    backfill(warehouse, {}, covered("conversions", "shop", DAY))
    assert calls_in(service) == [("2", NEXT, "unattributed")]


def test_dead_letters_are_merged_by_their_id(service: Service) -> None:
    """A letter that comes again replaces itself, whatever its day; others of the day stay."""
    warehouse = warehouse_of(service)
    first = [{"dead_letter_id": "1"}, {"dead_letter_id": "2", "code": "bad_type"}]
    again = {"dead_letter_id": "1", "code": "bad_time", "received_date": NEXT}
    backfill(warehouse, {"dead_letters": table_rows(DEAD_LETTERS, *first)})
    backfill(warehouse, {"dead_letters": table_rows(DEAD_LETTERS, again)})
    found = query(service, "SELECT dead_letter_id, code FROM shop.dead_letters ORDER BY 1")
    assert found == [("1", "bad_time"), ("2", "bad_type")]


def test_detail_tables_are_made_where_they_are_written(service: Service) -> None:
    """Once there, their days are replaced as those of any table."""
    warehouse = warehouse_of(service)
    backfill(warehouse, {"sessions": table_rows(SESSIONS, {})})
    assert "pageviews" not in tables_in(service, "shop")
    backfill(warehouse, {"pageviews": table_rows(TABLES["pageviews"], {})})
    assert len(rows_in(service, "shop", "pageviews")) == 1
    backfill(warehouse, {}, covered("pageviews", "shop", DAY))
    assert rows_in(service, "shop", "pageviews") == []


def test_existing_counts_the_rows_of_the_accounts_in_the_input(service: Service) -> None:
    """By table, account and day; accounts without a dataset have none."""
    warehouse = warehouse_of(service)
    backfill(warehouse, conversions(call("1"), call("2"), call("3", day=NEXT), call("1", "bank")))
    with warehouse.open_run() as run:
        notes = {
            "kind": ["call"] * 2,
            "account": ["shop", "new"],
            "day": [DAY] * 2,
            "begins": [0, 0],
        }
        (run.staging / "notes" / "days").mkdir(parents=True)
        pl.DataFrame(notes).write_ipc(run.staging / "notes" / "days" / "1.arrow")
        found = run.existing()
    assert sorted(found.iter_rows()) == [
        ("conversions", "shop", DAY, 2),
        ("conversions", "shop", NEXT, 1),
    ]


def test_rows_that_nothing_replaces_are_an_error(service: Service) -> None:
    """They would stand beside the old ones; nothing is made or written."""
    with pytest.raises(ValueError, match="does not replace"):
        backfill(warehouse_of(service), conversions(call("1")), covered("sessions", "shop", DAY))
    assert [*service.client.list_datasets()] == []


# --- crashes -----------------------------------------------------------------------------------


def failing(service: Service, text: str, error: BaseException) -> Service:
    """The same emulator by a client that fails at a statement."""
    client = FailingClient(project=service.project, credentials=service.client._credentials)
    client.fail_at(text, error)
    return Service(client, patience_seconds=1)


OLD = [call("1", name, status="old") for name in ("a", "b", "c")]
NEW = [call("1", name, status="new") for name in ("a", "b", "c")]


def statuses(service: Service) -> list[Any]:
    return [calls_in(service, name)[0][2] for name in ("a", "b", "c")]


def test_what_a_killed_run_had_decided_is_done_by_the_next(service: Service) -> None:
    """Between accounts each is wholly old or new; the next run of anybody does the rest."""
    backfill(warehouse_of(service), conversions(*OLD))
    dying = failing(service, f"DELETE FROM `{service.project}.b.conversions`", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        backfill(warehouse_of(dying), conversions(*NEW))
    assert statuses(service)[1] == "old"
    assert {*statuses(service)} <= {"old", "new"}
    with warehouse_of(service).open_run():
        assert statuses(service) == ["new", "new", "new"]
    assert tables_in(service, "attribeam_eu") == {"commits", "dead_letters"}


CHILD = """
import os, signal
from bigquery_runs import FailingClient, backfill, warehouse_of
from google.auth.credentials import AnonymousCredentials
from pipelines.bigquery.service import Service
from warehouse_runs import call, conversions

class Dying(FailingClient):
    def query(self, sql, **options):
        if "DELETE FROM `test.b.conversions`" in sql:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().query(sql, **options)

client = Dying(project="test", credentials=AnonymousCredentials())
client.fail_at("no statement", KeyboardInterrupt())
rows = conversions(*(call("1", name, status="new") for name in ("a", "b", "c")))
backfill(warehouse_of(Service(client)), rows)
"""


@pytest.mark.emulator
def test_a_process_that_is_killed_between_accounts_is_finished(service: Service) -> None:
    """Killed outright in its commit, it leaves whole accounts, and the next run does the rest."""
    backfill(warehouse_of(service), conversions(*OLD))
    done = subprocess.run(
        [sys.executable, "-c", CHILD],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert statuses(service)[1] == "old"
    warehouse_of(service).recover()
    assert statuses(service) == ["new", "new", "new"]


def test_what_is_done_is_not_done_again(service: Service) -> None:
    """A row that a stream wrote after an account's days were replaced stays."""
    backfill(warehouse_of(service), conversions(*OLD))
    dying = failing(service, f"DELETE FROM `{service.project}.c.conversions`", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        backfill(warehouse_of(dying), conversions(*NEW))
    assert statuses(service) == ["new", "new", "old"]
    query(service, "UPDATE a.conversions SET status = 'streamed' WHERE TRUE")
    warehouse_of(service).recover()
    assert statuses(service) == ["streamed", "new", "new"]


def test_before_the_journal_a_killed_run_changed_nothing(service: Service) -> None:
    """Staging tables alone mean nothing; they expire by themselves."""
    backfill(warehouse_of(service), conversions(*OLD))
    with warehouse_of(service).open_run() as run:
        run.service.client.load_table_from_file = _interrupt_at_journal(run.service)
        rows = conversions(*NEW)["conversions"]
        write_rows(run.staging, TABLES["conversions"], rows, "part")
        with pytest.raises(KeyboardInterrupt):
            run.commit(pl.concat([covered("conversions", n, DAY) for n in ("a", "b", "c")]), {})
    again = connect(service.project)
    warehouse_of(again).recover()
    assert statuses(again) == ["old", "old", "old"]
    left = [name for name in tables_in(again, "attribeam_eu") if name.startswith("staging_")]
    assert [again.client.get_table(f"{again.project}.attribeam_eu.{name}").expires for name in left]


def _interrupt_at_journal(service: Service) -> Any:
    load = service.client.load_table_from_file

    def loading(data: Any, target: str, **options: Any) -> Any:
        if target.endswith(".commits"):
            raise KeyboardInterrupt
        return load(data, target, **options)

    return loading


@pytest.mark.emulator
def test_a_service_that_goes_away_in_the_middle_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """One message, after a limited time."""
    with bigquery_server("gone") as addresses:
        monkeypatch.setenv(EMULATOR, addresses.rest)
        service = Service(connect("gone").client, patience_seconds=1)
        opened = warehouse_of(service).open_run()
        run = opened.__enter__()
    with pytest.raises(OutputError, match=r"cannot be reached .*; nothing was written"):
        run.commit(covered("conversions", "shop", DAY), {})
    opened.__exit__(None, None, None)


# --- checks ------------------------------------------------------------------------------------


def contents(service: Service) -> list[Row]:
    return rows_in(service, "shop", "conversions")


def test_a_table_that_someone_changed_is_not_written(service: Service) -> None:
    """One message names the table and the column; the rows stay."""
    warehouse = warehouse_of(service)
    backfill(warehouse, conversions(call("1")))
    table = service.client.get_table(f"{service.project}.shop.conversions")
    extra = {"name": "mine", "type": "STRING", "mode": "NULLABLE"}
    table._properties["schema"]["fields"].append(extra)
    service.client.update_table(table, ["schema"])
    with pytest.raises(OutputError) as told:
        backfill(warehouse, conversions(call("2")))
    assert "shop.conversions has a column mine that attribeam does not know" in str(told.value)
    assert query(service, "SELECT call_id FROM shop.conversions") == [("1",)]


def test_a_dataset_in_another_location_is_not_written(service: Service) -> None:
    """An account's rows stay in its location."""
    backfill(warehouse_of(service, location="US"), {"displays": table_rows(DISPLAYS, {})})
    with pytest.raises(OutputError, match="dataset shop lies in US, not in EU"):
        backfill(warehouse_of(service), {"displays": table_rows(DISPLAYS, {})})


def test_the_configuration_s_accounts_are_checked_before_the_work_begins(service: Service) -> None:
    """A run does not attribute for an hour to find that it may not write."""
    backfill(warehouse_of(service, location="US"), {"displays": table_rows(DISPLAYS, {})})
    settings = {"accounts": {"shop": {"location": "EU"}}}
    with (
        pytest.raises(OutputError, match="lies in US"),
        warehouse_of(service, **settings).open_run(),
    ):
        pytest.fail("the run was opened")


@pytest.mark.parametrize(
    ("region", "settings", "said"),
    [
        ("us-east1", {"allowed_locations": ["EU"]}, "this run works in us-east1"),
        (None, {"allowed_locations": ["EU"]}, "is not known: say it with --region"),
        ("US", {"allowed_locations": ["US"]}, "its dataset would lie in EU"),
    ],
)
def test_nothing_is_written_outside_the_allowed_locations(
    service: Service, region: str | None, settings: dict[str, Any], said: str
) -> None:
    """Neither a dataset there nor rows from there."""
    with pytest.raises(OutputError, match=said):
        backfill(warehouse_of(service, region, **settings), conversions(call("1")))
    assert [*service.client.list_datasets()] == []


def test_more_backfills_than_a_day_takes_are_told(service: Service) -> None:
    """Before the work, not after it."""
    warehouse = warehouse_of(service)
    backfill(warehouse, conversions(call("1")))
    warehouse.limits = Limits(loads_per_table_per_day=1)
    with pytest.raises(OutputError, match="dataset attribeam_eu: 1 backfills were written today"):
        warehouse.recover()


def test_retention_is_not_changed_by_a_run(service: Service) -> None:
    """A shorter retention in the configuration asks for an instruction first."""
    backfill(warehouse_of(service), conversions(call("1")))
    shorter = warehouse_of(service, accounts={"shop": {"retention_days": 7}})
    with pytest.raises(OutputError, match="rows are kept 7 days instead of 60 days"):
        backfill(shorter, conversions(call("2")))


def test_days_that_the_service_removes_at_once_are_told(service: Service) -> None:
    """Whatever --now says, the service's expiration goes by its own clock."""
    today = dt.datetime.now(dt.UTC).date()
    report = backfill(
        warehouse_of(service),
        conversions(call("1", day=today), call("2", day=today - dt.timedelta(61))),
    )
    assert report["warnings"] == [
        "BigQuery removes 1 of the rows at once: their days expired (retention_days)"
    ]
