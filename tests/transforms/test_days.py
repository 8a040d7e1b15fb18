"""Which days a run writes (SPEC sections 12, 13)."""

import datetime as dt
from typing import Any

import polars as pl
import pytest
from table_rows import table_rows

from schemas.config import Config, parse_config
from schemas.tables import CONVERSIONS, SESSIONS
from transforms.days import Days, KeepDays
from transforms.settings import DAY

EPOCH = dt.date(1970, 1, 1)
FIRST = dt.date(2026, 3, 1)
CONFIG = parse_config({"retention_days": 10, "accounts": {"long": {"retention_days": 400}}})


def day(number: int) -> dt.date:
    return FIRST + dt.timedelta(days=number)


def midnight(number: int) -> int:
    """The first microsecond of a day."""
    return ((day(number) - EPOCH).days) * DAY


def kept(days: Days, rows: list[dict[str, Any]]) -> tuple[list[int], dict[str, int]]:
    """(numbers of the days that are written, counts)."""
    table = table_rows(CONVERSIONS, *({"call_id": f"{row}"} | row for row in rows))
    written, counts = days.keep("conversions", table)
    assert counts["kind"].unique().to_list() == ["conversions"]
    numbers = sorted((found - FIRST).days for found in written["call_date"])
    return numbers, dict(counts.select("name", "count").iter_rows())


def on(*numbers: int, account: str = "shop") -> list[dict[str, Any]]:
    return [{"call_date": day(number), "account": account} for number in numbers]


@pytest.mark.parametrize(
    ("first", "end", "written"),
    [
        (None, None, [0, 1, 2, 3]),
        (day(1), None, [1, 2, 3]),
        (None, day(2), [0, 1]),
        (day(1), day(3), [1, 2]),
        (day(2), day(2), []),
    ],
)
def test_from_is_inclusive_and_to_exclusive(
    first: dt.date | None, end: dt.date | None, written: list[int]
) -> None:
    """Days outside are counted as outside, none is lost."""
    days = Days(CONFIG, midnight(5), first, end)
    found, counts = kept(days, on(0, 1, 2, 3))
    assert found == written
    expected = {"written": len(written), "outside": 4 - len(written)}
    assert counts == {name: count for name, count in expected.items() if count}


def test_a_day_expires_retention_days_after_it_began() -> None:
    """With ten days the first of March is gone from midnight of the eleventh on."""
    assert kept(Days(CONFIG, midnight(10) - 1), on(0)) == ([0], {"written": 1})
    assert kept(Days(CONFIG, midnight(10)), on(0, 1)) == ([1], {"written": 1, "expired": 1})


def test_retention_is_the_accounts_own() -> None:
    """One account's day lives on when another's has gone."""
    found, counts = kept(Days(CONFIG, midnight(100)), on(0) + on(1, account="long"))
    assert (found, counts) == ([1], {"written": 1, "expired": 1})


def test_expired_days_are_kept_where_asked() -> None:
    """--keep-expired writes them, within --from and --to."""
    days = Days(CONFIG, midnight(100), first=day(1), keep_expired=True)
    assert kept(days, on(0, 1)) == ([1], {"written": 1, "outside": 1})


def test_a_day_that_is_both_outside_and_expired_is_outside() -> None:
    """Every row is counted once."""
    assert kept(Days(CONFIG, midnight(100), first=day(1)), on(0)) == ([], {"outside": 1})


def test_each_table_goes_by_its_own_day_column() -> None:
    """A rule made for sessions reads the session's day."""
    rows = table_rows(SESSIONS, *({"session_date": day(number)} for number in range(3)))
    written, counts = KeepDays(Days(CONFIG, midnight(5), first=day(2)), "sessions")(rows)
    assert written["session_date"].to_list() == [day(2)]
    assert sorted(counts.rows()) == [("sessions", "outside", 2), ("sessions", "written", 1)]


def test_no_rows_are_no_counts() -> None:
    """An empty table passes."""
    empty = table_rows(CONVERSIONS, {"call_id": "c"}).clear()
    written, counts = Days(Config(CONFIG.default, {}), midnight(5)).keep("conversions", empty)
    assert (written.height, counts.height) == (0, 0)
    assert written.schema["call_date"] == pl.Date
