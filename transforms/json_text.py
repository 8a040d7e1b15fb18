"""Columns to JSON text, as json.dumps writes it without spaces and ASCII escapes (SPEC 3)."""

import polars as pl

# What stands for itself in no JSON string, and how the standard library writes it.
_ESCAPES = {chr(code): f"\\u{code:04x}" for code in range(0x20)} | {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\f": "\\f",
    "\b": "\\b",
}
_NEEDS_ESCAPE = r'["\\\x00-\x1f]'


def escaped(texts: pl.Series) -> pl.Series:
    """Texts as they stand between the quotes of a JSON string."""
    places = texts.str.contains(_NEEDS_ESCAPE).arg_true()
    if places.is_empty():
        return texts
    replaced = texts.gather(places).str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))
    return texts.clone().scatter(places, replaced)  # scatter changes its series


def quoted(texts: pl.Series) -> pl.Series:
    """Texts as JSON strings."""
    return '"' + escaped(texts) + '"'


def json_text(column: pl.Series, is_map: bool = False) -> pl.Series:
    """Each value as JSON, null where it is null or a number that JSON does not have.

    Timestamps become RFC 3339 text in UTC, maps objects. is_map: the column is a list of key and
    value that is to be one too. A value of a type that JSON does not have becomes an empty object.
    """
    kind = column.dtype
    if isinstance(kind, pl.Map):
        return json_text(column.map.entries(), is_map=True)
    if isinstance(kind, pl.List):
        item = pl.element().map_batches(
            _entry if is_map else _item, return_dtype=pl.String, is_elementwise=True
        )
        items = column.list.eval(item).list.join(",")
        return "{" + items + "}" if is_map else "[" + items + "]"
    if isinstance(kind, pl.Struct):
        return _object(column)
    return _scalar(column)


def _scalar(column: pl.Series) -> pl.Series:
    kind = column.dtype
    if isinstance(kind, pl.Datetime):
        return column.dt.convert_time_zone("UTC").dt.strftime('"%Y-%m-%dT%H:%M:%S%.9fZ"')
    if kind.is_float():
        return column.cast(pl.String).set(~column.is_finite(), None)
    if kind.is_numeric() or kind in (pl.Boolean, pl.Null):
        return column.cast(pl.String)
    if kind in (pl.String, pl.Categorical, pl.Enum):
        return quoted(column.cast(pl.String))
    return column.is_null().replace_strict({True: None, False: "{}"}, return_dtype=pl.String)


def _item(items: pl.Series) -> pl.Series:
    return json_text(items).fill_null("null")


def _entry(entries: pl.Series) -> pl.Series:
    key, value = entries.struct.unnest().get_columns()
    return quoted(key.cast(pl.String)) + ":" + _item(value)


def _object(records: pl.Series) -> pl.Series:
    fields = records.struct.unnest()
    return pl.select(pl.when(records.is_not_null()).then(object_text(fields))).to_series()


def object_text(fields: pl.DataFrame) -> pl.Series:
    """Each row as a JSON object without its nulls."""
    names = pl.Series(fields.columns, dtype=pl.String)
    pairs = [
        name + ":" + json_text(column)
        for name, column in zip(quoted(names), fields.get_columns(), strict=True)
    ]
    joined = pl.select(pl.concat_str(pairs, separator=",", ignore_nulls=True)).to_series()
    return "{" + joined + "}"
