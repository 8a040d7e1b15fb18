"""The journal of backfills in BigQuery: what a run has decided to replace, and what is done.

Once all staging tables are loaded, one load writes a row with a transaction for each account: from
there on the new rows count, even if the process dies. Each transaction also notes that it is done,
so whoever comes next does the rest, and nothing twice. What nobody has done before its staging
tables expire lapses.
"""

import datetime as dt
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO

from google.cloud import bigquery

from pipelines.bigquery.errors import SERVICE_ERRORS
from pipelines.bigquery.jobs import run_job
from pipelines.bigquery.service import Service
from pipelines.bigquery.wanted import COMMITS, STAGING_DAYS

# Longer than a run takes from its first staging table to the journal.
LOADING = dt.timedelta(hours=12)
# For so long what has lapsed can still be said: the journal is not read further back.
SAID = dt.timedelta(days=30)
# Accounts at a time: their transactions touch other tables, and only add rows to the journal.
THREADS = 4


@dataclass(frozen=True)
class Commit:
    """One account's transaction of a run."""

    run: str
    number: int
    account: str | None
    script: str


def journal_table(project: str, control: str) -> str:
    """The name of the journal in a control dataset."""
    return f"{project}.{control}.{COMMITS.name}"


def decide(service: Service, commits: Sequence[Commit], control: str, location: str) -> None:
    """Writes the journal's rows, all or none. Raises the service's errors."""
    now = dt.datetime.now(dt.UTC)
    rows = [
        {
            "run": commit.run,
            "account": commit.account,
            "committed_date": str(now.date()),
            "committed_at": now.isoformat(),
            "state": "decided",
            "script": commit.script,
            "number": commit.number,
        }
        for commit in commits
    ]
    data = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()
    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.NEWLINE_DELIMITED_JSON,
        write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
        schema=[bigquery.SchemaField.from_api_repr(column) for column in COMMITS.bigquery()],
    )

    def start(attempt_id: str) -> bigquery.LoadJob:
        return service.client.load_table_from_file(
            BytesIO(data),
            journal_table(service.project, control),
            num_retries=service.upload_tries,
            job_id=attempt_id,
            location=location,
            job_config=config,
            timeout=service.patience_seconds,
        )

    run_job(service, start, f"attribeam-{commits[0].run}-{control}-decide", location)


def pending(service: Service, control: str, location: str) -> list[Commit]:
    """What runs have decided and not done, oldest first, as long as staging tables are kept."""
    since = _kept_since()
    rows = service.query(
        f"SELECT run, number, account, script FROM ({_open(service, control, since)}) "
        f"WHERE committed_at >= {_moment(since)} ORDER BY committed_at, run, number",
        location,
    )
    return [Commit(row["run"], row["number"], row["account"], row["script"]) for row in rows]


def lapse(service: Service, control: str, location: str) -> list[str]:
    """Gives up what was decided so long ago that its staging tables are gone; says it once."""
    since = _kept_since()
    undone = _open(service, control, since - SAID)
    lapsed = f"FROM ({undone}) WHERE committed_at < {_moment(since)}"
    rows = service.query(f"SELECT run, account, committed_date {lapsed}", location)
    if rows:
        journal = journal_table(service.project, control)
        service.query(
            f"INSERT INTO `{journal}` ({', '.join(COMMITS.names)}) SELECT run, account, "
            f"CURRENT_DATE(), CURRENT_TIMESTAMP(), 'lapsed', NULL, number {lapsed}",
            location,
        )
    return [
        f"account {row['account']}: a backfill of {row['committed_date']} was never finished and "
        "its staged rows have expired: run it again"
        for row in rows
    ]


def _open(service: Service, control: str, since: dt.datetime) -> str:
    """SQL: journal rows since a day of what is decided, and neither done nor lapsed."""
    rows = f"FROM `{journal_table(service.project, control)}` WHERE committed_date >= "
    rows += f"DATE '{since.date()}'"
    name = "CONCAT(run, ' ', CAST(number AS STRING))"
    return (
        f"SELECT * {rows} AND state = 'decided' AND {name} NOT IN "
        f"(SELECT {name} {rows} AND state IN ('done', 'lapsed'))"
    )


def _kept_since() -> dt.datetime:
    """Since when staging tables are kept for sure; they are made before the journal's row."""
    return dt.datetime.now(dt.UTC) - (dt.timedelta(days=STAGING_DAYS) - LOADING)


def _moment(moment: dt.datetime) -> str:
    return f"TIMESTAMP '{moment.isoformat()}'"


def loads_today(service: Service, control: str, location: str) -> int:
    """How many runs have written to the journal since the day began, UTC; one load each."""
    today = dt.datetime.now(dt.UTC).date()
    [row] = service.query(
        f"SELECT COUNT(DISTINCT run) AS runs FROM `{journal_table(service.project, control)}` "
        f"WHERE state = 'decided' AND committed_date = DATE '{today}'",
        location,
    )
    return int(row["runs"])


def carry_out(
    service: Service, commits: Sequence[Commit], location: str
) -> dict[str | None, Exception]:
    """Runs transactions once, those of an account in their order; where one fails, by account why.

    What an account's failed transaction leaves undone is for the next who comes.
    """
    by_account: dict[str | None, list[Commit]] = {}
    for commit in commits:
        by_account.setdefault(commit.account, []).append(commit)

    def replace(account: str | None) -> Exception | None:
        try:
            for commit in by_account[account]:
                _run(service, commit, location)
        except SERVICE_ERRORS as error:
            return error
        return None

    with ThreadPoolExecutor(THREADS) as threads:
        errors = dict(zip(by_account, threads.map(replace, by_account), strict=True))
    return {account: error for account, error in errors.items() if error}


def _run(service: Service, commit: Commit, location: str) -> None:
    def start(attempt_id: str) -> bigquery.QueryJob:
        return service.client.query(
            commit.script,
            job_id=attempt_id,
            location=location,
            retry=service.retry,
            job_retry=None,
            timeout=service.patience_seconds,
        )

    run_job(service, start, f"attribeam-{commit.run}-{commit.number}", location)
