"""Input events: the fields of SPEC section 3 as data, and the tables that they become."""

from dataclasses import dataclass

import polars as pl

PAIRS = pl.List(pl.Struct({"name": pl.String, "value": pl.String}))


@dataclass(frozen=True)
class Field:
    """One field of an input event.

    kind is what its value must be: text, time, number (a phone number), word (one of `words`),
    texts (string or list of strings), phones (the same, of phone numbers), map (object name ->
    string), truth (boolean), integer, outcome or quality (objects of known fields).
    """

    name: str
    kind: str = "text"
    required: bool = False
    words: tuple[str, ...] = ()


CONSENT = Field("consent", "texts")
VISIT_FIELDS = (
    Field("account", required=True),
    Field("visitor_id", required=True),
    Field("time", "time", required=True),
)
PAGEVIEW_FIELDS = (
    *VISIT_FIELDS,
    Field("url", required=True),
    Field("session_id"),
    Field("event_id"),
    Field("referrer"),
    Field("title"),
    Field("page_name"),
    Field("user_agent"),
    Field("ip"),
    Field("tracking_numbers", "phones"),
    Field("third_party_ids", "map"),
    CONSENT,
    Field("variants", "map"),
)
ENGAGEMENT_FIELDS = (
    *VISIT_FIELDS,
    Field("kind", "word", required=True, words=("click", "close", "action")),
    Field("session_id"),
    Field("event_id"),
    Field("name"),
    Field("fields", "map"),
    Field("callback_requested", "truth"),
    CONSENT,
)
CALL_FIELDS = (
    Field("account", required=True),
    Field("call_id", required=True),
    Field("start", "time", required=True),
    Field("b_number", "number", required=True),
    Field("ring", "time"),
    Field("answer", "time"),
    Field("end", "time"),
    Field("a_number", "number"),
    Field("c_number", "number"),
    Field("direction", "word", words=("inbound", "outbound")),
    Field(
        "status",
        "word",
        words=("answered", "missed", "abandoned", "busy", "failed", "voicemail"),
    ),
    Field("session_id"),
    Field("outcome", "outcome"),
    Field("quality", "quality"),
    Field("sequence", "integer"),
)
ERASURE_FIELDS = (
    Field("account", required=True),
    Field("time", "time", required=True),
    Field("visitor_id"),
    Field("phone", "number"),
    Field("email"),
    Field("request_id"),
)
FIELDS = {
    "pageview": PAGEVIEW_FIELDS,
    "engagement": ENGAGEMENT_FIELDS,
    "call": CALL_FIELDS,
    "erasure": ERASURE_FIELDS,
}

# What decoding leaves of an event: times in UTC microseconds, `hash` the first 64 bits of the
# event's SHA-256 as a number (as ordered as the digest), people's numbers and addresses keyed.
VISIT = {
    "account": pl.String,
    "visitor_id": pl.String,
    "time": pl.Int64,
    "event_id": pl.String,
    "hash": pl.UInt64,
    "session_id": pl.String,
}
PAGEVIEWS = VISIT | {
    "url": pl.String,
    "referrer": pl.String,
    "title": pl.String,
    "page_name": pl.String,
    "user_agent": pl.String,
    "ip_prefix": pl.String,
    "tracking_numbers": pl.List(pl.String),
    "consent": pl.List(pl.String),
    "variants": PAIRS,
    "third_party_ids": PAIRS,
}
ENGAGEMENTS = VISIT | {
    "kind": pl.String,
    "name": pl.String,
    "phone_key": pl.String,
    "phone_masked": pl.String,
    "email_key": pl.String,
    "callback_requested": pl.Boolean,
    "consent": pl.List(pl.String),
}
CALLS = {
    "account": pl.String,
    "call_id": pl.String,
    "start": pl.Int64,
    "ring": pl.Int64,
    "answer": pl.Int64,
    "end": pl.Int64,
    "direction": pl.String,
    "status": pl.String,
    "caller_key": pl.String,
    "caller_masked": pl.String,
    "caller_country": pl.String,
    "tracking_number": pl.String,
    "destination_number": pl.String,
    "session_id": pl.String,
    "outcome_category": pl.String,
    "outcome_tags": pl.List(pl.String),
    "outcome_value": pl.Float64,
    "outcome_currency": pl.String,
    "mos": pl.Float64,
    "sequence": pl.Int64,
    "hash": pl.UInt64,
}
ERASURES = {
    "account": pl.String,
    "time": pl.Int64,
    "visitor_id": pl.String,
    "phone_key": pl.String,
    "email_key": pl.String,
    "request_id": pl.String,
}
DECODED = {
    "pageview": PAGEVIEWS,
    "engagement": ENGAGEMENTS,
    "call": CALLS,
    "erasure": ERASURES,
}
