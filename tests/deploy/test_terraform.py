"""deploy/terraform, read by a parser: no provider and no network is needed."""

import re
import shutil
import subprocess

import pytest
from terraform_files import FOLDER, ROOT, bare, blocks, code, members

from pipelines.views import VIEWS
from schemas.tables import TABLES

# A grant, and what is in it.
GRANT = re.compile(r'^resource "google_\w+_iam_member" "\w+" \{\n(.*?)^\}', re.M | re.S)
# Roles that give more than any of our accounts needs.
TOO_MUCH = re.compile(r"roles/(owner|editor|viewer)$|admin|\*", re.IGNORECASE)

RESOURCES = dict(blocks("resource"))
VARIABLES = {name: body for (name,), body in blocks("variable")}


def test_the_files_are_formatted_and_can_be_read() -> None:
    """`terraform fmt` (or OpenTofu's) changes nothing."""
    tool = shutil.which("terraform") or shutil.which("tofu")
    if tool is None:
        pytest.skip("neither terraform nor tofu is installed; the parser's tests still ran")
    done = subprocess.run(
        [tool, "fmt", "-check", "-diff", "-recursive", str(FOLDER)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_is_declared_and_every_declared_one_is_used() -> None:
    """What is used and what is declared are the same variables."""
    used = set(re.findall(r"\bvar\.(\w+)", code()))
    outside = re.sub(r'variable "\w+" \{.*?\n\}', "", code(), flags=re.DOTALL)
    assert used == set(VARIABLES)
    assert set(re.findall(r"\bvar\.(\w+)", outside)) | {"allowed_locations"} == set(VARIABLES)


def test_every_variable_and_output_is_described() -> None:
    """Each has a description, and each variable a type."""
    for name, body in VARIABLES.items():
        assert bare(body["description"]).endswith("."), name
        assert body["type"], name
    for (name,), body in blocks("output"):
        assert bare(body["description"]).endswith("."), name


def test_every_reference_is_to_something_that_is_there() -> None:
    """Resources, data sources and locals that are referred to exist."""
    text = code()
    declared = {".".join(names) for names in RESOURCES}
    referred = set(re.findall(r"(?<![\w.\"/])(google_\w+\.\w+)", text))
    assert referred <= declared, referred - declared
    data = {".".join(names) for names, _ in blocks("data")}
    assert set(re.findall(r"\bdata\.(google_\w+\.\w+)", text)) == data
    known = {name for _, body in blocks("locals") for name in members(body)}
    assert set(re.findall(r"\blocal\.(\w+)", text)) == known


def test_no_role_is_primitive_or_an_administrators() -> None:
    """No account gets owner, editor, viewer, an admin role or a wildcard, nor does the public."""
    roles = set(re.findall(r'"(roles/[^"]+)"', code()))
    assert roles
    assert [role for role in roles if TOO_MUCH.search(role)] == []
    assert "allUsers" not in code()
    assert "allAuthenticatedUsers" not in code()


def test_project_wide_roles_are_the_few_that_have_no_narrower_place() -> None:
    """Only these roles are given for the whole project; all others for one resource."""
    found = set()
    for (kind, _), body in RESOURCES.items():
        if kind == "google_project_iam_member":
            found |= set(re.findall(r"roles/[\w.]+", str(body)))
    assert found == {
        "roles/bigquery.dataEditor",
        "roles/bigquery.jobUser",
        "roles/bigquerydatatransfer.serviceAgent",
        "roles/dataflow.developer",
        "roles/dataflow.serviceAgent",
        "roles/dataflow.worker",
    }


def test_every_role_and_its_reason_is_in_the_documentation() -> None:
    """docs/deploy.md names each role, and above each grant a comment says why."""
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    for role in set(re.findall(r'"(roles/[^"]+)"', code())):
        assert f"`{role}`" in page, role
    text = (FOLDER / "iam.tf").read_text("utf-8")
    for grant in GRANT.finditer(text):
        above = text[: grant.start()].rstrip().splitlines()[-1]
        assert above.startswith("#") or "# " in grant[1], grant[0]


def test_buckets_are_closed_encrypted_and_do_not_grow_for_ever() -> None:
    """Each bucket has uniform access, no public access, the project's key and a lifecycle."""
    buckets = [body for (kind, _), body in RESOURCES.items() if kind == "google_storage_bucket"]
    assert len(buckets) == 3
    for body in buckets:
        assert body["uniform_bucket_level_access"] is True
        assert bare(body["public_access_prevention"]) == "enforced"
        assert "google_kms_crypto_key.data" in str(body["encryption"])
        assert body["lifecycle_rule"]
        assert str(body["location"]) == "${var.region}"


def test_names_say_whose_they_are() -> None:
    """Each resource with a name of its own has the project's in it."""
    named = ("name", "account_id", "repository_id", "secret_id", "display_name")
    inside = {"google_kms_crypto_key", "google_storage_bucket_object"}
    for (kind, name), body in RESOURCES.items():
        given = [str(body[key]) for key in named if key in body and "${" not in str(body[key])]
        if kind not in inside and not kind.endswith("_iam_member"):
            assert all("attribeam" in text for text in given), (kind, name, given)


def test_messages_that_fail_again_and_again_are_kept() -> None:
    """The stream's subscription has a dead-letter topic, which is read; none expires."""
    subscriptions = {n: b for (k, n), b in RESOURCES.items() if k == "google_pubsub_subscription"}
    policy = str(subscriptions["events"]["dead_letter_policy"])
    assert "google_pubsub_topic.dead_letters.id" in policy
    assert "google_pubsub_topic.dead_letters.id" in str(subscriptions["dead_letters"]["topic"])
    for body in subscriptions.values():
        assert body["expiration_policy"][0]["ttl"] == '""'
        assert body["ack_deadline_seconds"] >= 10


def test_keys_and_the_secret_outlive_a_mistake_and_no_secret_is_in_the_state() -> None:
    """What cannot be had again is not destroyed; the secret's value is no resource."""
    for kind in ("google_kms_crypto_key", "google_secret_manager_secret"):
        [body] = [body for (k, _), body in RESOURCES.items() if k == kind]
        assert body["lifecycle"][0]["prevent_destroy"] is True
    assert "google_secret_manager_secret_version" not in code()


def test_every_alert_is_explained() -> None:
    """docs/deploy.md has a line for each alert and each check of the rows."""
    page = (ROOT / "docs" / "deploy.md").read_text("utf-8")
    alerts = (FOLDER / "alerts.tf").read_text("utf-8")
    measured = re.findall(r"(?m)^    (\w+) = \{$", alerts)
    checks = [file.stem for file in sorted((FOLDER / "checks").glob("*.sql"))]
    assert measured == ["watermark_lag", "oldest_message", "undelivered", "failed_job"]
    assert checks == ["dead_letter_share", "staleness", "unattributed_share", "unreadable_events"]
    for name in [*measured, *checks]:
        assert f"| `{name}` |" in page, name
        assert name in alerts


def test_checks_are_scripts() -> None:
    """A scheduled query with no table to write to must be one: a plain SELECT is refused."""
    check = RESOURCES["google_bigquery_data_transfer_config", "check"]
    assert "destination_dataset_id" not in check
    assert bare(check["params"]["query"]) == r"BEGIN\n${local.queries[each.key]};\nEND;"


def test_checks_ask_for_columns_that_the_tables_have() -> None:
    """What the scheduled queries read are tables, views and columns of the project."""
    columns = {name for table in TABLES.values() for name in table.names}
    asked = {"received_date", "session_date", "call_date", "emitted_at", "status", "direction"}
    assert asked | {"pageviews", "engagements"} <= columns
    for file in (FOLDER / "checks").glob("*.sql"):
        text = file.read_text("utf-8")
        for table in re.findall(r"\$\{dataset\}\.(\w+)`", text):
            assert table in {*TABLES, *VIEWS}, table
        assert set(re.findall(r"\w+_date\b|emitted_at|direction", text)) <= asked
