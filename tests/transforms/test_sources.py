"""Source, medium, keyword and URLs of visits, by table (SPEC section 6)."""

import polars as pl
import pytest

from transforms.columns import per_value
from transforms.referrers import Address, identify
from transforms.sources import COLUMNS, SourceSettings, classify_sources

SETTINGS = {"shop": SourceSettings(("shop.example", "Shop-Group.com"), ("bank.dk", "idp.eu"))}
GOOGLE = "https://www.google.com/"
NOT_PROVIDED = "(not provided)"


def classify(url, referrer=None, account="shop"):
    pages = pl.DataFrame({"account": [account], "url": [url], "referrer": [referrer]})
    return classify_sources(pages, SETTINGS).row(0, named=True)


def seen(query="", referrer=None):
    return classify(f"https://www.shop.dk/{query}", referrer)


@pytest.mark.parametrize(
    ("query", "referrer", "source", "medium", "rule"),
    [
        ("?utm_source=News&utm_medium=E-Mail&gclid=1", GOOGLE, "news", "e-mail", "utm"),
        ("?UTM_SOURCE=A&Utm_Medium=B", GOOGLE, "a", "b", "utm"),
        ("?utm_source=a+b%2Bc", None, "a b+c", "(not set)", "utm"),
        ("?utm_source=+&UTM_source=b&dclid=1", None, "b", "display", "utm"),
        ("?utm_source=b&msclkid=1&dclid=1", None, "b", "cpc", "utm"),
        ("?utm_source=b&utm_medium=%20&fbclid=1", None, "b", "(not set)", "utm"),
        ("?utm_source=100%25%&x=%zz", None, "100%%", "(not set)", "utm"),
        ("?utm_medium=cpc&utm_campaign=c", None, "(direct)", "(none)", "direct"),
        ("?utm_medium=email&gclid=1", None, "google", "cpc", "click_id"),
        ("#?utm_source=a&gclid=1", None, "(direct)", "(none)", "direct"),
        ("?gclid=", GOOGLE, "google", "organic", "search"),
        ("?gclid=%20&dclid=1&wbraid=2", None, "google", "cpc", "click_id"),
        ("?dclid=1&ttclid=2", None, "google", "display", "click_id"),
        ("?ttclid=1&li_fat_id=2", None, "tiktok", "cpc", "click_id"),
        ("?li_fat_id=1&twclid=2", None, "linkedin", "cpc", "click_id"),
        ("?twclid=1&fbclid=2", "https://t.co/x", "twitter", "cpc", "click_id"),
        ("?gclid=1&MSCLKID=2", None, "bing", "cpc", "click_id"),
        ("?gbraid=1", None, "google", "cpc", "click_id"),
        ("?fbclid=1", None, "facebook", "social", "social"),
        ("?fbclid=1", GOOGLE, "google", "organic", "search"),
        ("?fbclid=1", "https://pay.bank.dk/x", "facebook", "social", "social"),
        ("", None, "(direct)", "(none)", "direct"),
    ],
)
def test_the_first_rule_that_applies_gives_source_and_medium(query, referrer, source, medium, rule):
    """Campaign, then paid click ids in their order, then the referrer, then fbclid, then direct."""
    found = seen(query, referrer)
    assert (found["source"], found["medium"], found["source_rule"]) == (source, medium, rule)


