"""deploy/terraform against what Google's provider takes: `terraform validate` needs the provider.

tests/data/deploy/google_provider.json is its schema, by scripts/make_terraform_schema.py.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from terraform_files import ROOT, Block, bare, blocks, blocks_of, code, is_block, members

SCHEMA = json.loads(
    (ROOT / "tests" / "data" / "deploy" / "google_provider.json").read_text("utf-8")
)
KINDS = ("resource", "data")
# Terraform's own, which every resource takes.
META = {
    *("count", "for_each", "provider", "depends_on"),
    *("lifecycle", "timeouts", "provisioner", "connection"),
}
# data.google_x.name.attribute, or without data, or name["index"].
ATTRIBUTE = re.compile(r"(?<![\w.])(data\.)?(google_\w+)\.\w+(?:\[[^]]*])?\.(\w+)")
WRONG = """
resource "google_storage_bucket" "wrong" {
  name       = "wrong"
  lables     = {}
  versioning = { enabled = true }
  labels {
    application = "attribeam"
  }
  encryption {
  }
  soft_delete_policy {
  }
  soft_delete_policy {
    retention_seconds = 0
  }
  dynamic "lifecycle_rule" {
    for_each = [1]
    content {
      condition {
        ages = each.value
      }
    }
  }
  lifecycle {
    prevent_destroy = true
  }
}
"""


def given(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, value) of what a body gives; a dynamic block gives what its content is."""
    for name, value in members(body).items():
        if name != "dynamic":
            yield name, value
            continue
        for block in value:
            for made, inside in members(block).items():
                yield bare(made), inside["content"]


def faults(where: str, body: dict[str, Any], schema: dict[str, Any]) -> Iterator[str]:
    """What the provider would refuse in a body, and in the blocks within it."""
    for name in sorted(set(schema["required"]) - {name for name, _ in given(body)}):
        yield f"{where} lacks {name}"
    for name, value in given(body):
        block = schema["blocks"].get(name)
        if block is None and name not in (*schema["required"], *schema["optional"]):
            yield f"{where} has no {name}"
        elif is_block(value) != (block is not None):
            yield f"{where} wants {name} {'as' if block else 'not as'} a block"
        elif block:
            if len(value) > 1 and not block["many"]:
                yield f"{where} wants {name} once"
            for part in value:
                yield from faults(f"{where}.{name}", part, block)


def block_faults(kind: str, block: Block) -> list[str]:
    """The same of a whole resource or data source, beside Terraform's own arguments."""
    (made, name), body = block
    own = {key: value for key, value in body.items() if key not in META}
    return list(faults(f"{made}.{name}", own, SCHEMA[kind][made]))


def unknown_attributes(text: str) -> list[str]:
    """References to attributes that the provider does not export."""
    return [
        found[0]
        for found in ATTRIBUTE.finditer(text)
        if found[3] not in attributes(SCHEMA["data" if found[1] else "resource"][found[2]])
    ]


def attributes(schema: dict[str, Any]) -> set[str]:
    """Names that may stand after a resource: what it is given and what it exports."""
    names = ("required", "optional", "blocks", "exports")
    return {name for part in names for name in schema[part]}


def test_the_file_has_the_types_that_are_used_and_no_others() -> None:
    """Types of the files and types of the schema are the same."""
    for kind in KINDS:
        assert {made for (made, _), _ in blocks(kind)} == set(SCHEMA[kind])


def test_every_block_is_one_that_the_provider_takes() -> None:
    """No argument or block is unknown, none that is required is missing, each has its form."""
    assert [
        fault for kind in KINDS for block in blocks(kind) for fault in block_faults(kind, block)
    ] == []


def test_every_attribute_that_is_referred_to_is_exported() -> None:
    """A reference to a resource names an attribute of its type."""
    assert len(ATTRIBUTE.findall(code())) > 50
    assert unknown_attributes(code()) == []


def test_types_of_the_beta_provider_are_asked_of_it() -> None:
    """What only the beta provider has says so; all else is of the general one."""
    for kind in KINDS:
        for (made, name), body in blocks(kind):
            asked = body.get("provider") == "google-beta"
            assert asked == SCHEMA[kind][made]["beta"], name


def test_the_provider_asked_for_is_at_least_the_schemas() -> None:
    """What versions.tf takes knows what the schema knows: the same minor version or a later."""
    minor = SCHEMA["provider"].rpartition(".")[0]
    [(_, body)] = blocks("terraform")
    wanted = members(body["required_providers"][0])
    assert {name: bare(about["version"]) for name, about in wanted.items()} == {
        "google": f"~> {minor}",
        "google-beta": f"~> {minor}",
    }


def test_what_is_wrong_is_found() -> None:
    """Misspelt, missing, doubled and wrongly nested arguments of a made-up resource are named."""
    [block] = blocks_of(WRONG, "resource")
    assert block_faults("resource", block) == [
        "google_storage_bucket.wrong lacks location",
        "google_storage_bucket.wrong has no lables",
        "google_storage_bucket.wrong wants versioning as a block",
        "google_storage_bucket.wrong wants labels not as a block",
        "google_storage_bucket.wrong.encryption lacks default_kms_key_name",
        "google_storage_bucket.wrong wants soft_delete_policy once",
        "google_storage_bucket.wrong.soft_delete_policy has no retention_seconds",
        "google_storage_bucket.wrong.lifecycle_rule lacks action",
        "google_storage_bucket.wrong.lifecycle_rule.condition has no ages",
    ]


def test_a_wrong_reference_is_found() -> None:
    """Attributes that a resource or data source does not have are named, others not."""
    wrong = ['google_storage_bucket.a["b.c"].link', "data.google_project.this.num"]
    assert unknown_attributes(f"{wrong[0]} google_storage_bucket.a.url {wrong[1]}") == wrong
