"""Raw rows to the table of what was sent, column by column, as far as nothing is doubtful.

What this cannot settle at a glance (a malformed value, a time in an unusual layout) it leaves to
transforms.decode_event, so that each rule of SPEC section 3 is decided in one place.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from schemas.events import FIELDS, Field
from transforms.decode_block import DecodeSettings
from transforms.decode_canonical import content_hashes
from transforms.decode_event import AHEAD
from transforms.decode_fitting import RawRows
from transforms.decode_rows import MADE_OF, SENT
from transforms.decode_time_columns import times_of_texts
from transforms.numbers import is_withheld, normalise_number
from transforms.privacy import ip_prefix

_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"^(?:{_OCTET}\.){{3}}{_OCTET}$"
_DEFAULTS: dict[str, str | int] = {"direction": "inbound", "sequence": 0}

Columns = dict[str, pl.Series]


@dataclass
class _Rows:
    """Rows being read: normalised values by field, what is made of them, which are doubtful."""

    raw: pl.DataFrame
    settings: DecodeSettings
    values: Columns = field(default_factory=dict)
    made: Columns = field(default_factory=dict)
    doubts: list[pl.Series] = field(default_factory=list)


def sent_columns(raw: RawRows, settings: DecodeSettings) -> tuple[pl.DataFrame, np.ndarray]:
    """A table of schema SENT, and the places of the rows that are not in it."""
    rows = _Rows(raw.columns, settings)
    for field_ in FIELDS[raw.kind]:
        if field_.name in raw.columns.columns:
            _READERS[field_.kind](rows, field_)
        if field_.required:
            rows.doubts.append(rows.values[field_.name].is_null())
    _doubt_order(rows)
    clear = ~pl.select(pl.any_horizontal(rows.doubts).fill_null(False)).to_series()
    values, made = _filtered(rows.values, clear), _filtered(rows.made, clear)
    hashes = content_hashes(raw.kind, pl.DataFrame(values), raw.is_plain)
    sent = _as_sent(raw.kind, values | made | {"hash": hashes})
    return sent, raw.places[~clear.to_numpy()]


def _filtered(columns: Columns, wanted: pl.Series) -> Columns:
    if wanted.all():
        return columns
    return {name: column.filter(wanted) for name, column in columns.items()}


def _as_sent(kind: str, columns: Columns) -> pl.DataFrame:
    """The columns in the order and with the types of SENT, nulls for those that no row has."""
    height = len(columns["hash"])
    sent = {
        name: columns[name]
        if name in columns
        else pl.Series([None], dtype=type_).new_from_index(0, height)
        for name, type_ in SENT[kind].items()
    }
    defaults = [pl.col(name).fill_null(_DEFAULTS[name]) for name in _DEFAULTS if name in sent]
    return pl.DataFrame(sent).with_columns(defaults)


def _doubt_order(rows: _Rows) -> None:
    """A call whose times are not in their order loses one of them, or is a dead letter."""
    for earlier, later in (("start", "end"), ("ring", "answer"), ("answer", "end")):
        if earlier in rows.values and later in rows.values:
            rows.doubts.append(rows.values[earlier] > rows.values[later])


# --- fields, by their kind ---------------------------------------------------------------------


def _read_text(rows: _Rows, field_: Field) -> None:
    texts = rows.raw[field_.name]
    rows.values[field_.name] = texts
    if field_.name == "ip":
        prefixes = ip_prefixes(texts)
        rows.made["ip_prefix"] = prefixes
        rows.doubts.append(texts.is_not_null() & prefixes.is_null())


def ip_prefixes(addresses: pl.Series) -> pl.Series:
    """transforms.privacy.ip_prefix of each address."""
    prefixes = addresses.str.strip_chars_end("0123456789") + "0/24"
    others = (~addresses.str.contains(_IPV4)).arg_true()
    if others.is_empty():
        return prefixes
    return prefixes.scatter(others, _by_value(addresses.gather(others), ip_prefix))


def _by_value(texts: pl.Series, function: Callable[[str], str | None]) -> pl.Series:
    """A function of each text, called once for each distinct one."""
    known = {text: function(text) for text in texts.unique().drop_nulls()}
    return texts.replace_strict(known, return_dtype=pl.String, default=None)


def _read_time(rows: _Rows, field_: Field) -> None:
    texts = rows.raw[field_.name]
    times = times_of_texts(texts)
    rows.doubts.append(texts.is_not_null() & times.is_null())
    if f"{field_.name}_number" in rows.raw.columns:
        times = times.zip_with(texts.is_not_null(), rows.raw[f"{field_.name}_number"])
    if field_.required:
        rows.doubts.append(times > rows.settings.now_us + AHEAD)
    rows.values[field_.name] = times


def _read_number(rows: _Rows, field_: Field) -> None:
    written = rows.raw[field_.name]
    rows.values[field_.name] = written
    usable = normalised(written, rows.raw["account"], rows.settings).is_not_null()
    if field_.name == "a_number":
        others = written.filter(~usable).unique().drop_nulls()
        usable |= written.is_in([text for text in others if is_withheld(text)])
    rows.doubts.append(written.is_not_null() & ~usable)


def normalised(written: pl.Series, accounts: pl.Series, settings: DecodeSettings) -> pl.Series:
    """Numbers normalised with the region of their row's account; null where unusable."""
    # What begins with a country code that exists is the same in every region.
    if all(
        text[:1] == "+" and normalise_number(text, "") == text
        for text in written.unique().drop_nulls()
    ):
        return written
    regions = {name: settings.region(name) for name in accounts.unique().drop_nulls()}
    region = accounts.replace_strict(regions, return_dtype=pl.String, default=None)
    numbers = written.clone()  # scatter changes its series
    for name in set(regions.values()):
        places = (region == name).arg_true()
        numbers = numbers.scatter(places, _by_value(written.gather(places), _normaliser(name)))
    return numbers


