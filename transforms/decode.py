"""Decode: bytes to events or dead letters, nothing lost, nothing raised (SPEC sections 3, 4, 11)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import polars as pl

from schemas.events import FIELDS
from transforms.decode_block import (
    DEAD_LETTERS,
    UNKNOWN,
    Block,
    Decoded,
    DecodeSettings,
    message_block,
)
from transforms.decode_event import (
    AHEAD,
    TIME_FIELD,
    Event,
    event_kind,
    known_account,
    known_time,
    read_event,
)
from transforms.decode_json import JSON_WHITESPACE, MAX_BYTES, Rejected, parse_object
from transforms.decode_protect import Counts, protect
from transforms.decode_rows import sent_table
from transforms.privacy import content_id, encrypt_payload
from transforms.reading import lines_before

__all__ = ["Block", "DecodeSettings", "Decoded", "decode_block", "message_block"]


@dataclass
class DeadLetter:
    """Why a line (its place in the block, from 0) cannot be used, and what is known of it."""

    place: int
    payload: bytes
    code: str = ""
    field: str | None = None
    kind: str | None = None
    account: str | None = None
    time: int | None = None


@dataclass
class ExactLines:
    """Lines read one at a time: events by kind with their region, and dead letters."""

    events: dict[str, list[tuple[Event, str]]] = field(
        default_factory=lambda: {kind: [] for kind in FIELDS}
    )
    dead: list[DeadLetter] = field(default_factory=list)


def decode_block(block: Block, settings: DecodeSettings) -> Decoded:
    """All that a block's lines hold, in their order: every line is an event or a dead letter."""
    counts = Counts()
    lines = block.data.split(b"\n")
    exact = read_exactly(enumerate(lines), block.kind, settings, counts)
    tables = {
        kind: protect(kind, sent_table(kind, events), settings, counts)
        for kind, events in exact.events.items()
    }
    return Decoded(
        tables["pageview"],
        tables["engagement"],
        tables["call"],
        tables["erasure"],
        _dead_letters(exact.dead, block, settings),
        counts,
        _min_times(tables),
    )


def read_exactly(
    lines: Iterable[tuple[int, bytes]], kind: str | None, settings: DecodeSettings, counts: Counts
) -> ExactLines:
    """Reads lines (with their places) one at a time; blank ones are skipped."""
    read = ExactLines()
    for place, line in lines:
        content = line.strip(JSON_WHITESPACE)
        if content:
            _read_line(DeadLetter(place, content, kind=kind), settings, read, counts)
    return read


def _read_line(
    line: DeadLetter, settings: DecodeSettings, read: ExactLines, counts: Counts
) -> None:
    """Adds the line's event, or the line itself as a dead letter, to what was read."""
    try:
        sent = parse_object(line.payload)
        line.account = known_account(sent)
        line.kind = kind = event_kind(sent, line.kind)
        line.time = known_time(kind, sent)
        event = read_event(kind, sent, settings.region, settings.now_us + AHEAD)
    except Rejected as rejected:
        line.code, line.field = rejected.code, rejected.field
        read.dead.append(line)
        counts[line.kind or UNKNOWN, line.account or "", "dead_letters"] += 1
    else:
        read.events[kind].append((event, settings.region(event.values["account"])))
        for name in event.dropped:
            counts[kind, event.values["account"], f"dropped.{name}"] += 1
    counts[line.kind or UNKNOWN, line.account or "", "read"] += 1


def _dead_letters(dead: Sequence[DeadLetter], block: Block, settings: DecodeSettings) -> pl.DataFrame:
    """The table of dead letters, payloads encrypted (of a line that is too large, its beginning)."""
    if not dead:
        return pl.DataFrame(schema=DEAD_LETTERS)
    first = block.first_line
    if first is None and block.message_ids is None:
        first = lines_before(block.origin, block.offset) + 1
    rows = []
    for letter in dead:
        message = block.message_ids[letter.place] if block.message_ids else None
        place = letter.place
        if block.message_ids:
            place -= block.message_ids.index(message or "")
        payload = encrypt_payload(letter.payload[:MAX_BYTES], settings.key)
        line = None if first is None else first + letter.place
        where = str(place if line is None else line)
        id_ = content_id(block.origin.encode(), where.encode(), (message or "").encode(), payload)
        rows.append(
            (
                letter.account,
                id_,
                settings.now_us,
                letter.code,
                letter.field,
                letter.kind,
                letter.time,
                block.origin,
                line,
                message,
                payload,
            )
        )
    return pl.DataFrame(rows, schema=DEAD_LETTERS, orient="row")


def _min_times(tables: dict[str, pl.DataFrame]) -> dict[str, int]:
    """By account the earliest time of the events (us)."""
    times = pl.concat(
        table.select("account", pl.col(TIME_FIELD[kind]).alias("time"))
        for kind, table in tables.items()
    )
    return dict(times.group_by("account").agg(pl.col("time").min()).iter_rows())
