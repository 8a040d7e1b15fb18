"""Events that come too late to count: dead letters that can be sent into a backfill (SPEC 12)."""

from collections import Counter
from typing import NamedTuple

import polars as pl

from transforms.decode_block import Block, Decoded, DecodeSettings
from transforms.decode_dead import DeadLetter, dead_letter_table
from transforms.decode_event import AHEAD, TIME_FIELD, Event, event_kind, read_event
from transforms.decode_json import JSON_WHITESPACE, RejectedError, parse_object
from transforms.decode_protect import ANALYTICS
from transforms.settings import allowed_lateness, with_settings
from transforms.steps import Tables

TOO_LATE = "too_late"
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


def late_letters(
    block: Block, settings: DecodeSettings, watermark: int, settled: pl.DataFrame
) -> pl.DataFrame:
    """The dead letters of a block's events that come too late, with the code `too_late`.

    settled: account, call_id of calls of which a correction comes too late. The lines are read
    again, since accepted events do not keep theirs.
    """
    calls = set(settled.select("account", "call_id").iter_rows())
    letters = []
    for place, line in enumerate(block.data.split(b"\n")):
        content = line.rstrip(JSON_WHITESPACE)
        event = _read(content, block, settings) if content else None
        if event is not None and _is_late(event, settings, watermark, calls):
            time = TIME_FIELD[event.kind]
            letters.append(
                DeadLetter(
                    place,
                    content,
                    TOO_LATE,
                    time,
                    event.kind,
                    event.values["account"],
                    event.values[time],
                )
            )
    return dead_letter_table(letters, block, settings)


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
