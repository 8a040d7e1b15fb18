"""What a fit found, in words and as TOML."""

import datetime as dt
import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from transforms.calibration_account import Fit
from transforms.calibration_saved import Interval

Document = dict[str, Any]
# By the place of a table's keys, what stands beside them as comments.
Comments = Mapping[tuple[str, ...], str]


def fit_words(fit: Fit) -> list[str]:
    """What was found of an account, or why nothing was."""
    if fit.refused:
        return [f"{fit.account}: not fitted: {fit.refused}"]
    before, after = fit.held_out
    lines = [
        f"{fit.account}: fitted to {fit.calls} calls with candidates on {fit.days} days",
        f"  held-out days, mean log-probability of the number called: {before:.4f} as configured, "
        f"{after:.4f} fitted",
    ]
    return lines + [f"  {key} = {value}  # {why}" for key, value, why in _entries(fit)]


def _entries(fit: Fit) -> Iterator[tuple[str, Any, str]]:
    """Keys of the account, their values, and the evidence."""
    if fit.call_probability is None or fit.background is None or fit.saved is None:
        return
    yield "call_probability", _rounded(fit.call_probability), _bounds(fit.call_probability)
    for key, parts in (("delay_means", fit.delay_means), ("delay_weights", fit.delay_weights)):
        yield key, [_rounded(part) for part in parts], ", ".join(map(_bounds, parts))
    yield "background_calls_per_day", _rounded(fit.background), _bounds(fit.background)
    rate, factor, repeated, days, otherwise = fit.saved
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
    head = (
        "# Written by attribeam calibrate. Comments give the bounds of each value: the least and\n"
    )
    head += "# greatest of fits to days drawn again, and what the values rest on.\n\n"
    return head + "\n".join(_table(document, (), comments)).lstrip("\n") + "\n"


def _heading(fit: Fit) -> list[str]:
    if fit.refused:
        return [f"# {fit.account}: not fitted: {fit.refused}"]
    before, after = fit.held_out
    return [
        f"# fitted to {fit.calls} calls with candidates on {fit.days} days; held-out days, mean",
        f"# log-probability of the number called: {before:.4f} before, {after:.4f} fitted",
    ]


def _set_account(document: Document, fit: Fit, comments: dict[tuple[str, ...], str]) -> None:
    place = ("accounts", fit.account)
    account = document.setdefault("accounts", {}).setdefault(fit.account, {})
    for key, value, why in _entries(fit):
        account[key] = value
        comments[(*place, key)] = why
    fitted = [key for key, _, _ in _entries(fit)]
    for number, pool in enumerate(account.get("pools", ())):
        for key in fitted:
            pool.pop(key, None)
        if pool["name"] in fit.pools:
            value, calls = fit.pools[pool["name"]]
            pool["background_calls_per_day"] = _rounded(value)
            where = (*place, "pools", str(number), "background_calls_per_day")
            comments[where] = f"{_bounds(value)}; {calls} calls with candidates"


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
                yield from ("", f"[[{plain}]]")
                yield from _table(entry, (*path, str(number)), comments)


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
