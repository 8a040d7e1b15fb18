"""What changes in BigQuery and what is refused, decided without it."""

import copy
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
from pipelines.bigquery.plan import Plan, check_locations, check_region, make_plan
from pipelines.bigquery.wanted import State, wanted_state, without_absent_detail
from schemas.config import Config, ConfigError, parse_config

TARGET = Target("project", "EU")
KEY = "projects/p/locations/europe/keyRings/r/cryptoKeys/k"


def places(*accounts: str, config: Config | None = None) -> list[Place]:
    return [*find_places(accounts, config or parse_config({}), TARGET).values()]


def state(*accounts: str, **settings: Any) -> State:
    """What accounts should have; with what the service adds to a table it describes."""
    everything = wanted_state("project", places(*accounts, config=parse_config(settings)), ())
    wanted = without_absent_detail(everything, State())
    for resource in wanted.tables.values():
        resource["type"] = "VIEW" if "view" in resource else "TABLE"
    return copy.deepcopy(wanted)


def plan(wanted: State, actual: State, instruction: str | None = None) -> Plan:
    return make_plan(wanted, actual, places("shop"), instruction)


def texts(found: Plan) -> list[str]:
    return [change.text for change in found.changes]


# --- names -------------------------------------------------------------------------------------


def test_a_target_names_a_project_and_a_location() -> None:
    """Without a location the target is in the EU."""
    assert parse_target("bigquery://my-project") == Target("my-project", "EU")
    assert parse_target("bigquery://my-project/europe-west3").location == "europe-west3"
    assert parse_target("bigquery://example.com:old/US").project == "example.com:old"


@pytest.mark.parametrize("output", ["bigquery://", "bigquery://A B", "bigquery://p1/E U"])
def test_a_target_that_is_none_is_told(output: str) -> None:
    """The message shows how a target is written."""
    with pytest.raises(ConfigError, match="write bigquery://PROJECT or"):
        parse_target(output)


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


# --- plans -------------------------------------------------------------------------------------


def test_what_is_missing_is_created_in_order() -> None:
    """Datasets first, then tables, then the views that read them."""
    found = plan(state("shop"), State())
    assert found.refusals == ()
    assert texts(found)[:2] == ["create dataset shop", "create table shop.conversions"]
    kinds = [change.kind for change in found.changes]
    assert kinds == sorted(kinds, key=["dataset", "table", "view"].index)
    assert {"create table shop.instructions", "create view shop.pool_health"} <= {*texts(found)}
    assert "create table shop.pageviews" not in texts(found)


def test_what_is_as_it_should_be_stays() -> None:
    """A second plan is empty."""
    assert plan(state("shop"), state("shop")) == Plan()


def test_every_table_expires_and_is_described() -> None:
    """Partitions by day, expiration on tables and dataset, 48 hours of time travel, a key."""
    made = state("shop", retention_days=10, kms_key=KEY)
    ten_days = str(10 * 86_400_000)
    dataset = made.datasets["shop"]
    assert dataset["defaultPartitionExpirationMs"] == ten_days
    assert dataset["maxTimeTravelHours"] == "48"
    assert dataset["defaultEncryptionConfiguration"] == {"kmsKeyName": KEY}
    conversions = made.tables["shop", "conversions"]
    assert conversions["timePartitioning"] == {
        "type": "DAY",
        "field": "call_date",
        "expirationMs": ten_days,
    }
    assert conversions["clustering"] == {"fields": ["source", "status", "tracking_number"]}
    assert conversions["encryptionConfiguration"] == {"kmsKeyName": KEY}
    assert all(column["description"] for column in conversions["schema"]["fields"])
    assert "timePartitioning" not in made.tables["shop", "instructions"]


def test_a_new_column_is_added_at_the_end() -> None:
    """Columns that are there keep their places; names of types that the service uses are equal."""
    wanted, actual = state("shop"), state("shop")
    fields = actual.tables["shop", "displays"]["schema"]["fields"]
    names = [column["name"] for column in fields]
    del fields[2]
    next(column for column in fields if column["name"] == "displays")["type"] = "INTEGER"
    [change] = plan(wanted, actual).changes
    assert change.text == "update table shop.displays: new column session_id"
    assert change.is_decisive
    merged = [column["name"] for column in change.resource["schema"]["fields"]]
    assert merged == [*names[:2], *names[3:], "session_id"]


def test_a_nested_column_is_added() -> None:
    """Records evolve as tables do."""
    wanted, actual = state("shop"), state("shop")
    fields = actual.tables["shop", "conversions"]["schema"]["fields"]
    candidates = next(column for column in fields if column["name"] == "candidates")
    candidates["fields"] = candidates["fields"][:-1]
    assert texts(plan(wanted, actual)) == [
        "update table shop.conversions: new column candidates.channel"
    ]


