"""SQL, limits and messages of the sink, without BigQuery."""

import datetime as dt

import polars as pl
import pytest
from google.api_core import exceptions
from google.auth import exceptions as auth

from pipelines.bigquery.checks import check_limits
from pipelines.bigquery.errors import clear_service_errors, explain
from pipelines.bigquery.limits import Limits
from pipelines.bigquery.scripts import Replacement, literal, replace_script, staged_column
from pipelines.output import OutputError
from schemas.tables import DISPLAYS, TABLES

DAY = dt.date(2025, 3, 1)
COLUMNS = {name: table.bigquery() for name, table in TABLES.items()}


def script(**changed: object) -> list[str]:
    """The statements of a replacement."""
    known: dict[str, object] = {
        "run": "r",
        "number": 3,
        "account": 'a"b',
        "dataset": "p.shop",
        "journal": "p.attribeam_eu.commits",
        "began": dt.datetime(2025, 3, 2, tzinfo=dt.UTC),
        "columns": COLUMNS,
    }
    text = replace_script(Replacement(**known | changed))
    return text.removesuffix(";\n").split(";\n")


def test_all_of_an_account_is_one_transaction() -> None:
    """Days go, rows come, and the journal knows it, or none of it."""
    statements = script(
        days={"displays": [DAY + dt.timedelta(1), DAY], "sessions": [DAY]},
        staged={"displays": "p.attribeam_eu.staging_r_displays"},
    )
    assert statements[0] == "BEGIN TRANSACTION"
    assert statements[1] == (
        'DELETE FROM `p.shop.sessions` WHERE account = "a\\"b" '
        "AND session_date IN (DATE '2025-03-01') AND NOT (emitted_at > "
        "TIMESTAMP '2025-03-02T00:00:00+00:00' AND emitted_at <= CURRENT_TIMESTAMP())"
    )
    assert "display_date IN (DATE '2025-03-01', DATE '2025-03-02')" in statements[2]
    assert statements[3].startswith("INSERT INTO `p.shop.displays` (`account`, `tracking_number`,")
    assert statements[3].endswith(
        'FROM `p.attribeam_eu.staging_r_displays` WHERE account = "a\\"b"'
    )
    assert statements[4].startswith("INSERT INTO `p.attribeam_eu.commits`")
    assert statements[5:] == ["COMMIT TRANSACTION"]


def test_dead_letters_go_by_their_id() -> None:
    """Not by their day; those of no account are found, too."""
    statements = script(account=None, staged={"dead_letters": "p.d.s"})
    assert statements[1] == (
        "DELETE FROM `p.shop.dead_letters` WHERE dead_letter_id IN "
        "(SELECT dead_letter_id FROM `p.d.s` WHERE account IS NULL)"
    )
    assert "FROM_BASE64(`payload`)" in statements[2]


def test_records_are_made_anew_in_the_order_of_the_table() -> None:
    """A table that has evolved has its fields in another order."""
    columns = [dict(column) for column in COLUMNS["conversions"]]
    touchpoints = next(column for column in columns if column["name"] == "touchpoints")
    touchpoints["fields"] = touchpoints["fields"][::-1]
    statements = script(columns={"conversions": columns}, staged={"conversions": "p.d.s"})
    assert (
        "ARRAY(SELECT AS STRUCT item.`channel` AS `channel`, item.`campaign` AS `campaign`, "
        "item.`medium` AS `medium`, item.`source` AS `source`, "
        "item.`session_start` AS `session_start`, item.`session_id` AS `session_id` "
        "FROM UNNEST(`touchpoints`) AS item WITH OFFSET AS place ORDER BY place)"
    ) in statements[1]


def test_a_name_is_quoted_as_sql_writes_it() -> None:
    """Quotes, backslashes and lines do not end the text."""
    assert literal("a'b\"c\\d\ne") == '"a\'b\\"c\\\\d\\ne"'
    assert literal(None) == "NULL"


def test_staged_columns_may_be_null() -> None:
    """The staging table takes what the target will judge."""
    modes = {column["mode"] for column in map(staged_column, DISPLAYS.bigquery())}
    assert modes == {"NULLABLE"}


def test_more_days_than_a_job_may_change_are_told() -> None:
    """By account and table, before anything is written."""
    days = [DAY + dt.timedelta(n) for n in range(3)]
    replaced = pl.DataFrame({"table": "displays", "account": "shop", "day": days})
    assert not [*check_limits(replaced, [], Limits(partitions_per_job=3))]
    [words] = check_limits(replaced, [], Limits(partitions_per_job=2))
    assert words.startswith("account shop: 3 days of displays would be replaced at once")


def test_a_row_that_is_too_large_is_told() -> None:
    """The service would refuse the whole load."""
    replaced = pl.DataFrame({"table": [], "account": [], "day": []})
    [words] = check_limits(replaced, [("dead_letters", 11)], Limits(row_bytes=10))
    assert "a row of dead_letters has 11 bytes, the limit is 10" in words


def failed(kind: type[exceptions.GoogleAPICallError], reason: str) -> exceptions.GoogleAPICallError:
    return kind("said\nGET https://…", errors=[{"reason": reason}])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (failed(exceptions.Forbidden, "quotaExceeded"), "a quota is used up"),
        (failed(exceptions.Forbidden, "accessDenied"), "no permission"),
        (failed(exceptions.NotFound, "notFound"), "see attribeam tables diff"),
        (failed(exceptions.BadRequest, "invalid"), "refused"),
        (failed(exceptions.ServiceUnavailable, "backendError"), "the service failed"),
        (exceptions.RetryError("tired", ConnectionError("gone")), "given up after many tries"),
        (auth.DefaultCredentialsError("none"), "no Google credentials found"),
        (auth.RefreshError("expired"), "sign in again"),
        (ConnectionError("refused"), "cannot be reached"),
    ],
)
def test_errors_of_the_service_are_put_into_words(error: Exception, said: str) -> None:
    """What it means and what to do, in one line; what was being done and what is left behind."""
    assert said in explain(error)
    with (
        pytest.raises(OutputError, match=r"BigQuery, loading: .*; nothing was written$"),
        clear_service_errors("loading", "nothing was written"),
    ):
        raise error
