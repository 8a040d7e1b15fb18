"""Golden cases of source, keyword, channel, URLs in rows and devices (SPEC 6, 7)."""

from __future__ import annotations

from typing import Any

import pytest

from oracle.agents import describe
from oracle.cases import BOT
from oracle.channels import channel_of
from oracle.sources import classify, without_click_ids


def seen(query: str = "", referrer: str | None = None) -> dict[str, Any]:
    own, ignored = ("shop.dk", "shop.example"), ("bank.dk",)
    return classify(f"https://www.shop.dk/{query}", referrer, own, ignored)


def decision(query: str = "", referrer: str | None = None) -> tuple[str, str, str]:
    columns = seen(query, referrer)
    return columns["source"], columns["medium"], columns["source_rule"]


GOOGLE, FACEBOOK = "https://www.google.com/", "https://m.facebook.com/"


@pytest.mark.parametrize(
    ("query", "referrer", "expected"),
    [
        ("?utm_source=News&utm_medium=E-Mail&gclid=1", GOOGLE, ("news", "e-mail", "utm")),
        ("?UTM_Source=+&utm_source=b&dclid=1", None, ("b", "display", "utm")),
        ("?utm_source=b&fbclid=1", None, ("b", "(not set)", "utm")),
        ("?utm_medium=cpc", None, ("(direct)", "(none)", "direct")),
        ("#?utm_source=a", None, ("(direct)", "(none)", "direct")),
        ("?dclid=1&wbraid=2", GOOGLE, ("google", "cpc", "click_id")),
        ("?dclid=1&ttclid=2", None, ("google", "display", "click_id")),
        ("?gclid=1&MSCLKID=2", None, ("bing", "cpc", "click_id")),
        ("?li_fat_id=1", None, ("linkedin", "cpc", "click_id")),
        ("?twclid=1&gclid=", None, ("twitter", "cpc", "click_id")),
        ("?fbclid=1", None, ("facebook", "social", "social")),
        ("?fbclid=1", GOOGLE, ("google", "organic", "search")),
        ("", "https://pay.bank.dk/x", ("(direct)", "(none)", "direct")),
        ("?fbclid=1", "https://pay.bank.dk/x", ("facebook", "social", "social")),
        ("", "https://a.shop.dk/", ("(direct)", "(none)", "direct")),
        ("", "https://x.shop.example/", ("(direct)", "(none)", "direct")),
        ("", "https://notshop.dk/", ("notshop.dk", "referral", "referral")),
        ("", "https://a.b.example.co.uk:81/", ("example.co.uk", "referral", "referral")),
        ("", "https://me.github.io/", ("me.github.io", "referral", "referral")),
        ("", "http://u@10.0.0.7:8/", ("10.0.0.7", "referral", "referral")),
        ("", "http://localhost/", ("localhost", "referral", "referral")),
        ("", "http://[::1]:80/", ("[::1]", "referral", "referral")),
        ("", "android-app://org.example.app/", ("org.example.app", "referral", "referral")),
        ("", "android-app://com.reddit.frontpage", ("reddit", "social", "social")),
        ("", "about:blank", ("(direct)", "(none)", "direct")),
        ("", FACEBOOK, ("facebook", "social", "social")),
        ("", "https://www.youtube.com/watch", ("youtube", "video", "social")),
        ("", "https://chatgpt.com/", ("chatgpt", "ai-assistant", "ai")),
        ("", "https://x.com/i/grok?c=1", ("grok", "ai-assistant", "ai")),
        ("", "https://x.com/i/other", ("twitter", "social", "social")),
        ("", "https://gemini.google.com/app", ("gemini", "ai-assistant", "ai")),
        ("", "https://www.google.co.uk/url?sa=t", ("google", "organic", "search")),
        ("", "https://www.google.xyz/", ("google.xyz", "referral", "referral")),
        ("", "https://www.google.com/maps", ("google.com", "referral", "referral")),
        ("", "https://google.dk/imgres?x=1", ("google images", "organic", "search")),
        ("", "https://de.search.yahoo.com/?p=x", ("yahoo!", "organic", "search")),
        ("", "https://www.bing.com/images/search?q=a", ("bing images", "organic", "search")),
        ("", "https://search.brave.com/", ("brave", "organic", "search")),
        ("", "https://search.brave.com/settings", ("brave.com", "referral", "referral")),
        ("", "https://www.facebook.com/?q=x", ("facebook", "organic", "search")),
        ("", "https://www.facebook.com/", ("facebook", "social", "social")),
        ("", "https://search.avg.com/", ("google", "organic", "search")),
        ("", "https://search.chedot.com/", ("chedot.com", "referral", "referral")),
        ("", "https://digg.com", ("digg", "organic", "search")),
    ],
)
def test_the_first_of_the_five_steps_that_applies_gives_source_and_medium(
    query: Any, referrer: Any, expected: Any
) -> None:
    assert decision(query, referrer) == expected


