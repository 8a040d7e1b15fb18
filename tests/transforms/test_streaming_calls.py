"""Calls in the stream: which version counts, until when, and what is too late (SPEC 3, 12)."""

from typing import Any

import polars as pl
import pytest
from tables import B2, DEFAULTS, T, calls

from transforms.settings import DAY, HOUR
from transforms.streaming.calls import CallsStage
from transforms.streaming.state import MemoryState

LATENESS, LOOKBACK = 72 * HOUR, 30 * DAY


class Stage:
    """The stage with its state in memory."""

    def __init__(self) -> None:
        self.stage = CallsStage(DEFAULTS)
        self.state = MemoryState(self.stage.tables)

    def take(self, *rows: dict[str, Any], watermark: int = 0) -> dict[str, pl.DataFrame]:
        numbered = [{"hash": 100 * row.get("sequence", 0), "call_id": "c"} | row for row in rows]
        outcome = self.stage(self.state, {"call": calls(*numbered)}, watermark)
        self.state.apply(outcome.changes)
        return outcome.outputs

    def kept(self) -> list[tuple[str, int]]:
        rows = self.state.tables["calls"].select("call_id", "sequence")
        return sorted(rows.iter_rows())


def counted(outputs: dict[str, pl.DataFrame]) -> dict[str, int]:
    return dict(outputs["counts"].select("name", "count").iter_rows())


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_the_highest_version_counts_in_any_order(order: tuple[int, ...]):
    """Whatever comes first, the version that counts is kept, and only news is told."""
    stage, best = Stage(), -1
    for sequence in order:
        told = stage.take({"sequence": sequence})["callers"]
        assert told["sequence"].to_list() == ([sequence] if sequence > best else [])
        best = max(best, sequence)
    assert stage.kept() == [("c", 2)]


def test_one_record_of_a_call_is_accepted_and_the_others_are_duplicates():
    """Over blocks and within one, a call counts as accepted once."""
    stage = Stage()
    first = counted(stage.take({}, {"sequence": 1}, {"call_id": "d"}))
    assert (first["accepted"], first.get("duplicates", 0)) == (2, 1)
    again = counted(stage.take({}, {"sequence": 2}))
    assert (again.get("accepted", 0), again["duplicates"]) == (0, 2)


def test_where_a_call_was_is_told_when_it_moves():
    """A corrected number and start touch the old places and callers, and the new ones."""
    stage = Stage()
    before = stage.take({"caller_key": "one"})
    after = stage.take(
        {"sequence": 1, "caller_key": "two", "tracking_number": B2, "start": T + DAY}
    )
    for target in ("numbers", "callers"):
        old, new = (set(of[target]["keys"].explode()) for of in (before, after))
        assert old
        assert new
        assert old.isdisjoint(new)
        assert set(after[target]["touched"].explode()) == old | new


@pytest.mark.parametrize(
    ("old", "new", "watermark", "is_late"),
    [
        (T, T, T + LATENESS, False),
        (T, T, T + LATENESS + 1, True),
        (T, T + 10 * DAY, T + LATENESS, False),
        (T, T + 10 * DAY, T + LATENESS + 1, True),
        (T + 10 * DAY, T + 9 * DAY, T + LATENESS + 9 * DAY, False),
    ],
)
def test_a_correction_is_late_by_the_start_that_was_known(
    old: int, new: int, watermark: int, is_late: bool
):
    """A call that is settled stays as it is, wherever a correction would move it."""
    stage = Stage()
    stage.take({"start": old})
    outputs = stage.take({"start": new, "sequence": 1}, watermark=watermark)
    assert outputs["late"]["call_id"].to_list() == ["c"] * is_late
    assert outputs["callers"].height == (not is_late)
    assert stage.kept() == [("c", 1 - is_late)]


def test_calls_are_kept_as_long_as_they_may_be_earlier_calls():
    """For the lookback and the lateness, then nothing is left of them."""
    stage = Stage()
    stage.take({})
    stage.state.expire(T + LOOKBACK + LATENESS)
    assert stage.kept() == [("c", 0)]
    stage.state.expire(T + LOOKBACK + LATENESS + 1)
    assert stage.kept() == []
