"""The stream's latest rows are the backfill's, whatever the order, batches and watermarks."""

import random
from collections.abc import Callable

import polars as pl
import pytest
from hypothesis import strategies as st
from oracle.histories import History, as_inputs, histories
from polars.testing import assert_frame_equal
from pure import IDENTITY
from streams import Line, MemoryStream
from test_properties import KEY, NOW, PARTS, flow, hold_in_part

from schemas.config import Config, parse_config
from transforms.decode import DecodeSettings, decode_block
from transforms.decode_block import Block
from transforms.settings import allowed_lateness

Record = Callable[[str, object], None]
COUNTED = ("accepted", "duplicates")


def lines_of(history: History) -> list[Line]:
    return [(kind, line) for kind, lines in as_inputs(history) for line in lines]


def latest_watermarks(lines: list[Line], config: Config) -> list[int]:
    """Before each line, the greatest watermark at which neither it nor a later one is too late.

    A call is late by the earliest start of its records.
    """
    settings = DecodeSettings(config, KEY, NOW)
    bounds, starts = [], {}
    for kind, line in lines:
        decoded = decode_block(Block(line, kind, "line"), settings)
        times = [
            *decoded.pageviews.select("account", "time").iter_rows(),
            *decoded.engagements.select("account", "time").iter_rows(),
            *decoded.calls.select("account", "start").iter_rows(),
        ]
        calls = list(decoded.calls.select("account", "call_id", "start").iter_rows())
        for account, call_id, start in calls:
            starts[account, call_id] = min(start, starts.get((account, call_id), start))
        bounds.append((times, calls))
    latest = 1 << 61
    result = []
    for times, calls in reversed(bounds):
        for account, time in [*times, *((a, starts[a, c]) for a, c, _ in calls)]:
            latest = min(latest, time + allowed_lateness(config.account(account)))
        result.append(latest)
    return result[::-1]


def streamed(history: History, seed: int) -> MemoryStream:
    """The history in any order and batches, watermarks anywhere inside the lateness."""
    draw = random.Random(seed)
    config = parse_config(history["config"])
    lines = lines_of(history)
    draw.shuffle(lines)
    lines += draw.sample(lines, len(lines) // 4)
    bounds = latest_watermarks(lines, config)
    stream = MemoryStream(config, KEY, NOW)
    place = 0
    while place < len(lines):
        size = draw.randint(1, 6)
        stream.take(lines[place : place + size])
        place += size
        if place < len(lines) and draw.random() < 0.7:
            stream.advance(bounds[place] - draw.choice([0, 1, 60_000_000, 10**10, 10**11]))
    stream.drain()
    return stream


def without(rows: pl.DataFrame, table: str) -> pl.DataFrame:
    return rows.drop("revision", "emitted_at").sort(IDENTITY[table])


def assert_counted(rows: pl.DataFrame, table: str) -> None:
    """The revisions of each id run from 1 on, in the order in which they were written."""
    numbered = rows.with_columns(pl.int_range(1, pl.len() + 1).over(IDENTITY[table]).alias("place"))
    wrong = numbered.filter(pl.col("revision") != pl.col("place"))
    assert wrong.is_empty(), wrong.select(*IDENTITY[table], "revision", "emitted_at")


def equals_backfill(history: History, seed: int) -> None:
    stream = streamed(history, seed)
    rows, _ = flow(history)
    latest = stream.latest()
    for table in IDENTITY:
        assert_counted(stream.rows(table), table)
        assert_frame_equal(
            without(latest[table], table), without(rows[table], table), check_exact=True
        )


@pytest.mark.parametrize("part", PARTS)
def test_the_stream_leaves_the_rows_of_the_backfill(part: int, record_property: Record) -> None:
    """Latest rows equal the backfill's, but for revision and emitted_at."""
    hold_in_part(equals_backfill, part, record_property, 0.4, histories(), st.integers(0, 1 << 30))
