"""How sure a figure is: intervals from drawing seeds again."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

DRAWS = 2_000
BOUNDS = (2.5, 97.5)


class Mean(NamedTuple):
    """A mean over seeds with its interval."""

    value: float
    low: float
    high: float


def mean_of_seeds(values: Sequence[float]) -> Mean:
    """The mean of one value a seed, with the 95% interval of means of seeds drawn with replacement
    (the percentile bootstrap of Efron 1979). The draws are always the same. Raises ValueError
    without values."""
    if not len(values):
        raise ValueError("no seeds")
    seeds = np.asarray(values, float)
    drawn = np.random.default_rng(0).integers(0, len(seeds), (DRAWS, len(seeds)))
    low, high = np.percentile(seeds[drawn].mean(axis=1), BOUNDS)
    return Mean(float(seeds.mean()), float(low), float(high))
