"""What changes in BigQuery and what is refused, decided without it."""

import copy
from dataclasses import replace
from typing import Any

import pytest

from pipelines.bigquery.names import Place, Target, control_places, find_places
from pipelines.bigquery.plan import Plan, keep_retention, make_plan
from pipelines.bigquery.views import bigquery_view
from pipelines.bigquery.wanted import State, wanted_state, without_absent_detail
from pipelines.tables import place_found
from pipelines.views import VIEWS
from schemas.config import Config, parse_config
from schemas.tables import DISPLAYS, TABLES

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


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (
            {"labels": {}},
            "not known as that of account a_b (it has no label application=attribeam,",
        ),
        ({"labels": {"application": "crm"}, "friendlyName": "CRM"}, "its friendly name is CRM)"),
        ({"friendlyName": None}, "it has no friendly name): give account a_b another in"),
        ({"friendlyName": "a-b"}, "dataset a_b is that of account a-b, not of account a_b: give"),
        ({"friendlyName": "A_B"}, "dataset a_b is that of account A_B, not of account a_b: give"),
    ],
)
def test_a_dataset_of_somebody_else_is_refused(found: dict[str, Any], words: str) -> None:
    """By its label and its exact friendly name; nothing of it changes, not even by instruction."""
    wanted, actual = state("a_b"), state("a_b")
    actual.datasets["a_b"] |= {"defaultPartitionExpirationMs": "1"} | found
    actual.tables.clear()
    made = make_plan(wanted, actual, places("a_b"), "ticket 7")
    [refusal] = made.refusals
    assert words in refusal
    assert "[accounts.NAME]: dataset = …" in refusal
    assert (made.changes, made.retentions, made.unmet) == ((), (), made.refusals)
    is_other_account = found.get("friendlyName") in ("a-b", "A_B")
    assert is_other_account is not ('its friendly name "a_b"' in refusal)


def test_a_control_dataset_of_somebody_else_is_refused() -> None:
    """It belongs to runs, is labelled like an account's and has attribeam's name."""
    controls = control_places([], parse_config({}), TARGET)
    wanted = wanted_state("project", (), controls)
    assert make_plan(wanted, copy.deepcopy(wanted), ()) == Plan()
    actual = copy.deepcopy(wanted)
    actual.datasets["attribeam_eu"]["labels"] = {}
    [refusal] = make_plan(wanted, actual, ()).refusals
    assert "dataset attribeam_eu is not known as that of runs" in refusal
    assert "write into another project; or, where it was made for this, hand it over" in refusal


def test_a_dataset_that_was_handed_over_empty_needs_no_instruction() -> None:
    """It kept no rows, so how long rows are kept does not change."""
    wanted, actual = state("shop"), state("shop")
    actual.tables.clear()
    del actual.datasets["shop"]["defaultPartitionExpirationMs"]
    found = plan(wanted, actual)
    assert found.refusals == ()
    assert texts(found)[0] == "update dataset shop: days expire after 60 days, not never"


def test_retention_changes_by_instruction_only() -> None:
    """Without one it is refused, with one the dataset and each of its tables change."""
    wanted, actual = state("shop", retention_days=30), state("shop")
    [refusal] = plan(wanted, actual).refusals
    assert refusal == (
        "account shop: rows are kept 30 days instead of 60 days: the change needs a written "
        "reference: name the account in the configuration ([accounts.NAME]) and run attribeam "
        "tables apply with --instruction TEXT"
    )
    found = plan(wanted, actual, "ticket 7")
    assert found.refusals == ()
    changed = {change.path for change in found.changes if change.is_decisive}
    tables = [(), ("conversions",), ("sessions",), ("displays",), ("dead_letters",)]
    assert changed == {("shop", *table) for table in tables}


def test_retention_that_is_kept_stays_in_the_dataset_and_each_table() -> None:
    """Even where a table has another than its dataset; a new table has the dataset's."""
    wanted, actual = state("shop", retention_days=30), state("shop")
    actual.tables["shop", "sessions"]["timePartitioning"]["expirationMs"] = "1"
    del actual.tables["shop", "displays"]
    kept = keep_retention(wanted, actual, {"shop"})
    found = make_plan(kept, actual, (), "of another account")
    assert texts(found) == [
        "update dataset shop: another description",
        "create table shop.displays",
    ]
    new = found.changes[1].resource["timePartitioning"]["expirationMs"]
    assert new == actual.datasets["shop"]["defaultPartitionExpirationMs"]
    assert keep_retention(wanted, actual, ()) == wanted


