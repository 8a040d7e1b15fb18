"""What a visit looks at: page views with their times and the path through the site."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pipelines.simulation.draws import (
    SECOND,
    Flags,
    Ints,
    choose,
    log_normal,
    repeat_counts,
)
from pipelines.simulation.parameters import Parameters
from pipelines.simulation.visitors import Visitors, Visits

MOST_PAGES = 60
PATHS = ("", "category", "product", "prices", "about", "contact", "form", "terms")
CONTACT, FORM = PATHS.index("contact"), PATHS.index("form")
ENTRY = (5, 4, 4, 2, 0.5, 1, 0.3, 0.1)
# From a page (row) to the next (column), as weights.
NEXT = (
    (1, 8, 3, 3, 1, 1.5, 0.3, 0.1),
    (1, 3, 9, 2, 0.3, 0.7, 0.2, 0.1),
    (0.5, 4, 5, 3, 0.3, 1, 0.5, 0.3),
    (1, 2, 4, 1, 0.5, 2, 1, 0.3),
    (3, 2, 1, 1, 1, 2, 0.2, 0.2),
    (2, 2, 2, 2, 1, 1, 1.5, 0.2),
    (2, 1, 1, 1, 0.3, 2, 1, 0.5),
    (3, 1, 1, 1, 1, 1, 0.3, 0.5),
)


@dataclass(frozen=True)
class Pages:
    """Page views, visit by visit in order of time: visit, time (ms), which of PATHS."""

    visit: Ints
    time_ms: Ints
    path: Ints

    def __len__(self) -> int:
        return len(self.visit)

    def firsts(self, visits: int) -> Ints:
        """Of each visit the place of its first page; len(self) after the last."""
        return np.searchsorted(self.visit, np.arange(visits + 1))

    def kept(self, keep: Flags) -> "Pages":
        """Some of the pages."""
        return Pages(self.visit[keep], self.time_ms[keep], self.path[keep])


class Traffic(NamedTuple):
    """All that happens on the site."""

    visitors: Visitors
    visits: Visits
    pages: Pages

    def is_machine(self, visit: Ints) -> Flags:
        """Whether visits are a robot's."""
        return self.visitors.is_machine[self.visits.visitor[visit]]


def make_pages(
    rng: np.random.Generator, p: Parameters, visitors: Visitors, visits: Visits
) -> Pages:
    """All page views: a geometric number of them, log-normal times on each."""
    means = np.maximum(np.asarray(p.intent_pages)[visits.intent], 1)
    means = np.where(visitors.is_bot[visits.visitor], max(p.bot_pages, 1), means)
    counts = np.minimum(rng.geometric(1 / means), MOST_PAGES)
    visit, place = repeat_counts(counts)
    dwell = log_normal(rng, p.dwell_median_seconds * SECOND, p.dwell_sigma, len(visit), 500)
    dwell[place == 0] = 0
    passed = np.cumsum(dwell)
    time_ms = visits.start_ms[visit] + passed - np.repeat(passed[place == 0], counts)
    return Pages(visit, time_ms, _paths(rng, counts))


def _paths(rng: np.random.Generator, counts: Ints) -> Ints:
    """The way through the site, a step of all visits at once."""
    edges = np.cumsum(np.asarray(NEXT, float), axis=1)
    edges /= edges[:, -1:]
    firsts = np.cumsum(counts) - counts
    paths = np.zeros(counts.sum(), np.int64)
    paths[firsts] = choose(rng, ENTRY, len(counts))
    for step in range(1, int(counts.max(initial=0))):
        at = firsts[counts > step] + step
        paths[at] = (edges[paths[at - 1]] < rng.random(len(at))[:, None]).sum(axis=1)
    return paths
