"""What a fit found, in words and as TOML."""

import datetime as dt
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from transforms.calibration_results import Delays, Fit, Interval, PoolFit, SavedFit

Document = dict[str, Any]
# A key, its value, and what it rests on.
Entry = tuple[str, Any, str]
# By the place of a table's keys, what stands beside them as comments.
Comments = Mapping[tuple[str, ...], str]
HEAD = """\
# Written by attribeam calibrate. Comments give the bounds of each value and what it rests on: the
# 5th to the 95th of 100 fits to days drawn again; of saved_number_calls_per_day and
# known_caller_factor, of a Poisson count: these two held-out days do not check. Both come out too
# high where the data are short, and fall as they grow longer, which the bounds do not say: give at
# least lookback_days of data.

"""
FEWER = (
    "Backfill with these values may attribute fewer calls than before: probabilities that fit the "
    "data are often lower, and calls below min_probability stay ambiguous. See docs/accuracy.md "
    "and choose min_probability."
)
FITTED = (
    "call_probability", "delay_means", "delay_weights", "background_calls_per_day",
    "saved_number_calls_per_day", "known_caller_factor",
)  # fmt: skip


def fit_words(fit: Fit) -> list[str]:
    """What was found of an account, or why nothing was."""
    if fit.refused:
        return [f"{fit.account}: not fitted: {fit.refused}"]
    lines = [
        f"{fit.account}: fitted to {fit.calls} calls with candidates on {fit.days} days",
        f"  held-out days, mean log-probability of the number called: {_held_out(fit)}",
    ]
    lines += [f"  {key} = {value}  # {why}" for key, value, why in _entries(fit)]
    if fit.days < fit.lookback_days:
        lines.append(
            f"  data of {fit.days} days, less than lookback_days ({fit.lookback_days:g}): "
            "saved_number_calls_per_day and known_caller_factor come out too high; they fall with "
            "more"
        )
    for name, pool in fit.pools.items():
        lines.append(f"  pool {name}: {_pool_evidence(pool)}")
        lines += [f"    {key} = {value}  # {why}" for key, value, why in _pool_entries(pool)]
    return lines


def _held_out(fit: Fit) -> str:
    before, after = fit.held_out
    return (
        f"{before:.4f} as configured, {after:.4f} fitted (better by {after - before:.4f}, standard "
        f"error {fit.held_out_error:.4f})"
    )


def _pool_evidence(pool: PoolFit) -> str:
    """What a pool's values rest on."""
    told = f"{pool.calls} calls with candidates"
    if pool.held_out is None:
        return f"{told}; call_probability and delays are the account's"
    before, after, error = pool.held_out
    whose = "its own" if pool.delays else "the account's"
    return (
        f"{told}; call_probability and delays are {whose}: on held-out days its own say better by "
        f"{after - before:.4f}, standard error {error:.4f}"
    )


def _entries(fit: Fit) -> Iterator[Entry]:
    """Keys of the account, their values, and the evidence."""
    if fit.call_probability is None or fit.background is None or fit.saved is None:
        return
    yield from _delays(Delays(fit.call_probability, fit.delay_means, fit.delay_weights))
    yield "background_calls_per_day", _rounded(fit.background), _bounds(fit.background)
    yield from _saved(fit.saved)


def _pool_entries(pool: PoolFit) -> Iterator[Entry]:
    """Keys of which a pool has its own values."""
    if pool.delays:
        yield from _delays(pool.delays)
    yield "background_calls_per_day", _rounded(pool.background), _bounds(pool.background)
    if pool.saved:
        yield from _saved(pool.saved)


def _delays(delays: Delays) -> Iterator[Entry]:
    probability, means, weights = delays
    yield "call_probability", _rounded(probability), _bounds(probability)
    yield "delay_means", [_rounded(mean) for mean in means], "given, not fitted"
    yield "delay_weights", [_rounded(part) for part in weights], ", ".join(map(_bounds, weights))


