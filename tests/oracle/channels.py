"""The GA4 default channel group, first rule that applies (data/channels/README.md)."""

from __future__ import annotations

import functools
import json
import re

from oracle.referrers import RULES, ai_sources

SHOPPING = re.compile(r"^(.*(([^a-df-z]|^)shop|shopping).*)$")
PAID = re.compile(r"^(.*cp.*|ppc|retargeting|paid.*)$")
DISPLAY = {"display", "banner", "expandable", "interstitial", "cpm"}
SOCIAL = {"social", "social-network", "social-media", "sm", "social network", "social media"}
EMAIL = {"email", "e-mail", "e_mail", "e mail"}


@functools.cache
def categories() -> dict[str, str]:
    text = (RULES / "channels.json").read_text(encoding="utf-8")
    return {name.lower(): kind for name, kind in json.loads(text)["categories"].items()}


def listed_category(source: str) -> str | None:
    """By source in the CSV, with and without a leading `www.`."""
    source = source.lower()
    for name in (source, source.removeprefix("www."), "www." + source):
        if name in categories():
            return categories()[name]
    return None


def category_of(source: str, rule: str) -> str | None:
    """What the referrer lists say counts where the CSV lacks the source."""
    listed = listed_category(source)
    if listed is None and rule in ("search", "social", "ai"):
        return rule
    return listed


def channel_of(source: str, medium: str, campaign: str | None, rule: str) -> str:
    """The channel of a visit whose source was decided by `rule`."""
    source, medium, campaign = source.lower(), medium.lower(), (campaign or "").lower()
    category = category_of(source, rule)
    paid = PAID.search(medium) is not None
    shopping = category == "shopping" or SHOPPING.search(campaign) is not None
    rules = [
        ("Direct", source == "(direct)" and medium in ("(none)", "(not set)")),
        ("Cross-network", "cross-network" in campaign),
        ("Paid Shopping", shopping and paid),
        ("Paid Search", category == "search" and paid),
        ("Paid Social", category == "social" and paid),
        ("Paid Video", category == "video" and paid),
        ("Display", medium in DISPLAY),
        ("Paid Other", paid),
        ("AI Assistant", source in ai_sources() or medium == "ai-assistant"),
        ("Organic Shopping", shopping),
        ("Organic Social", category == "social" or medium in SOCIAL),
        ("Organic Video", category == "video" or "video" in medium),
        ("Organic Search", category == "search" or medium == "organic"),
        ("Referral", medium in ("referral", "app", "link")),
        ("Email", source in EMAIL or medium in EMAIL),
        ("Affiliates", medium == "affiliate"),
        ("Audio", medium == "audio"),
        ("SMS", source == "sms" or medium == "sms"),
        (
            "Mobile Push Notifications",
            medium.endswith("push")
            or "mobile" in medium
            or "notification" in medium
            or source == "firebase",
        ),
    ]
    return next((name for name, applies in rules if applies), "Unassigned")
