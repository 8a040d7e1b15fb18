"""The GA4 default channel group of a source, medium and campaign (SPEC section 6).

The rules are a table in `schemas/rules/channels.json`. What they ask of a field is answered once
for each of its distinct values; the rules themselves are then plain logic over columns.
"""

import functools
from collections.abc import Mapping

import polars as pl

from schemas.rules import ChannelRule, Condition, channels, referrers
from transforms.columns import per_value

# The category of a source that a referrer list found, where the published table lacks the source.
_CATEGORY_OF_RULE = {"search": "search", "social": "social", "ai": "ai"}

_FIELDS = ("source", "medium", "campaign", "category")


def source_categories(sources: pl.Series) -> pl.Series:
    """`search`, `social`, `shopping` or `video` by the published table, null where it lacks it."""
    return per_value(sources, _categories)["category"]


def classify_channels(visits: pl.DataFrame) -> pl.Series:
    """The channel of each row, by columns `source`, `medium`, `campaign` and `source_rule`.

    All may be null, `source_rule` may be left out; a row without a source has no channel.
    """
    fields = visits.with_columns(category=source_categories(visits["source"]))
    if "source_rule" in visits.columns:
        by_rule = _mapped(visits["source_rule"], _CATEGORY_OF_RULE)
        fields = fields.with_columns(pl.col("category").fill_null(by_rule))
    answers = [
        per_value(fields[field], functools.partial(_answers, conditions=conditions))
        for field, conditions in _conditions().items()
    ]
    rules = channels().rules
    first = pl.lit(len(rules))
    for place in reversed(range(len(rules))):
        first = pl.when(_applies(rules[place])).then(place).otherwise(first)
    found = pl.concat(answers, how="horizontal").select(first.cast(pl.UInt32)).to_series()
    names = pl.Series("channel", [rule.channel for rule in rules])
    return names.gather(found.set(visits["source"].is_null(), None))


def _mapped(values: pl.Series, table: Mapping[str, str]) -> pl.Series:
    return values.replace_strict(table, default=None, return_dtype=pl.String)


def _categories(sources: pl.Series) -> pl.DataFrame:
    lower = sources.str.to_lowercase()
    table = channels().categories
    exact, plain = _mapped(lower, table), _mapped(lower.str.strip_prefix("www."), table)
    return pl.DataFrame({"category": exact.zip_with(exact.is_not_null(), plain)})


@functools.cache
def _conditions() -> dict[str, list[Condition]]:
    """What the rules ask of each field, every question once."""
    asked = {
        condition: None
        for rule in channels().rules
        for alternative in rule.alternatives
        for condition in alternative
    }
    return {
        field: [condition for condition in asked if condition.field == field] for field in _FIELDS
    }


def _answers(values: pl.Series, conditions: list[Condition]) -> pl.DataFrame:
    """A column for each condition: whether it holds. No value is an empty one."""
    lower = values.fill_null("").str.to_lowercase()
    return pl.DataFrame({str(condition): _holds(lower, condition) for condition in conditions})


def _holds(lower: pl.Series, condition: Condition) -> pl.Series:
    match condition.operator, condition.value:
        case "in", tuple(values):
            return lower.is_in(values)
        case "contains", str(text):
            return lower.str.contains(text, literal=True)
        case "ends_with", str(text):
            return lower.str.ends_with(text)
        case "matches", str(name):
            return lower.str.contains(channels().patterns[name])
        case "listed", "ai":
            return lower.is_in(_assistants())
    raise ValueError(f"a channel rule asks what is unknown: {condition}")


@functools.cache
def _assistants() -> list[str]:
    """Names and hosts of AI assistants; an entry with a path names a page, not a host."""
    sites = referrers().ai
    hosts = [url for site in sites for url in site.urls if "/" not in url]
    return [site.name for site in sites] + hosts


def _applies(rule: ChannelRule) -> pl.Expr:
    alternatives = [
        pl.all_horizontal(pl.lit(True), *(pl.col(str(condition)) for condition in alternative))
        for alternative in rule.alternatives
    ]
    return pl.any_horizontal(alternatives)
