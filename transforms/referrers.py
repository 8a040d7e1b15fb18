"""Who a referrer is: AI assistant, search engine, social network, or none of them (SPEC section 6).

How entries match is written in the README of the referrer lists. Hosts are looked up once each;
only where a path or a query decides (engines, `x.com/i/grok`) Python sees distinct referrers.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar
from urllib.parse import unquote

import polars as pl

from schemas.rules import Engine, Site, TextOrPattern, referrers
from transforms.columns import per_value, replaced
from transforms.urls import (
    clean_one,
    cleaned,
    form_decode,
    hosts,
    kept_parameters,
    origins,
    registrable_domain,
    split_urls,
    written_parameters,
)

NOT_PROVIDED = "(not provided)"

# `{}` in a listed host stands for a country's two letters, alone or after one of these.
_COUNTRY = "{}"
_BEFORE_COUNTRY = ("com", "org", "net", "co", "it", "edu")
_TWO_LETTERS = re.compile("[a-z]{2}")
_IGNORED_PREFIX = re.compile(r"^(?:www|m)\.")
_URLS = ("http://", "https://")

_Entry = TypeVar("_Entry", Engine, Site)


@dataclass(frozen=True)
class Address:
    """The parts of a referrer that decide; those that are absent are empty."""

    host: str
    path: str = ""
    query: str = ""
    fragment: str = ""

    @property
    def path_and_query(self) -> str:
        """Path and query as written."""
        return self.path + (f"?{self.query}" if self.query else "")


@dataclass(frozen=True)
class Sender:
    """What a referrer is known as; all None where it is in no list.

    `rule` is `ai`, `search` or `social`. `keyword_at` is the place in the query of the parameter
    that holds an engine's keyword, whatever the rule: some assistants are listed as engines too.
    """

    rule: str | None = None
    name: str | None = None
    keyword: str | None = None
    keyword_at: int | None = None


def identify_referrers(urls: pl.Series) -> pl.DataFrame:
    """By row `host`, `site`, `rule`, `name`, `keyword` and `referrer` of referrers' URLs.

    `host` and `site` are those of `transforms.urls.hosts`; `rule`, `name` and `keyword` those of
    `Sender`. `referrer` is the URL as rows have it: as `clean_url`, with the parameter that gave
    an engine's keyword; null where the URL has no host.
    """
    return per_value(urls, _identify)


def _identify(urls: pl.Series) -> pl.DataFrame:
    parts = split_urls(urls)
    origin = origins(parts["base"])
    named = hosts(origin)
    sent = per_value(named["host"], _senders_of_hosts)
    clean = cleaned(parts["base"], kept_parameters(written_parameters(parts["query"])))
    rows = sent["by_page"].arg_true()
    pages = parts.with_columns(origin=origin, host=named["host"])[rows].fill_null("")
    found = [_of_page(**page) for page in pages.iter_rows(named=True)]
    exact = pl.DataFrame(found, _SENT | {"referrer": pl.String}, orient="row")
    columns = sent.drop("by_page").with_columns(referrer=clean)
    return named.select("host", "site").hstack(
        [
            replaced(column, rows, exact[column.name]).set(named["host"].is_null(), None)
            for column in columns
        ]
    )


_SENT = {"rule": pl.String, "name": pl.String, "keyword": pl.String}


def _senders_of_hosts(names: pl.Series) -> pl.DataFrame:
    """Columns of a sender by host, and `by_page` where the host alone does not decide."""
    rows = []
    for host in names.to_list():
        by_page = host is not None and _pages_differ(host)
        sender = Sender() if host is None or by_page else identify(Address(host))
        rows.append((sender.rule, sender.name, sender.keyword, by_page))
    return pl.DataFrame(rows, _SENT | {"by_page": pl.Boolean}, orient="row")


def _of_page(
    base: str, query: str, fragment: str, origin: str, host: str
) -> tuple[str | None, str | None, str | None, str]:
    sender = identify(Address(host, base.removeprefix(origin), query, fragment))
    clean = clean_one(base, query.split("&"), sender.keyword_at)
    return sender.rule, sender.name, sender.keyword, clean


# --- one referrer ------------------------------------------------------------------------------


def identify(address: Address) -> Sender:
    """Who sent a visitor from this address: assistants first, then engines, then networks."""
    listed = _of_host(address.host)
    engine = _first(listed.search, address.path)
    search = _search(engine, address) if engine else None
    if assistant := _first(listed.ai, address.path):
        return Sender("ai", assistant.name, keyword_at=search.keyword_at if search else None)
    if search:
        return search
    if network := _first(listed.social, address.path):
        return Sender("social", network.name)
    return Sender()


def _pages_differ(host: str) -> bool:
    listed = _of_host(host)
    return bool(listed.search) or any(path for path, _ in (*listed.ai, *listed.social))


def _first(entries: Iterable[tuple[str, _Entry]], path: str) -> _Entry | None:
    return next((entry for beginning, entry in entries if path.startswith(beginning)), None)


def _search(engine: Engine, address: Address) -> Sender | None:
    for keyword, place in _values(engine, address):
        if keyword and not keyword.startswith(_URLS):
            return Sender("search", engine.name, keyword, place)
    if _hides_keyword(engine, address) or _is_own_origin(engine, address):
        return Sender("search", engine.name, NOT_PROVIDED)
    return None


def _values(engine: Engine, address: Address) -> Iterator[tuple[str, int | None]]:
    """What the engine's parameters hold, in their order, and the place of each in the query."""
    for parameter in engine.params:
        if isinstance(parameter, re.Pattern):
            if match := parameter.search(address.path_and_query):
                yield _decoded(match[1], engine.charsets), _place(address, match.start(1))
            continue
        for place, written in enumerate(address.query.split("&")):
            name, _, value = written.partition("=")
            if form_decode(name) == parameter:
                yield _decoded(value, engine.charsets), place


