"""The commands that write to BigQuery, from files to rows, on the emulator."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from bigquery_runs import backfill, local_rows, query, rows_in, warehouse_of
from google.cloud import bigquery
from oracle.cases import CALLER, B, call, form, page
from tables import B2, KEY, T
from warehouse_runs import call as call_row
from warehouse_runs import conversions

from pipelines.bigquery.service import Service
from pipelines.cli import main
from pipelines.output import OutputError
from pipelines.outputs import open_output, work_regions
from schemas.config import parse_config
from schemas.tables import TABLES
from transforms.settings import DAY, MINUTE

SECRET = base64.b64encode(KEY).decode()
NOW = f"{(T + 10 * DAY) // 1_000_000}"
EVENTS = [
    page("v", 0, B, session_id="s", url="https://shop.dk/?gclid=1&utm_campaign=x"),
    page("w", MINUTE, B, referrer="https://www.google.com/", variants={"a": "1", "b": "2"}),
    page("v", DAY, B, B2),
    form("w", 2 * MINUTE, CALLER),
    call("c1", 3 * MINUTE, a_number=CALLER, answer=T + 3 * MINUTE, end=T + 5 * MINUTE),
    call("c2", 4 * MINUTE, outcome={"tags": ["sale"], "value": 12.5}),
    call("c3", DAY + MINUTE, B2, a_number=CALLER),
    page("v", 0, B) | {"account": "b"},
    call("c1", MINUTE) | {"account": "b"},
]
BAD = '{"account": "b", "call_id": "x", "start": "never", "b_number": "112"}\nnot json\n'


@dataclass
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


Command = Callable[..., Outcome]


@pytest.fixture
def attribeam(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process."""
    monkeypatch.setenv("ATTRIBEAM_KEY", SECRET)

    def run(*arguments: str | Path) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return Outcome(int(str(ended.value.code)), said.out, said.err)

    return run


def backfill_arguments(folder: Path, output: str, *more: str) -> list[str]:
    """Writes the events as files, and the arguments of their backfill."""
    arguments = ["backfill"]
    for kind in ("pageview", "engagement", "call"):
        path = folder / f"{kind}s.jsonl"
        lines = [json.dumps(event) + "\n" for event in EVENTS if event["type"] == kind]
        path.write_text("".join(lines) + (BAD if kind == "call" else ""), encoding="utf-8")
        arguments += [f"--{kind}s", str(path)]
    return [*arguments, "--output", output, "--now", NOW, "--short-history", "--detail", *more]


# --- backfill ----------------------------------------------------------------------------------


def test_a_backfill_leaves_the_rows_of_the_local_warehouse(
    service: Service, attribeam: Command, tmp_path: Path
) -> None:
    """From the same files, in every table of every account; a second time nothing changes."""
    done = attribeam(*backfill_arguments(tmp_path, "bigquery://test"))
    assert done.code == 0, done.err
    assert "Warehouse: bigquery://test" in done.out
    local = tmp_path / "warehouse"
    assert attribeam(*backfill_arguments(tmp_path, str(local))).code == 0
    assert_equal(service, local)
    assert attribeam(*backfill_arguments(tmp_path, "bigquery://test")).code == 0
    assert_equal(service, local)


def assert_equal(service: Service, local: Path) -> None:
    """Ids of dead letters and their encryption follow from the same key and files."""
    for name in TABLES:
        for account in ("a", "b"):
            there, here = rows_in(service, account, name), local_rows(local, name, account)
            assert without_payload(there) == without_payload(here), name
    letters = rows_in(service, "attribeam_eu", "dead_letters")
    assert without_payload(letters) == without_payload(local_rows(local, "dead_letters", None))
    assert len(letters) == 1