def _normaliser(region: str) -> Callable[[str], str | None]:
    return lambda text: normalise_number(text, region)


def _read_phones(rows: _Rows, field_: Field) -> None:
    written = rows.raw[field_.name]
    rows.values[field_.name] = written
    items = (
        pl.DataFrame({"item": written, "account": rows.raw["account"]})
        .with_row_index("row")
        .explode("item")
        .drop_nulls("item")
    )
    numbers = normalised(items["item"], items["account"], rows.settings)
    unusable = items["row"].filter(numbers.is_null())
    rows.doubts.append(_at(unusable, len(written)))
    rows.made[field_.name] = _regrouped(numbers, items["row"], written)


def _at(places: pl.Series, height: int) -> pl.Series:
    """True at these places, false at all others."""
    there = np.zeros(height, bool)
    there[places.to_numpy()] = True
    return pl.Series(there)


def _regrouped(items: pl.Series, rows: pl.Series, lists: pl.Series) -> pl.Series:
    """Items as the lists they came from, each once; null for a list without any."""
    if len(items) == len(lists) and rows.n_unique() == len(lists):
        return items.reshape((-1, 1)).cast(pl.List(pl.String))
    grouped = (
        pl.DataFrame({"row": rows, "item": items})
        .group_by("row", maintain_order=True)
        .agg(pl.col("item").unique(maintain_order=True))
    )
    places = pl.DataFrame({"row": pl.Series(range(len(lists)), dtype=rows.dtype)})
    return places.join(grouped, on="row", how="left", maintain_order="left")["item"]


def _read_word(rows: _Rows, field_: Field) -> None:
    words = rows.raw[field_.name].str.to_lowercase()
    rows.values[field_.name] = words
    rows.doubts.append(~words.is_in(field_.words))


def _read_as_is(rows: _Rows, field_: Field) -> None:
    rows.values[field_.name] = rows.raw[field_.name]


def _read_map(rows: _Rows, field_: Field) -> None:
    pairs = rows.raw[field_.name]
    rows.values[field_.name] = pairs
    if field_.name == "fields":
        for name in MADE_OF["engagement"]:
            rows.made[name] = _of_name(pairs, name)


def _of_name(pairs: pl.Series, name: str) -> pl.Series:
    """The value of a name in a column of PAIRS."""
    has_name = pl.element().struct.field("name") == name
    chosen = pl.element().filter(has_name).struct.field("value")
    return pairs.list.eval(chosen).list.first()


_READERS: dict[str, Callable[[_Rows, Field], None]] = {
    "text": _read_text,
    "time": _read_time,
    "number": _read_number,
    "word": _read_word,
    "texts": _read_as_is,
    "phones": _read_phones,
    "map": _read_map,
    "truth": _read_as_is,
    "integer": _read_as_is,
}
