"""Dead letters: lines that cannot be used, as rows that hold nothing readable (SPEC 3 and 11)."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from transforms.decode_block import DEAD_LETTERS, Block, DecodeSettings
from transforms.decode_json import MAX_BYTES
from transforms.privacy import content_id, encrypt_payload
from transforms.reading import lines_before


@dataclass
class DeadLetter:
    """Why a line (its place in the block, from 0) cannot be used, and what is known of it.

    kind: what the line says, else its file's. time: microseconds.
    """

    place: int
    payload: bytes
    code: str = ""
    field: str | None = None
    kind: str | None = None
    account: str | None = None
    time: int | None = None


def dead_letter_table(
    dead: Sequence[DeadLetter], block: Block, settings: DecodeSettings
) -> pl.DataFrame:
    """The rows of dead letters; of a line that is too large the payload is its beginning.

    The id goes by the place: the same line of the same file or message has it again.
    """
    if not dead:
        return pl.DataFrame(schema=DEAD_LETTERS)
    first = block.first_line
    if first is None and block.message_ids is None:
        first = lines_before(block.origin, block.offset) + 1
    messages = block.message_ids or ()
    begins = {id_: place for place, id_ in reversed(tuple(enumerate(messages)))}
    rows = []
    for letter in dead:
        message = messages[letter.place] if messages else None
        place = letter.place + (first or 1) if message is None else letter.place - begins[message]
        rows.append(_row(letter, block.origin, message, place, settings))
    return pl.DataFrame(rows, schema=DEAD_LETTERS, orient="row")


def _row(
    letter: DeadLetter, origin: str, message: str | None, place: int, settings: DecodeSettings
) -> dict[str, object]:
    """place: the line of the file, or the line of the message, from 0."""
    payload = encrypt_payload(letter.payload[:MAX_BYTES], settings.key)
    parts = (origin, message or "", str(place))
    return {
        "account": letter.account,
        "dead_letter_id": content_id(*(part.encode() for part in parts), payload),
        "received_at": settings.now_us,
        "code": letter.code,
        "field": letter.field,
        "event_type": letter.kind,
        "event_time": letter.time,
        "origin": origin,
        "line": place if message is None else None,
        "message_id": message,
        "payload": payload,
    }
