"""Parts of URLs, their query parameters, and the form URLs have in rows (SPEC section 6).

Everything works on whole columns; Python sees distinct origins, and distinct texts with escapes.
A URL is read as RFC 3986 has it: the fragment begins at the first `#`, the query at the first `?`
before it, an authority at `//` after the scheme or at the beginning.
"""

import functools
import ipaddress
import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote_plus

import numpy as np
import polars as pl
from publicsuffixlist import PublicSuffixList

from schemas.rules import click_ids
from transforms.columns import lists_by_row, per_value, replaced

CAMPAIGN_PREFIX = "utm_"

# Hosts of this scheme are names of programs: no domain is to be found in them.
APP_SCHEME = "android-app"

_ORIGIN = r"^((?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/]*)"
_PORT = re.compile(":[0-9]*$")
_USER_INFO = r"^((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)[^/]*@"
# Names that have to be decoded before they are known, and those that are not simply lower case.
_ESCAPED_NAME = r"^[^=]*[%+\s]"
_UNUSUAL_NAME = r"^[^=]*[%+\sA-Z]"
_KEPT_NAME = f"^(?i-u:{CAMPAIGN_PREFIX})"


# --- parts -------------------------------------------------------------------------------------


def split_urls(urls: pl.Series) -> pl.DataFrame:
    """Columns `base` (all before the query), `query` and `fragment`, as written, null if absent."""
    fragment = pl.Series([None], dtype=pl.String).new_from_index(0, len(urls))
    marked = urls.str.contains("#", literal=True).arg_true()
    if not marked.is_empty():
        cut = urls.gather(marked).str.splitn("#", 2).struct.unnest()
        urls = replaced(urls, marked, cut["field_0"])
        fragment = replaced(fragment, marked, cut["field_1"])
    before = urls.str.splitn("?", 2).struct.unnest()
    return pl.DataFrame(
        {"base": before["field_0"], "query": before["field_1"], "fragment": fragment}
    )


def origins(bases: pl.Series) -> pl.Series:
    """Scheme and authority of a `base` column as written, null where there is no authority."""
    return bases.str.extract(_ORIGIN, 1)


def hosts(origin: pl.Series) -> pl.DataFrame:
    """Columns `scheme`, `host` and `site` of origins; all null where there is no host.

    The host is lower case, without user info, port and trailing dot. `site` is the registrable
    domain, or the host where it has none: an address, localhost, a public suffix, a program.
    """
    return per_value(origin, _hosts_of_distinct)


def url_parts(urls: pl.Series) -> pl.DataFrame:
    """Columns `scheme`, `host`, `site` of `hosts`, and `path`, `query`, `fragment` as written."""
    parts = split_urls(urls)
    origin = origins(parts["base"])
    path = parts["base"].str.strip_prefix(origin.fill_null(""))
    return hosts(origin).hstack([path.alias("path"), parts["query"], parts["fragment"]])


