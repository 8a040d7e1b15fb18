"""What the configuration says of each call's number: parameters, fixed sources (SPEC 8, 13)."""

import datetime as dt
from functools import lru_cache
from typing import Any

import polars as pl

from schemas.config import MODEL_KEYS, Account, Config, Model, Pool, StaticNumber
from transforms.numbers import normalise_number
from transforms.privacy import caller_key
from transforms.settings import DAY

STATIC_FIELDS = ("static_source", "static_medium", "static_campaign")
_EPOCH = dt.date(1970, 1, 1)


class NumberPlan:
    """Finds an account's pool and static number for a tracking number on a day."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._entries = lru_cache(maxsize=None)(self._index)

    def _index(self, account: str) -> dict[str, list[Pool | StaticNumber]]:
        settings = self.config.account(account)
        index: dict[str, list[Pool | StaticNumber]] = {}
        numbered: list[tuple[Pool | StaticNumber, tuple[str | int, ...]]] = [
            *((pool, pool.numbers) for pool in settings.pools),
            *((static, (static.number,)) for static in settings.static_numbers),
        ]
        for entry, numbers in numbered:
            for number in numbers:
                key = normalise_number(str(number), settings.default_region)
                index.setdefault(key or "", []).append(entry)
        return index

    def find(
        self, account: str, number: str | None, day: dt.date
    ) -> tuple[Model, StaticNumber | None]:
        """The model parameters of the number on the day, and its fixed source if it has one."""
        settings = self.config.account(account)
        model: Model = settings
        static = None
        for entry in self._entries(account).get(number or "", ()):
            if entry.holds(day):
                if isinstance(entry, Pool):
                    model = settings.pool_model(entry)
                else:
                    static = entry
        return model, static


def with_models(calls: pl.DataFrame, plan: NumberPlan) -> pl.DataFrame:
    """Adds the parameters of SPEC section 8 and STATIC_FIELDS to calls.

    calls: account, tracking_number, start (us). The number's pool is that of the UTC day of start.
    """
    by = ["account", "tracking_number", "day"]
    calls = calls.with_columns((pl.col("start") // DAY).alias("day"))
    unique = calls.select(by).unique()
    rows = [
        _parameters(*plan.find(account, number, _EPOCH + dt.timedelta(days=day)))
        for account, number, day in unique.iter_rows()
    ]
    table = pl.DataFrame(rows, schema=_SCHEMA, orient="row")
    numbered = pl.concat([unique, table], how="horizontal")
    joined = calls.join(numbered, on=by, how="left", nulls_equal=True, maintain_order="left")
    return joined.drop("day")


_SCHEMA: dict[str, Any] = dict.fromkeys(MODEL_KEYS, pl.Float64) | {
    "delay_means": pl.List(pl.Float64),
    "delay_weights": pl.List(pl.Float64),
    **dict.fromkeys(STATIC_FIELDS, pl.String),
}


def _parameters(model: Model, static: StaticNumber | None) -> tuple[object, ...]:
    values = tuple(getattr(model, key) for key in MODEL_KEYS)
    if static is None:
        return (*values, None, None, None)
    return (*values, static.source, static.medium, static.campaign)


def excluded_callers(config: Config, key: bytes) -> pl.DataFrame:
    """The keys of every account's `excluded_callers`: account, caller_key."""
    rows = [
        (name, caller_key(name, number, key))
        for name, account in config.accounts.items()
        for number in _numbers(account)
    ]
    return pl.DataFrame(
        rows, {"account": pl.String, "caller_key": pl.String}, orient="row"
    ).unique()


def _numbers(account: Account) -> set[str]:
    numbers = {normalise_number(str(n), account.default_region) for n in account.excluded_callers}
    return {number for number in numbers if number is not None}
