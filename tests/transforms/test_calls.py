"""Of every call record the version that counts, by table (SPEC section 3, Duplicates)."""

import itertools
from typing import Any

import pytest
from tables import T, calls

from transforms.calls import latest_calls

SEQUENCE = {"sequence": 1, "end": None, "hash": 3}
LATER_END = {"sequence": 0, "end": T + 2, "hash": 2}
EARLIER_END = {"sequence": 0, "end": T + 1, "hash": 1}
NO_END = {"sequence": 0, "end": None, "hash": 0}


@pytest.mark.parametrize(
    ("versions", "winner"),
    [
        ([SEQUENCE, LATER_END, EARLIER_END, NO_END], SEQUENCE),
        ([LATER_END, EARLIER_END, NO_END], LATER_END),
        ([EARLIER_END, NO_END], EARLIER_END),
        ([NO_END, NO_END | {"hash": 2**64 - 1}, NO_END | {"hash": 7}], NO_END),
        ([{"sequence": -1, "end": T + 9, "hash": 0}, {"sequence": 0, "hash": 1}], {"hash": 1}),
    ],
)
def test_the_version_that_counts_is_the_same_from_every_order(
    versions: list[dict[str, Any]], winner: dict[str, Any]
) -> None:
    """Highest sequence, then latest end (absent is earliest), then smallest hash."""
    for order in itertools.permutations(versions):
        rows = [{"call_id": "c"} | version for version in order]
        (kept,) = latest_calls(calls(*rows)).to_dicts()
        assert {name: kept[name] for name in winner} == winner


def test_one_call_id_of_two_accounts_is_two_calls() -> None:
    """Calls are told apart by account and call_id; they come in that order."""
    sent = calls({"call_id": "d"}, {"call_id": "c", "account": "b"}, {"call_id": "c"})
    kept = latest_calls(sent).select("account", "call_id").rows()
    assert kept == [("a", "c"), ("a", "d"), ("b", "c")]


def test_the_winner_is_kept_whole() -> None:
    """No column of a version that lost is left in the call."""
    old = {"call_id": "c", "status": "missed", "session_id": "s", "caller_key": "k"}
    new = {"call_id": "c", "sequence": 2, "start": T + 5}
    (kept,) = latest_calls(calls(old, new)).to_dicts()
    assert (kept["start"], kept["status"], kept["session_id"], kept["caller_key"]) == (
        T + 5,
        None,
        None,
        None,
    )
