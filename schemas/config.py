"""Configuration: TOML read into frozen values, every key named as in SPEC section 13."""

import datetime as dt
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import phonenumbers

from transforms.numbers import normalise_number

# No window, rate or mean of this size is meant.
LARGEST = 1e9
LOCATION = re.compile(r"[A-Za-z]+(-?[A-Za-z0-9]+)*")
DATASET = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]{0,1023}")
KMS_KEY = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")
MODEL_KEYS = (
    "match_window_minutes",
    "call_probability",
    "delay_means",
    "delay_weights",
    "background_calls_per_day",
    "saved_number_calls_per_day",
    "known_caller_factor",
    "min_probability",
    "identity_probability",
)


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the file, the key and what to do."""


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Parameters of SPEC section 8; a pool may override each of them."""

    match_window_minutes: float = 30
    call_probability: float = 0.02
    delay_means: tuple[float, ...] = (180.0, 1800.0)
    delay_weights: tuple[float, ...] = (0.8, 0.2)
    background_calls_per_day: float = 0.1
    saved_number_calls_per_day: float = 0.03
    known_caller_factor: float = 0.001
    min_probability: float = 0.5
    identity_probability: float = 0.99


class Settings(Model, frozen=True, kw_only=True):
    """What may stand at the top level and be overridden by an account."""

    session_gap_minutes: float = 30
    session_max_gap_hours: float = 24
    lookback_days: float = 30
    declared_window_hours: float = 24
    form_window_hours: float = 168
    qualified_seconds: float = 30
    assume_answered: bool = False
    allowed_lateness_hours: float = 72
    out_of_order_seconds: float = 60
    idle_seconds: float = 30
    default_region: str = "DK"
    retention_days: Annotated[int, msgspec.Meta(ge=1)] = 60
    location: str | None = None
    allowed_locations: tuple[str, ...] = ()
    kms_key: str | None = None