@pytest.mark.parametrize(
    ("query", "referrer", "keyword"),
    [
        ("?utm_term=Red+Ladder", GOOGLE, "Red Ladder"),
        ("", "https://www.google.dk/search?q=+Red%20Ladder", "red ladder"),
        ("", "https://www.google.com/search?Q=x", "(not provided)"),
        ("", "https://www.google.com/search?q=http://a.dk", "(not provided)"),
        ("", GOOGLE, "(not provided)"),
        ("", "https://www.bing.com/search?q=&Q=b", "b"),
        ("", "https://www.sogou.com/web?query=%D6%D0", "\u4e2d"),
        ("", "https://www.so.com/s?q=%D6%D0", "\u4e2d"),
        ("", "https://www.so.com/s?q=%E4%B8%AD", "\u4e2d"),
        ("", "https://blekko.com/ws/red+ladder", "red ladder"),
        ("?gclid=1", "https://www.google.com/search?q=x", None),
        ("", FACEBOOK, None),
    ],
)
def test_the_keyword_is_utm_term_else_the_engines_parameter_else_not_provided(
    query: Any, referrer: Any, keyword: Any
) -> None:
    assert seen(query, referrer)["keyword"] == keyword


def test_urls_in_rows_lose_user_info_fragment_and_other_parameters() -> None:
    page = "https://u:p@www.Shop.dk:81/A%20b?x=1&UTM_x=%20y&&gclid=G&q=z&fbclid#f"
    referrer = "https://google.dk/search?hl=da&q=&q=Red+Ladder&q=other&gclid=H"
    columns = classify(page, referrer, (), ())
    assert columns["landing_url"] == "https://www.Shop.dk:81/A%20b?UTM_x=%20y&gclid=G&fbclid"
    assert columns["referrer"] == "https://google.dk/search?q=Red+Ladder&gclid=H"
    assert columns["click_ids"] == {"gclid": "G"}


def test_the_keyword_parameter_stays_whatever_rule_decided() -> None:
    columns = seen("?utm_source=a", "https://google.dk/search?hl=da&q=x#f")
    assert columns["referrer"] == "https://google.dk/search?q=x"
    assert columns["source_rule"] == "utm"


def test_a_referrer_without_a_host_is_null() -> None:
    assert seen("", "not a url")["referrer"] is None
    assert seen("", "https://www.shop.dk/a?b#c")["referrer"] == "https://www.shop.dk/a"


def test_without_marketing_the_click_ids_are_taken_out_of_a_url() -> None:
    assert without_click_ids("https://a/?x=1&GCLID=2&fbclid=3#f") == "https://a/?x=1#f"
    assert without_click_ids("https://a/?gclid=2") == "https://a/"
    assert without_click_ids("https://a/?x=%20&&y#?gclid=1") == "https://a/?x=%20&&y#?gclid=1"


@pytest.mark.parametrize(
    ("source", "medium", "campaign", "rule", "channel"),
    [
        ("(direct)", "(not set)", None, "utm", "Direct"),
        ("google", "cpc", "My Cross-Network", "utm", "Cross-network"),
        ("google", "cpc", "Summer Shop", "utm", "Paid Shopping"),
        ("google", "cpc", "workshop", "utm", "Paid Search"),
        ("google", "cpc", "eshop", "utm", "Paid Shopping"),
        ("www.google", "paid", None, "utm", "Paid Search"),
        ("facebook", "retargeting", None, "utm", "Paid Social"),
        ("youtube", "x", None, "utm", "Organic Video"),
        ("youtube", "cpc", None, "utm", "Paid Video"),
        ("paper", "cpm", None, "utm", "Display"),
        ("paper", "ppc", None, "utm", "Paid Other"),
        ("chatgpt.com", "referral", None, "utm", "AI Assistant"),
        ("le chat", "x", None, "utm", "AI Assistant"),
        ("amazon", "x", None, "utm", "Organic Shopping"),
        ("x", "sm", None, "utm", "Organic Social"),
        ("brave", "x", None, "search", "Organic Search"),
        ("brave", "x", None, "utm", "Unassigned"),
        ("bsky", "x", None, "social", "Organic Social"),
        ("x", "link", None, "utm", "Referral"),
        ("E-Mail", "x", None, "utm", "Email"),
        ("x", "affiliate", None, "utm", "Affiliates"),
        ("x", "audio", None, "utm", "Audio"),
        ("sms", "x", None, "utm", "SMS"),
        ("firebase", "x", None, "utm", "Mobile Push Notifications"),
        ("x", "webpush", None, "utm", "Mobile Push Notifications"),
    ],
)
def test_the_channel_is_the_first_rule_that_applies(
    source: Any, medium: Any, campaign: Any, rule: Any, channel: Any
) -> None:
    assert channel_of(source, medium, campaign, rule) == channel


def test_a_device_is_mobile_tablet_desktop_bot_or_other() -> None:
    iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15"
    windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0"
    ipad = "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5 Safari"
    kinds = [describe(text)["device_type"] for text in (iphone, ipad, windows, BOT, "thing")]
    assert kinds == ["mobile", "tablet", "desktop", "bot", "other"]
    assert describe("Mozilla/5.0 (compatible; AhrefsBot/7.0)")["is_bot"] is True
