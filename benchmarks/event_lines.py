"""How benchmark events are written: columns to JSON lines, lines to files."""

import string
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl

SECOND_US = 1_000_000

# name, share of sessions, host, time suffix and digits of a second, region
ACCOUNTS = (
    ("nordfon", 0.46, "www.nordfon.example", "+02:00", 3, "DK"),
    ("brighthome", 0.14, "brighthome.example", "-04:00", 3, "US"),
    ("elkompagniet", 0.12, "www.elkompagniet.example", "+02:00", 3, "DK"),
    ("forsikringstal", 0.10, "forsikringstal.example", "Z", 6, "DK"),
    ("bilhuset", 0.07, "www.bilhuset.example", "+02:00", 3, "DK"),
    ("flyttefirma", 0.05, "flyttefirma.example", "Z", 6, "DK"),
    ("tandklinik", 0.03, "www.tandklinik.example", "+02:00", 6, "DK"),
    ("advokaterne", 0.03, "advokaterne.example", "Z", 3, "DK"),
)
US_ACCOUNT = 1


def named(frame: pl.DataFrame) -> pl.DataFrame:
    """The columns that events write for an account, a visitor and a number."""
    names = pl.Series([account[0] for account in ACCOUNTS])
    return frame.with_columns(
        account_name=names.gather(frame["account"]),
        visitor_id=visitor_text(),
        phone=number_text("visitor", 7),
        tracking_number=number_text("number", 6),
    )


def number_text(column: str, digits: int) -> pl.Expr:
    """A number from a range that no subscriber has: Danish series 10 to 19, American 555-01xx."""
    value = pl.col(column)
    tail = pl.lit(10**digits) + value % 10**digits
    danish = pl.concat_str(pl.lit("+451"), tail.cast(pl.String).str.slice(1).str.zfill(7))
    area, line = 201 + value // 100 % 799, 100 + value % 100
    american = pl.format("+1{}5550{}", area.cast(pl.String), line.cast(pl.String))
    return pl.when(pl.col("account") == US_ACCOUNT).then(american).otherwise(danish)


def visitor_text() -> pl.Expr:
    """An id as trackers make them: a random number and an epoch second."""
    random, second = pl.col("visitor") % 2**31, 1_772_000_000 + pl.col("visitor") // 2**31 * 9_000
    return pl.concat_str(random.cast(pl.String), pl.lit("."), second.cast(pl.String))


def json_lines(frame: pl.DataFrame, fields: list[tuple[str, pl.Expr]]) -> pl.DataFrame:
    """`arrival_us` and `line`: one JSON object a row, where a null value leaves its field out."""
    pieces = [
        pl.concat_str(pl.lit(f'"{name}":'), value, pl.lit(",")).fill_null("")
        for name, value in fields
    ]
    line = pl.lit("{") + pl.concat_str(pieces).str.strip_suffix(",") + pl.lit("}\n")
    return frame.select("arrival_us", line=line)


def text(value: pl.Expr | str) -> pl.Expr:
    """A JSON string; an empty one becomes null. The values here need no escapes."""
    column = pl.col(value) if isinstance(value, str) else value
    return pl.when(column != "").then(pl.concat_str(pl.lit('"'), column, pl.lit('"')))


def time_text(column: str) -> pl.Expr:
    """An RFC 3339 time in the account's own offset and number of digits."""
    choices = []
    for account, (_, _, _, suffix, digits, _) in enumerate(ACCOUNTS):
        hours = 0 if suffix == "Z" else int(suffix[:3])
        local = pl.from_epoch(pl.col(column) + hours * 3600 * SECOND_US, time_unit="us")
        written = local.dt.to_string(f'"%Y-%m-%dT%H:%M:%S%.{digits}f{suffix}"')
        choices.append(pl.when(pl.col("account") == account).then(written))
    return pl.coalesce(choices)


def filled(template: str) -> pl.Expr:
    """A template as an expression: each {column} is replaced by that column's value."""
    pieces = []
    for literal, column, _, _ in string.Formatter().parse(template):
        pieces.append(pl.lit(literal))
        if column:
            pieces.append(pl.col(column))
    return pl.concat_str(pieces) if pieces else pl.lit("")


def by_kind(templates: list[str]) -> pl.Expr:
    """Of several templates the one that the row's `kind` says, filled."""
    return pl.coalesce(
        pl.when(pl.col("kind") == kind).then(filled(template))
        for kind, template in enumerate(templates)
    )


def pageview_lines(pageviews: pl.DataFrame) -> pl.DataFrame:
    """The pageviews as sent."""
    partners = pl.when(pl.col("entry")).then(
        pl.concat_str(pl.lit('{"ga_client_id":"'), "visitor_id", pl.lit('"}'))
    )
    fields = [
        ("account", text("account_name")),
        ("visitor_id", text("visitor_id")),
        ("event_id", text("event_id")),
        ("time", time_text("time_us")),
        ("url", text("url")),
        ("referrer", text("referrer")),
        ("title", text(pl.col("topic").str.to_titlecase())),
        ("user_agent", text("agent")),
        ("ip", pl.format('"198.{}.{}.{}"', 18 + pl.col("ip_tail") // 65536,
                         pl.col("ip_tail") // 256 % 256, pl.col("ip_tail") % 256)),
        ("tracking_numbers", pl.concat_str(pl.lit('["'), "tracking_number", pl.lit('"]'))),
        ("third_party_ids", partners),
    ]  # fmt: skip
    return json_lines(pageviews, fields)


class Files:
    """Open output files, one for some days of a kind; counts the lines written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: dict[str, int] = {}
        self._open: dict[str, BinaryIO] = {}

    def write(self, name: str, frame: pl.DataFrame) -> None:
        """Append the frame's lines in the order of their arrival."""
        if name not in self._open:
            self._open[name] = (self.folder / name).open("wb")
        lines = frame.sort("arrival_us", maintain_order=True)["line"].rechunk()
        array = lines.to_arrow(compat_level=pl.CompatLevel.oldest())
        offsets = np.frombuffer(array.buffers()[1], np.int64)
        start, end = offsets[array.offset], offsets[array.offset + len(array)]
        self._open[name].write(memoryview(array.buffers()[2])[start:end])
        kind = name.replace(".", "-").partition("-")[0]
        self.lines[kind] = self.lines.get(kind, 0) + len(frame)

    def close(self) -> None:
        """Finish every file."""
        for file in self._open.values():
            file.close()
