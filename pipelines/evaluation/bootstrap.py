"""How sure a figure is: intervals from drawing seeds again."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

T = TypeVar("T")
DRAWS = 2_000
BOUNDS = (2.5, 97.5)


class Mean(NamedTuple):
    """A figure over seeds with its interval."""

    value: float
    low: float
    high: float


def mean_of_seeds(values: Sequence[float]) -> Mean:
    """The mean of one value a seed, with its interval. Raises ValueError without values."""
    return over_seeds(values, lambda drawn: float(np.mean(drawn)))


def over_seeds(
    seeds: Sequence[T], measure: Callable[[Sequence[T]], float], draws: int = DRAWS
) -> Mean:
    """What all seeds together give, with the 95% interval of what seeds drawn with replacement give
    (the percentile bootstrap of Efron 1979). The draws are always the same. Raises ValueError
    without seeds."""
    if not len(seeds):
        raise ValueError("no seeds")
    drawn = np.random.default_rng(0).integers(0, len(seeds), (draws, len(seeds)))
    values = [measure([seeds[place] for place in places]) for places in drawn]
    low, high = np.percentile(values, BOUNDS)
    return Mean(measure(seeds), float(low), float(high))
