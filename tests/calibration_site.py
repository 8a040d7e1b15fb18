"""Contacts and calls of made-up accounts, for tests of fitting."""

from typing import Any

import numpy as np
import polars as pl

from schemas.config import Pool
from transforms.calibration_evidence import MEANS

SECOND = 1_000_000
DAY = 86_400 * SECOND
T = 20_000 * DAY
# Shares of MEANS, calls per contact, calls a day to a number by nobody.
SHARES, PROBABILITY, BACKGROUND = np.array([0, 0.5, 0, 0.2, 0, 0.3]), 0.2, 4.0


def drawn(
    days: int, seed: int, numbers: int = 6, per_day: int = 400, hidden_share: float = 0
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Contacts and calls drawn from the model itself, by day twice as many as by night.

    hidden_share: of visitors who are not seen and are given the number that is free longest.
    """
    rng = np.random.default_rng(seed)
    size = days * per_day
    hour = np.where(rng.random(size) < 2 / 3, rng.integers(8, 16, size), rng.integers(0, 24, size))
    time = np.sort((rng.integers(0, days, size) * 24 + hour) * 3600.0 + rng.random(size) * 3600)
    number = np.arange(size) % numbers if hidden_share else rng.integers(0, numbers, size)
    delay = rng.exponential(rng.choice(MEANS, size, p=SHARES))
    calls = rng.random(size) < PROBABILITY
    others = rng.poisson(BACKGROUND * numbers * days)
    start = np.concatenate([(time + delay)[calls], rng.random(others) * days * 86_400])
    called = np.concatenate([number[calls], rng.integers(0, numbers, others)])
    inside = start < days * 86_400
    contacts = pl.DataFrame(
        {
            "visitor_id": [f"v{place}" for place in range(size)],
            "tracking_number": [f"+451020010{place}" for place in number],
            "time": T + (time * SECOND).astype(np.int64),
        }
    ).filter(pl.Series(rng.random(size) >= hidden_share))
    start, called = start[inside], called[inside]
    return contacts, pl.DataFrame(
        {
            "account": "a",
            "call_id": [f"c{place}" for place in range(len(start))],
            "caller_key": [f"k{place}" for place in range(len(start))],
            "tracking_number": [f"+451020010{place}" for place in called],
            "start": T + (start * SECOND).astype(np.int64),
            "method": "none",
        }
    )


def pool(name: str, *last_digits: int, **more: Any) -> Pool:
    """A pool of drawn numbers."""
    return Pool(name=name, numbers=tuple(f"+451020010{digit}" for digit in last_digits), **more)


def contacts_of(*rows: tuple[str, str, int]) -> pl.DataFrame:
    """Contacts: visitor, number, seconds from T."""
    return pl.DataFrame(
        [(visitor, number, T + seconds * SECOND) for visitor, number, seconds in rows],
        schema=["visitor_id", "tracking_number", "time"],
        orient="row",
    )


def calls_of(*rows: tuple[str, int], **more: Any) -> pl.DataFrame:
    """Calls c0, c1, …: number, seconds from T; callers all different."""
    return pl.DataFrame(
        [
            ("a", f"c{place}", f"k{place}", number, T + seconds * SECOND, "none")
            for place, (number, seconds) in enumerate(rows)
        ],
        schema=["account", "call_id", "caller_key", "tracking_number", "start", "method"],
        orient="row",
    ).with_columns(**more)
