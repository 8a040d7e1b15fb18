"""Lines that fit templates, cut at their quotes into columns: the fast way (SPEC section 3)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from schemas.events import FIELDS
from transforms.decode_escapes import DOUBTFUL_ESCAPES, hide_escapes, show_escapes
from transforms.decode_json import RejectedError
from transforms.decode_lines import Lines
from transforms.decode_templates import INTEGER, NoTemplateError, Shape, Template, learn
from transforms.decode_times import FIRST, LAST, MILLISECONDS_BELOW, SECOND, SECONDS_BELOW

# A template that fits few lines costs more than it saves; so does a search for many of them.
_FEWEST_LINES = 64
_FEWEST_FITTING = 0.05
_MOST_TEMPLATES = 12
_MOST_FAILURES = 2


@dataclass(frozen=True)
class RawRows:
    """Rows of one kind as they were sent, trimmed; absent is null. `places`: their lines.

    By its field's kind a column is text: String; texts: List(String), empty where it was given but
    says nothing; map: PAIRS in the order of the names; truth: Boolean; integer: Int64. A column
    `<time>_number` (Int64, us) has the times that were numbers. is_plain: no text holds a quote, a
    backslash or a control character.
    """

    kind: str
    places: np.ndarray
    columns: pl.DataFrame
    is_plain: bool


def merged(raw: list[RawRows]) -> list[RawRows]:
    """The same rows, all that are alike together."""
    alike: dict[tuple[str, bool], list[RawRows]] = {}
    for rows in raw:
        alike.setdefault((rows.kind, rows.is_plain), []).append(rows)
    return [
        RawRows(
            kind,
            np.concatenate([rows.places for rows in group]),
            pl.concat([rows.columns for rows in group], how="diagonal", rechunk=True),
            is_plain,
        )
        for (kind, is_plain), group in alike.items()
    ]


def match_templates(lines: Lines, file_kind: str | None) -> tuple[list[RawRows], np.ndarray]:
    """The rows of the lines that fit a template, and the places of all other lines."""
    found: list[RawRows] = []
    is_open = np.ones(len(lines), bool)
    for places, is_plain in ((lines.plain, True), (lines.escaped, False)):
        if len(places) < _FEWEST_LINES:
            continue
        texts = lines.texts if len(places) == len(lines) else lines.texts.gather(places)
        pieces = _Pieces(texts if is_plain else hide_escapes(texts), is_plain)
        for kind, rows, columns in pieces.fit(file_kind):
            is_open[places[rows]] = False
            found.append(RawRows(kind, places[rows], columns, is_plain))
    return found, np.flatnonzero(is_open)


class _Pieces:
    """Lines cut at their quotes.

    flat: the pieces of all lines in one column. numbers: by line, of how many pieces it is;
    firsts: where they begin.
    """

    def __init__(self, texts: pl.Series, is_plain: bool) -> None:
        pieces = texts.str.split('"')
        self.texts = texts
        self.is_plain = is_plain
        self.flat = pieces.explode().alias("piece").to_frame()
        self.numbers = pieces.list.len().to_numpy().astype(np.int64)
        self.firsts = np.cumsum(self.numbers) - self.numbers

    def fit(self, file_kind: str | None) -> Iterator[tuple[str, np.ndarray, pl.DataFrame]]:
        """Kind, lines and columns of all lines that fit some template."""
        for number in np.unique(self.numbers):
            yield from self._fit_alike(np.flatnonzero(self.numbers == number), file_kind)

    def _fit_alike(
        self, rows: np.ndarray, file_kind: str | None
    ) -> Iterator[tuple[str, np.ndarray, pl.DataFrame]]:
        """Learns templates from lines of equally many pieces until few are left or none fit."""
        tries = failures = 0
        while len(rows) >= _FEWEST_LINES and tries < _MOST_TEMPLATES and failures < _MOST_FAILURES:
            tries += 1
            try:
                template = learn(self.texts[int(rows[0])], file_kind)
            except (NoTemplateError, RejectedError):
                failures += 1
                rows = rows[1:]
                continue
            fits, columns = self._fit(template, self.firsts[rows])
            failures += bool(fits.sum() < _FEWEST_FITTING * len(rows))
            yield template.kind, rows[fits], columns
            # The line it was learnt from may itself not fit: an escape of its can mean nothing.
            rows = rows[1:][~fits[1:]]

    def _fit(self, template: Template, firsts: np.ndarray) -> tuple[np.ndarray, pl.DataFrame]:
        """Which lines, given by the place of their first piece, fit; and the columns of those."""
        first = pl.lit(pl.Series(firsts, dtype=pl.UInt32))

        def piece(at: int) -> pl.Expr:
            """The piece of a place, of a number only its digits."""
            text = pl.col("piece").gather(first + at)
            before, after = template.numbers.get(at, ("", ""))
            return text.str.strip_prefix(before).str.strip_suffix(after) if before else text

        fits = [piece(at) == text for at, text in template.constants.items()]
        for at, (before, after) in template.numbers.items():
            fits.append(pl.col("piece").gather(first + at) == before + piece(at) + after)
            fits.append(piece(at).str.contains(f"^{INTEGER}$"))
        if not self.is_plain:
            unused = template.strings - set(template.holes())
            fits += [~piece(at).str.contains_any(DOUBTFUL_ESCAPES) for at in unused]
        found = self.flat.select(
            pl.all_horizontal(fits).alias("fits"),
            *(piece(at).alias(str(at)) for at in template.holes()),
        )
        texts = found.drop("fits")
        if not self.is_plain:
            texts = pl.DataFrame([show_escapes(column) for column in texts.get_columns()])
        texts = texts.select(pl.all().str.strip_chars())
        fitting = found["fits"] & texts.select(_are_usable(template)).to_series()
        columns = texts.select(**_columns(template, texts))
        if not fitting.all():
            columns = columns.filter(fitting)
        return fitting.to_numpy(), columns


def _are_usable(template: Template) -> pl.Expr:
    """Whether texts are texts, those within lists and maps not empty, and times in range.

    The rest is rare, and left to others.
    """
    usable = [pl.all().is_not_null()]
    usable += [pl.col(str(at)) != "" for at in template.inner_holes()]
    usable += [_micros(at).is_not_null() for _, at in template.number_times()]
    return pl.all_horizontal(usable)


def _columns(template: Template, texts: pl.DataFrame) -> dict[str, pl.Expr]:
    """The columns of the fields from those of the holes' texts."""
    number_times = dict(template.number_times())
    integers = {field.name for field in FIELDS[template.kind] if field.kind == "integer"}
    columns = {
        name: _column(shape, texts)
        for name, shape in template.shapes.items()
        if name not in number_times
    }
    columns |= {
        name: columns[name].cast(pl.Int64, strict=False) for name in integers & columns.keys()
    }
    columns |= {name: pl.lit(None, pl.String) for name in number_times}
    columns |= {f"{name}_number": _micros(at) for name, at in number_times.items()}
    return columns


def _column(shape: Shape, texts: pl.DataFrame) -> pl.Expr:
    if isinstance(shape, bool):
        return pl.lit(shape)
    if isinstance(shape, int):
        has_empty = (texts[str(shape)] == "").any()
        text = pl.col(str(shape))
        return pl.when(text != "").then(text) if has_empty else text
    if isinstance(shape, list):
        items = [pl.col(str(at)) for at in shape]
        return pl.concat_list(items) if items else pl.lit([], pl.List(pl.String))
    records = [
        pl.struct(pl.lit(name).alias("name"), pl.col(str(at)).alias("value"))
        for name, at in shape.items()
    ]
    return pl.concat_list(records)


def _micros(at: int) -> pl.Expr:
    """Microseconds of a column of integers, null where they are out of range."""
    number = pl.col(str(at)).cast(pl.Int64, strict=False)
    micros = (
        pl.when(number < SECONDS_BELOW)
        .then(number * SECOND)
        .when(number < MILLISECONDS_BELOW)
        .then(number * 1000)
        .otherwise(number)
    )
    return pl.when(number > 0, micros >= FIRST, micros < LAST).then(micros)
