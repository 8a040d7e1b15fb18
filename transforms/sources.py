"""Source, medium, campaign, keyword, content and channel of visits (SPEC section 6).

Decided from the URL and the referrer of a visit's entry page alone, over whole columns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from schemas.rules import ClickId, click_ids
from transforms.channels import classify_channels, source_categories
from transforms.columns import by_row, lists_by_row, per_value, replaced
from transforms.referrers import identify_referrers
from transforms.urls import (
    CAMPAIGN_PREFIX,
    cleaned,
    first_values,
    hosts,
    kept_parameters,
    origins,
    spelled_parameters,
    split_urls,
    written_parameters,
)

COLUMNS = (
    "source",
    "medium",
    "campaign",
    "keyword",
    "content",
    "channel",
    "source_rule",
    "click_ids",
    "landing_url",
    "referrer",
)

_CAMPAIGN_NAMES = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")


@dataclass(frozen=True)
class SourceSettings:
    """An account's own domains, and referrers that a visit passes through (payment, sign-on).

    A domain stands for itself and for every host below it.
    """

    own_domains: tuple[str, ...] = ()
    ignored_referrers: tuple[str, ...] = ()

    @cached_property
    def domains(self) -> frozenset[str]:
        """All of them, lower case."""
        listed = (*self.own_domains, *self.ignored_referrers)
        return frozenset(domain.strip().strip(".").lower() for domain in listed)

    def covers(self, host: str) -> bool:
        """Whether a lower-case host or a domain above it is one of them."""
        while host not in self.domains and "." in host:
            host = host.partition(".")[2]
        return host in self.domains


NO_SETTINGS = SourceSettings()


def classify_sources(
    pages: pl.DataFrame,
    settings: Mapping[str, SourceSettings],
    default: SourceSettings = NO_SETTINGS,
) -> pl.DataFrame:
    """Source columns of entry pages, row by row: `COLUMNS`.

    `pages` has `account`, `url` and `referrer`; an account without settings has the default ones.
    `source` and `medium` are lower case; `campaign`, `keyword` and `content` null if absent;
    `source_rule` is utm, click_id, search, social, ai, referral or direct; `click_ids` a list of
    `name` and `value`, sorted by name; `landing_url` and `referrer` are as rows have them. A row
    without a URL, a session without a pageview, has nulls.
    """
    pages = pages.select(pl.col("account", "url", "referrer").cast(pl.String))
    known = pl.concat(
        [
            pages.select("account", "url"),
            per_value(pages["url"], _of_page),
            per_value(pages["referrer"], _of_referrer),
        ],
        how="horizontal",
    )
    known = known.with_columns(external=_is_external(known, settings, default))
    decided = known.with_columns(
        source=_decided(pl.col("utm_source").str.to_lowercase(), "source", "(direct)"),
        medium=_decided(_campaign_medium(), "medium", "(none)"),
        source_rule=_decided(pl.lit("utm"), "rule", "direct"),
    ).with_columns(keyword=_keyword())
    columns = decided.with_columns(channel=classify_channels(decided)).select(COLUMNS)
    if pages["url"].null_count() == 0:
        return columns
    return columns.select(pl.when(pages["url"].is_not_null()).then(pl.all()).name.keep())


def _decided(campaign: pl.Expr, column: str, otherwise: str) -> pl.Expr:
    """What the first rule that applies says of `source`, `medium` or `rule`."""
    return (
        pl.when(pl.col("utm_source").is_not_null())
        .then(campaign)
        .when(pl.col("paid_source").is_not_null())
        .then(f"paid_{column}")
        .when(pl.col("external"))
        .then(f"sent_{column}")
        .when(pl.col("unpaid_source").is_not_null())
        .then(f"unpaid_{column}")
        .otherwise(pl.lit(otherwise))
    )


def _campaign_medium() -> pl.Expr:
    written = pl.col("utm_medium").str.to_lowercase()
    return pl.coalesce(written, "paid_medium", pl.lit("(not set)"))


def _keyword() -> pl.Expr:
    found = pl.when(pl.col("source_rule") == "search").then("sent_keyword")
    return pl.coalesce("utm_term", found)


def _is_external(
    known: pl.DataFrame, settings: Mapping[str, SourceSettings], default: SourceSettings
) -> pl.Series:
    """Whether a row's referrer is of another site, and none that the account's settings cover."""
    differs = known["host"].is_not_null() & known["site"].ne_missing(known["page_site"])
    anyone = SourceSettings(
        tuple(default.domains.union(*(one.domains for one in settings.values())))
    )
    listed = per_value(known["host"], lambda hosts: _covered(hosts, anyone))["covered"]
    rows = (differs & listed).arg_true()
    pairs = known.select("account", "host")[rows].rows()
    covered = {
        (account, host): settings.get(account, default).covers(host) for account, host in set(pairs)
    }
    external = [not covered[pair] for pair in pairs]
    return replaced(differs, rows, pl.Series(external, dtype=pl.Boolean))


def _covered(names: pl.Series, settings: SourceSettings) -> pl.DataFrame:
    covered = [host is not None and settings.covers(host) for host in names.to_list()]
    return pl.DataFrame({"covered": covered}, {"covered": pl.Boolean})


# --- what a page says --------------------------------------------------------------------------


def _of_page(urls: pl.Series) -> pl.DataFrame:
    """Columns that URLs alone give: site, campaign, click ids and what they stand for."""
    parts = split_urls(urls)
    kept = kept_parameters(written_parameters(parts["query"]))
    spelled = spelled_parameters(kept)
    in_campaign = spelled["parameter"].str.starts_with(CAMPAIGN_PREFIX)
    campaign = first_values(spelled.filter(in_campaign), _CAMPAIGN_NAMES)
    clicks = first_values(spelled.filter(~in_campaign), click_ids().names)
    rows = len(urls)
    return pl.DataFrame(
        [
            hosts(origins(parts["base"]))["site"].alias("page_site"),
            *(by_row(campaign[name], rows).alias(name) for name in _CAMPAIGN_NAMES),
            *_meaning("paid", "click_id", click_ids().paid, clicks, rows),
            *_meaning("unpaid", "social", click_ids().unpaid, clicks, rows),
            _click_id_lists(clicks, rows).alias("click_ids"),
            cleaned(parts["base"], kept).alias("landing_url"),
        ]
    ).rename({"utm_campaign": "campaign", "utm_content": "content"})


def _meaning(
    kind: str, rule: str, meanings: Sequence[ClickId], clicks: dict[str, pl.DataFrame], rows: int
) -> list[pl.Series]:
    """Source, medium and rule by a row's first click id, in the order that they count."""
    first = np.full(rows, len(meanings))
    for place, meaning in reversed(list(enumerate(meanings))):
        first[clicks[meaning.name]["row"].to_numpy()] = place
    said = {
        "source": [meaning.source for meaning in meanings],
        "medium": [meaning.medium for meaning in meanings],
        "rule": [rule for _ in meanings],
    }
    index = pl.Series(first)
    return [
        pl.Series(f"{kind}_{column}", [*texts, None], pl.String).gather(index)
        for column, texts in said.items()
    ]