def _saved(saved: SavedFit) -> Iterator[Entry]:
    rate, factor, repeated, days, otherwise = saved
    why = f"{_bounds(rate)}; {repeated} repeat calls in {days:.0f} days of callers"
    yield "saved_number_calls_per_day", _rounded(rate), why
    why = f"{_bounds(factor)}; {otherwise:.0f} of the repeat calls not for having kept it"
    yield "known_caller_factor", _rounded(factor), why


def _rounded(value: Interval) -> float:
    return float(f"{value.value:.4g}")


def _bounds(value: Interval) -> str:
    return f"{value.low:.3g} to {value.high:.3g}"


def fitted_configuration(source: Path | None, fits: Sequence[Fit]) -> str:
    """The TOML of a configuration with what was fitted; its own comments are not kept."""
    document: Document = tomllib.loads(source.read_text(encoding="utf-8")) if source else {}
    comments: dict[tuple[str, ...], str] = {}
    for fit in fits:
        comments[("accounts", fit.account)] = "\n".join(_heading(fit))
        if not fit.refused:
            _set_account(document, fit, comments)
    return HEAD + "\n".join(_table(document, (), comments)).lstrip("\n") + "\n"


def _heading(fit: Fit) -> list[str]:
    if fit.refused:
        return [f"# {fit.account}: not fitted: {fit.refused}"]
    return [
        f"# fitted to {fit.calls} calls with candidates on {fit.days} days; held-out days, mean",
        f"# log-probability of the number called: {_held_out(fit)}",
    ]


def _set_account(document: Document, fit: Fit, comments: dict[tuple[str, ...], str]) -> None:
    place = ("accounts", fit.account)
    account = document.setdefault("accounts", {}).setdefault(fit.account, {})
    _set_values(account, _entries(fit), place, comments)
    for number, pool in enumerate(account.get("pools", ())):
        if pool["name"] in fit.pools:
            _set_pool(pool, fit.pools[pool["name"]], (*place, "pools", str(number)), comments)


def _set_pool(
    pool: Document, found: PoolFit, place: tuple[str, ...], comments: dict[tuple[str, ...], str]
) -> None:
    """Sets what the pool has of its own; what it had of what the account was fitted for with its
    calls gives way, and is told. A pool that is not fitted keeps all it has."""
    own = {key for key, _, _ in _pool_entries(found)}
    gone = {key: pool.pop(key) for key in FITTED if key in pool and key not in own}
    told = (f"# {key} was {_value(value)}; now the account's" for key, value in gone.items())
    comments[place] = "\n".join((f"# {_pool_evidence(found)}", *told))
    _set_values(pool, _pool_entries(found), place, comments)


def _set_values(
    table: Document,
    entries: Iterable[Entry],
    place: tuple[str, ...],
    comments: dict[tuple[str, ...], str],
) -> None:
    for key, value, why in entries:
        table[key] = value
        comments[(*place, key)] = why


def _table(table: Document, place: tuple[str, ...], comments: Comments) -> Iterator[str]:
    """Lines of a table: its own keys, then the tables in it."""
    inner = {key: value for key, value in table.items() if _is_tables(value)}
    for key, value in table.items():
        if key not in inner:
            comment = comments.get((*place, key))
            yield f"{_key(key)} = {_value(value)}" + (f"  # {comment}" if comment else "")
    for key, value in inner.items():
        path = (*place, key)
        name = ".".join(map(_key, path))
        if isinstance(value, dict):
            if any(not _is_tables(entry) for entry in value.values()) or path in comments:
                yield from ("", *comments.get(path, "").splitlines(), f"[{name}]")
            yield from _table(value, path, comments)
        else:
            for number, entry in enumerate(value):
                plain = ".".join(_key(part) for part in path if not part.isdigit())
                inside = (*path, str(number))
                yield from ("", *comments.get(inside, "").splitlines(), f"[[{plain}]]")
                yield from _table(entry, inside, comments)


def _is_tables(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and isinstance(value[0], dict)
    )


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else json.dumps(name, ensure_ascii=False)


def _value(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return repr(value)
