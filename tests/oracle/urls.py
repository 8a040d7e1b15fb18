"""URLs: parts, host, registrable domain, query parameters (SPEC 6)."""

from __future__ import annotations

import dataclasses
import functools
import ipaddress
import re
from urllib.parse import unquote_plus

from publicsuffixlist import PublicSuffixList

from oracle.wire import trim

# RFC 3986, appendix B.
PARTS = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.DOTALL)
CLICK_IDS = (
    "msclkid",
    "gclid",
    "gbraid",
    "wbraid",
    "dclid",
    "ttclid",
    "li_fat_id",
    "twclid",
    "fbclid",
)


@dataclasses.dataclass
class Url:
    """The five parts of a URL; a part that is missing is None, the path is never."""

    scheme: str | None
    authority: str | None
    path: str
    query: str | None
    fragment: str | None

    @property
    def host(self) -> str | None:
        """Lower case, without user info and port; None where there is none."""
        host = (self.authority or "").rpartition("@")[2].lower()
        host = re.sub(r":[0-9]*$", "", host)
        return host or None

    @property
    def is_app(self) -> bool:
        return (self.scheme or "").lower() == "android-app"

    @property
    def segments(self) -> list[str]:
        """The query between the ampersands, as written."""
        return (self.query or "").split("&")


def parse(text: str) -> Url:
    match = PARTS.fullmatch(text)
    if match is None:
        raise AssertionError("the pattern matches every string")
    scheme, authority, path, query, fragment = match.groups()
    return Url(scheme, authority, path, query, fragment)


@functools.cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def registrable(host: str) -> str:
    """The registrable domain; a host without one (address, localhost) stands for itself."""
    if host.startswith("["):
        return host
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _suffixes().privatesuffix(host) or host
    return host


def site(url: Url) -> str | None:
    """What is compared to tell external from internal; an app's package name is whole."""
    if url.host is None or url.is_app:
        return url.host
    return registrable(url.host)


def is_below(host: str, domains: list[str]) -> bool:
    """One of the domains is the host, or a domain above it."""
    return any(
        host == domain.lower() or host.endswith("." + domain.lower())
        for domain in map(trim, domains)
    )


def name_of(segment: str) -> str:
    """A parameter's name, form-decoded, lower case."""
    return trim(unquote_plus(segment.partition("=")[0])).lower()


def value_of(segment: str) -> str:
    """A parameter's value, form-decoded, trimmed."""
    return trim(unquote_plus(segment.partition("=")[2]))


def parameter(url: Url, name: str) -> str | None:
    """The first non-empty one counts; only the query is read."""
    for segment in url.segments:
        if name_of(segment) == name and value_of(segment) != "":
            return value_of(segment)
    return None


def with_query(text: str, kept: list[str]) -> str:
    """The URL as written, but for the query, which is only what was kept."""
    before, mark, rest = text.partition("?")
    if "#" in before or not mark:
        return text
    _, hash_mark, fragment = rest.partition("#")
    query = "?" + "&".join(kept) if kept else ""
    return before + query + hash_mark + fragment


def without_click_ids(text: str) -> str:
    """Without the consent `marketing` (SPEC 3)."""
    segments = parse(text).segments
    kept = [segment for segment in segments if name_of(segment) not in CLICK_IDS]
    return text if kept == segments else with_query(text, kept)


def cleaned(text: str, also: int | None = None) -> str:
    """As in rows: no user info, no fragment, of the parameters utm_* and click ids alone.

    `also` is the place in the query of the parameter that gave an engine's keyword.
    """
    url = parse(text)
    kept = []
    for place, segment in enumerate(url.segments):
        name = name_of(segment)
        if name.startswith("utm_") or name in CLICK_IDS or place == also:
            kept.append(segment)
    start = "" if url.scheme is None else url.scheme + ":"
    if url.authority is not None:
        start += "//" + url.authority.rpartition("@")[2]
    return start + url.path + ("?" + "&".join(kept) if kept else "")
