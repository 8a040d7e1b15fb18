"""What a user agent says of a visit's device (SPEC section 7).

`ua-parser` finds families and versions, `user-agents` says what kind of device they make, and
`crawler-user-agents` knows robots that look like browsers. A process reads a text once.
"""

from functools import cache, lru_cache
from typing import Any, NamedTuple

import crawleruseragents
import polars as pl
from ua_parser import Domain, load_lazy_builtins
from ua_parser.lazy import UserAgentMatcher
from ua_parser.regex import Resolver
from user_agents import parsers

from transforms.columns import per_value

# What is remembered is bounded: so many texts, and none that is longer than browsers' are.
_REMEMBERED = 1 << 16
_LONGEST_REMEMBERED = 1024


class Device(NamedTuple):
    """The columns of a user agent; the default is that of a visit without one.

    `device`, `os` and `browser` are families as the parser names them, `Other` where it knows
    none; a version it does not find is None.
    """

    user_agent: str | None = None
    is_bot: bool = False
    device_type: str | None = None
    device: str | None = None
    os: str | None = None
    os_version: str | None = None
    browser: str | None = None
    browser_version: str | None = None


_SCHEMA = {name: pl.Boolean if name == "is_bot" else pl.String for name in Device._fields}


def resolve_user_agents(user_agents: pl.Series) -> pl.DataFrame:
    """The columns of `Device`, row by row.

    `device_type` is `bot` for robots, else `mobile`, `tablet`, `desktop` or `other`.
    """
    return per_value(user_agents, _devices)


def _devices(texts: pl.Series) -> pl.DataFrame:
    return pl.DataFrame([_device(text) for text in texts.to_list()], _SCHEMA, orient="row")


def _device(text: str | None) -> Device:
    if not text:
        return Device()
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _read(text)


def _read(text: str) -> Device:
    agent = _user_agent(text)
    is_bot = agent.is_bot or is_crawler(text)
    return Device(
        user_agent=text,
        is_bot=is_bot,
        device_type="bot" if is_bot else _device_type(agent),
        device=agent.device.family,
        os=agent.os.family,
        os_version=agent.os.version_string or None,
        browser=agent.browser.family,
        browser_version=agent.browser.version_string or None,
    )


_remembered = lru_cache(_REMEMBERED)(_read)


def _device_type(agent: parsers.UserAgent) -> str:
    if agent.is_mobile:
        return "mobile"
    if agent.is_tablet:
        return "tablet"
    return "desktop" if agent.is_pc else "other"


def _user_agent(text: str) -> parsers.UserAgent:
    """`user_agents.parse(text)`, whose own parser takes forty times as long."""
    found = _parser()(text, Domain.ALL).complete().with_defaults()
    agent: Any = parsers.UserAgent.__new__(parsers.UserAgent)
    agent.ua_string = text
    agent.browser = _versioned(parsers.parse_browser, found.user_agent)
    agent.os = _versioned(parsers.parse_operating_system, found.os)
    agent.device = parsers.parse_device(found.device.family, found.device.brand, found.device.model)
    return agent


def _versioned(parse: Any, part: Any) -> Any:
    try:
        return parse(part.family, part.major, part.minor, part.patch)
    except ValueError:  # thousands of digits, which Python reads as no number
        return parse(part.family)


@cache
def _parser() -> Resolver:
    return Resolver(load_lazy_builtins())


def is_crawler(text: str) -> bool:
    """`crawleruseragents.is_crawler(text)`, forty times as fast."""
    if not text.isascii():  # a digit means another thing to the fast engine there
        return crawleruseragents.is_crawler(text)
    return _crawlers()(text, Domain.USER_AGENT).user_agent is not None


@cache
def _crawlers() -> Resolver:
    patterns = [crawler["pattern"] for crawler in crawleruseragents.CRAWLER_USER_AGENTS_DATA]
    return Resolver(([UserAgentMatcher(pattern, "crawler") for pattern in patterns], [], []))
