"""Hypothesis strategies: small adversarial histories on a tiny grid of times.

`histories()` gives a dict: `pageview`, `engagement`, `call`: lists of JSON-able events,
`lines`: list of (kind, raw line), and `config`. `as_inputs` turns it into files.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

from hypothesis import strategies as st

from oracle.malformed import bad_lines, loose_values
from oracle.settings import DAY, MICROS, MINUTE
from oracle.vocabulary import (
    ACCOUNTS,
    AGENTS,
    BEGIN,
    BLOCKS,
    CALLERS,
    CONSENTS,
    CUSTOMERS,
    EDGES,
    EVENT_IDS,
    KINDS,
    LEVEL,
    LONG_EDGES,
    NUMBERS,
    REFERRERS,
    SESSION_IDS,
    URLS,
    VISITORS,
)

Json = dict[str, Any]
History = dict[str, Any]
Story = list[tuple[str, Json]]


def moments() -> st.SearchStrategy[int]:
    """Times on a grid where ties and gaps of exactly a limit are common."""
    return st.builds(
        lambda block, edge: BEGIN + block + edge, st.sampled_from(BLOCKS), st.sampled_from(EDGES)
    )


def written(micros: int, style: int) -> Any:
    """One time in one of the forms that section 3 reads."""
    if style == 0 and micros % 1000 == 0:
        return micros // 1000
    if style == 1 and micros % MICROS == 0:
        return micros // MICROS
    if style in (2, 3):
        zone = datetime.timezone(datetime.timedelta(hours=2 if style == 2 else -3))
        moment = datetime.datetime.fromtimestamp(micros // MICROS, zone)
        start, offset = moment.isoformat()[:-6], moment.isoformat()[-6:]
        return f"{start}.{micros % MICROS:06}9{offset}"
    return micros


def without_none(event: Json) -> Json:
    return {name: value for name, value in event.items() if value is not None}


@st.composite
def pageviews(draw: st.DrawFn, /, **fixed: Any) -> Json:
    """A pageview; what is fixed is as given, times in microseconds."""
    time = fixed.pop("time", None)
    event = {
        "account": draw(st.sampled_from(ACCOUNTS)),
        "visitor_id": draw(st.sampled_from(VISITORS)),
        "time": written(draw(moments()) if time is None else time, draw(st.integers(0, 5))),
        "url": draw(st.sampled_from(URLS)),
        "session_id": draw(st.sampled_from(SESSION_IDS[:-1])),
        "event_id": draw(st.sampled_from(EVENT_IDS)),
        "referrer": draw(st.sampled_from(REFERRERS)),
        "title": draw(st.sampled_from([None, "Home", " "])),
        "page_name": draw(st.sampled_from([None, None, "home:index"])),
        "user_agent": draw(st.sampled_from(AGENTS)),
        "ip": draw(st.sampled_from([None, "192.0.2.77", "2001:db8:1:2::3", "nowhere"])),
        "tracking_numbers": draw(
            st.one_of(st.none(), st.sampled_from(NUMBERS), st.lists(st.sampled_from(NUMBERS)))
        ),
        "third_party_ids": draw(st.sampled_from([None, {"crm": "7", " x ": 8}, {"bad": True}])),
        "consent": draw(st.sampled_from(CONSENTS)),
        "variants": draw(st.sampled_from([None, {"hero": "b"}])),
    }
    return without_none(event | fixed)


@st.composite
def engagements(draw: st.DrawFn, /, **fixed: Any) -> Json:
    """An engagement, often a form with a phone number."""
    time = fixed.pop("time", None)
    phones = st.sampled_from([*CUSTOMERS, "no number", "55 55 55 55"])
    event = {
        "account": draw(st.sampled_from(ACCOUNTS)),
        "visitor_id": draw(st.sampled_from(VISITORS)),
        "time": written(draw(moments()) if time is None else time, draw(st.integers(0, 5))),
        "kind": draw(st.sampled_from(["click", "Close", "action"])),
        "session_id": draw(st.sampled_from(SESSION_IDS[:-1])),
        "event_id": draw(st.sampled_from(EVENT_IDS)),
        "name": draw(st.sampled_from([None, "contact"])),
        "fields": draw(
            st.one_of(
                st.none(),
                st.none(),
                st.none(),
                st.builds(lambda phone: {"phone": phone}, phones),
                st.builds(lambda phone: {"phone": phone, "email": " A@Example.DK "}, phones),
                st.just({"email": "b@example.dk", "name": "B"}),
            )
        ),
        "callback_requested": draw(st.sampled_from([None, True, False, "yes"])),
        "consent": draw(st.sampled_from(CONSENTS)),
    }
    return without_none(event | fixed)


@st.composite
def calls(draw: st.DrawFn, /, **fixed: Any) -> Json:
    """A call in any direction, status and version."""
    outbound = fixed.pop("outbound", None)
    outbound = draw(st.sampled_from([False] * 4 + [True])) if outbound is None else outbound
    start = fixed.pop("start", None)
    start = draw(moments()) if start is None else start
    answer = start + draw(st.sampled_from([0, 10, 20])) * MICROS
    length = draw(st.sampled_from([0, 5, 29, 30, 31, 300])) * MICROS
    company, customer = st.sampled_from(NUMBERS), st.sampled_from(CUSTOMERS)
    event = {
        "account": draw(st.sampled_from(ACCOUNTS)),
        "call_id": draw(st.sampled_from(["c1", "c2", "c3", "c4", "c5", "c6"])),
        "start": written(start, draw(st.integers(0, 5))),
        "b_number": draw(customer if outbound else company),
        "a_number": draw(company if outbound else st.sampled_from(CALLERS)),
        "c_number": draw(st.sampled_from([None, "+4533333333", "x"])),
        "ring": draw(st.sampled_from([None, start, start + 15 * MICROS])),
        "answer": draw(st.sampled_from([None, answer, answer])),
        "end": draw(st.sampled_from([None, answer + length, answer + length, start])),
        "direction": "outbound" if outbound else draw(st.sampled_from([None, "INBOUND", "up"])),
        "status": draw(st.sampled_from([None, None, "answered", "Missed", "voicemail", "odd"])),
        "session_id": draw(st.sampled_from([None] * 12 + SESSION_IDS[-4:])),
        "outcome": draw(st.sampled_from([None, {"category": "Sale", "tags": ["a"], "value": 9.5}])),
        "quality": draw(st.sampled_from([None, {"mos": 4.2, "jitter_ms": "x"}])),
        "sequence": draw(st.sampled_from([None, 0, 1, 2, "2"])),
    }
    return without_none(event | fixed)


@st.composite
def crowds(
    draw: st.DrawFn, account: str, number: str, start: int, given: str | None
) -> tuple[Story, list[int]]:
    """One to four visitors who see one number at about the same time, and when they did."""
    events, times = [], []
    agents = st.sampled_from(AGENTS[3:] if draw(st.sampled_from([False] * 3 + [True])) else AGENTS)
    consent = draw(st.sampled_from([None, None, ["analytics"]]))
    for visitor in draw(st.lists(st.sampled_from([*VISITORS, "v4"]), min_size=1, max_size=4)):
        mine = draw(st.sampled_from([given] * 4 + ["s1", "s2"]))
        who = {"account": account, "visitor_id": visitor, "session_id": mine, "consent": consent}
        time = start + draw(st.sampled_from(EDGES[:6]))
        shown = {**who, "tracking_numbers": [number], "user_agent": draw(agents)}
        events.append(("pageview", draw(pageviews(**shown, time=time))))
        times.append(time)
        if draw(st.booleans()):
            time += draw(st.sampled_from(EDGES + LONG_EDGES[:3]))
            events.append(("engagement", draw(engagements(**who, time=time))))
        if draw(st.booleans()):
            time += draw(st.sampled_from(EDGES + LONG_EDGES[:3]))
            numbers = draw(st.sampled_from([[number], [number], [], NUMBERS[:4]]))
            page = {**who, "tracking_numbers": numbers}
            page["session_id"] = draw(st.sampled_from([mine, mine, "s2"]))
            events.append(("pageview", draw(pageviews(**page, time=time))))
            times.append(time)
            if draw(st.booleans()):
                time += draw(st.sampled_from(EDGES[:3]))
                events.append(("engagement", draw(engagements(**who, time=time))))
    return events, times


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Visitors see a number; one caller calls, calls again, fills in a form, is called back."""
    account, number = draw(st.sampled_from(ACCOUNTS)), draw(st.sampled_from(NUMBERS))
    start, phone = draw(moments()), draw(st.sampled_from(CUSTOMERS))
    given = draw(st.sampled_from([None, None, None, "s1"]))
    events, shown = draw(crowds(account, number, start, given))
    prefix = draw(st.sampled_from("rst"))
    if draw(st.integers(0, 3)) == 0:
        form = {"account": account, "fields": {"phone": phone}, "consent": None}
        for pause in draw(st.lists(st.sampled_from(EDGES[:3]), min_size=1, max_size=4)):
            events.append(("engagement", draw(engagements(**form, time=start + pause))))
    for one in draw(st.lists(st.sampled_from([1, 2, 3, 4]), unique=True, min_size=1)):
        pause = draw(st.sampled_from(EDGES * 2 + LONG_EDGES))
        session_id = draw(st.sampled_from([None] * 5 + [given] * 3))
        if session_id is not None:
            pause = draw(st.sampled_from([0, MINUTE, DAY, DAY + 1]))
        time = draw(st.sampled_from(shown)) + pause
        call = {"account": account, "call_id": f"{prefix}{one}", "start": time}
        call |= {"b_number": number, "direction": None, "session_id": session_id}
        call |= {"a_number": draw(st.sampled_from([phone, phone, None]))}
        events.append(("call", draw(calls(**call, outbound=False))))
    if draw(st.integers(0, 3)) == 0:
        pause = draw(st.sampled_from(EDGES + LONG_EDGES))
        call = {"account": account, "call_id": "back", "start": start + pause}
        call |= {"b_number": phone, "a_number": number}
        events.append(("call", draw(calls(**call, outbound=True))))
    return events


