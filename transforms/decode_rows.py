"""Exact events to tables of what was sent; consent and protection come after (SPEC section 3)."""

from collections.abc import Iterable
from typing import Any

import polars as pl
import pyarrow as pa

from schemas.events import DECODED
from transforms.decode_event import Event
from transforms.decode_json import Number
from transforms.numbers import normalise_number
from transforms.privacy import ip_prefix

# Columns that protection makes, by kind, and the columns as sent that it makes them of.
MADE = {
    "pageview": (),
    "engagement": ("phone_key", "phone_masked", "email_key"),
    "call": (
        "caller_key",
        "caller_masked",
        "caller_country",
        "tracking_number",
        "destination_number",
    ),
    "erasure": ("phone_key", "email_key"),
}
MADE_OF = {
    "pageview": (),
    "engagement": ("phone", "email"),
    "call": ("a_number", "b_number", "c_number"),
    "erasure": ("phone", "email"),
}
_DECODED: dict[str, dict[str, Any]] = dict(DECODED)  # type: ignore[arg-type]
SENT = {
    kind: {name: type_ for name, type_ in schema.items() if name not in MADE[kind]}
    | dict.fromkeys(MADE_OF[kind], pl.String)
    for kind, schema in _DECODED.items()
}

_ARROW = {
    kind: pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    for kind, schema in SENT.items()
}


def sent_table(kind: str, events: Iterable[tuple[Event, str]]) -> pl.DataFrame:
    """Events of a kind, each with its account's default region, as a table of schema SENT."""
    rows = [_sent_row(event, region) for event, region in events]
    # Arrow reads nested values of Python several times as fast as polars does.
    return pl.DataFrame(pl.from_arrow(pa.Table.from_pylist(rows, _ARROW[kind])))


def _sent_row(event: Event, region: str) -> dict[str, Any]:
    values = dict.fromkeys(SENT[event.kind]) | event.values
    if "hash" in values:
        values["hash"] = event.digest()
    if event.kind == "pageview":
        values |= _pageview(event.values, region)
    elif event.kind == "engagement":
        fields = event.values.get("fields", {})
        values |= {name: fields.get(name) for name in MADE_OF["engagement"]}
    elif event.kind == "call":
        values |= _call(event.values)
    if event.refused:
        values["consent"] = []
    return {name: values[name] for name in SENT[event.kind]}


def _pageview(values: dict[str, Any], region: str) -> dict[str, Any]:
    numbers = [normalise_number(written, region) for written in values.get("tracking_numbers", [])]
    return {
        "ip_prefix": ip_prefix(values["ip"]) if "ip" in values else None,
        "tracking_numbers": list(dict.fromkeys(numbers)) or None,
        "variants": pairs(values.get("variants")),
        "third_party_ids": pairs(values.get("third_party_ids")),
    }


def _call(values: dict[str, Any]) -> dict[str, Any]:
    outcome, quality = values.get("outcome", {}), values.get("quality", {})
    return {
        "direction": values.get("direction", "inbound"),
        "outcome_category": outcome.get("category"),
        "outcome_tags": outcome.get("tags"),
        "outcome_value": _float(outcome.get("value")),
        "outcome_currency": outcome.get("currency"),
        "mos": _float(quality.get("mos")),
        "sequence": values["sequence"].bounded() if "sequence" in values else 0,
    }


def pairs(values: dict[str, str] | None) -> list[dict[str, str]] | None:
    """A map as name/value records in the order of the names."""
    if not values:
        return None
    return [{"name": name, "value": values[name]} for name in sorted(values)]


def _float(number: Number | None) -> float | None:
    return None if number is None else float(number.text)