def _place(address: Address, at: int) -> int | None:
    if at < len(address.path):
        return None
    return address.path_and_query[len(address.path) : at].count("&")


def _decoded(value: str, charsets: Iterable[str]) -> str:
    spaced = value.replace("+", " ")
    for charset in charsets:
        try:
            return _tidy(unquote(spaced, charset, "strict"))
        except UnicodeDecodeError:
            continue
    return _tidy(unquote(spaced))


def _tidy(keyword: str) -> str:
    return keyword.strip().lower()


def _hides_keyword(engine: Engine, address: Address) -> bool:
    fragment = f"#{address.fragment}" if address.fragment else ""
    page = address.path_and_query + fragment
    return any(_is_page(hidden, page) for hidden in engine.hidden)


def _is_page(hidden: TextOrPattern, page: str) -> bool:
    return bool(hidden.search(page)) if isinstance(hidden, re.Pattern) else hidden == page


def _is_own_origin(engine: Engine, address: Address) -> bool:
    """Whether it is what browsers send of an engine's own site: the origin alone."""
    if address.path_and_query not in ("", "/") or _first(
        _of_host(address.host).social, address.path
    ):
        return False
    label = _letters(registrable_domain(address.host).partition(".")[0])
    name = _letters(engine.name)
    return label in name or name in label


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, text.lower()))


# --- the lists ---------------------------------------------------------------------------------


class _Listed(Generic[_Entry]):
    """One list's entries by host, each with the path its referrers begin with."""

    def __init__(self, entries: Iterable[_Entry]) -> None:
        self._entries: dict[str, list[tuple[str, _Entry]]] = {}
        for entry in entries:
            for url in entry.urls:
                host, slash, rest = url.partition("/")
                self._entries.setdefault(host.lower(), []).append((slash + rest, entry))

    def of_host(self, host: str) -> list[tuple[str, _Entry]]:
        """Entries of exactly this host: with a path first, then literal before pattern."""
        return self._of_names([host, *_with_country_open(host)])

    def of_host_or_above(self, host: str) -> list[tuple[str, _Entry]]:
        """Entries of this host and of those it is a subdomain of, the longest host first."""
        labels = host.split(".")
        above = [".".join(labels[depth:]) for depth in range(len(labels))]
        return [found for name in above for found in self._of_names([name])]

    def _of_names(self, names: Iterable[str]) -> list[tuple[str, _Entry]]:
        found = [entry for name in names for entry in self._entries.get(name, ())]
        return sorted(found, key=lambda entry: -len(entry[0]))


def _with_country_open(host: str) -> Iterator[str]:
    """The host with each of its labels that may be a country replaced by `{}`."""
    labels = host.split(".")
    for place, label in enumerate(labels):
        if not _TWO_LETTERS.fullmatch(label):
            continue
        yield ".".join([*labels[:place], _COUNTRY, *labels[place + 1 :]])
        if place and labels[place - 1] in _BEFORE_COUNTRY:
            yield ".".join([*labels[: place - 1], _COUNTRY, *labels[place + 1 :]])


@dataclass(frozen=True)
class _Entries:
    """What the lists have for a host: beginnings of paths, and who is behind them."""

    ai: list[tuple[str, Site]]
    search: list[tuple[str, Engine]]
    social: list[tuple[str, Site]]


@functools.lru_cache(maxsize=1 << 14)
def _of_host(host: str) -> _Entries:
    ai, search, social = _lists()
    return _Entries(
        ai.of_host_or_above(host),
        search.of_host(host) or search.of_host(_IGNORED_PREFIX.sub("", host)),
        social.of_host_or_above(host),
    )


@functools.cache
def _lists() -> tuple[_Listed[Site], _Listed[Engine], _Listed[Site]]:
    rules = referrers()
    return _Listed(rules.ai), _Listed(rules.search), _Listed(rules.social)
