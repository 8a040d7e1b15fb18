"""Events that come too late to count: dead letters that can be sent into a backfill (SPEC 12)."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import polars as pl

from transforms.decode_block import DEAD_LETTERS, Block, Decoded, DecodeSettings
from transforms.decode_dead import DeadLetter, dead_letter_table
from transforms.decode_event import AHEAD, TIME_FIELD, Event, event_kind, read_event
from transforms.decode_json import JSON_WHITESPACE, RejectedError, parse_object
from transforms.decode_protect import ANALYTICS
from transforms.settings import DAY, allowed_lateness, with_settings
from transforms.steps import COUNTS, Tables
from transforms.streaming.state import Schema

TOO_LATE = "too_late"
# So long (us) a message may come again; until then its dead letters are known.
REDELIVERED = 31 * DAY
# Lines without these are no calls, however their letters are written.
MAY_BE_CALL = re.compile(rb"call|\\u", re.IGNORECASE)
CALL_LETTERS: Schema = {**DEAD_LETTERS, "call_id": pl.String}
TABLES = {"pageview": "pageviews", "engagement": "engagements", "call": "calls"}


class Punctual(NamedTuple):
    """events: by kind, those in time. late: how many are not, by kind."""

    events: Tables
    late: Counter[str]


def in_time(decoded: Decoded, settings: DecodeSettings, watermark: int) -> Punctual:
    """Splits off the events more than their account's allowed lateness behind the watermark."""
    events: Tables = {}
    late: Counter[str] = Counter()
    for kind, name in TABLES.items():
        rows: pl.DataFrame = getattr(decoded, name)
        known = with_settings(rows, settings.config, lateness=allowed_lateness)
        is_late = known.select(
            pl.col(TIME_FIELD[kind]) + pl.col("lateness") < watermark
        ).to_series()
        events[kind] = rows.filter(~is_late)
        late[kind] = int(is_late.sum())
    return Punctual(events, late)


def late_counts(late: Mapping[str, int]) -> pl.DataFrame:
    """Counts of events that come too late, by kind: kind, name, count."""
    total = Counter(late).total()
    rows = [(kind, "dead_letters", count) for kind, count in late.items()]
    rows += [("dead_letters", f"dead_letter.{TOO_LATE}", total)] if total else []
    return pl.DataFrame(rows, schema=COUNTS, orient="row")


def late_letters(
    block: Block, settings: DecodeSettings, watermark: int, settled: pl.DataFrame
) -> pl.DataFrame:
    """The dead letters of a block's events that come too late, with the code `too_late`.

    settled: account, call_id of calls of which a correction comes too late. The lines are read
    again, since accepted events do not keep theirs.
    """
    calls = set(settled.select("account", "call_id").iter_rows())
    letters = [
        _letter(place, content, event)
        for place, content, event in _events(block, settings, None)
        if _is_late(event, settings, watermark, calls)
    ]
    return dead_letter_table(letters, block, settings)


def call_letters(block: Block, settings: DecodeSettings, calls: pl.DataFrame) -> pl.DataFrame:
    """What becomes a dead letter if it turns out that a call is settled already: each line of the
    calls (account, call_id) as late_letters would give it, with call_id."""
    wanted = set(calls.select("account", "call_id").iter_rows())
    if not wanted:
        return pl.DataFrame(schema=CALL_LETTERS)
    found = [
        (_letter(place, content, event), event.values["call_id"])
        for place, content, event in _events(block, settings, MAY_BE_CALL)
        if event.kind == "call" and (event.values["account"], event.values["call_id"]) in wanted
    ]
    letters = dead_letter_table([letter for letter, _ in found], block, settings)
    return letters.with_columns(pl.Series("call_id", [id_ for _, id_ in found], pl.String))


def _events(
    block: Block, settings: DecodeSettings, pattern: re.Pattern[bytes] | None
) -> Iterator[tuple[int, bytes, Event]]:
    """Place, line and event of the lines that hold one, of those that a pattern is found in."""
    for place, line in enumerate(block.data.split(b"\n")):
        content = line.rstrip(JSON_WHITESPACE)
        if content and (pattern is None or pattern.search(content)):
            event = _read(content, block, settings)
            if event is not None:
                yield place, content, event


def _letter(place: int, content: bytes, event: Event) -> DeadLetter:
    time = TIME_FIELD[event.kind]
    account = event.values["account"]
    return DeadLetter(place, content, TOO_LATE, time, event.kind, account, event.values[time])


def _read(content: bytes, block: Block, settings: DecodeSettings) -> Event | None:
    """The event of a line, None where it is none or comes without consent."""
    try:
        sent = parse_object(content)
        kind = event_kind(sent, block.kind)
        event = read_event(kind, sent, settings.region, settings.now_us + AHEAD)
    except RejectedError:
        return None
    purposes = event.values.get("consent")
    is_silent = event.refused or (
        purposes is not None and ANALYTICS not in {purpose.lower() for purpose in purposes}
    )
    return None if is_silent or kind not in TABLES else event


def _is_late(
    event: Event, settings: DecodeSettings, watermark: int, calls: set[tuple[str, str]]
) -> bool:
    account = event.values["account"]
    limit = watermark - allowed_lateness(settings.config.account(account))
    is_settled = event.kind == "call" and (account, event.values["call_id"]) in calls
    return is_settled or event.values[TIME_FIELD[event.kind]] < limit
