"""Templates: lines that differ only in their texts and integers, and how to learn one from a line.

A template is a line, read exactly, whose strings and integers are holes. Where no escapes and no
control characters stand in a line, every quote begins or ends a string; so a line with the same
pieces between the holes is the same object with other values: nothing is left to prove about it.
"""

import re
from dataclasses import dataclass
from typing import Any

from schemas.events import FIELDS, Field
from transforms.decode_event import event_kind
from transforms.decode_json import JSON_WHITESPACE, parse_object, trim

# The kinds of which there are enough events to read them by columns.
COLUMN_KINDS = ("pageview", "engagement", "call")

# An integer that holds in 64 bits and is written in the one usual way.
INTEGER = "(?:0|-?[1-9][0-9]{0,17})"
_INTEGER = re.compile(INTEGER)
_NUMBER = re.compile(r"-?[0-9][0-9.eE+-]*")

# What a field's value is made of: one hole, a list of holes, holes by name, or a truth.
Shape = int | list[int] | dict[str, int] | bool


class NoTemplateError(Exception):
    """The line has a value that templates do not cover."""


@dataclass(frozen=True)
class Template:
    """A line cut at its quotes: pieces by their place, so that the odd ones are strings.

    constants: the pieces that stay. strings: the holes that are strings. numbers: the pieces with
    an integer, as what is before and after it. shapes: what the fields are made of; a hole has the
    place of its piece.
    """

    kind: str
    constants: dict[int, str]
    strings: set[int]
    numbers: dict[int, tuple[str, str]]
    shapes: dict[str, Shape]

    def number_times(self) -> list[tuple[str, int]]:
        """The times that are numbers, and their holes."""
        names = [field.name for field in FIELDS[self.kind] if field.kind == "time"]
        return [(name, at) for name in names if (at := self.shapes.get(name)) in self.numbers]

    def inner_holes(self) -> list[int]:
        """The holes within lists and maps."""
        inner: list[int] = []
        for shape in self.shapes.values():
            if isinstance(shape, dict | list):
                inner += shape.values() if isinstance(shape, dict) else shape
        return inner

    def holes(self) -> list[int]:
        """The holes that fields are made of."""
        single = [shape for shape in self.shapes.values() if type(shape) is int]
        return single + self.inner_holes()


def learn(line: str, file_kind: str | None) -> Template:
    """The template of a line. Raises RejectedError or NoTemplateError where there is none.

    It has all required fields: a line without them becomes a dead letter.
    """
    pieces = line.split('"')
    numbers = _integers(pieces)
    holes = {at for at in range(1, len(pieces), 2) if not _is_name(pieces, at)}
    marked = list(pieces)
    for at in holes:
        marked[at] = str(at)
    for at, (before, after) in numbers.items():
        marked[at] = f'{before}"{at}"{after}'
    sent = parse_object('"'.join(marked).encode().rstrip(JSON_WHITESPACE))
    said = sent.get("type")
    if isinstance(said, str):
        sent["type"] = pieces[int(said)]
        holes.discard(int(said))
        numbers.pop(int(said), None)
    kind = event_kind(sent, file_kind)
    shapes = {field.name: _shape(field, sent.get(field.name)) for field in FIELDS[kind]}
    lacking = [field for field in FIELDS[kind] if field.required and shapes[field.name] is None]
    if kind not in COLUMN_KINDS or lacking:
        raise NoTemplateError
    return Template(
        kind,
        {at: text for at, text in enumerate(pieces) if at not in holes and at not in numbers},
        holes,
        numbers,
        {name: shape for name, shape in shapes.items() if shape is not None},
    )


def _is_name(pieces: list[str], at: int) -> bool:
    """Whether a string is a name: a colon follows."""
    return at + 1 < len(pieces) and pieces[at + 1].lstrip(" ").startswith(":")


def _integers(pieces: list[str]) -> dict[int, tuple[str, str]]:
    """The pieces between strings that hold one number, if it is an integer."""
    found = {}
    for at in range(0, len(pieces), 2):
        numbers = list(_NUMBER.finditer(pieces[at]))
        if len(numbers) == 1 and _INTEGER.fullmatch(numbers[0].group()):
            found[at] = (pieces[at][: numbers[0].start()], pieces[at][numbers[0].end() :])
    return found


def _shape(field: Field, marked: Any) -> Shape | None:
    """The shape of a value in which holes are marked by their places; None where it is absent."""
    if marked is None:
        return None
    if field.kind in ("text", "time", "number", "word") and isinstance(marked, str):
        return int(marked)
    if field.kind in ("texts", "phones"):
        items = marked if isinstance(marked, list) else [marked]
        return [_hole(item) for item in items if item is not None]
    if field.kind == "map" and isinstance(marked, dict):
        return _map_shape(marked)
    if field.kind == "truth" and isinstance(marked, bool):
        return marked
    if field.kind == "integer" and isinstance(marked, str) and int(marked) % 2 == 0:
        return int(marked)
    raise NoTemplateError


def _map_shape(marked: dict[str, Any]) -> dict[str, int] | None:
    names = [trim(name) for name in marked]
    if len(set(names)) < len(names):
        raise NoTemplateError
    holes = {
        trim(name): _hole(marked[name])
        for name in sorted(marked, key=trim)
        if trim(name) and marked[name] is not None
    }
    return holes or None


def _hole(marked: Any) -> int:
    if not isinstance(marked, str):
        raise NoTemplateError
    return int(marked)
