"""Which of an account's pools a number belonged to on a day."""

import datetime as dt

import polars as pl

from schemas.config import Account, Model
from transforms.numbers import normalise_number
from transforms.settings import DAY

_EPOCH = dt.date(1970, 1, 1)


def with_entry(rows: pl.DataFrame, time: str, settings: Account) -> pl.DataFrame:
    """Adds `entry`: the place in `settings.pools` of the pool that held the number on the UTC day
    of `time` (us), or the number of pools where none did.

    rows: tracking_number, and `time`.
    """
    day = (pl.col(time) // DAY).alias("day")
    asked = rows.select("tracking_number", day).unique()
    held = asked.join(_entries(settings), on="tracking_number").filter(
        pl.col("day").is_between("from_day", "to_day", closed="left")
    )
    return (
        rows.with_columns(day)
        .join(
            held.select("tracking_number", "day", "entry"),
            on=["tracking_number", "day"],
            how="left",
            maintain_order="left",
        )
        .with_columns(pl.col("entry").fill_null(len(settings.pools)))
        .drop("day")
    )


def _entries(settings: Account) -> pl.DataFrame:
    rows = [
        (
            normalise_number(str(number), settings.default_region),
            place,
            ((pool.valid_from or dt.date.min) - _EPOCH).days,
            ((pool.valid_to or dt.date.max) - _EPOCH).days,
        )
        for place, pool in enumerate(settings.pools)
        for number in pool.numbers
    ]
    schema = {
        "tracking_number": pl.String,
        "entry": pl.Int64,
        "from_day": pl.Int64,
        "to_day": pl.Int64,
    }
    return pl.DataFrame(rows, schema, orient="row")


def entry_models(settings: Account) -> list[Model]:
    """The configured parameters by `entry`: of each pool, and last of numbers in none."""
    return [*(settings.pool_model(pool) for pool in settings.pools), settings]


def pool_names(settings: Account) -> list[str | None]:
    """The name by `entry`; None for numbers in no pool."""
    return [*(pool.name for pool in settings.pools), None]
