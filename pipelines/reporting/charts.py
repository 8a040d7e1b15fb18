"""Charts of the page as Vega-Lite specifications, made with Altair.

Colours are the page's CSS variables, so that a chart follows light, dark and print by itself.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import altair as alt
import polars as pl

from pipelines.reporting import words
from pipelines.reporting.tables import Results, Table
from pipelines.reporting.tables_calls import NO_SOURCE, by_source

SOURCES_CHARTED = 10
HEIGHT, ROW_HEIGHT = 220, 28
DAYS_NAMED = 8
# With more bars than this there is no room between them, nor for lines between their parts.
BARS_APART = 45
HOURS = [f"{hour:02}:00" for hour in range(24)]


@dataclass(frozen=True)
class Part:
    """One colour of a stacked chart: the column of its table, its title, its CSS variable."""

    key: str
    title: str
    colour: str


STATUS_PARTS = [Part(key, title, key) for key, title in words.STATUSES.items()]
CALLER_PARTS = [
    Part(key, words.CALLERS[key], colour)
    for key, colour in (("first", "attributed"), ("repeat", "second"), ("withheld", "unattributed"))
]
ANSWER_PARTS = [
    Part("answered", "Answered", "attributed"),
    Part("missed", "Missed", "ambiguous"),
    Part("unknown", "Not known", "unattributed"),
]
_CONFIG = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "domainColor": "var(--line)",
        "tickColor": "var(--line)",
        "gridColor": "var(--grid)",
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "titleFontWeight": "normal",
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titlePadding": 8,
        "labelSeparation": 4,
    },
}


@dataclass(frozen=True)
class Drawing:
    """A chart's Vega-Lite specification, and the parts that its legend names."""

    specification: dict[str, Any]
    legend: list[Part] = field(default_factory=list)


def all_charts(results: Results, tables: dict[str, Table]) -> dict[str, Drawing]:
    """Every chart that has something to show, by its key."""
    days, callers, load = tables["days"], tables["callers"], tables["pool_hours"]
    plain = {
        "sources": _sources(results),
        "delays": _steps(tables["delays"], "Time, in unequal steps"),
        "certainty": _steps(tables["certainty"], "Probability of the decision"),
        "load": _hourly(load, "load", "Visitors per number", ".1f", "second"),
        "shared": _hourly(load, "share", "Share of displays shared", ".0%", "ambiguous"),
    }
    stacked = {
        "days": _stacked(days, STATUS_PARTS, _day_axis(days)),
        "callers": _stacked(callers, CALLER_PARTS, _day_axis(callers)),
        "answers": _stacked(tables["answers_by_hour"], ANSWER_PARTS, _hour_axis()),
    }
    drawn = {key: Drawing(_finish(chart)) for key, chart in plain.items() if chart is not None}
    return drawn | {key: drawing for key, drawing in stacked.items() if drawing is not None}


def _finish(chart: alt.Chart | alt.LayerChart | alt.FacetChart) -> dict[str, Any]:
    return chart.properties(width="container").to_dict() | {"config": _CONFIG}


def _sources(results: Results) -> alt.LayerChart | alt.FacetChart | None:
    """The largest sources: a bar of attributed calls, a mark at the expected ones."""
    found = by_source(results).filter(pl.col("label") != NO_SOURCE)
    rows = (
        found.group_by("label")
        .agg(pl.col("calls", "expected_calls").sum())
        .sort("calls", "expected_calls", "label", descending=[True, True, False])
        .head(SOURCES_CHARTED)
    )
    if not rows.height:
        return None
    base = alt.Chart(rows).encode(
        y=alt.Y("label:N", sort=rows["label"].to_list(), title=None).axis(
            labelLimit=140, ticks=False, domain=False, labelColor="var(--ink)", labelPadding=6
        ),
        tooltip=[
            alt.Tooltip("label:N", title="Source / medium"),
            alt.Tooltip("calls:Q", title="Attributed calls", format=","),
            alt.Tooltip("expected_calls:Q", title="Expected calls", format=",.1f"),
        ],
    )
    bars = base.mark_bar(color="var(--attributed)", height={"band": 0.6}).encode(
        x=alt.X("calls:Q", title="Calls").axis(**_count_axis(rows["calls"], rows["expected_calls"]))
    )
    marks = base.mark_tick(
        color="var(--ink)", thickness=3, opacity=1, height={"band": 0.85}
    ).encode(x="expected_calls:Q")
    return alt.layer(bars, marks).properties(height=ROW_HEIGHT * rows.height)


