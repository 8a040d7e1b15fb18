"""How sure a figure is: intervals from drawing seeds again."""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")
# Seeds in groups: what is measured in one group has something in common, such as a fit.
Groups = Sequence[Sequence[T]]
DRAWS = 2_000
BOUNDS = (2.5, 97.5)


class Mean(NamedTuple):
    """A figure over seeds with its interval."""

    value: float
    low: float
    high: float


def mean_of_seeds(groups: Groups[float]) -> Mean:
    """The mean of one value a seed, with its interval. Raises ValueError without values."""
    return over_seeds(groups, lambda drawn: float(np.mean(drawn)))


def over_seeds(groups: Groups[T], measure: Callable[[Sequence[T]], float]) -> Mean:
    """What all seeds together give, with the 95% interval of what seeds drawn again give: groups
    with replacement, and of each its seeds (percentile bootstrap of Efron 1979, in two stages).

    The draws are always the same. Raises ValueError without seeds.
    """
    if not any(map(len, groups)):
        raise ValueError("no seeds")
    seeds = [seed for group in groups for seed in group]
    values = [measure([seeds[place] for place in places]) for places in _draws(_sizes(groups))]
    low, high = np.percentile(values, BOUNDS)
    return Mean(measure(seeds), float(low), float(high))


def _sizes(groups: Groups[T]) -> tuple[int, ...]:
    return tuple(len(group) for group in groups if len(group))


@lru_cache
def _draws(sizes: tuple[int, ...]) -> list[list[int]]:
    """DRAWS times the places of the seeds drawn, of groups laid out one after the other."""
    return list(_draw(np.random.default_rng(0), sizes))


def _draw(rng: np.random.Generator, sizes: tuple[int, ...]) -> Iterator[list[int]]:
    firsts = np.cumsum((0, *sizes[:-1]))
    for _ in range(DRAWS):
        chosen = rng.integers(0, len(sizes), len(sizes))
        places = [firsts[group] + rng.integers(0, sizes[group], sizes[group]) for group in chosen]
        yield np.concatenate(places).tolist()
