"""Lines that differ only in their texts, split at their quotes: the fast way to columns.

A template is a line, read exactly, whose string values are holes. Where neither escapes nor control
characters stand in a line, every quote begins or ends a string; so a line with the same pieces
between the holes is the same object with other strings, and nothing is left to prove about it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from schemas.events import FIELDS, Field
from transforms.decode_event import event_kind
from transforms.decode_json import JSON_WHITESPACE, Number, Rejected, parse_object, trim
from transforms.decode_lines import Lines

# A template that fits few lines costs more than it saves; so does a search for many of them.
_FEWEST_LINES = 64
_FEWEST_FITTING = 0.05
_MOST_TEMPLATES = 12
_MOST_FAILURES = 2

# The kinds of which there are enough events to read them by columns.
COLUMN_KINDS = ("pageview", "engagement", "call")

# What a field's value is made of: one hole, a list of holes, holes by name, or a constant.
Shape = int | list[int] | dict[str, int] | bool | Number


class NoTemplate(Exception):
    """The line has a value that templates do not cover."""


@dataclass(frozen=True)
class Template:
    """A line's pieces by their place in it: what is constant, and what the fields are made of."""

    kind: str
    constants: dict[int, str]
    shapes: dict[str, Shape]

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


@dataclass(frozen=True)
class RawRows:
    """Rows of one kind as they were sent, trimmed; absent is null. `places`: their lines.

    By its field's kind a column is text: String; texts: List(String), empty where it was given but
    says nothing; map: PAIRS in the order of the names; truth: Boolean; integer: Int64. A column
    `<time>_number` (Int64, us) has the times that were numbers. Absent columns are null.
    """

    kind: str
    places: np.ndarray
    columns: pl.DataFrame


def merged(raw: list[RawRows]) -> list[RawRows]:
    """The same rows, all of one kind together."""
    by_kind: dict[str, list[RawRows]] = {}
    for rows in raw:
        by_kind.setdefault(rows.kind, []).append(rows)
    return [
        RawRows(
            kind,
            np.concatenate([rows.places for rows in group]),
            pl.concat([rows.columns for rows in group], how="diagonal", rechunk=True),
        )
        for kind, group in by_kind.items()
    ]


def match_templates(lines: Lines, file_kind: str | None) -> tuple[list[RawRows], np.ndarray]:
    """The rows of the lines that fit a template, and the places of all other lines."""
    found: list[RawRows] = []
    if lines.texts is None or len(lines.plain) < _FEWEST_LINES:
        return found, np.arange(len(lines))
    texts = lines.texts if len(lines.plain) == len(lines) else lines.texts.gather(lines.plain)
    pieces = texts.str.split('"')
    numbers = pieces.list.len().to_numpy().astype(np.int64)
    firsts = np.cumsum(numbers) - numbers
    flat = pieces.explode().alias("piece").to_frame()
    is_open = np.ones(len(lines), bool)
    for number in np.unique(numbers):
        rows = np.flatnonzero(numbers == number)
        for kind, fitting, columns in _fit_all(texts, flat, firsts, rows, file_kind):
            places = lines.plain[fitting]
            is_open[places] = False
            found.append(RawRows(kind, places, columns))
    return found, np.flatnonzero(is_open)


def _fit_all(
    texts: pl.Series, flat: pl.DataFrame, firsts: np.ndarray, rows: np.ndarray, file_kind: str | None
) -> Iterator[tuple[str, np.ndarray, pl.DataFrame]]:
    """Learns templates from rows of equally many pieces until few rows are left or none fit."""
    tries = failures = 0
    while len(rows) >= _FEWEST_LINES and tries < _MOST_TEMPLATES and failures < _MOST_FAILURES:
        tries += 1
        try:
            template = learn(texts[int(rows[0])], file_kind)
        except (NoTemplate, Rejected):
            failures += 1
            rows = rows[1:]
            continue
        fits, columns = _fit(template, flat, firsts[rows])
        failures += bool(fits.sum() < _FEWEST_FITTING * len(rows))
        yield template.kind, rows[fits], columns
        rows = rows[~fits]


