"""An account's settings as columns beside its rows, so that rules stay expressions."""

from collections.abc import Callable

import polars as pl

from schemas.config import Account, Config

MICROSECONDS = 1_000_000
MINUTE = 60 * MICROSECONDS
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def with_settings(
    rows: pl.DataFrame, config: Config, **settings: Callable[[Account], object]
) -> pl.DataFrame:
    """Adds a column for each setting, read from the settings of each row's `account`."""
    names = rows["account"].unique().to_list()
    columns = [pl.Series("account", names, pl.String)]
    for key, read in settings.items():
        kind = pl.Series([read(config.default)]).dtype
        columns.append(pl.Series(key, [read(config.account(name)) for name in names], kind))
    return rows.join(pl.DataFrame(columns), on="account", how="left", maintain_order="left")


def divided(value: pl.Expr, divisor: pl.Expr | float) -> pl.Expr:
    """value / divisor, to the last bit the same however many rows there are.

    By a constant polars multiplies with its inverse, but not in a single row, and a column whose
    values are all one may be kept as a constant. So the divisor is made a column for certain.
    """
    return value / (pl.int_range(pl.len()) * 0 + divisor)


def session_gap(account: Account) -> int:
    """`session_gap_minutes` in microseconds."""
    return round(account.session_gap_minutes * MINUTE)


def session_max_gap(account: Account) -> int:
    """`session_max_gap_hours` in microseconds."""
    return round(account.session_max_gap_hours * HOUR)


def lookback(account: Account) -> int:
    """`lookback_days` in microseconds."""
    return round(account.lookback_days * DAY)


def declared_window(account: Account) -> int:
    """`declared_window_hours` in microseconds."""
    return round(account.declared_window_hours * HOUR)


def form_window(account: Account) -> int:
    """`form_window_hours` in microseconds."""
    return round(account.form_window_hours * HOUR)


def allowed_lateness(account: Account) -> int:
    """`allowed_lateness_hours` in microseconds."""
    return round(account.allowed_lateness_hours * HOUR)
