"""Search engines, social networks, AI assistants (data/referrers/README.md)."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus, unquote_to_bytes

from oracle.urls import Url, registrable
from oracle.wire import trim

RULES = Path(__file__).parents[2] / "schemas" / "rules"
NOT_PROVIDED = "(not provided)"
COUNTRY = r"(?:(?:com|org|net|co|it|edu)\.)?[a-z][a-z]"

Entry = dict[str, Any]


@dataclasses.dataclass
class Search:
    """A visit from an engine: its name, the keyword, where in the query it stood."""

    name: str
    keyword: str | None
    place: int | None = None


@functools.cache
def lists() -> dict[str, list[Entry]]:
    return json.loads((RULES / "referrers.json").read_text(encoding="utf-8"))


def split(listed: str) -> tuple[str, str]:
    """A listed URL as host and path (most have none)."""
    host, slash, path = listed.partition("/")
    return host.lower(), slash + path


def matches_host(listed: str, host: str) -> bool:
    """`{}` stands for a country code."""
    if "{}" not in listed:
        return listed == host
    return country_pattern(listed).fullmatch(host) is not None


@functools.cache
def country_pattern(listed: str) -> re.Pattern[str]:
    return re.compile(COUNTRY.join(re.escape(part) for part in listed.split("{}")))


def engine_on(host: str, path: str) -> tuple[bool, Entry | None]:
    """Whether the host is listed, and the engine: path before none, literal before pattern."""
    best: tuple[tuple[int, bool], Entry] | None = None
    listed_at_all = False
    for entry in lists()["search"]:
        for listed in entry["urls"]:
            listed_host, listed_path = split(listed)
            if not matches_host(listed_host, host):
                continue
            listed_at_all = True
            if not path.startswith(listed_path):
                continue
            rank = (len(listed_path), "{}" not in listed_host)
            if best is None or rank > best[0]:
                best = (rank, entry)
    return listed_at_all, best[1] if best else None


def engine_of(url: Url) -> Entry | None:
    """A leading `www.` or `m.` is ignored where the exact host is not listed."""
    host = url.host or ""
    listed, engine = engine_on(host, url.path)
    if not listed and host.startswith(("www.", "m.")):
        listed, engine = engine_on(host.partition(".")[2], url.path)
    return engine


def listed_under(kind: str, url: Url) -> str | None:
    """The social network or AI assistant: subdomains match too, the longest host wins."""
    best: tuple[tuple[bool, int], str] | None = None
    host = url.host or ""
    for entry in lists()[kind]:
        for listed in entry["urls"]:
            listed_host, listed_path = split(listed)
            if host != listed_host and not host.endswith("." + listed_host):
                continue
            if not url.path.startswith(listed_path):
                continue
            rank = (listed_path != "", len(listed_host))
            if best is None or rank > best[0]:
                best = (rank, entry["name"])
    return best[1] if best else None


def ai_sources() -> set[str]:
    """The names and hosts in the AI assistants list (an entry with a path is no host)."""
    names = {entry["name"] for entry in lists()["ai"]}
    return names | {url for entry in lists()["ai"] for url in entry["urls"] if "/" not in url}


def regex_in(text: str) -> str | None:
    """`/regex/` as a pattern; a lone `/` is literal."""
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == "/" else None


def decoded(raw: str, charsets: list[str]) -> str:
    """Percent-decoded in the charsets in turn, `+` is a space; trimmed, lower case."""
    octets = unquote_to_bytes(raw.replace("+", " "))
    for charset in charsets or ["utf-8"]:
        try:
            return trim(octets.decode(charset)).lower()
        except UnicodeDecodeError:
            continue
    return trim(octets.decode((charsets or ["utf-8"])[0], errors="replace")).lower()


def raw_values(url: Url, wanted: str) -> list[tuple[str, int | None]]:
    """What one of an engine's `params` finds: raw values and their place in the query."""
    pattern = regex_in(wanted)
    if pattern is not None:
        match = re.search(pattern, url.path + ("?" + url.query if url.query else ""))
        return [(match.group(1), None)] if match else []
    return [
        (segment.partition("=")[2], place)
        for place, segment in enumerate(url.segments)
        if unquote_plus(segment.partition("=")[0]) == wanted
    ]


def keyword_of(url: Url, engine: Entry) -> tuple[str | None, int | None]:
    """The first param that gives a non-empty value; an address is no keyword."""
    for wanted in engine.get("params", []):
        for raw, place in raw_values(url, wanted):
            keyword = decoded(raw, engine.get("charsets", []))
            if keyword and not keyword.startswith(("http://", "https://")):
                return keyword, place
    return None, None


def hides_keyword(url: Url, engine: Entry) -> bool:
    """The path, with query and fragment, from which the engine sends no keyword."""
    path = url.path
    path += "?" + url.query if url.query else ""
    path += "#" + url.fragment if url.fragment else ""
    for hidden in engine.get("hidden", []):
        pattern = regex_in(hidden)
        if path == hidden if pattern is None else re.search(pattern, path) is not None:
            return True
    return False


def alphanumeric(text: str) -> str:
    return "".join(char for char in text.lower() if char.isalnum())


def is_own_origin(url: Url, engine: Entry) -> bool:
    """Only the origin was sent, and it is the engine's own site."""
    if url.path not in ("", "/") or url.query or url.host is None:
        return False
    label = alphanumeric(registrable(url.host).partition(".")[0])
    name = alphanumeric(engine["name"])
    return (label in name or name in label) and listed_under("social", url) is None


def search_of(url: Url) -> Search | None:
    """The search engine a referrer comes from; a page without keyword may be no search."""
    engine = engine_of(url)
    if engine is None:
        return None
    keyword, place = keyword_of(url, engine)
    if keyword is not None:
        return Search(engine["name"], keyword, place)
    if hides_keyword(url, engine) or is_own_origin(url, engine):
        return Search(engine["name"], NOT_PROVIDED)
    return None
