"""Sessions, their entry and their touchpoints, by table (SPEC section 5)."""

from typing import Any

import polars as pl
import pytest
from oracle.cases import BOT
from tables import DEFAULTS, B, T, account, engagements, pageviews, visits_of

from schemas.config import Config
from schemas.rules import rule_set
from transforms.sessions import MAX_TOUCHPOINTS, sessionize, touchpoints
from transforms.settings import DAY, HOUR, MINUTE

Row = dict[str, Any]


def sessions(
    pages: list[Row], clicks: list[Row] | None = None, config: Config = DEFAULTS
) -> pl.DataFrame:
    visits = visits_of(pageviews(*pages), engagements(*(clicks or [])), config)
    return sessionize(visits, config).sort("session_start", "session_id", "visitor_id")


def at(time: int, **more: Any) -> Row:
    return {"time": T + time, **more}


def test_a_session_has_its_span_its_counts_and_its_id() -> None:
    """Start and end are the earliest and latest event; engagements count by kind."""
    clicks = [at(0), at(9 * MINUTE, kind="action"), at(9 * MINUTE, kind="close")]
    (row,) = sessions([at(5 * MINUTE), at(MINUTE)], clicks).to_dicts()
    expected = {
        "account": "a",
        "session_id": "v-1772452800000",
        "visitor_id": "v",
        "session_start": T,
        "session_end": T + 9 * MINUTE,
        "pageviews": 2,
        "engagements": 3,
        "actions": 1,
        "clicks": 1,
        "rule_set": rule_set(),
    }
    assert {name: row[name] for name in expected} == expected


def test_a_derived_id_is_the_visitor_and_the_start_in_whole_milliseconds() -> None:
    """Microseconds are cut, not rounded; a given id stays as it is."""
    rows = sessions([at(1_999), at(HOUR, session_id="given")])
    assert rows["session_id"].to_list() == ["v-1772452800001", "given"]


@pytest.mark.parametrize(
    ("pages", "entry"),
    [
        ([at(1, title="late"), at(0, title="early")], "early"),
        ([at(0, event_id=None, title="none"), at(0, event_id="b", title="b")], "b"),
        ([at(0, event_id="b", title="b"), at(0, event_id="a", title="a")], "a"),
        ([at(0, hash=2, title="two"), at(0, hash=1, title="one")], "one"),
        ([at(0, page_name="name", title="title")], "name"),
        ([at(0, title=None), at(1, title="second")], None),
    ],
)
def test_the_entry_is_the_earliest_pageview(pages: list[Row], entry: str | None) -> None:
    """Ties go to the smallest event_id, absent last, then the smallest hash; it alone counts."""
    for rows in (pages, pages[::-1]):
        assert sessions(rows)["entry_page"].to_list() == [entry]


def test_the_session_columns_come_from_the_entry() -> None:
    """Source, device, network, consent, variants and ids of the entry, none of a later page."""
    pairs = [{"name": "n", "value": "1"}]
    first = at(
        0,
        url="https://shop.dk/?utm_source=News&utm_medium=Email&b=c#top",
        referrer="https://www.google.com/",
        user_agent=BOT,
        ip_prefix="192.0.2.0/24",
        consent=["analytics"],
        variants=pairs,
        third_party_ids=pairs,
    )
    later = at(1, url="https://shop.dk/?gclid=1", ip_prefix="198.51.100.0/24", consent=["x"])
    (row,) = sessions([later, first]).to_dicts()
    expected = {
        "landing_url": "https://shop.dk/?utm_source=News&utm_medium=Email",
        "referrer": "https://www.google.com/",
        "source": "news",
        "medium": "email",
        "channel": "Email",
        "source_rule": "utm",
        "click_ids": [],
        "is_bot": True,
        "device_type": "bot",
        "ip_prefix": "192.0.2.0/24",
        "consent": ["analytics"],
        "variants": pairs,
        "third_party_ids": pairs,
    }
    assert {name: row[name] for name in expected} == expected


def test_a_session_without_a_pageview_has_no_session_columns() -> None:
    """Nothing is known but that it is no robot's; counts are numbers and lists are empty."""
    (row,) = sessions([], [at(0)]).to_dicts()
    for name in ("entry_page", "landing_url", "source", "channel", "source_rule", "device_type"):
        assert row[name] is None
    assert (row["is_bot"], row["pageviews"], row["actions"], row["clicks"]) == (False, 0, 0, 1)
    assert row["contact_keys"] == []


def test_contact_keys_are_sorted_and_each_once() -> None:
    """Phones and addresses of all the session's forms, of no other session."""
    clicks = [
        at(1, phone_key="p2", email_key="e1"),
        at(2, phone_key="p1"),
        at(3, phone_key="p2"),
        at(4),
        at(5, visitor_id="w", phone_key="p9"),
    ]
    rows = sessions([at(0), at(0, visitor_id="w"), at(0, visitor_id="x")], clicks)
    assert rows.sort("visitor_id")["contact_keys"].to_list() == [["e1", "p1", "p2"], ["p9"], []]


