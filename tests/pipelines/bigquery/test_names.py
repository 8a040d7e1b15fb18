"""Which dataset holds what, and where it and runs may be."""

from typing import Any

import pytest

from pipelines.bigquery.names import (
    Place,
    Target,
    control_place,
    control_places,
    find_places,
    parse_target,
)
from pipelines.bigquery.plan import check_locations, check_region
from schemas.config import Config, ConfigError, parse_config

TARGET = Target("project", "EU")
KEY = "projects/p/locations/europe/keyRings/r/cryptoKeys/k"


def places(*accounts: str, config: Config | None = None) -> list[Place]:
    return [*find_places(accounts, config or parse_config({}), TARGET).values()]


def test_a_target_names_a_project_and_a_location() -> None:
    """Without a location the target is in the EU."""
    assert parse_target("bigquery://my-project") == Target("my-project", "EU")
    assert parse_target("bigquery://my-project/europe-west3").location == "europe-west3"
    assert parse_target("bigquery://example.com:old/US").project == "example.com:old"


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("bigquery://", "names no project"),
        ("bigquery://x", "'x' is no project's id (6 to 30 small letters a to z, digits and dashes"),
        ("bigquery://Test_X/EU", "'Test_X' is no project's id"),
        ("bigquery://p1/E U", "'E U' is no location such as EU"),
        ("warehouse", "is no project of BigQuery"),
    ],
)
def test_a_target_that_is_none_is_told(output: str, words: str) -> None:
    """The message says what is wrong and shows how a target is written."""
    with pytest.raises(ConfigError) as error:
        parse_target(output)
    assert f"--output {output}: {words}" in str(error.value)
    assert "write bigquery://PROJECT or" in str(error.value)


def test_an_account_has_a_dataset_of_its_name() -> None:
    """Dashes, dots and spaces become underscores; the configuration may name another."""
    config = parse_config({"accounts": {"æ/1": {"dataset": "ae1"}}})
    found = [place.dataset for place in places("nord-mobil.dk", "a b", "æ/1", config=config)]
    assert found == ["a_b", "nord_mobil_dk", "ae1"]


@pytest.mark.parametrize("account", ["æ/1", "_x", "", "a" * 1025])
def test_an_account_that_no_dataset_can_be_named_after_is_told(account: str) -> None:
    """Nothing is guessed: the message asks for a name."""
    with pytest.raises(ConfigError, match="no dataset can have this name"):
        places(account)


def test_two_accounts_do_not_share_a_dataset() -> None:
    """Their names differ only in what a dataset's name cannot have."""
    with pytest.raises(ConfigError, match=r"accounts a-b and a\.b would share the dataset a_b"):
        places("a-b", "a.b")


def test_no_account_has_the_dataset_of_runs() -> None:
    """Staging tables and journal do not lie among an account's tables."""
    with pytest.raises(ConfigError, match="are kept for runs"):
        places("attribeam-eu")


def test_a_key_must_lie_where_the_dataset_does() -> None:
    """Cloud KMS calls the location of the EU's keys europe."""
    config = parse_config({"kms_key": KEY, "accounts": {"us": {"location": "US"}}})
    assert places("shop", config=config)[0].kms_key == KEY
    assert control_place("US", config).kms_key is None
    with pytest.raises(ConfigError, match="account us: kms_key"):
        places("us", config=config)


def test_rows_of_no_account_lie_where_accounts_do_that_say_nothing() -> None:
    """The top level's location is before that of --output, as for accounts."""
    config = parse_config({"location": "europe-west3", "accounts": {"us": {"location": "US"}}})
    found = control_places(places("us", config=config), config, TARGET)
    assert [place.dataset for place in found] == ["attribeam_us", "attribeam_europe_west3"]
    assert control_places([], parse_config({}), TARGET)[0].location == "EU"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"location": "E U"}, "is no location such as EU"),
        ({"allowed_locations": ["EU", ""]}, "is no location such as EU"),
        ({"kms_key": "k"}, "is no key's name"),
        ({"accounts": {"a": {"dataset": "a-b"}}}, "letters, digits and underscores only"),
        ({"retention_days": 0}, "retention_days: Expected `int` >= 1"),
    ],
)
def test_configuration_that_cannot_be_is_refused(settings: dict[str, Any], message: str) -> None:
    """A name that BigQuery cannot have is an error of the configuration."""
    with pytest.raises(ConfigError, match=message):
        parse_config(settings)


# --- where rows may be -------------------------------------------------------------------------


def test_a_dataset_outside_the_allowed_locations_is_told() -> None:
    """The default allows everything; names are compared in any case."""
    assert not [*check_locations(places("shop"))]
    config = parse_config({"allowed_locations": ["eu"], "accounts": {"x": {"location": "US"}}})
    [words] = check_locations(places("shop", "x", config=config))
    assert words.startswith("account x: its dataset would lie in US")


def test_a_run_must_work_in_an_allowed_location() -> None:
    """Where it works must be known as soon as locations are limited."""
    config = parse_config({"allowed_locations": ["EU", "europe-west3"]})
    limited = places("shop", config=config)
    assert not [*check_region(limited, "Europe-West3")]
    assert not [*check_region(places("shop"), None)]
    assert "this run works in us-east1" in next(check_region(limited, "us-east1"))
    for unknown in (None, ""):
        assert "is not known: say it with --region" in next(check_region(limited, unknown))


def test_each_place_where_a_run_works_must_be_allowed() -> None:
    """The job's region does not speak for its workers."""
    config = parse_config({"allowed_locations": ["europe-west3", "europe-west4"]})
    limited = places("shop", config=config)
    assert not [*check_region(limited, "europe-west3,europe-west4")]
    [words] = check_region(limited, "europe-west3,us-central1")
    assert "this run works in us-central1, which is not one of" in words
