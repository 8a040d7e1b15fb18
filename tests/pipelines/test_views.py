"""The views that BI tools read: hand-computed rows."""

import datetime as dt
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from table_rows import DAY, NOON, table_rows
from warehouse_runs import backfill, call, conversions

from schemas.tables import DISPLAYS, SESSIONS

LATER = NOON + dt.timedelta(hours=1)
GOOGLE = {"source": "google", "medium": "cpc", "campaign": "spring", "channel": "Paid Search"}
BING = {"source": "bing", "medium": "organic", "campaign": None, "channel": "Organic Search"}
DIRECT = {"source": "(direct)", "medium": "(none)", "campaign": None, "channel": "Direct"}
POOL = {"status": "attributed", "method": "number_pool", "reason": "number_pool"}


def query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


# --- latest rows -------------------------------------------------------------------------------


def test_conversions_latest_takes_the_greatest_emitted_at_then_revision(tmp_path: Path) -> None:
    """Of a call's rows the one written last counts; at one moment the greater revision."""
    rows = conversions(
        call("1", revision=5, status="old"),
        call("1", revision=1, emitted_at=LATER, status="backfilled later"),
        call("2", revision=1, status="old"),
        call("2", revision=2, status="new"),
        call("2", "bank", revision=1, status="other account"),
    )
    backfill(tmp_path, rows)
    latest = query(tmp_path, "SELECT account, call_id, status FROM conversions_latest ORDER BY ALL")
    assert latest == [
        ("bank", "2", "other account"),
        ("shop", "1", "backfilled later"),
        ("shop", "2", "new"),
    ]


def test_conversions_latest_leaves_superseded_rows_out(tmp_path: Path) -> None:
    """A call that moved to another day counts there once, and a withdrawn one not at all."""
    next_day = DAY + dt.timedelta(days=1)
    rows = conversions(
        call("moved"),
        call("moved", revision=2, emitted_at=LATER, is_superseded=True),
        call("moved", day=next_day, revision=2, emitted_at=LATER),
        call("gone"),
        call("gone", revision=2, emitted_at=LATER, is_superseded=True),
    )
    backfill(tmp_path, rows)
    assert query(tmp_path, "SELECT call_id, call_date FROM conversions_latest") == [
        ("moved", next_day)
    ]


def test_is_final_goes_by_the_clock(tmp_path: Path) -> None:
    """A row is final from final_at on."""
    now = dt.datetime.now(dt.UTC)
    backfill(
        tmp_path,
        conversions(
            call("past", final_at=now - dt.timedelta(minutes=1)),
            call("future", final_at=now + dt.timedelta(hours=1)),
        ),
    )
    found = query(tmp_path, "SELECT call_id, is_final FROM conversions_latest ORDER BY 1")
    assert found == [("future", False), ("past", True)]


def test_sessions_latest_knows_a_session_by_visitor_id_and_start(tmp_path: Path) -> None:
    """One session_id may name several sessions; a deleted one is left out."""
    other = {"session_id": "s", "visitor_id": "v", "session_start": LATER}
    rows = table_rows(
        SESSIONS,
        {"session_id": "s", "visitor_id": "v", "pageviews": 1},
        {"session_id": "s", "visitor_id": "v", "pageviews": 2, "revision": 2},
        {"session_id": "s", "visitor_id": "w", "pageviews": 3},
        other | {"pageviews": 4},
        {"session_id": "t", "visitor_id": "v", "pageviews": 5},
        {"session_id": "t", "visitor_id": "v", "revision": 2, "is_deleted": True},
    )
    backfill(tmp_path, {"sessions": rows})
    found = query(tmp_path, "SELECT pageviews FROM sessions_latest ORDER BY 1")
    assert found == [(2,), (3,), (4,)]


# --- aggregates --------------------------------------------------------------------------------


def candidates(*shares: tuple[dict[str, Any], float]) -> list[dict[str, Any]]:
    return [source | {"session_id": "s", "probability": share} for source, share in shares]


def test_conversions_by_source_counts_calls_and_expects_by_probability(tmp_path: Path) -> None:
    """Counted calls stand by the row's source, expected ones by each candidate's."""
    form = {"status": "attributed", "method": "form_phone", "probability": 0.99}
    ambiguous = {"status": "ambiguous", "reason": "several_candidates", "probability": 0.45}
    backfill(
        tmp_path,
        conversions(
            call(
                "1",
                **POOL,
                **GOOGLE,
                probability=0.8,
                is_qualified=True,
                is_first_call=True,
                candidates=candidates((GOOGLE, 0.8), (BING, 0.125)),
            ),
            call("2", **form, **GOOGLE, is_qualified=False, candidates=candidates((BING, 0.5))),
            call("3", **ambiguous, candidates=candidates((GOOGLE, 0.45), (GOOGLE, 0.25))),
            call("4", candidates=candidates((DIRECT, 0.25)), probability=0.75, is_first_call=True),
            call("5", status="excluded", candidates=candidates((GOOGLE, 0.9))),
            call("6", direction="outbound", reason="outbound"),
        ),
    )
    found = query(
        tmp_path,
        "SELECT source, calls, qualified_calls, first_calls, round(expected_calls, 9) "
        "FROM conversions_by_source ORDER BY source NULLS FIRST",
    )
    assert found == [
        (None, 4, 0, 1, 0.0),
        ("(direct)", 0, 0, 0, 0.25),
        ("bing", 0, 0, 0, 0.125),
        ("google", 2, 1, 1, round(0.8 + 0.45 + 0.25 + 0.99, 9)),
    ]