@pytest.mark.parametrize(
    ("url", "referrer", "source"),
    [
        ("https://www.shop.dk/", "https://cdn.shop.dk/", "(direct)"),
        ("https://www.shop.dk/", "https://notshop.dk/", "notshop.dk"),
        ("https://www.shop.dk/", "https://x.shop.EXAMPLE./", "(direct)"),
        ("https://www.shop.dk/", "https://shop-group.com/", "(direct)"),
        ("https://www.shop.dk/", "https://notidp.eu/", "notidp.eu"),
        ("https://www.shop.dk/", "https://login.idp.eu:8443/", "(direct)"),
        ("https://www.shop.dk/", "http://u:p@a.b.example.co.uk:81/", "example.co.uk"),
        ("https://me.github.io/", "https://you.github.io/", "you.github.io"),
        ("https://me.github.io/", "https://me.github.io/x", "(direct)"),
        ("https://a.co.uk/", "https://b.co.uk/", "b.co.uk"),
        ("https://10.0.0.1/", "http://10.0.0.2/", "10.0.0.2"),
        ("http://10.0.0.1/", "http://10.0.0.1:8080/", "(direct)"),
        ("http://localhost:3000/", "http://localhost:8080/", "(direct)"),
        ("https://www.shop.dk/", "http://localhost/", "localhost"),
        ("https://www.shop.dk/", "http://[2001:db8::1]:80/", "[2001:db8::1]"),
        ("https://www.shop.dk/", "https://www.bücher.example/", "bücher.example"),
        ("https://www.shop.dk/", "https://www.xn--85x722f.com.cn/", "xn--85x722f.com.cn"),
        ("https://www.shop.dk/", "android-app://com.example.app/x", "com.example.app"),
        ("https://www.shop.dk/", "android-app://com.reddit.frontpage", "reddit"),
        ("https://www.shop.dk/", "android-app://com.linkedin.android/", "linkedin"),
        ("https://www.shop.dk/", "about:blank", "(direct)"),
        ("https://www.shop.dk/", "www.example.com", "(direct)"),
        ("https://www.shop.dk/", "https:///x", "(direct)"),
        ("not a url", "https://www.example.com/", "example.com"),
    ],
)
def test_a_referrer_counts_when_it_is_of_another_site(url, referrer, source):
    """Own domains and ignored referrers cover their hosts below; sites go by registrable domain."""
    assert classify(url, referrer)["source"] == source


def test_settings_are_the_accounts_own():
    """An account without settings has the default ones; rows keep their order."""
    pages = pl.DataFrame(
        {
            "account": ["shop", "other", "shop", "new"],
            "url": ["https://www.shop.dk/"] * 4,
            "referrer": ["https://bank.dk/"] * 2 + ["https://other.dk/"] * 2,
        }
    )
    settings = SETTINGS | {"other": SourceSettings()}
    found = classify_sources(pages, settings, SourceSettings(own_domains=("other.dk",)))
    assert found["source"].to_list() == ["(direct)", "bank.dk", "other.dk", "(direct)"]


