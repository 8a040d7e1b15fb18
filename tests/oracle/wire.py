"""One line of bytes to one JSON object, or the code that says why not (SPEC 3)."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MAX_BYTES = 1024 * 1024

# The characters with the Unicode property White_Space (not str.strip's set).
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)


class RejectedError(Exception):
    """The event cannot be used: a dead letter with this code and field."""

    def __init__(self, code: str, field: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.field = field


class Whole(int):
    """A JSON integer of any length that keeps its decimal digits."""

    text: str


def whole(text: str) -> Whole:
    """Read a JSON integer without the interpreter's limit on digits."""
    digits = text.lstrip("-")
    magnitude = 0
    for start in range(0, len(digits), 4000):
        chunk = digits[start : start + 4000]
        magnitude = magnitude * 10 ** len(chunk) + int(chunk)
    number = Whole(-magnitude if text.startswith("-") else magnitude)
    number.text = "0" if magnitude == 0 else text
    return number


def trim(text: str) -> str:
    """Strings are trimmed of Unicode white space (SPEC 3)."""
    return text.strip(WHITE_SPACE)


def is_blank(line: bytes) -> bool:
    """Blank lines are skipped and not counted (SPEC 3)."""
    return line.strip() == b""


def parse_line(line: bytes) -> Any:
    """`too_large`, `not_json`, else the JSON value (SPEC 3)."""
    if len(line.rstrip(b"\r\n")) > MAX_BYTES:
        raise RejectedError("too_large")
    try:
        value = json.loads(line.decode("utf-8"), parse_int=whole, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise RejectedError("not_json") from None
    if _has_lone_surrogate(value):
        raise RejectedError("not_json")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _has_lone_surrogate(value: Any) -> bool:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            todo.extend(item.keys())
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, str) and any("\ud800" <= char <= "\udfff" for char in item):
            return True
    return False


def canonical(value: Any) -> str:
    """Canonical JSON: keys by code point, no spaces, unescaped (SPEC 3)."""
    if isinstance(value, dict):
        parts = (f"{canonical(key)}:{canonical(value[key])}" for key in sorted(value))
        return "{" + ",".join(parts) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    if isinstance(value, Whole):
        return value.text
    return json.dumps(value, ensure_ascii=False)


def is_number(value: Any) -> bool:
    """A finite JSON number that a row can hold (true and false are none)."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False