def without_payload(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each encryption of a payload differs."""
    return [{k: v for k, v in row.items() if k != "payload"} for row in rows]


def test_existing_days_need_their_history(
    service: Service, attribeam: Command, tmp_path: Path
) -> None:
    """Days that have rows are not replaced from input that begins late, as in a folder."""
    arguments = backfill_arguments(tmp_path, "bigquery://test")
    assert attribeam(*arguments).code == 0
    before = rows_in(service, "a", "conversions")
    again = attribeam(*(argument for argument in arguments if argument != "--short-history"))
    assert again.code == 2
    assert "already has rows" in again.err
    assert rows_in(service, "a", "conversions") == before


def test_a_failed_run_leaves_nothing(service: Service, attribeam: Command, tmp_path: Path) -> None:
    """Too many dead letters: no dataset is made."""
    arguments = backfill_arguments(tmp_path, "bigquery://test", "--max-dead-letters", "0")
    assert attribeam(*arguments).code == 3
    assert [*service.client.list_datasets()] == []


def test_an_account_that_can_have_no_dataset_is_told(
    service: Service, attribeam: Command, tmp_path: Path
) -> None:
    """The message says where to give it a name; with one it has a dataset."""
    config = tmp_path / "attribeam.toml"
    config.write_text('[accounts."æ/1"]\n')
    arguments = backfill_arguments(tmp_path, "bigquery://test", "--config", str(config))
    done = attribeam(*arguments)
    assert done.code == 2
    assert "account 'æ/1': no dataset can have this name" in done.err
    config.write_text('[accounts."æ/1"]\ndataset = "ae1"\n')
    assert attribeam(*arguments).code == 0


@pytest.mark.parametrize("output", ["gs://bucket/x", "bigquery://", "bigquery://P/EU"])
def test_an_output_that_is_none_is_told(attribeam: Command, tmp_path: Path, output: str) -> None:
    """Usage, before anything is read."""
    done = attribeam(*backfill_arguments(tmp_path, output))
    assert done.code == 2
    assert "bigquery://PROJECT" in done.err


def test_without_credentials_there_is_one_message(tmp_path: Path) -> None:
    """Nobody is asked, nothing hangs."""
    home = {"HOME": str(tmp_path), "NO_GCE_CHECK": "true", "ATTRIBEAM_KEY": SECRET}
    known = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pipelines.cli",
            *backfill_arguments(tmp_path, "bigquery://project"),
        ],
        env=known | home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    assert len(errors) == 1
    assert "no Google credentials found" in errors[0]
    assert "Traceback" not in done.stderr


def test_the_region_of_a_run_is_beam_s(service: Service) -> None:
    """Without --region it is not known."""
    output = "bigquery://test/EU"
    assert open_output(output, parse_config({}), ["--region=europe-west3"]).region == "europe-west3"
    assert open_output(output, parse_config({})).region is None
    elsewhere = ["--region=europe-west3", "--worker_zone=us-central1-a"]
    assert open_output(output, parse_config({}), elsewhere).region == "europe-west3,us-central1"


@pytest.mark.parametrize(
    ("options", "regions"),
    [
        ([], None),
        (["--region="], None),
        (["--region=a-1", "--worker_region=b-1"], "a-1,b-1"),
        (["--region=a-1", "--worker_region=a-1", "--zone=b-1-c"], "a-1,b-1"),
        (["--worker_zone=b-1-c"], "b-1"),
        (["--region=a-1", "--experiments=worker_region=b-1"], "a-1,b-1"),
    ],
)
def test_all_regions_that_options_name_are_known(options: list[str], regions: str | None) -> None:
    """The job's, its workers' and that of their zone, once each."""
    assert work_regions(PipelineOptions(options)) == regions


def test_two_accounts_never_share_a_dataset(service: Service) -> None:
    """Two runs that know one account each: the second writes and deletes nothing."""
    backfill(warehouse_of(service), conversions(call_row("1", "a-b")))
    with pytest.raises(OutputError, match="dataset a_b is that of account a-b, not of account a_b"):
        backfill(warehouse_of(service), conversions(call_row("1", "a_b")))
    assert query(service, "SELECT account FROM a_b.conversions") == [("a-b",)]


def test_a_dataset_of_others_is_left_alone(
    service: Service, attribeam: Command, tmp_path: Path
) -> None:
    """Neither a run nor an instruction touches it; labelled and named it is the account's."""
    theirs = bigquery.Dataset("test.a")
    theirs.location = "EU"
    service.client.create_dataset(theirs)
    before = service.client.get_dataset("test.a").to_api_repr()
    done = attribeam(*backfill_arguments(tmp_path, "bigquery://test"))
    assert done.code == 1
    assert "dataset a is not known as that of account a" in done.err
    options = config_of(tmp_path, "[accounts.a]\n")
    refused = attribeam("tables", "apply", "--instruction", "x", *options)
    assert refused.code == 1
    assert refused.out.startswith("refused: dataset a is not known as that of account a")
    assert service.client.get_dataset("test.a").to_api_repr() == before
    assert [*service.client.list_tables("test.a")] == []


def test_a_dataset_that_was_handed_over_gets_its_tables(
    service: Service, attribeam: Command, tmp_path: Path
) -> None:
    """Its label and friendly name say whose it is; no instruction is needed."""
    handed = bigquery.Dataset("test.shop")
    handed.location, handed.friendly_name = "EU", "shop"
    handed.labels = {"application": "attribeam"}
    service.client.create_dataset(handed)
    done = attribeam("tables", "apply", *config_of(tmp_path, "[accounts.shop]\n"))
    assert done.code == 0
    assert service.client.get_table("test.shop.conversions").schema


# --- tables ------------------------------------------------------------------------------------


def config_of(folder: Path, text: str) -> list[str]:
    """The options that name the project and a configuration of this text."""
    (folder / "attribeam.toml").write_text(text)
    return ["--output", "bigquery://test", "--config", str(folder / "attribeam.toml")]


def test_tables_are_made_once(service: Service, attribeam: Command, tmp_path: Path) -> None:
    """diff says what apply does; after it there is nothing to change, and show lists them."""
    options = config_of(tmp_path, "[accounts.shop]\n")
    planned = attribeam("tables", "diff", *options)
    assert planned.code == 0
    assert "create dataset shop\n" in planned.out
    assert [*service.client.list_datasets()] == []
    assert attribeam("tables", "apply", *options).out == planned.out
    assert attribeam("tables", "diff", *options).out == "nothing to change\n"
    listed = json.loads(attribeam("tables", "show", "--json", *options).out)
    expires = {row["table"]: row["expires"] for row in listed if row["dataset"] == "shop"}
    assert expires["conversions"] == "60 days"
    assert expires["instructions"] == "never"
    assert "pageviews" not in expires


def test_detail_tables_are_made_where_asked_for(
    service: Service, attribeam: Command, tmp_path: Path
) -> None:
    """Once there they are looked after without being asked for."""
    options = config_of(tmp_path, "[accounts.shop]\n")
    assert "create table shop.pageviews" in attribeam("tables", "apply", "--detail", *options).out
    shorter = config_of(tmp_path, "[accounts.shop]\nretention_days = 7\n")
    changed = attribeam("tables", "diff", "--instruction", "x", *shorter).out
    assert "update table shop.pageviews: days expire after 7 days, not 60 days" in changed


def test_retention_changes_by_instruction_and_is_written_down(
    service: Service, attribeam: Command, tmp_path: Path
) -> None:
    """Without a reference nothing changes; with one every table does, and the log says so."""
    attribeam("tables", "apply", *config_of(tmp_path, "[accounts.shop]\n"))
    shorter = config_of(tmp_path, "[accounts.shop]\nretention_days = 7\n")
    refused = attribeam("tables", "apply", *shorter)
    assert refused.code == 1
    assert "refused: account shop: rows are kept 7 days instead of 60 days" in refused.out
    assert query(service, "SELECT * FROM shop.instructions") == []
    done = attribeam("tables", "apply", "--instruction", "ticket 'ø' 7", *shorter)
    assert done.code == 0
    seven_days = 7 * 86_400_000
    for name in ("conversions", "sessions", "displays", "dead_letters"):
        table = service.client.get_table(f"test.shop.{name}")
        assert table.time_partitioning.expiration_ms == seven_days
    logged = query(
        service,
        "SELECT account, setting, old_value, new_value, instruction FROM shop.instructions",
    )
    assert logged == [("shop", "retention_days", "60 days", "7 days", "ticket 'ø' 7")]


def test_accounts_that_have_a_dataset_are_looked_after(
    service: Service, attribeam: Command, tmp_path: Path
) -> None:
    """A backfill made it; the configuration need not name the account for a missing table."""
    attribeam(*backfill_arguments(tmp_path, "bigquery://test"))
    service.client.delete_table("test.a.displays")
    changed = attribeam("tables", "diff", *config_of(tmp_path, ""))
    assert (changed.code, changed.out) == (0, "create table a.displays\n")


def test_an_instruction_is_for_accounts_that_are_named(
    service: Service, attribeam: Command, tmp_path: Path
) -> None:
    """Another team's account keeps its rows as long as before; named, it changes too."""
    theirs = config_of(tmp_path, '[accounts.shop]\ndataset = "d"\nlocation = "US"\n')
    attribeam("tables", "apply", *theirs)
    attribeam("tables", "apply", *config_of(tmp_path, "[accounts.bank]\n"))
    shorter = "retention_days = 7\n[accounts.bank]\n"
    done = attribeam("tables", "apply", "--instruction", "x", *config_of(tmp_path, shorter))
    assert done.code == 0, done.out
    assert "account bank: rows are kept 7 days instead of 60 days" in done.out
    assert "shop" not in done.out
    kept = [
        service.client.get_table(f"test.{name}.sessions").time_partitioning.expiration_ms
        for name in ("d", "bank")
    ]
    assert kept == [60 * 86_400_000, 7 * 86_400_000]
    named = shorter + '[accounts.shop]\ndataset = "d"\nlocation = "US"\n'
    told = attribeam("tables", "diff", *config_of(tmp_path, named))
    assert "refused: account shop: rows are kept 7 days instead of 60 days" in told.out


def test_a_new_column_is_added_by_apply(
    service: Service, attribeam: Command, tmp_path: Path
) -> None:
    """Old tables evolve; the column has its description."""
    options = config_of(tmp_path, "[accounts.shop]\n")
    attribeam("tables", "apply", *options)
    service.client.delete_table("test.shop.displays")
    table = service.client.get_table("test.shop.sessions")
    columns = [c for c in TABLES["displays"].bigquery() if c["name"] != "displays"]
    old = table.to_api_repr() | {
        "tableReference": table.reference.to_api_repr() | {"tableId": "displays"},
        "schema": {"fields": columns},
        "timePartitioning": {
            "type": "DAY",
            "field": "display_date",
            "expirationMs": str(60 * 86_400_000),
        },
        "clustering": {"fields": ["tracking_number"]},
    }
    service.client.create_table(type(table).from_api_repr(old))
    done = attribeam("tables", "apply", *options)
    assert "update table shop.displays: new column displays" in done.out
    [added] = [
        c for c in service.client.get_table("test.shop.displays").schema if c.name == "displays"
    ]
    assert added.description == "Displays of that day."


def test_what_is_refused_changes_nothing(
    service: Service, attribeam: Command, tmp_path: Path
) -> None:
    """One account's dataset lies elsewhere: the others are not made either."""
    attribeam("tables", "apply", *config_of(tmp_path, '[accounts.shop]\nlocation = "US"\n'))
    done = attribeam("tables", "apply", *config_of(tmp_path, "[accounts.bank]\n[accounts.shop]\n"))
    assert done.code == 1
    assert "refused: dataset shop lies in US, not in EU" in done.out
    assert done.err == "attribeam: refused; nothing was changed\n"
    assert "bank" not in {dataset.dataset_id for dataset in service.client.list_datasets()}


def test_tables_are_bigquery_s(attribeam: Command, tmp_path: Path) -> None:
    """A folder has no tables to apply."""
    done = attribeam("tables", "diff", "--output", tmp_path)
    assert done.code == 2
    assert "write bigquery://PROJECT" in done.err
