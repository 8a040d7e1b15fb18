"""`attribeam report` of a BigQuery project, on the emulator: the figures of a local warehouse."""

import datetime as dt
import os
import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from bigquery_runs import backfill, query, warehouse_of
from emulators.servers import BigQueryAddresses, bigquery_server
from report_figures import figures
from report_pages import Report
from report_warehouse import build, calls
from table_rows import NOON, table_rows
from warehouse_runs import backfill as backfill_locally

from pipelines.bigquery.service import EMULATOR, Service, connect
from pipelines.reporting.bigquery import dialect_sql
from pipelines.reporting.source import QUERIES, query_text
from schemas.tables import DEAD_LETTERS, TABLES

LATER = {"revision": 2, "emitted_at": NOON + dt.timedelta(hours=1)}
# What only a configuration says, which the report is not given.
ELSEWHERE = {"dataset": "bank_rows", "location": "US"}
DAYS = {"first_day": NOON.date(), "last_day": NOON.date()}


@pytest.fixture(scope="module")
def own_server(bigquery_addresses: BigQueryAddresses) -> Iterator[BigQueryAddresses]:
    """Of this file alone; the other one only says whether it can be built."""
    with bigquery_server() as addresses:
        yield addresses


@pytest.fixture(scope="module")
def filled(own_server: BigQueryAddresses, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A local warehouse whose rows the project holds too."""
    folder = build(tmp_path_factory.mktemp("local"), calls()[7] | LATER | {"call_status": "missed"})
    letter = table_rows(DEAD_LETTERS, {"dead_letter_id": "c", "account": None})
    backfill_locally(folder, {"dead_letters": letter}, report={})
    rows = {
        name: pl.read_parquet(folder / name / "*" / "*.parquet")
        for name in TABLES
        if any((folder / name).glob("*/*.parquet"))
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(EMULATOR, own_server.rest)
        service = connect(own_server.project)
        backfill(warehouse_of(service, accounts={"bank": ELSEWHERE}), rows)
        _write_letters_again(service)
    return folder


def _write_letters_again(service: Service) -> None:
    """As a stream may, under the same ids."""
    query(service, "INSERT INTO shop.dead_letters SELECT * FROM shop.dead_letters WHERE TRUE")


@pytest.fixture
def project(own_server: BigQueryAddresses, monkeypatch: pytest.MonkeyPatch) -> str:
    """The project as --output names it; its location is none of its datasets'."""
    monkeypatch.setenv(EMULATOR, own_server.rest)
    return f"bigquery://{own_server.project}/europe-west3"


def test_an_empty_project_is_an_error(
    bigquery_addresses: BigQueryAddresses,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    report: Report,
) -> None:
    """A project without an account gives the message of an empty warehouse and no page."""
    monkeypatch.chdir(tmp_path)
    with bigquery_server() as addresses:
        monkeypatch.setenv(EMULATOR, addresses.rest)
        code, out, err = report("--output", f"bigquery://{addresses.project}")
    assert (code, out) == (1, "")
    assert err == (
        f"attribeam: error: bigquery://{addresses.project}: the warehouse is empty; "
        "run attribeam backfill first\n"
    )
    assert [*tmp_path.iterdir()] == []


def test_the_same_rows_give_the_same_figures(
    filled: Path, project: str, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All accounts: tables, tiles, words and charts of the project are those of the folder."""
    monkeypatch.chdir(tmp_path)
    assert report("--output", filled, "--html", tmp_path / "local.html")[0] == 0
    code, out, err = report("--output", project)
    assert (code, err) == (0, "")
    assert out == "Report: report.html (8 calls, 1 Mar 2025 to 4 Mar 2025)\n"
    text, charts = figures(tmp_path / "report.html")
    local_text, local_charts = figures(tmp_path / "local.html")
    assert text == local_text
    assert charts == local_charts
    assert (text.count("<table"), len(charts)) == (18, 8)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "from <bdi>bigquery://test</bdi>" in page
    assert re.search(r'id="accounts"><bdi>bank, shop</bdi>', page)


def test_one_account_is_asked_alone(
    filled: Path, project: str, report: Report, tmp_path: Path
) -> None:
    """With --account the figures are those of the folder's account; an unknown one is an error."""
    pages = [tmp_path / "local.html", tmp_path / "there.html"]
    for output, page in zip((filled, project), pages, strict=True):
        assert report("--output", output, "--html", page, "--account", "shop")[0] == 0
    local, there = map(figures, pages)
    assert local == there
    code, _, err = report("--output", project, "--html", pages[1], "--account", "other")
    assert (code, "bigquery://test, which has: bank, shop" in err) == (1, True)
    assert figures(pages[1]) == there


def test_without_credentials_there_is_one_message(
    monkeypatch: pytest.MonkeyPatch, report: Report, tmp_path: Path
) -> None:
    """Nobody is asked to sign in; the message says how to, and no file is made."""
    monkeypatch.delenv(EMULATOR, raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", os.devnull)
    code, out, err = report("--output", "bigquery://project", "--html", tmp_path / "page.html")
    assert (code, out) == (1, "")
    assert "no Google credentials found" in err
    assert err.count("\n") == 1
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_in_bigquery_names_its_dataset_and_types(name: str) -> None:
    """No parameter and no table is left in DuckDB's words."""
    sql = dialect_sql(query_text(name), "p.d", {"account": None, **DAYS})
    assert not re.search(r"\$(account|first_day|last_day)|EPOCH_US|GENERATE_SERIES", sql)
    assert "CAST(NULL AS STRING) IS NULL" in sql
    read = set(re.findall(r"(?:FROM|JOIN) `p\.d\.(\w+)`", sql))
    assert read
    assert not re.search(rf"(?:FROM|JOIN) ({'|'.join(read)})\b", sql)