def _click_id_lists(clicks: dict[str, pl.DataFrame], rows: int) -> pl.Series:
    """By row a list of the click ids found, sorted by name."""
    found = pl.concat(clicks[name].with_columns(name=pl.lit(name)) for name in sorted(clicks)).sort(
        "row", maintain_order=True
    )
    return lists_by_row(found["row"], found.select("name", "value").to_struct(), rows)


# --- what a referrer says ----------------------------------------------------------------------


def _of_referrer(urls: pl.Series) -> pl.DataFrame:
    """Columns that referrers alone give: who it is, and what that makes of a visit if external."""
    sender = identify_referrers(urls)
    is_video = source_categories(sender["name"]) == "video"
    rule = pl.col("rule")
    medium = (
        pl.when(rule == "ai")
        .then(pl.lit("ai-assistant"))
        .when(rule == "search")
        .then(pl.lit("organic"))
        .when((rule == "social") & is_video)
        .then(pl.lit("video"))
        .when(rule == "social")
        .then(pl.lit("social"))
        .otherwise(pl.lit("referral"))
    )
    return sender.select(
        "host",
        "site",
        "referrer",
        sent_source=pl.coalesce("name", "site"),
        sent_medium=medium,
        sent_rule=pl.coalesce("rule", pl.lit("referral")),
        sent_keyword="keyword",
    )