@st.composite
def configs(draw: st.DrawFn) -> Json:
    """Defaults, or settings at every level."""
    config: Json = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "min_probability": st.sampled_from([0.0, 0.3, 0.9, 1.0]),
                "background_calls_per_day": st.sampled_from([0, 5, 500]),
                "call_probability": st.sampled_from([0, 0.5]),
                "known_caller_factor": st.sampled_from([0, 0.1, 1]),
                "saved_number_calls_per_day": st.sampled_from([0, 10]),
                "assume_answered": st.booleans(),
                "lookback_days": st.sampled_from([1, 7]),
                "session_gap_minutes": st.sampled_from([10, 60]),
            },
        )
    )
    if draw(st.integers(0, 3)) == 0:
        config |= LEVEL
    day = datetime.date(2026, 3, 2)
    shop = draw(
        st.fixed_dictionaries(
            {"own_domains": st.just(["shop.dk"]), "ignored_referrers": st.just(["bank.dk"])},
            optional={
                "excluded_callers": st.just(["30303030"]),
                "min_probability": st.just(0.6),
                "static_numbers": st.just(
                    [
                        {
                            "number": "70303030",
                            "source": "flyer",
                            "campaign": "spring",
                            "valid_from": "2026-03-02",
                        },
                        {"number": "70202020", "source": "van", "medium": "print", "valid_to": day},
                    ]
                ),
                "pools": st.just(
                    [
                        {"name": "p", "numbers": ["70101010"], "match_window_minutes": 45},
                        {
                            "name": "q",
                            "numbers": ["70202020"],
                            "valid_from": day,
                            "min_probability": 0.1,
                            "delay_means": [60],
                            "delay_weights": [1.0],
                        },
                    ]
                ),
            },
        )
    )
    return config | {"accounts": {"shop": shop}} if draw(st.booleans()) else config


