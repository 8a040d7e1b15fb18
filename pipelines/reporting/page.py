"""The page: one HTML file that holds its styles, scripts, charts and data, and asks for nothing.

Names of campaigns and URLs come from whoever made a link to the site, so they are text everywhere:
the template escapes what it shows, data of charts stands in JSON without `<`, `>` and `&`, and the
page's content security policy runs only the script whose hash it names and loads nothing.
"""

import base64
import functools
import hashlib
from collections.abc import Mapping
from importlib import resources
from typing import Any

import altair as alt
import jinja2
import vl_convert

PLACE = "page"


def render(context: Mapping[str, Any]) -> str:
    """The page of a context: see page/report.html.jinja for what it holds."""
    script = _script()
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    template = _environment().get_template("report.html.jinja")
    return template.render(
        context,
        script=script,
        styles=_file("report.css"),
        policy=policy,
    )


def _environment() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FunctionLoader(_file),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"count": _count, "decimal": _decimal, "share": _share, "span": _span}
    return found


@functools.cache
def _script() -> str:
    """Vega, Vega-Lite and Vega-Embed with the page's own few lines, as one module."""
    version = "v" + ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    bundle: str = vl_convert.javascript_bundle(_file("report.js"), vl_version=version)
    if "</script" in bundle.lower() or "<!--" in bundle:
        raise ValueError("the bundle of Vega would end its own script element")
    return f"\n{bundle}\n"


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@functools.cache
def _file(name: str) -> str:
    return (resources.files(__package__) / PLACE / name).read_text(encoding="utf-8")


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _decimal(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _span(seconds: int | None) -> str:
    """A time in words of its size."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
