"""Tables as sent to tables as kept: consent, then people's values keyed (SPEC sections 3, 11)."""

from collections import Counter
from collections.abc import Callable

import polars as pl

from transforms.decode_block import DecodeSettings, empty
from transforms.numbers import describe_number, is_withheld, normalise_number
from transforms.privacy import caller_key, email_key
from transforms.urls import strip_click_ids

Counts = Counter[tuple[str, str, str]]
ANALYTICS = "analytics"
MARKETING = "marketing"


def protect(
    kind: str, sent: pl.DataFrame, settings: DecodeSettings, counts: Counts
) -> pl.DataFrame:
    """Rows of schema SENT as rows of DECODED, after consent.

    An empty list of consent is one that was given but says nothing usable. Counts what is
    accepted, no_consent and unusable entered numbers.
    """
    if "consent" in sent.columns:
        sent = _apply_consent(kind, sent, counts)
    if kind != "pageview":
        sent = _PROTECTORS[kind](sent, settings, counts)
    count_accounts(kind, "accepted_before_duplicates", sent["account"], counts)
    return sent.select(list(empty(kind).columns))


def count_accounts(kind: str, name: str, accounts: pl.Series, counts: Counts) -> None:
    """Adds one per row to the name's count of the row's account."""
    for account, number in accounts.value_counts().iter_rows():
        counts[kind, account or "", name] += number


def _apply_consent(kind: str, sent: pl.DataFrame, counts: Counts) -> pl.DataFrame:
    """Without `analytics` the event goes; without `marketing` what tells its advertiser goes."""
    if sent["consent"].null_count() == sent.height:
        return sent
    purposes = sent["consent"].list.eval(pl.element().str.to_lowercase())
    lacking = ~purposes.list.contains(ANALYTICS).fill_null(True)
    silent = ~purposes.list.contains(MARKETING).fill_null(True)
    count_accounts(kind, "no_consent", sent["account"].filter(lacking), counts)
    if kind == "pageview" and silent.any():
        sent = _without_marketing(sent, silent)
    return sent.filter(~lacking)


def _without_marketing(sent: pl.DataFrame, silent: pl.Series) -> pl.DataFrame:
    places = silent.arg_true()
    stripped = {
        name: sent[name].scatter(places, strip_click_ids(sent[name].gather(places)))
        for name in ("url", "referrer")
    }
    ids = pl.when(~silent).then("third_party_ids")
    return sent.with_columns(**stripped, third_party_ids=ids)


def _protect_entered(sent: pl.DataFrame, settings: DecodeSettings, counts: Counts) -> pl.DataFrame:
    """Adds phone_key, phone_masked, email_key of the columns phone and email."""
    kind = "engagement" if "kind" in sent.columns else "erasure"
    phones = _by_value(sent, "phone", settings, _describe_phone)
    unusable = sent["phone"].is_not_null() & phones["key"].is_null()
    count_accounts(kind, "dropped.fields", sent["account"].filter(unusable), counts)
    emails = _by_value(sent, "email", settings, _describe_email)
    return sent.with_columns(
        phones["key"].alias("phone_key"),
        phones["masked"].alias("phone_masked"),
        emails["key"].alias("email_key"),
    )


def _protect_calls(sent: pl.DataFrame, settings: DecodeSettings, counts: Counts) -> pl.DataFrame:
    """Adds the caller's columns, tracking_number and destination_number by direction."""
    outbound = pl.col("direction") == "outbound"
    sides = sent.with_columns(
        pl.when(outbound).then("b_number").otherwise("a_number").alias("caller"),
        pl.when(outbound).then("a_number").otherwise("b_number").alias("tracking"),
    )
    callers = _by_value(sides, "caller", settings, _describe_caller)
    return sent.with_columns(
        callers["key"].alias("caller_key"),
        callers["masked"].alias("caller_masked"),
        callers["country"].alias("caller_country"),
        _by_value(sides, "tracking", settings, _normalise)["number"].alias("tracking_number"),
        _by_value(sides, "c_number", settings, _normalise)["number"].alias("destination_number"),
    )


Describe = Callable[[str, str, DecodeSettings], dict[str, str | None]]
_NOTHING = dict.fromkeys(("key", "masked", "country", "number"))


def _by_value(
    sent: pl.DataFrame, name: str, settings: DecodeSettings, describe: Describe
) -> pl.DataFrame:
    """What `describe` says of each row's account and value; nulls where there is no value."""
    pairs = sent.select("account", pl.col(name).alias("value"))
    found = pairs.unique()
    described = [
        _NOTHING if value is None else _NOTHING | describe(account, value, settings)
        for account, value in found.iter_rows()
    ]
    table = pl.DataFrame(described, schema=dict.fromkeys(_NOTHING, pl.String), orient="row")
    return pairs.join(
        found.hstack(table),
        on=["account", "value"],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )


def _normalise(account: str, value: str, settings: DecodeSettings) -> dict[str, str | None]:
    region = settings.config.account(account).default_region
    return {"number": normalise_number(value, region)}


def _describe_phone(account: str, value: str, settings: DecodeSettings) -> dict[str, str | None]:
    number = _normalise(account, value, settings)["number"]
    if number is None:
        return {}
    masked, country = describe_number(number)
    key = caller_key(account, number, settings.key)
    return {"key": key, "masked": masked, "country": country}


def _describe_caller(account: str, value: str, settings: DecodeSettings) -> dict[str, str | None]:
    return {} if is_withheld(value) else _describe_phone(account, value, settings)


def _describe_email(account: str, value: str, settings: DecodeSettings) -> dict[str, str | None]:
    return {"key": email_key(account, value, settings.key)}


_PROTECTORS: dict[str, Callable[[pl.DataFrame, DecodeSettings, Counts], pl.DataFrame]] = {
    "engagement": _protect_entered,
    "call": _protect_calls,
    "erasure": _protect_entered,
}
