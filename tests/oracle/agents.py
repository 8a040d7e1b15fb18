"""Devices and bots, by user-agents semantics and crawler-user-agents (SPEC 7)."""

from __future__ import annotations

import functools
from typing import Any

import crawleruseragents
import user_agents

COLUMNS = (
    "is_bot",
    "device_type",
    "device",
    "os",
    "os_version",
    "browser",
    "browser_version",
)


@functools.lru_cache(maxsize=4096)
def describe(user_agent: str) -> dict[str, Any]:
    """The device columns of a user agent."""
    parsed = user_agents.parse(user_agent)
    is_bot = parsed.is_bot or crawleruseragents.is_crawler(user_agent)
    return {
        "is_bot": is_bot,
        "device_type": device_type(parsed, is_bot),
        "device": parsed.device.family or None,
        "os": parsed.os.family or None,
        "os_version": parsed.os.version_string or None,
        "browser": parsed.browser.family or None,
        "browser_version": parsed.browser.version_string or None,
    }


def device_type(parsed: Any, is_bot: bool) -> str:
    """A bot first, else in the order of the words of section 7."""
    if is_bot:
        return "bot"
    if parsed.is_mobile:
        return "mobile"
    if parsed.is_tablet:
        return "tablet"
    return "desktop" if parsed.is_pc else "other"


def describe_or_none(user_agent: str | None) -> dict[str, Any]:
    """Without a user agent a session is no bot, and its device unknown."""
    if user_agent is None:
        return dict.fromkeys(COLUMNS) | {"is_bot": False}
    return describe(user_agent)
