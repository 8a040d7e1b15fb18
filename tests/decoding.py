"""Lines decoded in tests: good events of each kind, and what became of them."""

import hashlib
import json
from typing import Any

from schemas.config import parse_config
from schemas.events import DECODED
from transforms.decode import Block, Decoded, DecodeSettings, decode_block

Json = dict[str, Any]

KEY = b"k" * 32
SECOND = 1_000_000
TIME = 1_772_445_600 * SECOND  # 2026-03-02T10:00:00Z
NOW = TIME + 3600 * SECOND
CONFIG = parse_config({"accounts": {"us": {"default_region": "US"}}})
SETTINGS = DecodeSettings(CONFIG, KEY, NOW)

GOOD: dict[str, Json] = {
    "pageview": {"account": "shop", "visitor_id": "v", "time": TIME, "url": "https://a.dk/"},
    "engagement": {"account": "shop", "visitor_id": "v", "time": TIME, "kind": "click"},
    "call": {"account": "shop", "call_id": "c", "start": TIME, "b_number": "33123456"},
    "erasure": {"account": "shop", "time": TIME, "visitor_id": "v"},
}

BAD_TIMES = [
    "yesterday",
    "1772445600",
    "2026-03-02",
    "2026-03-02T10:00:00",
    "2026-03-02T10:00:00+0100",
    "2026-03-02T10:00:00+24:00",
    "2026-03-02T10:00:00+01:60",
    "2026-02-29T10:00:00Z",
    "2026-13-01T10:00:00Z",
    "2026-03-02T24:00:00Z",
    "2026-03-02T10:60:00Z",
    "2026-03-02T10:00:61Z",
    "2026-03-02T10:00:00.Z",
    "2026-03-02  10:00:00Z",
    "2026-03-02T10:00Z",
    "\uff12026-03-02T10:00:00Z",
    "1999-12-31T23:59:59.999999Z",
    "2100-01-01T00:00:00Z",
    "0000-00-00T00:00:00Z",
    0,
    -5,
    946_684_799,
    4_102_444_800,
    10**40,
    1e300,
]


def line(event: Json) -> bytes:
    """An event as JSON, in which a number can be larger than any float."""
    return json.dumps(event).replace("Infinity", "1e999").encode()


def read(kind: str | None, *lines: bytes | Json) -> Decoded:
    """Decodes lines of a file of a kind."""
    content = [each if isinstance(each, bytes) else line(each) for each in lines]
    return decode_block(Block(b"\n".join(content), kind, "events.jsonl"), SETTINGS)


def row(kind: str, /, **changes: Any) -> Json:
    """The one row of a good event with changes."""
    decoded = read(kind, GOOD[kind] | changes)
    assert decoded.dead_letters.is_empty(), decoded.dead_letters
    return getattr(decoded, f"{kind}s").row(0, named=True)


def dead(kind: str | None, content: bytes | Json) -> tuple[str, str | None]:
    """(code, field) of the one dead letter of a line."""
    decoded = read(kind, content)
    assert decoded.dead_letters.height == 1
    assert sum(getattr(decoded, f"{each}s").height for each in DECODED) == 0
    return decoded.dead_letters.select("code", "field").row(0)


def dropped(decoded: Decoded) -> dict[str, int]:
    return {
        name.removeprefix("dropped."): number
        for (_, _, name), number in decoded.counts.items()
        if name.startswith("dropped.")
    }


def drops(kind: str, /, **changes: Any) -> dict[str, int]:
    """By field the values dropped of a good event with changes, which is kept."""
    decoded = read(kind, GOOD[kind] | changes)
    assert decoded.dead_letters.is_empty()
    return dropped(decoded)


def kept_hash(canonical: str) -> int:
    """What is kept of the hash of an event with this canonical JSON."""
    return int(hashlib.sha256(canonical.encode()).hexdigest()[:16], 16)