@pytest.mark.parametrize(
    ("url", "rule", "name", "keyword"),
    [
        (GOOGLE, "search", "google", NOT_PROVIDED),
        ("https://www.google.com", "search", "google", NOT_PROVIDED),
        ("https://www.google.com/#x", "search", "google", NOT_PROVIDED),
        ("https://www.google.com./", "search", "google", NOT_PROVIDED),
        ("https://WWW.Google.co.uk:443/url?sa=t", "search", "google", NOT_PROVIDED),
        ("https://google.dk/search?q=+Red%20Ladder%2B+", "search", "google", "red ladder+"),
        ("https://google.com.br/search?hl=pt&q=&q=Foo", "search", "google", "foo"),
        ("https://www.google.com/search?Q=x", "search", "google", NOT_PROVIDED),
        ("https://www.google.com/search?q=http://a.dk", "search", "google", NOT_PROVIDED),
        ("https://www.google.com/search?q=HTTPS%3A%2F%2Fa", "search", "google", NOT_PROVIDED),
        ("https://www.google.com/maps", None, None, None),
        ("https://www.google.xyz/", None, None, None),
        ("https://www.google.com.xyz/", None, None, None),
        ("https://google.dk/imgres?x=1", "search", "google images", NOT_PROVIDED),
        ("https://www.google.de/products?q=a", "search", "google shopping", "a"),
        ("https://news.google.com/", "search", "google news", NOT_PROVIDED),
        ("https://www.bing.com/search?q=&Q=b", "search", "bing", "b"),
        ("https://www.bing.com/cr?IG=1", "search", "bing", NOT_PROVIDED),
        ("https://www.bing.com/search", None, None, None),
        ("https://www.bing.com/images/search?q=a", "search", "bing images", "a"),
        ("https://cn.bing.com/images/search?q=a", "search", "bing images", "a"),
        ("https://global.bing.com/search?q=%zz", "search", "bing", "%zz"),
        ("https://de.search.yahoo.com/?p=x", "search", "yahoo!", "x"),
        ("https://r.search.yahoo.com/_ylt=A", "search", "yahoo!", NOT_PROVIDED),
        ("https://search.yahoo.com/search/dir?p=a", "search", "yahoo! directory", "a"),
        ("https://search.brave.com/", "search", "brave", NOT_PROVIDED),
        ("https://search.brave.com/?source=x", None, None, None),
        ("https://search.brave.com/settings", None, None, None),
        ("https://search.avg.com/", "search", "google", NOT_PROVIDED),
        ("https://www.cnn.com/", None, None, None),
        ("https://www.cnn.com/?query=x", "search", "google", "x"),
        ("https://www.startpage.com/do/search", "search", "startpage", NOT_PROVIDED),
        ("https://www.startpage.com/do/search?x=1", None, None, None),
        ("https://blekko.com/ws/red+ladder", "search", "blekko", "red ladder"),
        ("https://1.cz/s/%E8aj/x", "search", "1.cz", "čaj"),
        ("https://www.so.com/s?q=%D6%D0", "search", "360search", "中"),
        ("https://m.so.com/s?q=%E4%B8%AD", "search", "360search", "中"),
        ("https://www.sogou.com/web?query=%D6%D0", "search", "sogou", "中"),
        ("https://duckduckgo.com/?q=A", "search", "duckduckgo", "a"),
        ("https://duckduckgo.com/any", "search", "duckduckgo", NOT_PROVIDED),
        ("https://yellowmap.de/?+=x", "search", "yellowmap", "x"),
        ("https://www.facebook.com/?q=x", "search", "facebook", "x"),
        ("https://www.facebook.com/", "social", "facebook", None),
        ("https://lm.facebook.com/l.php?u=1", "social", "facebook", None),
        ("https://notfacebook.com/", None, None, None),
        ("https://plus.google.com/", "social", "google%2b", None),
        ("https://news.ycombinator.com/item?id=1", "social", "hacker news", None),
        ("https://x.com/i/grok?c=1", "ai", "grok", None),
        ("https://www.x.com/i/grok", "ai", "grok", None),
        ("https://x.com/i/other", "social", "twitter", None),
        ("https://gemini.google.com/app", "ai", "gemini", None),
        ("https://www.perplexity.ai/search?q=x", "ai", "perplexity", None),
        ("https://chatgpt.com/", "ai", "chatgpt", None),
        (
            "android-app://com.google.android.googlequicksearchbox/https/www.google.com",
            "search",
            "google",
            NOT_PROVIDED,
        ),
        (
            "https://webcache.googleusercontent.com/search?q=cache:a:b.dk/+red+ladder&hl=en",
            "search",
            "google",
            "red ladder",
        ),
    ],
)
def test_a_referrer_is_known_by_the_lists(url, rule, name, keyword):
    """Assistants, then engines, then networks; an engine's page is a search or it is nothing."""
    found = seen("", url)
    assert found["source_rule"] == (rule or "referral")
    assert found["keyword"] == keyword
    if name:
        assert found["source"] == name


@pytest.mark.parametrize(
    ("referrer", "medium", "channel"),
    [
        (GOOGLE, "organic", "Organic Search"),
        ("https://m.facebook.com/", "social", "Organic Social"),
        ("https://www.youtube.com/watch", "video", "Organic Video"),
        ("https://chatgpt.com/", "ai-assistant", "AI Assistant"),
        ("https://example.com/", "referral", "Referral"),
        (None, "(none)", "Direct"),
    ],
)
def test_a_referrer_gives_medium_and_channel(referrer, medium, channel):
    """A network that is published as video has that medium."""
    found = seen("", referrer)
    assert (found["medium"], found["channel"]) == (medium, channel)


@pytest.mark.parametrize(
    ("query", "referrer", "keyword"),
    [
        ("?utm_term=Red+Ladder", GOOGLE, "Red Ladder"),
        ("?utm_term=&gclid=1", "https://www.google.com/search?q=x", None),
        ("?utm_source=a", "https://www.google.com/search?q=x", None),
        ("?utm_term=%20", "https://www.google.com/search?q=x", "x"),
        ("", "https://example.com/?q=x", None),
    ],
)
def test_the_keyword_is_utm_term_else_the_engines_where_a_search_decided(query, referrer, keyword):
    """Another rule leaves it null."""
    assert seen(query, referrer)["keyword"] == keyword