def test_sources_follow_the_settings_of_each_account() -> None:
    """A referrer that is one account's own is another's referral."""
    page = at(0, referrer="https://partner.dk/")
    config = account(own_domains=["partner.dk"])
    rows = sessions([page, page | {"account": "b"}], config=config).sort("account")
    assert rows["source"].to_list() == ["(direct)", "partner.dk"]


def touched(
    pages: list[Row], wanted: str, config: Config = DEFAULTS
) -> list[tuple[str, int]] | None:
    """(session_id, microseconds after T) of the touchpoints of the session of an id."""
    rows = sessions(pages, config=config)
    session = rows.filter(pl.col("session_id") == wanted)["session"]
    (found,) = touchpoints(rows, session, config)["touchpoints"].to_list()
    return found and [(one["session_id"], one["session_start"] - T) for one in found]


def test_touchpoints_reach_back_exactly_30_days() -> None:
    """A session 30 days before is one, one a microsecond earlier is not, nor is a later one."""
    pages = [at(0, session_id="old"), at(1, session_id="edge")]
    pages += [at(30 * DAY + 1, session_id="s"), at(30 * DAY + 2, session_id="later")]
    assert touched(pages, "s") == [("edge", 1), ("s", 30 * DAY + 1)]


def test_touchpoints_of_equal_start_go_by_session_id_and_the_session_itself_is_last() -> None:
    """Of sessions that start at once each sees itself as the last."""
    pages = [at(0, session_id=name) for name in "bca"]
    assert touched(pages, "a") == [("b", 0), ("c", 0), ("a", 0)]
    assert touched(pages, "c") == [("a", 0), ("b", 0), ("c", 0)]


def test_the_last_20_touchpoints_are_kept() -> None:
    """Of 22 sessions the two earliest are left out."""
    pages = [at(n * HOUR, session_id=f"s{n:02}") for n in range(22)]
    expected = [(f"s{n:02}", n * HOUR) for n in range(2, 22)]
    assert touched(pages, "s21") == expected
    assert len(expected) == MAX_TOUCHPOINTS


def test_a_session_is_its_own_last_touchpoint_among_many_equals() -> None:
    """Of 30 sessions that start at one moment the last 20 are kept, the asked one at the end."""
    pages = [at(0, session_id=f"s{n:02}") for n in range(30)]
    assert touched(pages, "s00") == [(f"s{n:02}", 0) for n in (*range(11, 30), 0)]


def test_a_robots_session_is_no_touchpoint_and_has_none_of_its_own() -> None:
    """A visitor's sessions as a robot do not count; asked for itself it shows the others."""
    pages = [at(0, session_id="bot", user_agent=BOT), at(HOUR, session_id="s")]
    assert touched(pages, "s") == [("s", HOUR)]
    assert touched(pages, "bot") is None
    pages += [at(-HOUR, session_id="before")]
    assert touched(pages, "bot") == [("before", -HOUR)]


def test_touchpoints_are_the_visitors_own() -> None:
    """Another visitor's sessions and another account's are nobody's touchpoints."""
    pages = [
        at(0, visitor_id="w", session_id="w"),
        at(0, account="b", session_id="b"),
        at(1, session_id="s"),
    ]
    assert touched(pages, "s") == [("s", 1)]


def test_lookback_is_the_accounts_own() -> None:
    """`lookback_days` sets how far touchpoints reach."""
    pages = [at(0, session_id="old"), at(2 * DAY, session_id="s")]
    assert touched(pages, "s", account(lookback_days=1)) == [("s", 2 * DAY)]
    assert touched(pages, "s", account(lookback_days=2)) == [("old", 0), ("s", 2 * DAY)]


def test_only_the_wanted_sessions_get_touchpoints() -> None:
    """One row a wanted session, with what the touchpoint column tells."""
    rows = sessions([at(0, tracking_numbers=[B]), at(HOUR)])
    found = touchpoints(rows, rows["session"].head(1), DEFAULTS)
    assert found.to_dicts() == [
        {
            "session": rows["session"][0],
            "touchpoints": [
                {
                    "session_id": "v-1772452800000",
                    "session_start": T,
                    "source": "(direct)",
                    "medium": "(none)",
                    "campaign": None,
                    "channel": "Direct",
                }
            ],
        }
    ]


def test_no_visits_make_no_sessions() -> None:
    """Empty tables go through every function."""
    rows = sessions([])
    assert rows.height == 0
    assert touchpoints(rows, rows["session"], DEFAULTS).height == 0
