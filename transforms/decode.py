"""Decode: bytes to events or dead letters, nothing lost, nothing raised (SPEC sections 3, 4, 11).

Three ways give the same rows: lines that fit a template are split at their quotes, others are read
by a strict typed parser, and what is left, being doubtful, is read exactly, one value at a time.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import numpy as np
import polars as pl

from schemas.events import FIELDS
from transforms.decode_block import (
    UNKNOWN,
    Block,
    Decoded,
    DecodeSettings,
    empty,
    message_block,
)
from transforms.decode_columns import sent_columns
from transforms.decode_dead import DeadLetter, dead_letter_table
from transforms.decode_event import (
    AHEAD,
    TIME_FIELD,
    Event,
    event_kind,
    known_account,
    known_time,
    read_event,
)
from transforms.decode_fitting import RawRows, match_templates, merged
from transforms.decode_json import JSON_WHITESPACE, RejectedError, parse_object
from transforms.decode_lines import Lines, split_lines
from transforms.decode_protect import Counts, count_accounts, protect
from transforms.decode_rows import sent_table
from transforms.decode_typed import typed_rows

__all__ = ["Block", "DecodeSettings", "Decoded", "decode_block", "message_block"]

# Parts of fewer bytes are not worth a thread; fewer lines are read exactly at once.
_SMALLEST_PART = 2 << 20
_FEWEST_TYPED = 64


@dataclass
class _Part:
    """What some lines hold: tables as sent, by kind; dead letters; counts."""

    lines: int
    sent: dict[str, list[pl.DataFrame]] = field(
        default_factory=lambda: {kind: [] for kind in FIELDS}
    )
    dead: list[DeadLetter] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)
    tables: dict[str, pl.DataFrame] = field(default_factory=dict)


def decode_block(block: Block, settings: DecodeSettings) -> Decoded:
    """All that a block's lines hold: every line that is not blank is an event or a dead letter.

    Rows come in no particular order. Raises nothing for what the bytes are.
    """
    cuts = _cuts(block.data)
    with ThreadPoolExecutor(len(cuts)) as threads:
        parts = list(
            threads.map(
                lambda start, end: _decode_part(
                    split_lines(block.data, start, end), block.kind, settings
                ),
                cuts[:-1],
                cuts[1:],
            )
        )
    tables = {
        kind: pl.concat([part.tables.get(kind, empty(kind)) for part in parts] or [empty(kind)])
        for kind in FIELDS
    }
    counts = Counts()
    dead: list[DeadLetter] = []
    first = 0
    for part in parts:
        counts.update(part.counts)
        dead += [replace(letter, place=first + letter.place) for letter in part.dead]
        first += part.lines
    return Decoded(
        tables["pageview"],
        tables["engagement"],
        tables["call"],
        tables["erasure"],
        dead_letter_table(dead, block, settings),
        counts,
        _min_times(tables),
    )


def _cuts(data: bytes) -> list[int]:
    """Where the parts of the data begin and end, each of whole lines: one for each processor."""
    number = max(1, min(pl.thread_pool_size(), len(data) // _SMALLEST_PART))
    ends = {data.rfind(b"\n", 0, len(data) * part // number) + 1 for part in range(1, number)}
    return sorted({0, *ends, len(data)})


def _decode_part(lines: Lines, kind: str | None, settings: DecodeSettings) -> _Part:
    """Decodes some lines: templates where lines repeat, else one by one, the doubtful exactly."""
    part = _Part(len(lines))
    fitting, rest = match_templates(lines, kind)
    rest = _add_rows(part, fitting, rest, settings)
    if len(rest) >= _FEWEST_TYPED:
        typed, rest = typed_rows(lines, rest, kind)
        rest = _add_rows(part, typed, rest, settings)
    _add_exactly(part, ((place, lines.line(place)) for place in rest.tolist()), kind, settings)
    for name, tables in part.sent.items():
        if tables:
            sent = pl.concat(tables)
            count_accounts(name, "read", sent["account"], part.counts)
            part.tables[name] = protect(name, sent, settings, part.counts)
    part.sent.clear()
    return part


def _add_rows(
    part: _Part, raw: list[RawRows], rest: np.ndarray, settings: DecodeSettings
) -> np.ndarray:
    """Adds rows to the part's tables; gives the places that are left, with those in doubt."""
    for rows in merged(raw):
        sent, doubtful = sent_columns(rows, settings)
        part.sent[rows.kind].append(sent)
        rest = np.concatenate((rest, doubtful))
    return rest


def _add_exactly(
    part: _Part, lines: Iterable[tuple[int, bytes]], kind: str | None, settings: DecodeSettings
) -> None:
    """Reads lines (with their places) one at a time, and adds their events and dead letters."""
    events: dict[str, list[tuple[Event, str]]] = {name: [] for name in FIELDS}
    for place, line in lines:
        content = line.rstrip(JSON_WHITESPACE)
        if not content:
            continue
        letter = DeadLetter(place, content, kind=kind)
        event = _read_line(letter, settings)
        if event is None:
            part.dead.append(letter)
            key = letter.kind or UNKNOWN, letter.account or ""
            part.counts[*key, "read"] += 1
            part.counts[*key, "dead_letters"] += 1
        else:
            account = event.values["account"]
            events[event.kind].append((event, settings.region(account)))
            for name in event.dropped:
                part.counts[event.kind, account, f"dropped.{name}"] += 1
    for name, read in events.items():
        if read:
            part.sent[name].append(sent_table(name, read))


def _read_line(letter: DeadLetter, settings: DecodeSettings) -> Event | None:
    """The event of a line; None where it is rejected, and then the letter says why."""
    kind, sent = None, {}
    try:
        sent = parse_object(letter.payload)
        kind = event_kind(sent, letter.kind)
        return read_event(kind, sent, settings.region, settings.now_us + AHEAD)
    except RejectedError as rejected:
        letter.code, letter.field = rejected.code, rejected.field
        letter.account = known_account(sent)
        if kind is not None:
            letter.kind, letter.time = kind, known_time(kind, sent)
        return None


def _min_times(tables: dict[str, pl.DataFrame]) -> dict[str, int]:
    """By account the earliest time of the events (us)."""
    times = pl.concat(
        table.select("account", pl.col(TIME_FIELD[kind]).alias("time"))
        for kind, table in tables.items()
    )
    return dict(times.group_by("account").agg(pl.col("time").min()).iter_rows())
