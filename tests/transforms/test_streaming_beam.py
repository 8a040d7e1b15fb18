"""Shards of the stream's stages: their bytes, their messages, their watermarks."""

import json
import random
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from beam_streams import DAY, HOUR, MINUTE, plan_of, typed_lines
from hypothesis import strategies as st
from oracle.histories import History, histories
from oracle.vocabulary import BEGIN
from polars.testing import assert_frame_equal
from shard_streams import END, ShardStream
from streams import IDENTITY, latest_rows
from test_properties import PARTS, flow, hold_in_part
from test_stream_properties import latest_watermarks, without

from pipelines.stream_graph import keyed_stages
from schemas.config import parse_config
from transforms.streaming.packing import (
    MOST_ROWS,
    StateFormatError,
    pack,
    pack_change,
    pack_tables,
    unpack,
    unpack_state,
)
from transforms.streaming.shard import KeyedStage, Meta, Pace, Shard
from transforms.streaming.sharding import newest, split_messages
from transforms.streaming.state import MemoryState, change, key_of

Record = Callable[[str, object], None]
SCHEMAS = {"things": {"what": pl.String}}
MESSAGES = {
    "part": pl.Int64,
    "keys": pl.List(pl.Int64),
    "touched": pl.List(pl.Int64),
    "epoch": pl.Int64,
    "version": pl.Int64,
}
GOLDEN = Path(__file__).parents[1] / "data"


def things(*rows: tuple[int, str, int]) -> pl.DataFrame:
    """Rows of part, what, due."""
    return pl.DataFrame(
        rows, schema={"part": pl.Int64, "what": pl.String, "due": pl.Int64}, orient="row"
    )


def parts(*numbers: int) -> pl.Series:
    return pl.Series(numbers, dtype=pl.Int64)