def test_conversions_by_source_keeps_accounts_days_and_campaigns_apart(tmp_path: Path) -> None:
    """A row each for account, day, source, medium, campaign and channel; null is a value too."""
    autumn = GOOGLE | {"campaign": "autumn"}
    rows = conversions(
        call("1", **POOL, **GOOGLE),
        call("2", **POOL, **GOOGLE),
        call("3", **POOL, **autumn),
        call("4", **POOL, **BING),
        call("5", **POOL, **BING),
        call("1", "bank", **POOL, **GOOGLE),
        call("6", day=DAY + dt.timedelta(days=1), **POOL, **GOOGLE),
    )
    backfill(tmp_path, rows)
    found = query(
        tmp_path,
        "SELECT account, day - DATE '2025-03-01', source, campaign, calls "
        "FROM conversions_by_source ORDER BY ALL",
    )
    assert found == [
        ("bank", 0, "google", "spring", 1),
        ("shop", 0, "bing", None, 2),
        ("shop", 0, "google", "autumn", 1),
        ("shop", 0, "google", "spring", 2),
        ("shop", 1, "google", "spring", 1),
    ]


def weights(folder: Path, *sources: dict[str, Any]) -> dict[str, list[float]]:
    """The weights of a call with these touchpoints, by model, oldest touchpoint first."""
    touchpoints = [source | {"session_id": f"s{n}"} for n, source in enumerate(sources)]
    backfill(folder, conversions(call("1", **POOL, touchpoints=touchpoints)))
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        arrow = connection.sql("SELECT * FROM multi_touch ORDER BY position").to_arrow_table()
    table = pl.DataFrame(arrow)
    assert table["session_id"].to_list() == [f"s{n}" for n in range(len(sources))]
    assert set(table["touches"]) == {len(sources)}
    columns = ("first", "last", "last_non_direct", "last_paid", "linear", "position_based")
    return {name: [round(value, 9) for value in table[name]] for name in columns}


def test_multi_touch_shares_a_call_by_six_models(tmp_path: Path) -> None:
    """Five touches: paid search, organic, paid search, organic, direct."""
    assert weights(tmp_path, GOOGLE, BING, GOOGLE, BING, DIRECT) == {
        "first": [1, 0, 0, 0, 0],
        "last": [0, 0, 0, 0, 1],
        "last_non_direct": [0, 0, 0, 1, 0],
        "last_paid": [0, 0, 1, 0, 0],
        "linear": [0.2] * 5,
        "position_based": [0.4, *[round(0.2 / 3, 9)] * 3, 0.4],
    }


def test_multi_touch_of_one_and_of_two(tmp_path: Path) -> None:
    """One touch has all of the call; of two, position_based gives each half."""
    assert set(map(tuple, weights(tmp_path / "one", DIRECT).values())) == {(1.0,)}
    assert weights(tmp_path / "two", GOOGLE, DIRECT) == {
        "first": [1, 0],
        "last": [0, 1],
        "last_non_direct": [1, 0],
        "last_paid": [1, 0],
        "linear": [0.5, 0.5],
        "position_based": [0.5, 0.5],
    }


def test_multi_touch_falls_back_to_the_last(tmp_path: Path) -> None:
    """Without a paid touch last_paid is the last, without a known channel last_non_direct too."""
    unknown = dict.fromkeys(DIRECT)
    found = weights(tmp_path, DIRECT, unknown, DIRECT)
    assert found["last_non_direct"] == [0, 0, 1]
    assert found["last_paid"] == [0, 0, 1]


def test_multi_touch_counts_bought_banners_as_paid(tmp_path: Path) -> None:
    """Display and Cross-network are paid as much as the Paid channels are."""
    display = {"source": "google", "medium": "display", "channel": "Display"}
    assert weights(tmp_path, display, BING)["last_paid"] == [1, 0]


def test_pool_health_counts_load_and_doubt(tmp_path: Path) -> None:
    """Displays and sessions from the latest rows of displays, calls and doubt from conversions."""
    number, other = "+4570000001", "+4570000002"
    shown = table_rows(
        DISPLAYS,
        {"session_id": "a", "displays": 3},
        {"session_id": "b", "displays": 1},
        {"session_id": "b", "displays": 2, "revision": 2},
        {"session_id": "c", "displays": 9},
        {"session_id": "c", "displays": 9, "revision": 2, "is_deleted": True},
        {"session_id": "a", "displays": 4, "tracking_number": other},
    )
    calls = conversions(
        call("1", status="ambiguous"),
        call("2"),
        call("3", **POOL),
        call("4", status="ambiguous"),
        call("5", direction="outbound"),
        call("6", tracking_number="+4570000003"),
    )
    backfill(tmp_path, {"displays": shown} | calls)
    found = query(
        tmp_path,
        "SELECT tracking_number, displays, sessions, calls, share_ambiguous "
        "FROM pool_health ORDER BY 1",
    )
    assert found == [
        (number, 5, 2, 4, 0.5),
        (other, 4, 1, 0, None),
        ("+4570000003", 0, 0, 1, 0.0),
    ]
