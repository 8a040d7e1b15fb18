"""Random draws that several parts of a simulation make; times in milliseconds."""

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def happens(rng: np.random.Generator, probability: float | Floats, size: int) -> Flags:
    """True as often as the probability says."""
    return rng.random(size) < probability


def log_normal(
    rng: np.random.Generator, median_ms: float, sigma: float, size: int, least_ms: int = 1
) -> Ints:
    """Whole milliseconds from a log-normal distribution."""
    drawn = median_ms * np.exp(sigma * rng.standard_normal(size))
    return np.maximum(np.minimum(drawn, 1e12).astype(np.int64), least_ms)


def choose(rng: np.random.Generator, weights: tuple[float, ...], size: int) -> Ints:
    """Indices by weight."""
    edges = np.cumsum(np.asarray(weights, float))
    return np.searchsorted(edges, rng.random(size) * edges[-1], side="right").astype(np.int64)


def repeat_counts(counts: Ints) -> tuple[Ints, Ints]:
    """For groups of some sizes laid out one after the other: each element's group and place."""
    group = np.repeat(np.arange(len(counts)), counts)
    first = np.cumsum(counts) - counts
    return group, np.arange(len(group)) - first[group]