def messages(*rows: tuple[int, list[int], list[int], int, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=MESSAGES, orient="row")


# --- state as bytes ------------------------------------------------------------------------------


def test_a_log_of_changes_leaves_what_the_changes_left():
    """Rows that came, rows whose part was cleared, and the last due, as in memory."""
    changes = [
        change(things((1, "a", 10), (2, "b", 10), (2, "c", 10)), parts()),
        change(things((2, "d", 20)), parts()),
        change(things((1, "e", 30), (1, "f", 30), (3, "g", 30)), parts(1)),
        change(things(), parts(3)),
    ]
    state = MemoryState(SCHEMAS)
    for one in changes:
        state.apply({"things": one})
    log = [block for one in changes for block in pack_change("things", one)]
    found = unpack_state(SCHEMAS, log).tables["things"]
    assert_frame_equal(found, state.tables["things"], check_row_order=False)
    assert sorted(found["what"]) == ["b", "c", "d", "e", "f"]
    assert set(found.filter(part=2)["due"]) == {20}


def test_whole_tables_are_a_log_that_can_be_added_to():
    """After a log was written anew, further changes count."""
    state = MemoryState(SCHEMAS)
    state.apply({"things": change(things((1, "a", 10), (2, "b", 10)), parts())})
    log = pack_tables(state.tables) + pack_change("things", change(things(), parts(1)))
    assert unpack_state(SCHEMAS, log).tables["things"]["what"].to_list() == ["b"]


def test_large_tables_are_packed_in_several_blocks():
    """No block has more than MOST_ROWS rows, and nothing is lost."""
    count = 2 * MOST_ROWS + 1
    many = pl.DataFrame({"part": range(count), "due": [5] * count, "what": ["x"] * count})
    log = pack_change("things", change(many, parts(7)))
    assert len(log) == 3
    assert unpack_state(SCHEMAS, log).tables["things"].height == count


def test_a_column_that_is_new_is_null_in_old_state():
    """State that was packed before a table got a column can be read."""
    log = pack_change("things", change(things((1, "a", 10)), parts()))
    later = {"things": {"what": pl.String, "how": pl.Int64}}
    assert unpack_state(later, log).tables["things"].select("what", "how").rows() == [("a", None)]


def test_bytes_of_another_format_are_refused():
    """A format number that this version does not know is said, with what to do."""
    with pytest.raises(StateFormatError, match="state of format 9, this version reads 1: drain"):
        unpack(b"\x09\x00")


def test_a_table_comes_back_as_it_was_packed():
    """Name and rows, with lists, times and missing values."""
    rows = pl.DataFrame({"a": [1, None], "b": [["x"], []], "c": [b"\0", None]})
    name, found = unpack(pack("name", rows))
    assert name == "name"
    assert_frame_equal(found, rows)


# --- messages ------------------------------------------------------------------------------------


def test_a_message_goes_to_the_shard_of_every_key_it_touches():
    """Each shard sees its own keys alone, and rows that touch no shard's keys go nowhere."""
    rows = messages((1, [10, 11], [10, 11, 12], 0, 1), (2, [], [12], 0, 1), (3, [], [], 0, 1))
    heard = dict(split_messages(rows, 5))
    assert set(heard) == set(dict(split_messages(rows, 5)))
    for column in ("keys", "touched"):
        found = sorted(
            (part, key)
            for shard in heard.values()
            for part, keys in shard.select("part", column).rows()
            for key in keys
        )
        expected = [
            (part, key) for part, keys in rows.select("part", column).rows() for key in keys
        ]
        assert found == sorted(expected)
    assert len(heard) > 1
    [(_, whole)] = split_messages(rows, 1)
    assert_frame_equal(whole, rows)


def test_the_newest_message_of_a_part_counts():
    """Epoch comes before version; what the older ones touched has to look again, too."""
    sent = messages((1, [10], [10], 2, 1), (1, [11], [11, 10], 1, 9), (1, [12], [12], 2, 3))
    found = newest(
        sent, pl.DataFrame(schema={n: MESSAGES[n] for n in ("part", "epoch", "version")})
    )
    assert found.select("part", "keys", "epoch", "version").rows() == [(1, [12], 2, 3)]
    assert sorted(found["touched"].item()) == [10, 11, 12]


def test_an_overtaken_message_makes_its_keys_look_again_and_no_more():
    """It comes as the end of a part that nobody has; the part itself stays as it is."""
    known = pl.DataFrame({"part": [1, 2], "epoch": [0, 0], "version": [5, 5]})
    found = newest(messages((1, [10], [10, 11], 0, 5), (2, [12], [12], 0, 6)), known)
    assert found["part"].to_list()[1:] == [2]
    old = found.filter("is_old")
    assert old["part"].item() not in (1, 2)
    assert old.select("keys", "touched").rows() == [([], [10, 11])]


# --- shards --------------------------------------------------------------------------------------


def shard(clock: int, depth: int = 2, meta: bytes | None = None) -> Shard:
    """A shard of the calls' stage, three stages in."""
    pace = Pace(tick=HOUR, out_of_order=MINUTE, kept=DAY)
    stage = keyed_stages(plan_of("", {}, clock))["calls"].stage
    return Shard(KeyedStage(stage, depth, pace, lambda: clock), meta, list)


def test_a_shard_waits_for_ticks_on_a_grid():
    """It waits for the first tick that is not before what came, once, then for the next."""
    one = shard(100 * DAY)
    assert one.arm(10 * HOUR + 1) == 11 * HOUR
    assert one.arm(10 * HOUR + 1) is None
    assert one.reach(11 * HOUR) == 12 * HOUR
    again = shard(100 * DAY, meta=one.pack_meta())
    assert again.arm(20 * HOUR) is None


def test_the_watermark_of_a_shard_is_behind_those_of_the_stages_before_it():
    """By a tick a stage, and by how far events may be out of order; before the first tick of all
    nothing is late."""
    one = shard(100 * DAY)
    assert one.watermark < -DAY
    one.arm(10 * HOUR)
    one.reach(10 * HOUR)
    assert one.watermark == 8 * HOUR - MINUTE


def test_a_tick_that_the_clock_has_not_reached_is_the_last():
    """Else a pipeline that is drained would tick for ever; what comes then waits again."""
    one = shard(clock=10 * HOUR)
    one.arm(11 * HOUR)
    assert one.reach(11 * HOUR) is None
    assert one.arm(10 * HOUR) == 12 * HOUR


def test_what_late_events_wake_waits_for_the_blocks_being_gathered():
    """Unless time has run ahead of the clock, which it does when a pipeline is drained."""
    plan = plan_of("", {}, 10 * HOUR, gather_seconds=5)
    one = Shard(keyed_stages(plan)["conversions"], None, list)
    assert one.put_off(10 * HOUR)
    again = Shard(one.keyed, one.pack_meta(), list)
    assert again.write_woken()["rows"].is_empty()
    assert again.write_woken() == {}
    assert not one.put_off(10 * HOUR + 1)
    at_once = Shard(keyed_stages(plan_of("", {}, 10 * HOUR))["conversions"], None, list)
    assert not at_once.put_off(HOUR)


# --- golden bytes --------------------------------------------------------------------------------


def test_todays_code_reads_the_state_of_format_1():
    """Every table of every stage, as it was packed when the format was made.

    The file has what ShardStream kept of a few events, with a part of each table cleared and
    added again; it is not made again.
    """
    packed = json.loads((GOLDEN / "state_v1.json").read_text())
    stages = keyed_stages(plan_of("", {}, 0))
    assert set(packed["log"]) == set(stages)
    for name, keyed in stages.items():
        state = unpack_state(keyed.schemas, map(b64decode, packed["log"][name]))
        for table, rows in state.tables.items():
            assert rows.height > 0 or table == "versions", (name, table)
            assert json.loads(rows.write_json()) == packed["rows"][name][table], (name, table)


def test_todays_code_reads_what_shards_of_format_1_knew():
    """Watermark, tick, version, last moment of writing, sizes of the log."""
    packed = json.loads((GOLDEN / "state_v1.json").read_text())
    found = shard(0, meta=bytes.fromhex(packed["meta"])).meta
    assert found == Meta(1, 2, 3, 4, 5, 6, 7)


def test_keys_and_shards_never_change():
    """What is filed under a key today has to be found under it after an update."""
    keyed = pl.DataFrame({"a": ["shop"], "b": ["c1"]}).select(k=key_of("call", "a", "b"))
    assert keyed["k"].item() == 650325167798352171
    rows = messages((1, [5, -5], [5, -5, 99], 0, 1))
    assert {n: r["touched"].to_list() for n, r in split_messages(rows, 64)} == {
        45: [[5]],
        48: [[-5]],
        32: [[99]],
    }


# --- the whole stream ----------------------------------------------------------------------------


def equals_backfill(history: History, seed: int) -> None:
    """Blocks overtake each other, shards tick when they may; the rows are the backfill's."""
    draw = random.Random(seed)
    lines = typed_lines(history)
    draw.shuffle(lines)
    lines += draw.sample(lines, len(lines) // 4)
    bounds = latest_watermarks(lines, parse_config(history["config"]))
    shards = draw.choice([1, 2, 3])
    plan = plan_of("", history["config"], BEGIN + 60 * DAY, shards=shards, tick_seconds=86_400)
    stream = ShardStream(plan, draw)
    place = 0
    while place < len(lines):
        size = draw.randint(2, 8)
        batch = lines[place : place + size]
        stream.send(
            [(f"m{place + number}", line) for number, (_, line) in enumerate(batch)],
            at=max(stream.watermark, BEGIN - DAY),
        )
        stream.work(draw.choice([0, 1, 5, 30]))
        place += size
        if place < len(lines) and draw.random() < 0.5:
            behind = draw.choice([0, 1, MINUTE, HOUR, DAY])
            stream.watermark = max(stream.watermark, bounds[place] - behind)
    stream.watermark = END
    stream.work(1_000_000)
    rows, _ = flow(history)
    assert sum(letters.height for letters in stream.letters) == 0
    for table in IDENTITY:
        assert_frame_equal(
            without(latest_rows(table, stream.all_rows(table)), table),
            without(rows[table], table),
            check_exact=True,
        )


@pytest.mark.parametrize("part", PARTS[:2])
def test_shards_leave_the_rows_of_the_backfill(part: int, record_property: Record) -> None:
    """Whatever overtakes what, latest rows equal the backfill's."""
    drawn = (histories(malformed=False), st.integers(0, 1 << 30))
    hold_in_part(equals_backfill, part, record_property, 0.07, *drawn)
