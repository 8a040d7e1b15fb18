"""Devices and robots of user agents, by table (SPEC section 7)."""

import crawleruseragents
import polars as pl
import pytest
import user_agents

from transforms.user_agents import Device, is_crawler, resolve_user_agents

IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)
IPAD = (
    "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1"
)
ANDROID = (
    "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.6778.39 Mobile Safari/537.36"
)
ANDROID_TABLET = (
    "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
LINUX = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
AHREFS = "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)"
TEXTS = [IPHONE, IPAD, ANDROID, ANDROID_TABLET, WINDOWS, LINUX, GOOGLEBOT, AHREFS]


def resolve(*texts):
    return [Device(*row) for row in resolve_user_agents(pl.Series(texts, dtype=pl.String)).rows()]


@pytest.mark.parametrize(
    ("text", "device_type", "device", "os", "os_version", "browser", "browser_version"),
    [
        (IPHONE, "mobile", "iPhone", "iOS", "17.5", "Mobile Safari", "17.5"),
        (IPAD, "tablet", "iPad", "iOS", "16.6", "Mobile Safari", "16.6"),
        (ANDROID, "mobile", "Samsung SM-S918B", "Android", "14", "Chrome Mobile", "131.0.6778"),
        (ANDROID_TABLET, "tablet", "SM-X700", "Android", "13", "Chrome", "131.0.0"),
        (WINDOWS, "desktop", "Other", "Windows", "10", "Chrome", "131.0.0"),
        (LINUX, "desktop", "Other", "Linux", None, "Firefox", "130.0"),
        (GOOGLEBOT, "bot", "Spider", "Other", None, "Googlebot", "2.1"),
        ("thing", "other", "Other", "Other", None, "Other", None),
    ],
)
def test_a_user_agent_says_device_system_and_browser(
    text, device_type, device, os, os_version, browser, browser_version
):
    """Families are as the parser names them; a version it does not find is null."""
    is_bot = device_type == "bot"
    expected = Device(text, is_bot, device_type, device, os, os_version, browser, browser_version)
    assert resolve(text) == [expected]


def test_without_a_user_agent_it_is_no_robot_and_nothing_is_known():
    """A missing user agent, like an empty one, leaves all but `is_bot` null."""
    assert resolve(None, "", WINDOWS)[:2] == [Device(), Device()]
    assert Device().is_bot is False


def test_rows_are_in_the_order_given_however_often_a_user_agent_comes():
    """Distinct user agents are read once, and laid out by the rows."""
    texts = [WINDOWS, None, IPHONE, WINDOWS, IPHONE, None] * 3
    assert [device.user_agent for device in resolve(*texts)] == texts


@pytest.mark.parametrize("text", TEXTS)
def test_the_fast_parser_says_what_the_user_agents_package_says(text):
    """Device type and versions follow the package's own reading."""
    said = user_agents.parse(text)
    found = resolve(text)[0]
    assert found.device == said.device.family
    assert (found.os, found.os_version or "") == (said.os.family, said.os.version_string)
    assert found.browser_version == (said.browser.version_string or None)
    assert (found.device_type == "mobile") == (said.is_mobile and not found.is_bot)


def test_a_robot_is_what_the_crawler_list_says_it_is():
    """The fast engine agrees with the package on every example of its list, and on people."""
    crawlers = crawleruseragents.CRAWLER_USER_AGENTS_DATA
    texts = [text for crawler in crawlers for text in crawler.get("instances", [])]
    texts += [*TEXTS, "BlogTraffic/٣.1 Feed-Fetcher", "Spider" + "x" * 3000 + "spider.com", "bot"]
    differing = [text for text in texts if is_crawler(text) != crawleruseragents.is_crawler(text)]
    assert differing == []


def test_a_robot_that_only_the_crawler_list_knows_is_a_robot():
    """Either of the two sources makes a robot."""
    [found] = resolve(WINDOWS + " HeadlessChrome/131.0.0.0")
    assert (found.is_bot, found.device_type) == (True, "bot")


@pytest.mark.parametrize("text", ["Chrome/" + "9" * 5000, "é" * 2000, "\x00", "%", "Chrome/²"])
def test_no_user_agent_stops_the_reading(text):
    """Hostile texts give a device like any other."""
    assert resolve(text)[0].user_agent == text
