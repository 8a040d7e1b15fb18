"""Work done ahead: in order, bounded, and nothing of it is lost, errors least of all."""

import threading
from functools import partial

import pytest

from pipelines.ahead import Ahead

PATIENCE_SECONDS = 30


def test_results_come_in_the_order_of_the_calls() -> None:
    """A call that ends before an earlier one waits its turn, and both run at once."""
    begun, ended = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        assert ended.wait(PATIENCE_SECONDS)
        return "slow"

    def quick() -> str:
        assert begun.wait(PATIENCE_SECONDS)
        ended.set()
        return "quick"

    ahead: Ahead[str] = Ahead(threads=2, most=2)
    assert [*ahead.add(slow), *ahead.add(quick)] == []
    assert list(ahead.rest()) == ["slow", "quick"]


def test_no_more_calls_are_held_than_asked() -> None:
    """What waits is in memory, so the oldest results are given before more is taken on."""
    ahead: Ahead[int] = Ahead(threads=1, most=2)
    given = [list(ahead.add(partial(int, number))) for number in range(5)]
    assert given == [[], [], [0], [1], [2]]
    assert list(ahead.rest()) == [3, 4]
    assert list(ahead.rest()) == []


def test_an_error_is_raised_where_its_result_is_due() -> None:
    """Neither swallowed nor wrapped: the caller words it."""
    ahead: Ahead[int] = Ahead(threads=1, most=1)
    assert list(ahead.add(partial(int, "no number"))) == []
    with pytest.raises(ValueError, match="no number"):
        list(ahead.add(partial(int, 1)))
    assert list(ahead.rest()) == [1]