@functools.lru_cache(maxsize=1 << 16)
def registrable_domain(host: str) -> str:
    """The registrable domain of a lower-case host, the host itself where it has none."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return _public_suffixes().privatesuffix(host) or host
    return host


@functools.cache
def _public_suffixes() -> PublicSuffixList:
    return PublicSuffixList()


def _hosts_of_distinct(origin: pl.Series) -> pl.DataFrame:
    rows = [_host(text) if text else (None, None, None) for text in origin.to_list()]
    return pl.DataFrame(rows, dict.fromkeys(("scheme", "host", "site"), pl.String), orient="row")


def _host(origin: str) -> tuple[str | None, str | None, str | None]:
    scheme, _, authority = origin.partition("//")
    scheme = scheme.removesuffix(":").lower()
    named = authority.rpartition("@")[2]
    host = _PORT.sub("", named).lower().rstrip(".")
    if not host:
        return None, None, None
    return scheme, host, host if scheme == APP_SCHEME else registrable_domain(host)


# --- query parameters --------------------------------------------------------------------------


def form_decode(text: str) -> str:
    """A name or value of a query: `+` is a space, escapes are UTF-8, a broken escape stays."""
    return unquote_plus(text)


def is_click_id(parameter: str) -> bool:
    """Whether a parameter, as written, is a click id."""
    return _name(parameter) in click_ids().names


def is_kept(parameter: str) -> bool:
    """Whether a parameter, as written, stays in rows: `utm_*` and click ids."""
    return _name(parameter).startswith(CAMPAIGN_PREFIX) or is_click_id(parameter)


def written_parameters(queries: pl.Series) -> pl.DataFrame:
    """Columns `row` and `parameter`: each parameter of each query as written, in order."""
    split = queries.str.split("&").alias("parameter")
    return split.to_frame().with_row_index("row").explode("parameter").drop_nulls()


def kept_parameters(written: pl.DataFrame) -> pl.DataFrame:
    """Of `written_parameters` those that stay in rows."""
    kept = _matches(written["parameter"], f"{_KEPT_NAME}|{_click_id_name()}", is_kept)
    return written.filter(kept)


def spelled_parameters(written: pl.DataFrame) -> pl.DataFrame:
    """Parameters with their names decoded and in lower case, their values as written."""
    parameters = written["parameter"]
    rare = parameters.str.contains(_UNUSUAL_NAME).arg_true()
    if rare.is_empty():
        return written
    split = [parameter.partition("=") for parameter in parameters.gather(rare)]
    spelled = pl.Series([_name(name) + equals + value for name, equals, value in split])
    return written.with_columns(replaced(parameters, rare, spelled))


def first_values(spelled: pl.DataFrame, names: Sequence[str]) -> dict[str, pl.DataFrame]:
    """By name the columns `row` and `value`: each row's first value that is not empty.

    Values are form-decoded and trimmed. Only rows that have one are there, in order.
    """
    return {name: _first_values(spelled, f"{name}=") for name in names}


def _name(parameter: str) -> str:
    return form_decode(parameter.partition("=")[0]).strip().lower()


def _click_id_name() -> str:
    return rf"^(?i-u:{'|'.join(click_ids().names)})(?:=|$)"


def _matches(parameters: pl.Series, pattern: str, exactly: Callable[[str], bool]) -> pl.Series:
    """By pattern, but by the function where a name has escapes; the two say the same."""
    found = parameters.str.contains(pattern)
    escaped = parameters.str.contains(_ESCAPED_NAME).arg_true()
    if escaped.is_empty():
        return found
    exact = pl.Series([exactly(one) for one in parameters.gather(escaped)])
    return replaced(found, escaped, exact)


def _first_values(spelled: pl.DataFrame, prefix: str) -> pl.DataFrame:
    found = spelled.filter(pl.col("parameter").str.starts_with(prefix))
    value = _decoded(found["parameter"].str.strip_prefix(prefix)).alias("value")
    values = found.select("row", value).filter(pl.col("value") != "")
    # Rows stand in order, so a row's first value is one that follows another row's.
    return values.filter(pl.col("row").ne_missing(pl.col("row").shift()))


def _decoded(values: pl.Series) -> pl.Series:
    escaped = values.str.contains("[%+]").arg_true()
    if not escaped.is_empty():
        decoded = per_value(values.gather(escaped), _decoded_distinct)["value"]
        values = replaced(values, escaped, decoded)
    return values.str.strip_chars()


def _decoded_distinct(values: pl.Series) -> pl.DataFrame:
    return pl.DataFrame({"value": [form_decode(value) for value in values.to_list()]})


# --- URLs for rows -----------------------------------------------------------------------------


def clean_url(urls: pl.Series) -> pl.Series:
    """URLs as rows have them: no user info, no fragment, of the query only `utm_*` and click ids.

    All else stays as written, in its order; a query of which nothing is left goes with its `?`.
    """
    parts = split_urls(urls)
    return cleaned(parts["base"], kept_parameters(written_parameters(parts["query"])))


def cleaned(bases: pl.Series, kept: pl.DataFrame) -> pl.Series:
    """`clean_url` of bases (see `split_urls`) and the parameters that stay."""
    marked = bases.str.contains("@", literal=True).fill_null(False)
    if marked.any():
        bases = bases.str.replace(_USER_INFO, "${1}")
    return _concatenated(bases, *_queries(kept, len(bases)))


def clean_one(base: str, parameters: Sequence[str], keyword: int | None) -> str:
    """`clean_url` of one URL that also keeps the parameter at the place `keyword`."""
    kept = [one for place, one in enumerate(parameters) if place == keyword or is_kept(one)]
    return re.sub(_USER_INFO, r"\1", base) + ("?" + "&".join(kept) if kept else "")


def strip_click_ids(urls: pl.Series) -> pl.Series:
    """URLs without their click ids, all else as written: what is read without `marketing` consent.

    A query that was nothing but click ids goes with its `?`.
    """
    parts = split_urls(urls)
    written = written_parameters(parts["query"])
    clicks = _matches(written["parameter"], _click_id_name(), is_click_id)
    if not clicks.any():
        return urls
    fragment = ("#" + parts["fragment"]).fill_null("")
    query = _queries(written.filter(~clicks), len(urls))
    stripped = _concatenated(parts["base"], *query, fragment)
    touched = np.bincount(written["row"].filter(clicks).to_numpy(), minlength=len(urls))
    return stripped.zip_with(pl.Series(touched > 0), urls)


def _concatenated(*parts: pl.Series) -> pl.Series:
    frame = pl.DataFrame([part.alias(str(place)) for place, part in enumerate(parts)])
    return frame.select(pl.concat_str(pl.all())).to_series()


def _queries(kept: pl.DataFrame, rows: int) -> tuple[pl.Series, pl.Series]:
    """By row the `?` and the parameters given, as written; both empty where a row has none."""
    queries = lists_by_row(kept["row"], kept["parameter"], rows).list.join("&")
    return pl.Series("mark", ["", "?"]).gather((queries != "").cast(pl.UInt32)), queries
