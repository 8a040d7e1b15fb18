"""The journal of backfills in BigQuery: what a run has decided to replace, and what is done.

Once all staging tables are loaded, one load writes a row with a transaction for each account: from
there on the new rows count, even if the process dies. Each transaction also notes that it is done,
so whoever comes next does the rest, and nothing twice.
"""

import datetime as dt
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO

from google.cloud import bigquery

from pipelines.bigquery.jobs import run_job
from pipelines.bigquery.service import Service
from pipelines.bigquery.wanted import COMMITS, STAGING_DAYS

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
    journal = journal_table(service.project, control)
    since = dt.datetime.now(dt.UTC) - dt.timedelta(days=STAGING_DAYS)
    rows = service.query(
        f"SELECT run, number, account, script FROM `{journal}` AS decided "
        f"WHERE state = 'decided' AND committed_date >= DATE '{since.date()}' "
        f"AND CONCAT(run, ' ', CAST(number AS STRING)) NOT IN (SELECT CONCAT(run, ' ', CAST(number "
        f"AS STRING)) FROM `{journal}` WHERE state = 'done') "
        "ORDER BY committed_at, run, number",
        location,
    )
    return [Commit(row["run"], row["number"], row["account"], row["script"]) for row in rows]


def loads_today(service: Service, control: str, location: str) -> int:
    """How many runs have written to the journal since the day began, UTC; one load each."""
    today = dt.datetime.now(dt.UTC).date()
    [row] = service.query(
        f"SELECT COUNT(DISTINCT run) AS runs FROM `{journal_table(service.project, control)}` "
        f"WHERE state = 'decided' AND committed_date = DATE '{today}'",
        location,
    )
    return int(row["runs"])


def carry_out(service: Service, commits: Sequence[Commit], location: str) -> None:
    """Runs each account's transaction once. Raises the service's error of the first that fails."""

    def replace(commit: Commit) -> None:
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

    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(replace, commits))
