"""Decode: bytes to events or dead letters, nothing lost, nothing raised (SPEC sections 3, 4, 11).

Three ways give the same rows: lines that fit a template are split at their quotes, others are read
by a strict typed parser, and what is left, being doubtful, is read exactly, one value at a time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

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

# Fewer lines are read exactly at once.
_FEWEST_TYPED = 64


@dataclass
class _Found:
    """What lines hold: tables as sent, by kind; dead letters; counts."""

    sent: dict[str, list[pl.DataFrame]] = field(
        default_factory=lambda: {kind: [] for kind in FIELDS}
    )
    dead: list[DeadLetter] = field(default_factory=list)
    counts: Counts = field(default_factory=Counts)


def decode_block(block: Block, settings: DecodeSettings) -> Decoded:
    """All that a block's lines hold: every line that is not blank is an event or a dead letter.

    Rows come in no particular order. Raises nothing for what the bytes are.
    """
    found = _read_lines(split_lines(block.data), block.kind, settings)
    tables = {}
    for kind in FIELDS:
        parts = found.sent.pop(kind)
        tables[kind] = _protected(kind, parts, settings, found.counts) if parts else empty(kind)
    return Decoded(
        tables["pageview"],
        tables["engagement"],
        tables["call"],
        tables["erasure"],
        dead_letter_table(found.dead, block, settings),
        found.counts,
    )


def _protected(
    kind: str, parts: list[pl.DataFrame], settings: DecodeSettings, counts: Counts
) -> pl.DataFrame:
    sent = pl.concat(parts)
    count_accounts(kind, "read", sent["account"], counts)
    return protect(kind, sent, settings, counts)


def _read_lines(lines: Lines, kind: str | None, settings: DecodeSettings) -> _Found:
    """Reads by templates where lines repeat, else one by one, the doubtful exactly."""
    found = _Found()
    fitting, rest = match_templates(lines, kind)
    rest = _add_rows(found, fitting, rest, settings)
    if len(rest) >= _FEWEST_TYPED:
        typed, rest = typed_rows(lines, rest, kind)
        rest = _add_rows(found, typed, rest, settings)
    _add_exactly(found, ((place, lines.line(place)) for place in rest.tolist()), kind, settings)
    return found


def _add_rows(
    found: _Found, raw: list[RawRows], rest: np.ndarray, settings: DecodeSettings
) -> np.ndarray:
    """Adds rows to the tables found; gives the places that are left, with those in doubt."""
    for rows in merged(raw):
        sent, doubtful = sent_columns(rows, settings)
        found.sent[rows.kind].append(sent)
        rest = np.concatenate((rest, doubtful))
    return rest


def _add_exactly(
    found: _Found, lines: Iterable[tuple[int, bytes]], kind: str | None, settings: DecodeSettings
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
            found.dead.append(letter)
            key = letter.kind or UNKNOWN, letter.account or ""
            found.counts[*key, "read"] += 1
            found.counts[*key, "dead_letters"] += 1
        else:
            account = event.values["account"]
            events[event.kind].append((event, settings.region(account)))
            for name in event.dropped:
                found.counts[event.kind, account, f"dropped.{name}"] += 1
    for name, read in events.items():
        if read:
            found.sent[name].append(sent_table(name, read))


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
