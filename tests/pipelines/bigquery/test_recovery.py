"""What a backfill had decided when it failed, done by the next."""

import datetime as dt
from typing import Any

import polars as pl
import pytest
from bigquery_runs import FailingClient, backfill, query, warehouse_of
from gcp_project import TESTED
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from table_rows import DAY
from warehouse_runs import call, conversions, covered

from pipelines.bigquery.jobs import is_passing, run_job
from pipelines.bigquery.names import Place
from pipelines.bigquery.replacements import split_by_location
from pipelines.bigquery.service import Service
from pipelines.bigquery.staging import load, merge_files
from pipelines.output import OutputError
from pipelines.parquet import write_rows
from schemas.tables import CONVERSIONS, SESSIONS

OLD = conversions(*(call("1", name, status="old") for name in ("a", "b", "c")))
NEW = conversions(*(call("1", name, status="new") for name in ("a", "b", "c")))
NOW = dt.datetime(2025, 3, 9, tzinfo=dt.UTC)


class Removing(FailingClient):
    """The official client; somebody removes a table just before a statement about it."""

    def query(self, sql: str, **options: Any) -> Any:
        if f"DELETE FROM `{self.project}.b.conversions`" in sql:
            self.delete_table(f"{self.project}.b.conversions")
        return super().query(sql, **options)


def status(service: Service, name: str) -> Any:
    [(found,)] = query(service, f"SELECT status FROM {name}.conversions")
    return found


@pytest.fixture
def interrupted(service: Service) -> Service:
    """A project in which b's part of a backfill has failed."""
    backfill(warehouse_of(service), OLD)
    client = Removing(project=service.project, credentials=service.client._credentials)
    client.fail_at("no statement", KeyboardInterrupt())
    with pytest.raises(OutputError, match="accounts that were not reached are as they were"):
        backfill(warehouse_of(Service(client)), NEW)
    return service


def test_a_transaction_that_failed_is_done_once_its_cause_is_mended(interrupted: Service) -> None:
    """The others are done all the same, and the failed job does not stand for ever."""
    assert [status(interrupted, name) for name in ("a", "c")] == ["new", "new"]
    warehouse = warehouse_of(interrupted)
    warehouse.prepare(["b"], detail=False)
    assert warehouse.recover().unfinished == {}
    assert status(interrupted, "b") == "new"
    tables = {
        table.table_id
        for table in interrupted.client.list_tables(f"{interrupted.project}.attribeam_eu")
    }
    assert tables == {"commits", "dead_letters"}


def test_an_account_that_cannot_be_finished_holds_up_itself_alone(interrupted: Service) -> None:
    """Runs of others go on; one that would write to it says why it does not, and writes nothing."""
    later = conversions(call("1", "a", status="later"))
    backfill(warehouse_of(interrupted), later)
    assert status(interrupted, "a") == "later"
    with pytest.raises(OutputError, match=r"account b: .*not found") as told:
        backfill(warehouse_of(interrupted), NEW)
    assert "nothing was written" in str(told.value)
    assert status(interrupted, "a") == "later"


def test_an_account_that_may_not_be_written_any_more_is_not_finished(interrupted: Service) -> None:
    """The checks of every write hold for what an earlier run decided."""
    elsewhere = warehouse_of(interrupted, "us-east1", accounts={"b": {"allowed_locations": ["EU"]}})
    assert "works in us-east1" in elsewhere.recover().unfinished["b"]


def test_what_was_not_done_in_time_lapses_and_is_said_once(interrupted: Service) -> None:
    """Staging tables expire; a later run does not fail for want of them."""
    week = dt.datetime.now(dt.UTC) - dt.timedelta(days=7)
    query(
        interrupted,
        f"UPDATE attribeam_eu.commits SET committed_at = TIMESTAMP '{week.isoformat()}' "
        "WHERE state = 'decided'",
    )
    report = backfill(warehouse_of(interrupted), conversions(call("1", "b", status="later")))
    assert "account b: a backfill of" in report["warnings"][0]
    assert status(interrupted, "b") == "later"
    assert warehouse_of(interrupted).recover().warnings == []


def test_rows_that_a_stream_wrote_during_the_run_stay(service: Service) -> None:
    """They may be of events that the run has not read; what stood before is replaced."""
    backfill(warehouse_of(service), OLD)
    with warehouse_of(service).open_run() as run:
        query(
            service,
            "INSERT INTO a.conversions SELECT * REPLACE ('streamed' AS status, 2 AS revision, "
            "CURRENT_TIMESTAMP() AS emitted_at) FROM a.conversions",
        )
        write_rows(run.staging, CONVERSIONS, NEW["conversions"], "part")
        run.commit(pl.concat([covered("conversions", n, DAY) for n in ("a", "b", "c")]), {})
    found = query(service, "SELECT status, revision FROM a.conversions ORDER BY revision")
    assert found == [("new", 1), ("streamed", 2)]
    assert query(service, "SELECT status FROM a.conversions_latest") == [("streamed",)]