def test_a_dataset_without_expiration_gets_one_for_new_tables_only() -> None:
    """So no table is made whose days never expire, and none that is there changes."""
    actual = state("shop")
    del actual.datasets["shop"]["defaultPartitionExpirationMs"]
    found = make_plan(keep_retention(state("shop"), actual, {"shop"}), actual, ())
    assert texts(found) == ["update dataset shop: days expire after 60 days, not never"]


def test_an_account_that_is_not_named_is_wanted_where_and_as_its_dataset_is() -> None:
    """Dataset, location, key and retention are those of the configuration that made it."""
    settings = {"dataset": "d", "retention_days": 9, "kms_key": KEY, "location": "EU"}
    elsewhere = parse_config({"accounts": {"shop": settings}})
    made = places("shop", config=elsewhere)
    dataset = wanted_state("project", made, ()).datasets["d"]
    assert place_found(dataset, parse_config({})) == made[0]
    del dataset["defaultPartitionExpirationMs"]
    assert place_found(dataset, parse_config({"retention_days": 5})).retention_days == 5


def test_a_table_that_was_told_to_expire_otherwise_keeps_rows_from_being_written() -> None:
    """A run does not write where rows would stay longer, or less long, than they should."""
    wanted, actual = state("shop"), state("shop")
    del actual.tables["shop", "sessions"]["timePartitioning"]["expirationMs"]
    assert plan(wanted, actual).refusals
    assert plan(wanted, actual, "ticket 7").unmet == (
        "update table shop.sessions: days expire after 60 days, not never",
    )


@pytest.mark.parametrize("table", ["displays", "instructions"])
def test_a_table_that_would_vanish_keeps_rows_from_being_written(table: str) -> None:
    """Its own expiration takes all rows along, also those kept without end: it is cleared."""
    actual = state("shop")
    actual.tables["shop", table]["expirationTime"] = "1900000000000"
    found = plan(state("shop"), actual)
    assert found.unmet == (
        f"update table shop.{table}: the table itself never expires, not at 2030-03-17 17:46 UTC",
    )
    assert [change.resource for change in found.changes] == [{"expirationTime": None}]


def test_a_view_that_would_vanish_is_kept() -> None:
    """A run need not wait for it, since it makes views that are missing."""
    actual = state("shop")
    actual.tables["shop", "pool_health"]["expirationTime"] = "1900000000000"
    found = plan(state("shop"), actual)
    assert [change.resource for change in found.changes] == [{"expirationTime": None}]
    assert (found.unmet, found.refusals) == ((), ())


def test_new_tables_would_vanish_by_a_datasets_default() -> None:
    """It keeps rows from being written, and is cleared before any table is made."""
    actual = state("shop")
    actual.datasets["shop"]["defaultTableExpirationMs"] = "86400000"
    actual.datasets["shop"]["description"] = "mine"
    for name in ("instructions", "pool_health"):
        del actual.tables["shop", name]
    found = plan(state("shop"), actual)
    words = "update dataset shop: new tables never expire, not after 1 day; another description"
    assert found.unmet == (words,)
    assert [(change.path, change.action) for change in found.opening] == [
        (("shop",), "update"),
        (("shop", "instructions"), "create"),
    ]
    assert found.opening[0].resource == {"defaultTableExpirationMs": None}
    assert [change.path for change in found.rest] == [("shop",), ("shop", "pool_health")]


@pytest.mark.parametrize("where", [(), ("timePartitioning",)])
def test_queries_need_not_say_which_days(where: tuple[str, ...]) -> None:
    """Views, counts and dead letters go over all days, so a table must not ask for a filter."""
    actual = state("shop")
    resource = actual.tables["shop", "displays"]
    for key in where:
        resource = resource[key]
    resource["requirePartitionFilter"] = True
    found = plan(state("shop"), actual)
    assert found.unmet == ("update table shop.displays: queries need not say which days",)
    assert [change.resource for change in found.changes] == [{"requirePartitionFilter": False}]


def test_views_are_saved_again_after_a_table_that_they_read_has_a_new_column() -> None:
    """A view keeps the columns it had when its text last changed, so each view's text changes."""
    columns = tuple(column for column in DISPLAYS.columns if column.name != "session_id")
    old = TABLES | {"displays": replace(DISPLAYS, columns=columns)}
    wanted, actual = state("shop"), state("shop")
    actual.tables["shop", "displays"]["schema"]["fields"] = old["displays"].bigquery()
    for view in VIEWS:
        resource = actual.tables["shop", view]["view"]
        resource["query"] = bigquery_view(view, "project.shop", old)
    found = plan(wanted, actual)
    assert texts(found) == [
        "update table shop.displays: new column session_id",
        "update view shop.pool_health: another text",
    ]
    assert found.rest == found.changes


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