@st.composite
def histories(draw: st.DrawFn, most: int = 6, malformed: bool = True) -> History:
    """A whole history; `most` bounds the loose events of each kind."""
    history: History = {
        "pageview": draw(st.lists(pageviews(), max_size=most)),
        "engagement": draw(st.lists(engagements(), max_size=most // 2)),
        "call": draw(st.lists(calls(), max_size=most // 2)),
        "lines": draw(st.lists(bad_lines(), max_size=3)) if malformed else [],
        "config": draw(configs()),
    }
    for story in draw(st.lists(stories(), min_size=1, max_size=3)):
        for kind, event in story:
            history[kind].append(event)
    for kind in KINDS:
        if history[kind] and draw(st.booleans()):
            history[kind].append(dict(draw(st.sampled_from(history[kind]))))
        if history[kind] and draw(st.booleans()):
            event = dict(draw(st.sampled_from(history[kind])))
            history[kind].append(event | (draw(loose_values(kind)) if malformed else {}))
    return history


def as_inputs(history: History) -> list[tuple[str, list[bytes]]]:
    """One file a kind, the raw lines of a kind after its events."""
    inputs = []
    for kind in KINDS:
        lines = [json.dumps(event, ensure_ascii=False).encode() for event in history[kind]]
        inputs.append((kind, lines + [line for of, line in history["lines"] if of == kind]))
    return inputs