# --- keys --------------------------------------------------------------------------------------

KEY = "projects/p/locations/europe/keyRings/r/cryptoKeys/k"


def test_rows_of_accounts_with_other_keys_lie_in_other_staging_tables() -> None:
    """An account's rows are nowhere under a key that is not its own."""
    places = {
        "a": Place("a", "a", "EU", 60),
        "b": Place("b", "b", "EU", 60, KEY),
        None: Place(None, "attribeam_eu", "EU", 60),
    }
    [part] = split_by_location("p", "run", places, [places[None]], NOW)
    assert part.keys == [None, KEY]
    assert part.staging_table(SESSIONS, None) == "p.attribeam_eu.staging_run_0_sessions"
    assert part.staging_table(SESSIONS, KEY) == "p.attribeam_eu.staging_run_1_sessions"


def test_a_staging_table_is_made_under_its_key(service: Service, tmp_path: Any) -> None:
    """It is labelled and clustered, and expires."""
    service.client.create_dataset("d")
    write_rows(tmp_path, CONVERSIONS, NEW["conversions"], "part")
    file = tmp_path / "all.parquet"
    merge_files(tmp_path, CONVERSIONS, ["a", "b"], file)
    load(service, file, CONVERSIONS, f"{TESTED}.d.s", location="EU", job_id="job", kms_key=KEY)
    table = service.client.get_table(f"{TESTED}.d.s")
    assert table.encryption_configuration.kms_key_name == KEY
    assert table.labels == {"application": "attribeam"}
    assert table.clustering_fields == ["account"]
    assert table.expires > dt.datetime.now(dt.UTC) + dt.timedelta(days=6)
    assert query(service, "SELECT account FROM d.s ORDER BY 1") == [("a",), ("b",)]


# --- jobs --------------------------------------------------------------------------------------


def failed(kind: type[exceptions.GoogleAPICallError], reason: str) -> exceptions.GoogleAPICallError:
    return kind("said\nGET https://…", errors=[{"reason": reason}])


class Remembering(bigquery.Client):
    """The official client; keeps jobs as the service does, where an id is taken for ever."""

    def __init__(self) -> None:
        super().__init__(project="test", credentials=AnonymousCredentials())
        self.jobs: dict[str, dict[str, Any]] = {}

    def load(self, job_id: str, error: dict[str, str] | None) -> Any:
        if job_id in self.jobs:
            raise exceptions.Conflict(f"Already Exists: Job test:EU.{job_id}")
        self.jobs[job_id] = {
            "jobReference": {"projectId": "test", "jobId": job_id, "location": "EU"},
            "configuration": {"load": {}},
            "status": {"state": "DONE"} | ({"errorResult": error} if error else {}),
        }
        return self.get_job(job_id)

    def get_job(self, job_id: str, **options: Any) -> Any:
        return bigquery.LoadJob.from_api_repr(self.jobs[job_id], self)


def test_a_job_that_has_failed_does_not_stand_for_ever() -> None:
    """Its id stays taken, so the next is tried; one that was done is not done again."""
    client = Remembering()
    service = Service(client)
    denied = {"reason": "accessDenied", "message": "No."}
    with pytest.raises(exceptions.Forbidden):
        run_job(service, lambda job_id: client.load(job_id, denied), "job", "EU")
    for _ in range(2):
        done = run_job(service, lambda job_id: client.load(job_id, None), "job", "EU")
        assert done.job_id == "job-1"
    assert [*client.jobs] == ["job-0", "job-1"]


@pytest.mark.parametrize("reason", ["backendError", "rateLimitExceeded", "internalError"])
def test_what_passes_is_tried_again(reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Busy and the service's own faults pass."""
    monkeypatch.delenv("BIGQUERY_EMULATOR_HOST", raising=False)
    assert is_passing(failed(exceptions.ServiceUnavailable, reason), Service(Remembering()))


def test_a_concurrent_change_passes_and_what_is_wrong_does_not(service: Service) -> None:
    """The emulator's internal errors are of wrong SQL."""
    concurrent = exceptions.BadRequest("Transaction is aborted due to concurrent update of table x")
    assert is_passing(concurrent, service)
    assert not is_passing(failed(exceptions.InternalServerError, "jobInternalError"), service)
    assert not is_passing(failed(exceptions.Forbidden, "accessDenied"), service)
    assert not is_passing(ValueError(), service)