def test_campaign_and_content_are_as_written():
    """Form-decoded and trimmed, in their case, whatever rule decided."""
    found = seen("?gclid=1&utm_campaign=+Summer%20Sale+&utm_content=B%2BC")
    assert (found["campaign"], found["content"]) == ("Summer Sale", "B+C")
    assert found["source_rule"] == "click_id"


def test_all_click_ids_are_kept():
    """The first non-empty value of each, sorted by name, none where there is none."""
    found = seen("?twclid=2&FBCLID=a%2Bb&gclid=&gclid=x&gclid=y&utm_source=s")["click_ids"]
    assert found == [
        {"name": "fbclid", "value": "a+b"},
        {"name": "gclid", "value": "x"},
        {"name": "twclid", "value": "2"},
    ]
    assert seen("?x=1")["click_ids"] == []


@pytest.mark.parametrize(
    ("query", "referrer", "clean"),
    [
        ("", "https://u@google.dk/search?hl=da&q=&q=A+b&q=c&gclid=H#f",
         "https://google.dk/search?q=A+b&gclid=H"),
        ("?utm_source=a", "https://google.dk/search?hl=da&q=x", "https://google.dk/search?q=x"),
        ("", "https://www.google.com/search?q=http://a.dk", "https://www.google.com/search"),
        ("", "https://www.perplexity.ai/search?q=x&y=1", "https://www.perplexity.ai/search?q=x"),
        ("", "https://webcache.googleusercontent.com/search?hl=en&q=cache:a:b+c",
         "https://webcache.googleusercontent.com/search"),
        ("", "https://example.com/?q=x", "https://example.com/"),
        ("", "https://shop.dk/a?b#c", "https://shop.dk/a"),
        ("", "not a url", None),
        ("", None, None),
    ],
)  # fmt: skip
def test_a_referrer_in_rows_keeps_the_parameter_that_gave_the_keyword(query, referrer, clean):
    """Whatever rule decided; a referrer without a host is none."""
    assert seen(query, referrer)["referrer"] == clean


def test_a_landing_url_keeps_campaign_and_click_ids_alone():
    """It is the page's URL as rows have it."""
    found = classify("https://u:p@www.Shop.dk:81/A?x=1&q=z&UTM_x=%20y&fbclid#f", GOOGLE)
    assert found["landing_url"] == "https://www.Shop.dk:81/A?UTM_x=%20y&fbclid"


def test_a_session_without_a_page_has_nulls():
    """A row without a URL says nothing, and neither does an empty table."""
    assert set(classify(None, GOOGLE).values()) == {None}
    empty = pl.DataFrame(schema=dict.fromkeys(("account", "url", "referrer"), pl.String))
    assert classify_sources(empty, SETTINGS).shape == (0, len(COLUMNS))


def test_many_rows_say_what_each_of_them_says_alone():
    """Distinct values, slices and threads change nothing."""
    urls = [f"https://www.shop.dk/{n}?gclid={n}&utm_term=k%20{n}&x" for n in range(120_000)]
    pages = pl.DataFrame({"url": urls}).with_columns(
        account=pl.lit("shop"), referrer=pl.lit("https://www.google.com/search?q=a")
    )
    found = classify_sources(pages, SETTINGS)
    for row in (0, 59_999, 60_000, 119_999):
        assert found.row(row, named=True) == classify(urls[row], pages["referrer"][row])
    repeated = per_value(pl.Series(["b", None, "a"] * 9), lambda values: values.to_frame())
    assert repeated.to_series().to_list() == ["b", None, "a"] * 9


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("google.co.uk", True),
        ("google.com.tr", True),
        ("google.net.pl", True),
        ("google.gov.uk", False),
        ("google.uk.com", False),
        ("google.d1", False),
        ("google.info", False),
        ("m.google.dk", True),
        ("www.m.google.dk", False),
        ("www.google.dk.evil.com", False),
    ],
)
def test_a_country_is_two_letters_alone_or_after_a_general_label(host, known):
    """`{}` in a listed host; a leading `www.` or `m.` is ignored once."""
    assert (identify(Address(host, "/search", "q=a")).rule == "search") == known
