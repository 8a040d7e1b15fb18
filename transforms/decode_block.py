"""What decoding takes and gives: blocks of whole lines in, tables and counts out."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from schemas.config import Config
from schemas.events import DECODED

DEAD_LETTERS = {
    "account": pl.String,
    "dead_letter_id": pl.String,
    "received_at": pl.Int64,
    "code": pl.String,
    "field": pl.String,
    "event_type": pl.String,
    "event_time": pl.Int64,
    "origin": pl.String,
    "line": pl.Int64,
    "message_id": pl.String,
    "payload": pl.Binary,
}

# The ledger's kind for lines whose type nothing tells.
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Block:
    """Whole lines of one origin.

    kind: what lines without a type are; None for a stream, where each line must say its type.
    origin: the file or subscription. first_line: the number of the first line, from 1; None where
    only its place in the file is known (`offset`, bytes). message_ids: of each line its message.
    """

    data: bytes
    kind: str | None
    origin: str
    first_line: int | None = 1
    offset: int = 0
    message_ids: tuple[str, ...] | None = None


@dataclass(frozen=True)
class DecodeSettings:
    """What decoding depends on besides the bytes: configuration, secret key, the arrival (us)."""

    config: Config
    key: bytes = field(repr=False)
    now_us: int

    def region(self, account: str) -> str:
        """The account's `default_region`."""
        return self.config.account(account).default_region


@dataclass
class Decoded:
    """What a block holds: tables with the columns of schemas/events.py, dead letters, counts.

    counts: by (kind, account or "", name), where name is read, accepted_before_duplicates,
    dead_letters, no_consent or dropped.<field>.
    """

    pageviews: pl.DataFrame
    engagements: pl.DataFrame
    calls: pl.DataFrame
    erasures: pl.DataFrame
    dead_letters: pl.DataFrame
    counts: Counter[tuple[str, str, str]]


def empty(kind: str) -> pl.DataFrame:
    """No events of a kind."""
    schema: Any = DECODED[kind]
    return pl.DataFrame(schema=schema)


def message_block(messages: list[tuple[str, bytes]], origin: str) -> Block:
    """Messages (id, data) of a subscription as one block; each may hold many lines."""
    ids = tuple(id_ for id_, data in messages for _ in range(data.count(b"\n") + 1))
    return Block(b"\n".join(data for _, data in messages), None, origin, None, 0, ids)
