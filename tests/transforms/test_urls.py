"""URL parts, query parameters and the URLs of rows, by table (SPEC section 6)."""

import polars as pl
import pytest

from transforms.urls import (
    clean_url,
    first_values,
    kept_parameters,
    registrable_domain,
    spelled_parameters,
    strip_click_ids,
    url_parts,
    written_parameters,
)


def texts(*values):
    return pl.Series(values, dtype=pl.String)


@pytest.mark.parametrize(
    ("url", "scheme", "host", "path", "query", "fragment"),
    [
        ("https://www.Shop.DK/a?b=c#d", "https", "www.shop.dk", "/a", "b=c", "d"),
        ("HTTPS://u:p@shop.dk:8443", "https", "shop.dk", "", None, None),
        ("https://a@b@shop.dk/", "https", "shop.dk", "/", None, None),
        ("https://shop.dk./", "https", "shop.dk", "/", None, None),
        ("https://shop.dk:/", "https", "shop.dk", "/", None, None),
        ("https://shop.dk?a#b?c", "https", "shop.dk", "", "a", "b?c"),
        ("https://shop.dk/#?utm_source=a", "https", "shop.dk", "/", None, "?utm_source=a"),
        ("https://shop.dk/a@b:c", "https", "shop.dk", "/a@b:c", None, None),
        ("http://[2001:DB8::1]:80/x", "http", "[2001:db8::1]", "/x", None, None),
        ("//cdn.shop.dk/x", "", "cdn.shop.dk", "/x", None, None),
        ("android-app://com.App.x/https/y", "android-app", "com.app.x", "/https/y", None, None),
        ("https:///x", None, None, "/x", None, None),
        ("about:blank", None, None, "about:blank", None, None),
        ("www.shop.dk/a", None, None, "www.shop.dk/a", None, None),
        (None, None, None, None, None, None),
    ],
)
def test_a_url_comes_apart(url, scheme, host, path, query, fragment):
    """A host has no case, user info, port or trailing dot; all else stays as written."""
    parts = url_parts(texts(url)).row(0, named=True)
    assert (parts["scheme"], parts["host"]) == (scheme, host)
    assert (parts["path"], parts["query"], parts["fragment"]) == (path, query, fragment)


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        ("www.shop.dk", "shop.dk"),
        ("shop.dk", "shop.dk"),
        ("a.b.shop.co.uk", "shop.co.uk"),
        ("me.github.io", "me.github.io"),
        ("github.io", "github.io"),
        ("city.kawasaki.jp", "city.kawasaki.jp"),
        ("a.b.kawasaki.jp", "a.b.kawasaki.jp"),
        ("www.bücher.example", "bücher.example"),
        ("www.xn--85x722f.com.cn", "xn--85x722f.com.cn"),
        ("www.食狮.公司.cn", "食狮.公司.cn"),
        ("server.intranet", "server.intranet"),
        ("localhost", "localhost"),
        ("10.0.0.1", "10.0.0.1"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("a..b", "a..b"),
    ],
)
def test_a_registrable_domain_goes_by_the_public_suffix_list(host, domain):
    """Private suffixes count; a host without a registrable domain stands for itself."""
    assert registrable_domain(host) == domain


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("utm_source=News", "News"),
        ("utm_source=a+b%2Bc%20d", "a b+c d"),
        ("utm_source=%20+a+", "a"),
        ("utm_source=&utm_source=+&utm_source=b&utm_source=c", "b"),
        ("UTM_Source=a&utm_source=b", "a"),
        ("utm%5Fsource=a", "a"),
        ("+utm_source=a", "a"),
        ("utm_source=a=b=c", "a=b=c"),
        ("utm_source=100%&x=1", "100%"),
        ("utm_source=%zz", "%zz"),
        ("utm_source=%E6", "�"),
        ("utm_source=k%C3%B8b", "køb"),
        ("utm_source", None),
        ("utm_source=", None),
        ("xutm_source=a&utm_sourcex=b&utm_source_platform=c", None),
        ("a=utm_source=b", None),
        ("", None),
        (None, None),
    ],
)
def test_a_parameter_is_the_first_that_is_not_empty(query, value):
    """Names are found in any case and spelling; values are form-decoded and trimmed."""
    kept = kept_parameters(written_parameters(texts("utm_source=other", query)))
    found = first_values(spelled_parameters(kept), ["utm_source"])["utm_source"]
    assert found.filter(pl.col("row") == 1)["value"].to_list() == ([value] if value else [])


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://u:p@Shop.DK:81/A%20b?x=1&UTM_x=%20y&&gclid=G#f", "https://Shop.DK:81/A%20b?UTM_x=%20y&gclid=G"),
        ("https://shop.dk/?b=1", "https://shop.dk/"),
        ("https://shop.dk?b=1#c", "https://shop.dk"),
        ("https://shop.dk/?", "https://shop.dk/"),
        ("https://shop.dk/?fbclid=2&utm_id=&a=1&fbclid=1", "https://shop.dk/?fbclid=2&utm_id=&fbclid=1"),
        ("https://shop.dk/?gclid&GClID=a&gclidx=b&xgclid=c", "https://shop.dk/?gclid&GClID=a"),
        ("https://shop.dk/?g%63lid=a&utm%5fid=b&c%64=e", "https://shop.dk/?g%63lid=a&utm%5fid=b"),
        ("https://shop.dk/a@b?mail=a@b", "https://shop.dk/a@b"),
        ("https://shop.dk/?x=?&utm_a=?", "https://shop.dk/?utm_a=?"),
        ("/rel?gclid=1&x#y", "/rel?gclid=1"),
        ("mailto:a@b", "mailto:a@b"),
        (None, None),
    ],
)  # fmt: skip
def test_a_url_in_rows_keeps_campaign_and_click_ids_as_written(url, clean):
    """User info, fragment and all other parameters go, and a `?` that nothing follows."""
    assert clean_url(texts(url, "https://b.dk/?utm_b=1")).to_list() == [
        clean,
        "https://b.dk/?utm_b=1",
    ]


@pytest.mark.parametrize(
    ("url", "stripped"),
    [
        ("https://u@a.dk/?x=1&GCLID=2&fbclid=3#f", "https://u@a.dk/?x=1#f"),
        ("https://a.dk/?gclid=2#f", "https://a.dk/#f"),
        ("https://a.dk/?g%63lid=2&y", "https://a.dk/?y"),
        ("https://a.dk/?x=%20&&y#?gclid=1", "https://a.dk/?x=%20&&y#?gclid=1"),
        ("https://a.dk/?&&gclid=1&", "https://a.dk/?&&"),
        ("https://a.dk/?utm_source=a&gclid", "https://a.dk/?utm_source=a"),
        ("https://a.dk/?", "https://a.dk/?"),
        (None, None),
    ],
)
def test_without_marketing_consent_a_url_loses_its_click_ids_alone(url, stripped):
    """What is not a click id stays as written, and the column given stays as it was."""
    urls = texts(url, "https://b.dk/?twclid=1")
    assert strip_click_ids(urls).to_list() == [stripped, "https://b.dk/"]
    assert urls.to_list() == [url, "https://b.dk/?twclid=1"]
