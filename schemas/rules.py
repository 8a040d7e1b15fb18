"""The rule data behind source, channel and device columns (SPEC sections 6 and 7), read once.

The tables are JSON files in `schemas/rules`; their README names where they come from. Here they
become small frozen values with their patterns compiled; nothing is decided.
"""

import functools
import hashlib
import importlib.metadata
import json
import re
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

# Raised by hand when code, not data, changes what a row gets.
VERSION = "1"

# Lists that come as packages and decide results as much as the files here do.
DATA_PACKAGES = ("crawler-user-agents", "publicsuffixlist", "ua-parser-builtins")

TextOrPattern = str | re.Pattern[str]


@dataclass(frozen=True)
class Engine:
    """One group of a search engine's hosts: where its keyword stands, and where it hides it."""

    name: str
    urls: tuple[str, ...]
    params: tuple[TextOrPattern, ...]
    hidden: tuple[TextOrPattern, ...]
    charsets: tuple[str, ...]


@dataclass(frozen=True)
class Site:
    """A social network or an AI assistant, with its hosts."""

    name: str
    urls: tuple[str, ...]


@dataclass(frozen=True)
class Referrers:
    """Who may have sent a visitor, each list in the order of its source."""

    search: tuple[Engine, ...]
    social: tuple[Site, ...]
    ai: tuple[Site, ...]


@dataclass(frozen=True)
class ClickId:
    """A click id's parameter and what it says of the visit."""

    name: str
    source: str
    medium: str


@dataclass(frozen=True)
class ClickIds:
    """Click ids that make a visit paid, in the order they count, and those that never do."""

    paid: tuple[ClickId, ...]
    unpaid: tuple[ClickId, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every click id's parameter, lower case, sorted."""
        return tuple(sorted(click.name for click in self.paid + self.unpaid))


@dataclass(frozen=True)
class Condition:
    """One comparison of a channel rule: a field, an operator and what to compare with."""

    field: str
    operator: str
    value: str | tuple[str, ...]


@dataclass(frozen=True)
class ChannelRule:
    """A channel and the alternatives that lead to it; of an alternative all conditions hold."""

    channel: str
    alternatives: tuple[tuple[Condition, ...], ...]


@dataclass(frozen=True)
class Channels:
    """The channel table in its order, its named patterns, and the category of known sources."""

    rules: tuple[ChannelRule, ...]
    patterns: dict[str, str]
    categories: dict[str, str]


@functools.cache
def referrers() -> Referrers:
    """Search engines, social networks and AI assistants."""
    table = _table("referrers.json")
    return Referrers(
        search=tuple(_engine(entry) for entry in table["search"]),
        social=tuple(Site(entry["name"], tuple(entry["urls"])) for entry in table["social"]),
        ai=tuple(Site(entry["name"], tuple(entry["urls"])) for entry in table["ai"]),
    )


@functools.cache
def click_ids() -> ClickIds:
    """The click ids of advertising networks."""
    table = _table("clicks.json")
    return ClickIds(
        paid=tuple(ClickId(**entry) for entry in table["paid"]),
        unpaid=tuple(ClickId(**entry) for entry in table["unpaid"]),
    )


@functools.cache
def channels() -> Channels:
    """The channel groups."""
    table = _table("channels.json")
    return Channels(
        rules=tuple(_channel_rule(entry) for entry in table["rules"]),
        patterns=table["patterns"],
        categories=table["categories"],
    )


@functools.cache
def rule_set() -> str:
    """Version and short hash of all rule data: what made a row's source, channel and device."""
    digest = hashlib.sha256()
    for name in _table_names():
        digest.update((files("schemas") / "rules" / name).read_bytes())
    for package in DATA_PACKAGES:
        digest.update(f"{package}=={importlib.metadata.version(package)}\n".encode())
    return f"{VERSION}-{digest.hexdigest()[:8]}"


def _table_names() -> list[str]:
    folder = files("schemas") / "rules"
    return sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".json"))


def _table(name: str) -> dict[str, Any]:
    table: dict[str, Any] = json.loads((files("schemas") / "rules" / name).read_bytes())
    return table


def _engine(entry: dict[str, Any]) -> Engine:
    return Engine(
        name=entry["name"],
        urls=tuple(entry["urls"]),
        params=tuple(map(_text_or_pattern, entry.get("params", ()))),
        hidden=tuple(map(_text_or_pattern, entry.get("hidden", ()))),
        charsets=tuple(entry.get("charsets", ())),
    )


def _text_or_pattern(written: str) -> TextOrPattern:
    # The list writes a pattern between slashes; a lone slash is a path.
    if len(written) > 1 and written.startswith("/") and written.endswith("/"):
        return re.compile(written[1:-1])
    return written


def _channel_rule(entry: dict[str, Any]) -> ChannelRule:
    return ChannelRule(
        channel=entry["channel"],
        alternatives=tuple(
            tuple(
                Condition(field, operator, tuple(value) if isinstance(value, list) else value)
                for field, operator, value in alternative
            )
            for alternative in entry["any"]
        ),
    )
