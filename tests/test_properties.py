"""Properties of the whole flow on generated histories (SPEC section 2; DESIGN section 6).

Each property runs in PARTS, so that several workers share the work; a part is seeded by its
number, so every run draws the same histories and a failure can be repeated.
`ATTRIBEAM_EXAMPLES=2500 make test` is the long run; `pytest -rP` shows how many histories ran.
"""

import datetime as dt
import os
import random
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from oracle.attribute import Result, attribute
from oracle.histories import History, as_inputs, histories
from polars.testing import assert_frame_equal
from pure import IDENTITY, Counts, Inputs, run_flow

from schemas.config import parse_config
from transforms.steps import Tables

KEY = b"k" * 32
NOW = 1_800_000_000_000_000
PARTS = range(4)
LEDGER = ("read", "accepted", "duplicates", "dead_letters", "no_consent")
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

settings.register_profile(
    "attribeam",
    max_examples=int(os.environ.get("ATTRIBEAM_EXAMPLES", "120")),
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    print_blob=True,
)
EXAMPLES: int = settings.get_profile("attribeam").max_examples

Record = Callable[[str, object], None]


def hold_in_part(
    prop: Callable[..., None], part: int, record: Record, share: float, *drawn: Any
) -> None:
    """Draws this part's histories and checks the property on each; records how many ran."""
    wanted = max(1, round(EXAMPLES * share / len(PARTS)))
    ran = 0

    @seed(part)
    @settings(settings.get_profile("attribeam"), max_examples=wanted)
    @given(st.tuples(*drawn))
    def check(values: tuple[Any, ...]) -> None:
        nonlocal ran
        ran += 1
        prop(*values)

    check()
    record("histories", ran)
    print(f"{prop.__name__}: {ran} histories, seed {part}")
    assert ran >= wanted


def flow(history: History, inputs: Inputs | None = None, **cut: Any) -> tuple[Tables, Counts]:
    given_inputs = as_inputs(history) if inputs is None else inputs
    return run_flow(given_inputs, parse_config(history["config"]), KEY, NOW, **cut)


def plain(value: Any) -> Any:
    """A value as the oracle writes it: moments in microseconds, days as text, no empty lists."""
    if isinstance(value, dt.datetime):
        return (value - EPOCH) // dt.timedelta(microseconds=1)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value] or None
    return round(value, 9) if isinstance(value, float) else value


def by_identity(table: str, rows: list[dict[str, Any]]) -> dict[tuple[str, ...], dict[str, Any]]:
    """The rows by what identifies them, and no two alike."""
    keyed = {tuple(str(plain(row[name])) for name in IDENTITY[table]): row for row in rows}
    assert len(keyed) == len(rows), f"two rows of {table} have one identity"
    return keyed


def assert_as_oracle(expected: Result, rows: Tables, counts: Counts) -> None:
    """Every column of every row, and the ledger, are the oracle's (rule_set it does not know)."""
    for table in IDENTITY:
        theirs = by_identity(table, getattr(expected, table))
        ours = by_identity(table, rows[table].to_dicts())
        assert sorted(ours) == sorted(theirs), table
        for identity, row in ours.items():
            for name in sorted(row.keys() - {"rule_set"}):
                found, wanted = plain(row[name]), plain(theirs[identity][name])
                assert found == wanted, (table, identity, name)
    for kind, counted in expected.ledger.items():
        for name in LEDGER:
            assert counts[kind, name] == counted[name], (kind, name)


def assert_same_rows(one: Tables, other: Tables) -> None:
    """Both have exactly the same rows, to the last bit of a probability."""
    for table in IDENTITY:
        assert_frame_equal(in_order(table, one), in_order(table, other), check_exact=True)


def in_order(table: str, rows: Tables) -> pl.DataFrame:
    return rows[table].sort(*IDENTITY[table], nulls_last=True)


def equals_oracle(history: History) -> None:
    expected = attribute(as_inputs(history), history["config"], KEY, NOW)
    assert_as_oracle(expected, *flow(history))


def survives_cutting(history: History, shards: int, block_lines: int, order: int) -> None:
    rows, counts = flow(history)
    shuffle = random.Random(order)
    again, recount = flow(history, shards=shards, block_lines=block_lines, shuffle=shuffle)
    assert_same_rows(rows, again)
    assert recount == counts


def survives_repetition(history: History, shards: int, order: int) -> None:
    inputs = as_inputs(history)
    rows, counts = flow(history)
    shuffle = random.Random(order)
    again, recount = flow(history, [*inputs, *inputs], shards=shards, shuffle=shuffle)
    assert_same_rows(rows, again)
    for kind in expected_kinds(counts):
        once = {name: counts[kind, name] for name in LEDGER}
        twice = {name: recount[kind, name] for name in LEDGER}
        assert twice == {
            "read": 2 * once["read"],
            "accepted": once["accepted"],
            "duplicates": 2 * once["duplicates"] + once["accepted"],
            "dead_letters": 2 * once["dead_letters"],
            "no_consent": 2 * once["no_consent"],
        }, kind


def expected_kinds(counts: Counts) -> set[str]:
    """The kinds of which events are told apart by identity; an erasure never repeats another."""
    return {kind for kind, _ in counts} & {"pageview", "engagement", "call"}


def ignores_neighbours(history: History, neighbour: History, shards: int) -> None:
    alone, _ = flow(history)
    mixed = [
        (kind, lines + others)
        for (kind, lines), (_, others) in zip(
            as_inputs(history), as_inputs(moved_away(neighbour)), strict=True
        )
    ]
    together, _ = flow(history, mixed, shards=shards)
    is_other = pl.col("account").str.starts_with("other ")
    ours = {table: rows.filter(~is_other) for table, rows in together.items()}
    assert_same_rows(alone, ours)
    assert together["conversions"].height > ours["conversions"].height or not neighbour["call"]


def moved_away(history: History) -> History:
    """The same history in accounts of other names; raw lines, whose account is fixed, left out."""
    events = {
        kind: [event | {"account": f"other {event['account']}"} for event in history[kind]]
        for kind in ("pageview", "engagement", "call")
    }
    return history | events | {"lines": []}


SHARDS = st.integers(1, 5)
ORDERS = st.integers(0, 2**32)


@pytest.mark.parametrize("part", PARTS)
def test_the_flow_equals_the_oracle(part: int, record_property: Record) -> None:
    """Rows and ledger are those of the slow and obvious oracle, on every history."""
    hold_in_part(equals_oracle, part, record_property, 1.0, histories())


@pytest.mark.parametrize("part", PARTS)
def test_the_cut_of_the_work_shows_in_no_row(part: int, record_property: Record) -> None:
    """Shuffled, re-blocked and re-sharded input gives identical rows and an identical ledger."""
    drawn = (histories(), SHARDS, st.integers(1, 7), ORDERS)
    hold_in_part(survives_cutting, part, record_property, 0.4, *drawn)


@pytest.mark.parametrize("part", PARTS)
def test_a_duplicate_of_the_whole_input_shows_in_no_row(part: int, record_property: Record) -> None:
    """All files given twice give identical rows; the ledger counts each event's second coming."""
    drawn = (histories(), SHARDS, ORDERS)
    hold_in_part(survives_repetition, part, record_property, 0.4, *drawn)


@pytest.mark.parametrize("part", PARTS)
def test_other_accounts_change_nothing(part: int, record_property: Record) -> None:
    """An account's rows are the same with another's events, visitors and numbers beside them."""
    drawn = (histories(), histories(malformed=False), SHARDS)
    hold_in_part(ignores_neighbours, part, record_property, 0.4, *drawn)
