"""The watermark of a local stream (SPEC section 12), sentence by sentence."""

import pytest

from transforms.settings import DAY, HOUR, MICROSECONDS
from transforms.streaming.watermark import BEGINNING, Watermark

SECOND = MICROSECONDS
OUT_OF_ORDER, IDLE = 60 * SECOND, 30 * SECOND
NOW = 1_772_452_800 * SECOND


def seen(watermark: Watermark, latest: int | None, clock: int, backlog: bool = False) -> Watermark:
    return watermark.seen(latest, clock, backlog, OUT_OF_ORDER, IDLE)


def test_it_is_the_latest_event_time_less_the_disorder_allowed_for():
    """The watermark follows the latest event, so many seconds behind."""
    assert seen(Watermark(), NOW - HOUR, NOW).value == NOW - HOUR - OUT_OF_ORDER


def test_an_older_event_changes_nothing():
    """It goes by the latest event seen, not by the last one."""
    once = seen(Watermark(), NOW - HOUR, NOW)
    again = seen(once, NOW - DAY, NOW + SECOND)
    assert (again.value, again.latest) == (once.value, once.latest)


@pytest.mark.parametrize("ahead", [2 * OUT_OF_ORDER, 20 * HOUR])
def test_it_is_never_ahead_of_the_clock(ahead: int):
    """Events of the future move it no further than the present."""
    assert seen(Watermark(), NOW + ahead, NOW).value == NOW


def test_it_is_held_while_a_backlog_is_read():
    """Batches of a backlog only say how far it will go; the first after them moves it."""
    held = seen(Watermark(), NOW - 4 * DAY, NOW, backlog=True)
    held = seen(held, NOW, NOW, backlog=True)
    held = seen(held, None, NOW + DAY, backlog=True)
    assert held.value == BEGINNING
    assert seen(held, NOW - 4 * DAY, NOW + DAY).value == NOW - OUT_OF_ORDER


def test_it_moves_on_with_the_clock_when_nothing_comes():
    """After a silence of so many seconds it follows the clock, before that it stands."""
    last = seen(Watermark(), NOW - HOUR, NOW)
    assert seen(last, None, NOW + IDLE - 1) == last
    moved = seen(last, None, NOW + IDLE)
    assert moved.value == NOW + IDLE - OUT_OF_ORDER
    assert seen(moved, None, NOW + HOUR).value == NOW + HOUR - OUT_OF_ORDER


def test_a_silence_begins_anew_with_every_event():
    """Old events are events too: while they come nothing is silent."""
    last = seen(Watermark(), NOW - HOUR, NOW)
    last = seen(last, NOW - DAY, NOW + IDLE - 1)
    assert seen(last, None, NOW + IDLE).value == NOW - HOUR - OUT_OF_ORDER


def test_a_stream_that_has_seen_nothing_waits_before_it_takes_that_for_silence():
    """At the start the silence begins with the first look."""
    first = seen(Watermark(), None, NOW)
    assert first.value == BEGINNING - OUT_OF_ORDER or first.value == BEGINNING
    assert seen(first, None, NOW + IDLE - 1).value == first.value
    assert seen(first, None, NOW + IDLE).value == NOW + IDLE - OUT_OF_ORDER


def test_it_never_goes_back():
    """Neither a clock that is put back nor older events move it back."""
    ahead = seen(Watermark(), NOW, NOW)
    assert seen(ahead, NOW - DAY, NOW - 5 * HOUR).value == ahead.value
    assert seen(ahead, None, NOW - 5 * HOUR).value == ahead.value


def test_a_clock_put_back_begins_the_silence_anew():
    """The silence is not as long as the clock's jump."""
    last = seen(Watermark(), NOW - DAY, NOW)
    back = seen(last, None, NOW - 5 * HOUR)
    moved = seen(back, None, NOW - 5 * HOUR + IDLE)
    assert moved.value == NOW - 5 * HOUR + IDLE - OUT_OF_ORDER
