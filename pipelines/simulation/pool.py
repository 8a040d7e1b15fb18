"""The pool: which page view shows which number, as systems for dynamic numbers lend them."""

import heapq

import numpy as np

from pipelines.simulation.draws import DAY, SECOND, Ints
from pipelines.simulation.pages import Pages
from pipelines.simulation.parameters import Parameters
from pipelines.simulation.visitors import Visits


def lend_numbers(p: Parameters, visits: Visits, pages: Pages) -> Ints:
    """The number (0 .. pool_numbers - 1, or pool_numbers for overflow) of each page view.

    A visit keeps its number while its pages are at most `hold_seconds` apart; every page prolongs
    the hold. Otherwise it gets the visitor's earlier number if that is free (`sticky_days`), else
    the number that is free longest, else what `overflow` says.
    """
    order = np.argsort(pages.time_ms, kind="stable")
    visit = pages.visit[order]
    rows = zip(
        pages.time_ms[order].tolist(),
        visit.tolist(),
        visits.visitor[visit].tolist(),
        strict=True,
    )
    lent = np.empty(len(pages), np.int64)
    lent[order] = _lend(p, rows, len(visits))
    return lent


def _lend(p: Parameters, rows: "zip[tuple[int, int, int]]", visits: int) -> list[int]:
    hold, sticky = round(p.hold_seconds * SECOND), round(p.sticky_days * DAY)
    overflow = p.pool_numbers
    free_at = [0] * (p.pool_numbers + 1)
    # Each number once, by when it was free when it was put there: to be looked up again on top.
    queue = [(0, number) for number in range(p.pool_numbers)]
    held = [-1] * visits
    held_until = [0] * visits
    earlier: dict[int, tuple[int, int]] = {}
    lent = []
    for time, visit, visitor in rows:
        number = held[visit]
        if number < 0 or time > held_until[visit]:
            last, since = earlier.get(visitor, (overflow, 0))
            if last != overflow and time - since <= sticky and free_at[last] <= time:
                number = last
            else:
                while queue[0][0] != free_at[queue[0][1]]:
                    heapq.heapreplace(queue, (free_at[queue[0][1]], queue[0][1]))
                until, number = queue[0]
                if until > time and p.overflow == "number":
                    number = overflow
            held[visit] = number
        held_until[visit] = free_at[number] = time + hold
        earlier[visitor] = (number, time)
        lent.append(number)
    return lent
