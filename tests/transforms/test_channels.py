"""The channel of a visit, by table (SPEC section 6, the GA4 default channel group)."""

import polars as pl
import pytest

from schemas import rules
from transforms.channels import classify_channels, source_categories

COLUMNS = ("source", "medium", "campaign", "source_rule")


def channels(*visits):
    return classify_channels(
        pl.DataFrame(visits, dict.fromkeys(COLUMNS, pl.String), orient="row")
    ).to_list()


@pytest.mark.parametrize(
    ("source", "medium", "campaign", "source_rule", "channel"),
    [
        ("(direct)", "(none)", None, "direct", "Direct"),
        ("(direct)", "(not set)", None, "utm", "Direct"),
        ("(direct)", "cpc", None, "utm", "Paid Other"),
        ("(direct)", "(none)", "cross-network", "utm", "Direct"),
        ("google", "cpc", "My Cross-Network", "utm", "Cross-network"),
        ("amazon", "ppc", None, "utm", "Paid Shopping"),
        ("google", "cpc", "Summer Shop", "utm", "Paid Shopping"),
        ("google", "cpc", "workshop", "utm", "Paid Search"),
        ("google", "cpc", "shop", "utm", "Paid Shopping"),
        ("google", "cpc", "eshop", "utm", "Paid Shopping"),
        ("google", "cpc", "eshopping", "utm", "Paid Shopping"),
        ("google", "CPC", None, "click_id", "Paid Search"),
        ("www.google", "paid-anything", None, "utm", "Paid Search"),
        ("www.facebook.com", "retargeting", None, "utm", "Paid Social"),
        ("tiktok", "cpc", None, "click_id", "Paid Social"),
        ("youtube", "cpc", None, "utm", "Paid Video"),
        ("youtube", "cpv", None, "utm", "Paid Video"),
        ("youtube", "ppcv", None, "utm", "Organic Video"),
        ("google", "cpm", None, "utm", "Paid Search"),
        ("paper", "cpm", None, "utm", "Display"),
        ("google", "display", None, "click_id", "Display"),
        ("paper", "ppc", None, "utm", "Paid Other"),
        ("paper", "xppc", None, "utm", "Unassigned"),
        ("paper", "xcpx", None, "utm", "Paid Other"),
        ("chatgpt", "ai-assistant", None, "ai", "AI Assistant"),
        ("chatgpt.com", "referral", None, "utm", "AI Assistant"),
        ("Le Chat", "x", None, "utm", "AI Assistant"),
        ("x.com", "x", None, "utm", "Unassigned"),
        ("amazon.com", "referral", None, "referral", "Organic Shopping"),
        ("paper", "x", "shop", "utm", "Organic Shopping"),
        ("facebook", "social", None, "social", "Organic Social"),
        ("facebook", "organic", None, "search", "Organic Social"),
        ("bluesky", "x", None, "social", "Organic Social"),
        ("bluesky", "x", None, "utm", "Unassigned"),
        ("paper", "Social Media", None, "utm", "Organic Social"),
        ("youtube", "video", None, "social", "Organic Video"),
        ("paper", "my-video-ad", None, "utm", "Organic Video"),
        ("brave", "organic", None, "search", "Organic Search"),
        ("brave", "x", None, "search", "Organic Search"),
        ("paper", "organic", None, "utm", "Organic Search"),
        ("example.com", "referral", None, "referral", "Referral"),
        ("paper", "app", None, "utm", "Referral"),
        ("E_Mail", "x", None, "utm", "Email"),
        ("paper", "e mail", None, "utm", "Email"),
        ("paper", "affiliate", None, "utm", "Affiliates"),
        ("paper", "audio", None, "utm", "Audio"),
        ("sms", "x", None, "utm", "SMS"),
        ("paper", "webpush", None, "utm", "Mobile Push Notifications"),
        ("paper", "pushed", None, "utm", "Unassigned"),
        ("paper", "x-mobile-x", None, "utm", "Mobile Push Notifications"),
        ("firebase", "x", None, "utm", "Mobile Push Notifications"),
        ("paper", "(not set)", None, "static_number", "Unassigned"),
        (None, None, None, None, None),
    ],
)
def test_the_channel_is_that_of_the_first_rule_that_applies(
    source, medium, campaign, source_rule, channel
):
    """Everything is compared in lower case; what a referrer list found fills the category."""
    visit = (source, medium, campaign, source_rule)
    assert channels(visit, ("google", "cpc", None, "utm")) == [channel, "Paid Search"]


def test_a_visit_without_a_rule_column_goes_by_the_published_categories():
    """A static number has a source of its own that no referrer list found."""
    visits = pl.DataFrame({"source": ["google", "brave"], "medium": ["x", "x"]})
    found = classify_channels(visits.with_columns(campaign=pl.lit(None, pl.String)))
    assert found.to_list() == ["Organic Search", "Unassigned"]


def test_a_category_is_found_with_and_without_www():
    """Sources are compared in lower case; unknown ones have no category."""
    sources = pl.Series(["Google", "www.youtube.com", "google shopping", "nobody", None])
    assert source_categories(sources).to_list() == ["search", "video", "shopping", None, None]


def test_the_last_rule_always_applies():
    """So that every visit has a channel."""
    assert rules.channels().rules[-1] == rules.ChannelRule("Unassigned", ((),))
