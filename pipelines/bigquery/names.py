"""Which dataset holds what: from `bigquery://PROJECT[/LOCATION]`, accounts and configuration."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from schemas.config import DATASET, LOCATION, Config, ConfigError

SCHEME = "bigquery://"
DEFAULT_LOCATION = "EU"
CONTROL_PREFIX = "attribeam_"
PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]*[a-z0-9]")
# What may stand in an account's name, but not in a dataset's, and has a plain counterpart there.
_REPLACED = str.maketrans("-. ", "___")


@dataclass(frozen=True)
class Target:
    """A project, and the location of accounts whose configuration names none."""

    project: str
    location: str

    @property
    def text(self) -> str:
        """The target as `--output` writes it."""
        return f"{SCHEME}{self.project}/{self.location}"


@dataclass(frozen=True)
class Place:
    """Where and how long the rows of an account are kept; account None: of no known account."""

    account: str | None
    dataset: str
    location: str
    retention_days: int
    kms_key: str | None = None
    allowed_locations: tuple[str, ...] = ()

    @property
    def whose(self) -> str:
        """The account in words, for messages."""
        return "no account" if self.account is None else f"account {self.account}"


def is_bigquery(output: str) -> bool:
    """True for an output that names BigQuery rather than a folder."""
    return output.startswith(SCHEME)


def parse_target(output: str) -> Target:
    """The project and location of `--output`. Raises ConfigError where it names none."""
    project, _, location = output.removeprefix(SCHEME).partition("/")
    if wrong := _wrong_target(output, project, location):
        raise ConfigError(
            f"--output {output}: {wrong}; write bigquery://PROJECT or bigquery://PROJECT/LOCATION, "
            "such as bigquery://my-project/EU"
        )
    return Target(project, location or DEFAULT_LOCATION)


def _wrong_target(output: str, project: str, location: str) -> str | None:
    """What of an output is none of BigQuery's."""
    if not is_bigquery(output):
        return "is no project of BigQuery"
    if not project:
        return "names no project"
    if not PROJECT.fullmatch(project):
        return (
            f"{project!r} is no project's id (6 to 30 small letters a to z, digits and dashes; it "
            "begins with a letter and does not end with a dash)"
        )
    if location and not LOCATION.fullmatch(location):
        return f"{location!r} is no location such as EU or europe-west3"
    return None


def control_dataset(location: str) -> str:
    """The dataset of a location for what belongs to no account: staging, journal, dead letters."""
    return CONTROL_PREFIX + location.lower().replace("-", "_")


def control_place(location: str, config: Config) -> Place:
    """The place of a location's control dataset; settings are those of the top level."""
    default = config.default
    key = default.kms_key if _key_fits(default.kms_key, location) else None
    return Place(
        None,
        control_dataset(location),
        location,
        default.retention_days,
        key,
        default.allowed_locations,
    )


def home_location(config: Config, target: Target) -> str:
    """Where rows of no known account lie: as those of an account that says nothing of its own."""
    return config.default.location or target.location


def control_places(places: Iterable[Place], config: Config, target: Target) -> list[Place]:
    """The control datasets of the places' locations, and of rows of no known account."""
    locations = {place.location.lower(): place.location for place in places}
    home = home_location(config, target)
    locations.setdefault(home.lower(), home)
    return [control_place(location, config) for location in locations.values()]


def find_places(accounts: Iterable[str], config: Config, target: Target) -> dict[str, Place]:
    """The place of each account.

    Raises ConfigError for an account whose name cannot be a dataset's, two accounts that would
    share a dataset, and a key that cannot encrypt what lies in the account's location.
    """
    places: dict[str, Place] = {}
    holders: dict[str, str] = {}
    for account in sorted(set(accounts)):
        place = _place(account, config, target)
        if place.dataset in holders:
            raise ConfigError(
                f"accounts {holders[place.dataset]} and {account} would share the dataset "
                f"{place.dataset}; give one of them another in [accounts.NAME]: dataset = …"
            )
        if place.dataset.startswith(CONTROL_PREFIX):
            raise ConfigError(
                f"account {account}: the dataset {place.dataset} is not its own, names that "
                f"begin with {CONTROL_PREFIX} are kept for runs; give it another in "
                "[accounts.NAME]: dataset = …"
            )
        holders[place.dataset] = account
        places[account] = place
    return places


def _place(account: str, config: Config, target: Target) -> Place:
    settings = config.account(account)
    dataset = settings.dataset or account.translate(_REPLACED)
    if not DATASET.fullmatch(dataset):
        raise ConfigError(
            f"account {account!r}: no dataset can have this name (letters, digits and underscores, "
            "at most 1,024); give it one in [accounts.NAME]: dataset = …"
        )
    location = settings.location or target.location
    if settings.kms_key and not _key_fits(settings.kms_key, location):
        raise ConfigError(
            f"account {account}: kms_key {settings.kms_key} does not lie where the dataset does "
            f"({location}); name a key of that location"
        )
    return Place(
        account,
        dataset,
        location,
        settings.retention_days,
        settings.kms_key,
        settings.allowed_locations,
    )


def _key_fits(key: str | None, location: str) -> bool:
    """A multi-region's keys lie in Cloud KMS's location of another name: EU in europe."""
    if key is None:
        return False
    wanted = {"eu": "europe"}.get(location.lower(), location.lower())
    return key.split("/")[3].lower() == wanted