def _fit(
    template: Template, flat: pl.DataFrame, firsts: np.ndarray
) -> tuple[np.ndarray, pl.DataFrame]:
    """Which rows, given by the place of their first piece, fit; and the columns of those."""
    first = pl.lit(pl.Series(firsts, dtype=pl.UInt32))
    holes = {at: pl.col("piece").gather(first + at).alias(str(at)) for at in template.holes()}
    fits = [pl.col("piece").gather(first + at) == text for at, text in template.constants.items()]
    found = flat.select(pl.all_horizontal(fits).alias("fits"), *holes.values())
    texts = found.select(pl.col(str(at)).str.strip_chars() for at in holes)
    is_fitting = found["fits"]
    for at in template.inner_holes():
        # An empty text within a list or map has to be left out: rare, and left to others.
        is_fitting &= texts[str(at)] != ""
    if not is_fitting.all():
        texts = texts.filter(is_fitting)
    columns = texts.select(
        _column(shape, texts).alias(name) for name, shape in template.shapes.items()
    )
    return is_fitting.to_numpy(), columns


def _column(shape: Shape, texts: pl.DataFrame) -> pl.Expr:
    """The column of a shape from the columns of the holes' texts."""
    if isinstance(shape, bool):
        return pl.lit(shape)
    if isinstance(shape, int):
        has_empty = (texts[str(shape)] == "").any()
        text = pl.col(str(shape))
        return pl.when(text != "").then(text) if has_empty else text
    if isinstance(shape, Number):
        return pl.lit(shape.bounded(), pl.Int64)
    if isinstance(shape, list):
        items = [pl.col(str(at)) for at in shape]
        return pl.concat_list(items) if items else pl.lit([], pl.List(pl.String))
    records = [
        pl.struct(pl.lit(name).alias("name"), pl.col(str(at)).alias("value"))
        for name, at in shape.items()
    ]
    return pl.concat_list(records)


# --- learning ----------------------------------------------------------------------------------


def learn(line: str, file_kind: str | None) -> Template:
    """The template of a plain line. Raises Rejected or NoTemplate where there is none.

    It has all required fields: a line without them becomes a dead letter.
    """
    pieces = line.split('"')
    holes = [at for at in range(1, len(pieces), 2) if not _is_name(pieces, at)]
    marked = list(pieces)
    for hole in holes:
        marked[hole] = str(hole)
    sent = parse_object('"'.join(marked).encode().strip(JSON_WHITESPACE))
    said = sent.get("type")
    if isinstance(said, str):
        sent["type"] = pieces[int(said)]
        holes.remove(int(said))
    kind = event_kind(sent, file_kind)
    shapes = {field.name: _shape(field, sent.get(field.name)) for field in FIELDS[kind]}
    lacking = [field for field in FIELDS[kind] if field.required and shapes[field.name] is None]
    if kind not in COLUMN_KINDS or lacking:
        raise NoTemplate
    constants = {at: text for at, text in enumerate(pieces) if at not in holes}
    return Template(
        kind, constants, {name: shape for name, shape in shapes.items() if shape is not None}
    )


def _is_name(pieces: list[str], at: int) -> bool:
    """Whether a string is a name: a colon follows."""
    return at + 1 < len(pieces) and pieces[at + 1].lstrip(" ").startswith(":")


def _shape(field: Field, marked: Any) -> Shape | None:
    """The shape of a value whose strings are the numbers of holes; None where it is absent."""
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
    if field.kind == "integer" and isinstance(marked, Number) and marked.is_integer:
        if str(marked.bounded()) == marked.text:
            return marked
    raise NoTemplate


def _map_shape(marked: dict[str, Any]) -> dict[str, int] | None:
    names = [trim(name) for name in marked]
    if len(set(names)) < len(names):
        raise NoTemplate
    holes = {
        trim(name): _hole(marked[name])
        for name in sorted(marked, key=trim)
        if trim(name) and marked[name] is not None
    }
    return holes or None


def _hole(marked: Any) -> int:
    if not isinstance(marked, str):
        raise NoTemplate
    return int(marked)
