"""Histories of visits, forms and calls for fault runs: every rule has work, calls are many."""

import json
import random
from collections.abc import Iterator
from typing import Any

Event = dict[str, Any]
# (moment at which it comes, us; the event as a line)
Arrival = tuple[int, bytes]

SECOND, MINUTE, HOUR, DAY = 10**6, 60 * 10**6, 3600 * 10**6, 86_400 * 10**6
BEGIN = 1_772_452_800 * SECOND  # 2026-03-02T12:00:00Z
DAYS = 6
NUMBERS = [f"+45702010{number:02}" for number in range(24)]
LANDINGS = ("?gclid=g1", "?utm_source=news&utm_medium=email", "?msclkid=m1", "")
REFERRERS = ("https://www.google.com/", "https://www.example.org/page", None)
CALLS_PER_VISIT = 0.7


def arrivals(calls: int, seed: int, begin: int = BEGIN) -> list[Arrival]:
    """About so many calls with all that leads to them, in the order in which it comes.

    Some of it comes hours late, some twice, some calls are corrected, a few to another day.
    """
    draw = random.Random(seed)
    come = [
        (moment + _delay(draw), json.dumps(event).encode())
        for number in range(round(calls / CALLS_PER_VISIT))
        for moment, event in _visit(number, begin, draw)
    ]
    come += [(moment + draw.randrange(HOUR), line) for moment, line in come if draw.random() < 0.03]
    return sorted(come)


def messages(events: list[Arrival], seed: int) -> list[Arrival]:
    """The events in messages of one to fifteen lines, with the moment of the last."""
    draw = random.Random(seed)
    place, made = 0, []
    while place < len(events):
        part = events[place : place + draw.randint(1, 15)]
        made.append((part[-1][0], b"\n".join(line for _, line in part)))
        place += len(part)
    return made


def _delay(draw: random.Random) -> int:
    return draw.randrange(10 * HOUR) if draw.random() < 0.05 else draw.randrange(2 * MINUTE)


def _visit(number: int, begin: int, draw: random.Random) -> Iterator[tuple[int, Event]]:
    """A visit, perhaps one of a visitor who came before, and what it leads to."""
    visitor = number if draw.random() < 0.7 else draw.randrange(number + 1)
    account = "shop" if visitor % 3 else "clinic"
    phone = f"+4520{visitor:06}"
    shown = draw.choice(NUMBERS)
    time = begin + draw.randrange(DAYS * DAY)
    common = {"account": account, "visitor_id": f"v{visitor}"}
    if draw.random() < 0.3:
        common["session_id"] = f"s{number}"
    for page in range(draw.randint(1, 4)):
        yield (
            time,
            {"type": "pageview", **common, "time": time, "event_id": f"p{number}-{page}"}
            | {"url": f"https://shop.example/{page}{draw.choice(LANDINGS)}"}
            | {"tracking_numbers": [shown], "ip": "192.0.2.9"}
            | {"referrer": draw.choice(REFERRERS)},
        )
        time += draw.randrange(SECOND, 5 * MINUTE)
    is_form = draw.random() < 0.2
    if is_form:
        fields = {"phone": phone, "email": f"v{visitor}@mail.example"}
        form = {"type": "engagement", **common, "time": time, "kind": "action", "fields": fields}
        yield time, form
    if draw.random() < CALLS_PER_VISIT:
        yield from _call(f"c{number}", account, phone, shown, time, is_form, common, draw)


def _call(
    call_id: str,
    account: str,
    phone: str,
    shown: str,
    time: int,
    is_form: bool,
    common: Event,
    draw: random.Random,
) -> Iterator[tuple[int, Event]]:
    """A call after a visit: also withheld, declared, called back, corrected."""
    start = time + draw.randrange(SECOND, 20 * MINUTE)
    end = start + draw.randrange(5 * SECOND, 10 * MINUTE)
    call = {"type": "call", "account": account, "call_id": call_id, "start": start, "end": end}
    if is_form and draw.random() < 0.5:
        call |= {"direction": "outbound", "a_number": shown, "b_number": phone}
    else:
        caller = "anonymous" if draw.random() < 0.1 else phone
        call |= {"a_number": caller, "b_number": shown, "answer": start + 4 * SECOND}
    if "session_id" in common and draw.random() < 0.3:
        call["session_id"] = common["session_id"]
    yield end, call
    if draw.random() < 0.1:
        moved = start + draw.choice((0, 0, MINUTE, -9 * HOUR, 7 * HOUR))
        corrected = call | {"sequence": 1, "start": moved, "end": moved + 3 * MINUTE}
        corrected.pop("answer", None)
        yield max(end, moved) + draw.randrange(6 * HOUR), corrected