class _Dated(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Valid from a day (inclusive) to a day (exclusive), by the UTC day of the call's start."""

    valid_from: dt.date | None = None
    valid_to: dt.date | None = None

    def __post_init__(self) -> None:
        if self.valid_from and self.valid_to and self.valid_from >= self.valid_to:
            raise ValueError(f"valid_from {self.valid_from} must be before valid_to")

    def overlaps(self, other: "_Dated") -> bool:
        """True where some day belongs to both."""
        starts_before = other.valid_to is None or (self.valid_from or dt.date.min) < other.valid_to
        ends_after = self.valid_to is None or (other.valid_from or dt.date.min) < self.valid_to
        return starts_before and ends_after

    def holds(self, day: dt.date) -> bool:
        """True on the days the entry is valid."""
        return (self.valid_from is None or self.valid_from <= day) and (
            self.valid_to is None or day < self.valid_to
        )


class StaticNumber(_Dated, frozen=True, kw_only=True):
    """A number that stands for one source, such as one printed in a catalogue."""

    number: str | int
    source: Annotated[str, msgspec.Meta(min_length=1)]
    medium: str = "(not set)"
    campaign: str | None = None


class Pool(_Dated, frozen=True, kw_only=True):
    """A named set of tracking numbers with model parameters of its own."""

    name: str
    numbers: tuple[str | int, ...]
    match_window_minutes: float | None = None
    call_probability: float | None = None
    delay_means: tuple[float, ...] | None = None
    delay_weights: tuple[float, ...] | None = None
    background_calls_per_day: float | None = None
    saved_number_calls_per_day: float | None = None
    known_caller_factor: float | None = None
    min_probability: float | None = None
    identity_probability: float | None = None


class Account(Settings, frozen=True, kw_only=True):
    """The settings of one account: the top level, overridden by `[accounts.NAME]`."""

    own_domains: tuple[str, ...] = ()
    ignored_referrers: tuple[str, ...] = ()
    excluded_callers: tuple[str | int, ...] = ()
    static_numbers: tuple[StaticNumber, ...] = ()
    pools: tuple[Pool, ...] = ()
    dataset: str | None = None

    def pool_model(self, pool: Pool) -> Model:
        """The model parameters of a pool: its own, else the account's."""
        values = {key: getattr(pool, key) for key in MODEL_KEYS}
        return Model(**{k: getattr(self, k) if v is None else v for k, v in values.items()})


class Config:
    """The whole configuration: settings of any account by name.

    Accounts that the file does not name have the top level's settings.
    """

    def __init__(self, default: Account, accounts: dict[str, Account]) -> None:
        self.default = default
        self.accounts = accounts

    def account(self, name: str | None) -> Account:
        """The settings of an account."""
        return self.accounts.get(name, self.default) if name is not None else self.default


def load_config(path: Path | None) -> Config:
    """Reads and checks a TOML file; without one, the defaults.

    Raises ConfigError where the file cannot be read or a key or value is wrong.
    """
    if path is None:
        return parse_config({})
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from error
    try:
        return parse_config(document)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse_config(document: dict[str, Any]) -> Config:
    """Turns a parsed TOML document into a Config. Raises ConfigError naming the key."""
    top = {key: value for key, value in document.items() if key != "accounts"}
    tables = document.get("accounts", {})
    if not isinstance(tables, dict) or not all(isinstance(t, dict) for t in tables.values()):
        raise ConfigError("accounts: must be tables, written [accounts.NAME]")
    _convert(top, Settings, "")
    default = _account(top, "")
    accounts = {name: _account(top | table, f"accounts.{name}.") for name, table in tables.items()}
    return Config(default, accounts)


def _account(values: dict[str, Any], where: str) -> Account:
    account: Account = _convert(values, Account, where)
    _check_model(account, where)
    for pool in account.pools:
        _check_model(account.pool_model(pool), f"{where}pools.{pool.name}.")
    _check_region(account.default_region, where)
    _check_place(account, where)
    region = account.default_region
    _numbers(account.excluded_callers, region, f"{where}excluded_callers")
    _check_once(
        [(s, (s.number,)) for s in account.static_numbers], region, f"{where}static_numbers"
    )
    _check_once([(pool, pool.numbers) for pool in account.pools], region, f"{where}pools")
    return account


def _numbers(written: Iterable[str | int], region: str, where: str) -> set[str]:
    """The numbers in the form that events' numbers get. Raises ConfigError where one has none."""
    numbers = {raw: normalise_number(str(raw), region) for raw in written}
    for raw, number in numbers.items():
        if number is None:
            raise ConfigError(f"{where}: {raw!r} is no phone number; write it as +4533123456")
    return {number for number in numbers.values() if number is not None}


def _convert(values: dict[str, Any], kind: type, where: str) -> Any:
    try:
        return msgspec.convert(values, kind, strict=True)
    except msgspec.ValidationError as error:
        raise ConfigError(_readable(str(error), where)) from error


def _readable(message: str, where: str) -> str:
    """msgspec's message with the key's place as TOML writes it."""
    text, _, place = message.partition(" - at ")
    path = place.strip("`").removeprefix("$").lstrip(".")
    text = text.replace("Object contains unknown field", "unknown key")
    text = text.replace("Object missing required field", "missing key")
    return f"{(where + path).rstrip('.') or 'top level'}: {text}"


def _check_model(model: Model, where: str) -> None:
    """Refuses values for which the formulas of SPEC section 8 have no meaning."""
    for key in model.__struct_fields__:
        value = getattr(model, key)
        values = value if isinstance(value, tuple) else (value,)
        for number in values:
            if isinstance(number, float | int) and not 0 <= number < LARGEST:
                raise ConfigError(f"{where}{key}: {number} must be a number of at least 0")
    for key in (
        "call_probability",
        "known_caller_factor",
        "min_probability",
        "identity_probability",
    ):
        if getattr(model, key) > 1:
            raise ConfigError(f"{where}{key}: must be at most 1")
    if not model.delay_means or len(model.delay_means) != len(model.delay_weights):
        raise ConfigError(f"{where}delay_means, delay_weights: must be lists of the same length")
    if min(model.delay_means) <= 0 or min(model.delay_weights) < 0:
        raise ConfigError(
            f"{where}delay_means, delay_weights: means must be above 0, weights not below"
        )


def _check_region(region: str, where: str) -> None:
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise ConfigError(f"{where}default_region: {region!r} is no country code such as DK")


def _check_place(account: Account, where: str) -> None:
    """Refuses names that BigQuery cannot have."""
    for location in (account.location, *account.allowed_locations):
        if location is not None and not LOCATION.fullmatch(location):
            raise ConfigError(
                f"{where}location, allowed_locations: {location!r} is no location such as EU "
                "or europe-west3"
            )
    if account.dataset is not None and not DATASET.fullmatch(account.dataset):
        raise ConfigError(
            f"{where}dataset: {account.dataset!r} must begin with a letter or digit and have "
            "letters, digits and underscores only, at most 1,024"
        )
    if account.kms_key is not None and not KMS_KEY.fullmatch(account.kms_key):
        raise ConfigError(
            f"{where}kms_key: {account.kms_key!r} is no key's name, written "
            "projects/P/locations/L/keyRings/R/cryptoKeys/K"
        )


def _check_once(
    entries: Iterable[tuple[_Dated, Iterable[str | int]]], region: str, where: str
) -> None:
    """Refuses a number that two entries hold on one day (SPEC section 8)."""
    seen: dict[str, list[_Dated]] = {}
    for entry, written in entries:
        for number in _numbers(written, region, where):
            if any(entry.overlaps(other) for other in seen.get(number, [])):
                raise ConfigError(f"{where}: {number} stands in two entries at one time")
            seen.setdefault(number, []).append(entry)