def edit_column(found: State, column: str, /, **changed: Any) -> None:
    fields = found.tables["shop", "displays"]["schema"]["fields"]
    next(field for field in fields if field["name"] == column).update(changed)


def test_a_required_column_may_become_optional() -> None:
    """Looser is possible, and needed before rows without a value can be written."""
    wanted, actual = state("shop"), state("shop")
    edit_column(actual, "session_id", mode="REQUIRED")
    assert texts(plan(wanted, actual)) == [
        "update table shop.displays: column session_id may be null"
    ]


@pytest.mark.parametrize(
    ("column", "changed", "words"),
    [
        ("displays", {"type": "STRING"}, "displays of table shop.displays is STRING NULLABLE, not"),
        ("account", {"mode": "NULLABLE"}, "is STRING NULLABLE, not STRING REQUIRED"),
        ("session_id", {"mode": "REPEATED"}, "is STRING REPEATED, not STRING NULLABLE"),
        ("session_id", {"name": "mine"}, "column mine that attribeam does not know"),
        ("account", {"name": "mine"}, "lacks the required column account"),
    ],
)
def test_a_table_that_someone_changed_is_refused(
    column: str, changed: dict[str, Any], words: str
) -> None:
    """What cannot be mended in place is said, and nothing of the table is changed."""
    wanted, actual = state("shop"), state("shop")
    edit_column(actual, column, **changed)
    found = plan(wanted, actual)
    assert any(words in refusal for refusal in found.refusals), found.refusals
    assert found.changes == ()


def test_other_partitions_are_refused() -> None:
    """The partitioning of a table cannot be changed; a view is no table."""
    wanted, actual = state("shop"), state("shop")
    actual.tables["shop", "displays"]["timePartitioning"] = None
    actual.tables["shop", "sessions"]["type"] = "VIEW"
    refusals = plan(wanted, actual, "as ordered").refusals
    assert any("partitioned by nothing, not by DAY of display_date" in text for text in refusals)
    assert "shop.sessions is a view, not a table: move it away" in refusals


def test_a_dataset_in_another_location_is_refused() -> None:
    """A dataset cannot move; nothing else is said of it."""
    actual = state("shop", location="US")
    [refusal] = plan(state("shop"), actual).refusals
    assert refusal.startswith("dataset shop lies in US, not in EU")


def test_retention_changes_by_instruction_only() -> None:
    """Without one it is refused, with one the dataset and each of its tables change."""
    wanted, actual = state("shop", retention_days=30), state("shop")
    [refusal] = plan(wanted, actual).refusals
    assert refusal == (
        "account shop: rows are kept 30 days instead of 60 days: the change needs a written "
        "reference, --instruction TEXT"
    )
    found = plan(wanted, actual, "ticket 7")
    assert found.refusals == ()
    changed = {change.path for change in found.changes if change.is_decisive}
    tables = [(), ("conversions",), ("sessions",), ("displays",), ("dead_letters",)]
    assert changed == {("shop", *table) for table in tables}


def test_a_table_that_was_told_to_expire_otherwise_keeps_rows_from_being_written() -> None:
    """A run does not write where rows would stay longer, or less long, than they should."""
    wanted, actual = state("shop"), state("shop")
    del actual.tables["shop", "sessions"]["timePartitioning"]["expirationMs"]
    assert plan(wanted, actual).refusals
    assert plan(wanted, actual, "ticket 7").unmet == (
        "update table shop.sessions: days expire after 60 days, not never",
    )


def test_descriptions_do_not_keep_rows_from_being_written() -> None:
    """What is only described or sorted otherwise is updated when somebody applies."""
    wanted, actual = state("shop"), state("shop")
    actual.datasets["shop"]["description"] = "mine"
    actual.datasets["shop"]["maxTimeTravelHours"] = "168"
    actual.tables["shop", "sessions"]["clustering"] = {"fields": ["account"]}
    actual.tables["shop", "sessions"]["labels"] = {"team": "bi"}
    actual.tables["shop", "pool_health"]["view"]["query"] = "SELECT 1"
    edit_column(actual, "displays", description="mine")
    found = plan(wanted, actual)
    assert len(found.changes) == 4
    assert (found.unmet, found.refusals) == ((), ())
    sessions = next(change for change in found.changes if change.path == ("shop", "sessions"))
    assert sessions.resource["labels"] == {"team": "bi", "application": "attribeam"}


def test_a_key_of_a_table_is_not_changed_silently() -> None:
    """From no key to one a table must be copied; from one to another it is updated."""
    wanted, actual = state("shop", kms_key=KEY), state("shop")
    assert all("encrypted with a key of the service" in r for r in plan(wanted, actual).refusals)
    other = state("shop", kms_key=KEY + "2")
    found = plan(wanted, other)
    assert found.refusals == ()
    assert "update table shop.displays: key " + KEY in texts(found)
    assert len(found.unmet) == 6


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
    assert "is not known: say it with --region" in next(check_region(limited, None))
