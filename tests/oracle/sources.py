"""Source, medium, campaign, keyword, channel of a session, from its entry (SPEC 6)."""

from __future__ import annotations

import functools
from typing import Any

from oracle.channels import channel_of, listed_category
from oracle.referrers import listed_under, search_of
from oracle.urls import (
    CLICK_IDS,
    Url,
    cleaned,
    is_below,
    parameter,
    parse,
    registrable,
    site,
    without_click_ids,
)

__all__ = ["COLUMNS", "classify", "without_click_ids"]

PAID_CLICK_IDS = {
    "msclkid": ("bing", "cpc"),
    "gclid": ("google", "cpc"),
    "gbraid": ("google", "cpc"),
    "wbraid": ("google", "cpc"),
    "dclid": ("google", "display"),
    "ttclid": ("tiktok", "cpc"),
    "li_fat_id": ("linkedin", "cpc"),
    "twclid": ("twitter", "cpc"),
}

COLUMNS = (
    "landing_url",
    "referrer",
    "source",
    "medium",
    "campaign",
    "keyword",
    "content",
    "channel",
    "source_rule",
    "click_ids",
)

Decision = tuple[str, str, str]


@functools.cache
def classify(
    page: str, referrer: str | None, own_domains: tuple[str, ...], ignored: tuple[str, ...]
) -> dict[str, Any]:
    """All source columns of a session whose entry has this url and referrer."""
    url, came_from = parse(page), parse(referrer or "")
    external = is_external(url, came_from, [*own_domains, *ignored])
    source, medium, rule = decide(url, came_from, external)
    campaign = parameter(url, "utm_campaign")
    search = search_of(came_from)
    keyword = parameter(url, "utm_term")
    if keyword is None and rule == "search" and search is not None:
        keyword = search.keyword
    found = {name: parameter(url, name) for name in CLICK_IDS}
    return {
        "landing_url": cleaned(page),
        "referrer": cleaned(referrer, search.place if search else None)
        if referrer and came_from.host
        else None,
        "source": source,
        "medium": medium,
        "campaign": campaign,
        "keyword": keyword,
        "content": parameter(url, "utm_content"),
        "channel": channel_of(source, medium, campaign, rule),
        "source_rule": rule,
        "click_ids": {name: value for name, value in found.items() if value is not None},
    }


def is_external(page: Url, referrer: Url, inside: list[str]) -> bool:
    """Another registrable domain, neither the account's own nor an ignored one."""
    if referrer.host is None:
        return False
    return site(referrer) != site(page) and not is_below(referrer.host, inside)


def paid_click(url: Url) -> tuple[str, str] | None:
    """Source and medium of the first paid click id, in the order of the list."""
    for name, decision in PAID_CLICK_IDS.items():
        if parameter(url, name) is not None:
            return decision
    return None


def decide(url: Url, referrer: Url, external: bool) -> Decision:
    """Source, medium and rule: the five steps of section 6."""
    click = paid_click(url)
    utm_source = parameter(url, "utm_source")
    if utm_source is not None:
        medium = parameter(url, "utm_medium") or (click[1] if click else "(not set)")
        return utm_source.lower(), medium.lower(), "utm"
    if click is not None:
        return *click, "click_id"
    if external:
        return from_referrer(referrer)
    if parameter(url, "fbclid") is not None:
        return "facebook", "social", "social"
    return "(direct)", "(none)", "direct"


def from_referrer(referrer: Url) -> Decision:
    """AI assistants, then search engines, then social networks, else a referral."""
    assistant = listed_under("ai", referrer)
    if assistant is not None:
        return assistant, "ai-assistant", "ai"
    search = search_of(referrer)
    if search is not None:
        return search.name, "organic", "search"
    network = listed_under("social", referrer)
    if network is not None:
        medium = "video" if listed_category(network) == "video" else "social"
        return network, medium, "social"
    host = referrer.host or ""
    return host if referrer.is_app else registrable(host), "referral", "referral"