def _stacked(table: Table, parts: Sequence[Part], axis: alt.X) -> Drawing | None:
    """Stacked bars of a table's columns, in the order of the parts."""
    rows = pl.DataFrame(
        [
            {"label": row["label"], "part": part.title, "calls": row[part.key], "order": order}
            for row in table.rows
            for order, part in enumerate(parts)
            if row[part.key]
        ],
        {"label": pl.String, "part": pl.String, "calls": pl.Int64, "order": pl.Int64},
    )
    shown = [part for part in parts if rows.filter(part=part.title)["calls"].sum()]
    if not shown:
        return None
    tops = rows.group_by("label").agg(pl.col("calls").sum())["calls"]
    chart = (
        alt.Chart(rows)
        .mark_bar(stroke="var(--card)", strokeWidth=1 if len(table.rows) <= BARS_APART else 0)
        .encode(
            x=axis,
            y=alt.Y("calls:Q", title="Calls").axis(**_count_axis(tops)),
            color=alt.Color("part:N", legend=None).scale(
                domain=[part.title for part in shown],
                range=[f"var(--{part.colour})" for part in shown],
            ),
            order=alt.Order("order:Q"),
            tooltip=[
                alt.Tooltip("label:O", title=table.label.title),
                alt.Tooltip("part:N", title="Calls"),
                alt.Tooltip("calls:Q", title="How many", format=","),
            ],
        )
        .properties(height=HEIGHT)
    )
    return Drawing(_finish(chart), shown)


def _day_axis(table: Table) -> alt.X:
    """Every day has its place, those without calls too; some of them are named."""
    days = [row["label"] for row in table.rows]
    step = -(-len(days) // DAYS_NAMED)
    return (
        alt.X("label:O", title="Day (UTC)")
        .scale(domain=days, paddingInner=0.1 if len(days) <= BARS_APART else 0)
        .axis(
            values=days[::step] if days else [],
            labelExpr="utcFormat(toDate(datum.value), '%-d %b')",
            labelAngle=0,
            labelOverlap=True,
            grid=False,
        )
    )


def _hour_axis() -> alt.X:
    return (
        alt.X("label:O", title="Hour of the day (UTC)")
        .scale(domain=HOURS)
        .axis(labelAngle=0, values=HOURS[::4], grid=False)
    )


def _count_axis(*counts: pl.Series) -> dict[str, Any]:
    """Ticks at whole calls only, however few there are."""
    most = max(float(str(series.max())) for series in counts)
    return {"tickCount": max(1, min(5, math.ceil(most))), "format": ",d"}


def _steps(table: Table, title: str) -> alt.Chart | None:
    """Bars of a table's calls in the order of its rows."""
    rows = pl.DataFrame(
        [(row["label"], row["calls"]) for row in table.rows],
        {"label": pl.String, "calls": pl.Int64},
        orient="row",
    )
    if not rows["calls"].sum():
        return None
    return (
        alt.Chart(rows)
        .mark_bar(color="var(--attributed)")
        .encode(
            x=alt.X("label:O", sort=rows["label"].to_list(), title=title).axis(
                labelAngle=-40, labelOverlap=False
            ),
            y=alt.Y("calls:Q", title="Calls").axis(**_count_axis(rows["calls"])),
            tooltip=[
                alt.Tooltip("label:O", title=title),
                alt.Tooltip("calls:Q", title="Calls", format=","),
            ],
        )
        .properties(height=HEIGHT)
    )


def _hourly(
    table: Table, column: str, title: str, number_format: str, colour: str
) -> alt.Chart | None:
    """Bars by hour of the day; an hour without displays has none."""
    rows = [(row["label"], row[column]) for row in table.rows if row[column] is not None]
    if not rows:
        return None
    return (
        alt.Chart(pl.DataFrame(rows, ["label", "value"], orient="row"))
        .mark_bar(color=f"var(--{colour})")
        .encode(
            x=_hour_axis(),
            y=alt.Y("value:Q", title=title).axis(format=number_format, tickCount=5),
            tooltip=[
                alt.Tooltip("label:O", title="Hour (UTC)"),
                alt.Tooltip("value:Q", title=title, format=number_format),
            ],
        )
        .properties(height=HEIGHT)
    )
