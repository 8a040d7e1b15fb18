"""Escapes in JSON strings: hidden while lines are cut at their quotes, resolved after."""

import json

import polars as pl

# Characters that stand for an escape's beginning: no line that is looked at has them itself.
_HIDDEN = {
    "\\\\": "\x01",
    '\\"': "\x02",
    "\\b": "\x03",
    "\\f": "\x04",
    "\\n": "\x05",
    "\\r": "\x06",
    "\\t": "\x07",
    "\\u": "\x08",
}
# What may mean nothing: a code that is half a character, or a backslash before no escape.
_ALL = [*_HIDDEN.values(), "\\"]
DOUBTFUL_ESCAPES = [_HIDDEN["\\u"], "\\"]
_SHOWN = str.maketrans({hidden: escape for escape, hidden in _HIDDEN.items()})


def hide_escapes(lines: pl.Series) -> pl.Series:
    """Lines without control characters, their escapes hidden: quotes that are left end strings.

    A backslash that is left belongs to no escape.
    """
    patterns = [*_HIDDEN, "\\/"]
    return lines.str.replace_many(patterns, [*_HIDDEN.values(), "/"])


def show_escapes(texts: pl.Series) -> pl.Series:
    """What strings with hidden escapes mean; null where it is no text."""
    places = texts.str.contains_any(_ALL).arg_true()
    if places.is_empty():
        return texts
    found = texts.gather(places)
    known = {text: _meaning(text) for text in found.unique().drop_nulls()}
    meant = found.replace_strict(known, return_dtype=pl.String, default=None)
    return texts.clone().scatter(places, meant)  # scatter changes its series


def _meaning(text: str) -> str | None:
    try:
        meaning: str = json.loads(f'"{text.translate(_SHOWN)}"')
        meaning.encode()
    except ValueError:  # no escape, or half of a surrogate pair
        return None
    return meaning
