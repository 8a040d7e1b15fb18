"""One line of bytes to one JSON object, exactly, and back to canonical JSON (SPEC section 3)."""

import json
import re
from typing import Any, NoReturn

import msgspec

MAX_BYTES = 1 << 20
# Deeper nesting is not read: parsers recurse, and how deep they can depends on who called them.
MAX_DEPTH = 500

JSON_WHITESPACE = b" \t\n\r"
# The characters with the Unicode property White_Space, which is not the set of str.strip.
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(code) for code in range(0x2000, 0x200B)
)

_INT64 = range(-(1 << 63), 1 << 63)
_INT64_CHARS = 20

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_PAIRED = re.compile(
    r"(?:[^\\]++|\\[^u]|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u(?![dD][89a-fA-F])....)*+",
    re.DOTALL,
)


class Number(msgspec.Struct, frozen=True):
    """A JSON number as it was written."""

    text: str

    @property
    def is_integer(self) -> bool:
        """True without fraction and exponent."""
        return self.text.lstrip("-").isdecimal()

    def bounded(self) -> int:
        """An integer, or the 64-bit one that is nearest to it."""
        if len(self.text) > _INT64_CHARS:  # to convert so many digits could take long
            return _INT64.start if self.text.startswith("-") else _INT64.stop - 1
        return min(max(int(self.text), _INT64.start), _INT64.stop - 1)


class RejectedError(Exception):
    """The event becomes a dead letter of this code; field is the one at fault, where one is."""

    def __init__(self, code: str, field: str | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.field = field


def _number(text: str) -> Number:
    return Number("0" if text == "-0" else text)


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_float=_number, parse_int=_number, parse_constant=_refuse)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def parse_object(line: bytes) -> dict[str, Any]:
    """The object of a line without white space after it; its numbers are `Number`s.

    Of keys that come twice the last counts. Raises RejectedError: too_large, not_json, not_object.
    """
    if len(line) > MAX_BYTES:
        raise RejectedError("too_large")
    try:
        text = line.decode()
        if _too_deep(text) or _has_lone_surrogate(text):
            raise RejectedError("not_json")
        value = _DECODER.decode(text)
    except (ValueError, RecursionError):
        raise RejectedError("not_json") from None
    if not isinstance(value, dict):
        raise RejectedError("not_object")
    return value


def _too_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _has_lone_surrogate(text: str) -> bool:
    """True where an escape is half of a pair: no character, and not to be written as UTF-8."""
    return "\\u" in text and _PAIRED.fullmatch(text) is None


def trim(text: str) -> str:
    """Without the white space around it."""
    return text.strip(WHITE_SPACE)


def canonical_json(value: Any) -> str:
    """Canonical JSON: keys sorted by code point, no spaces, unescaped, numbers as written."""
    if isinstance(value, Number):
        return value.text
    try:
        return _ENCODER.encode(value)
    except TypeError:  # it does not know Number
        pairs = (f"{canonical_json(key)}:{canonical_json(value[key])}" for key in sorted(value))
        return "{" + ",".join(pairs) + "}"
