"""Write down what Google's Terraform provider takes, so that a test can check deploy/terraform.

    python scripts/make_terraform_schema.py --google DIR --google-beta DIR [--output FILE]

`DIR`s are unpacked packages of npm, of one version whose provider is that of versions.tf:
@cdktf/provider-google and @cdktf/provider-google-beta, made from the provider's own schema. Only
types that deploy/terraform uses are written, the beta provider's where the other has them not.
"""

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "terraform"
OUTPUT = ROOT / "tests" / "data" / "deploy" / "google_provider.json"
BLOCK = re.compile(r'(?m)^(resource|data) "(\w+)"')
KINDS = {"cdktf.TerraformResource": "resource", "cdktf.TerraformDataSource": "data"}
# A description ends in a link to the provider's page, which has the name as Terraform writes it.
ARGUMENT = re.compile(r"/docs/(?:resources|data-sources)/\w+#(\w+) ")
TYPE = re.compile(r"/docs/(?:resources|data-sources)/\w+ (\w+)\}")
# Members of the generated classes that are no attributes, or whose spelling is lost (md5Hash).
NOT_EXPORTED = re.compile(r"^(tfResourceType|timeouts)$|Input$|\d")


class Package:
    """One generated package: its types by their names, and what it says about itself."""

    def __init__(self, folder: Path) -> None:
        assembly = json.loads((folder / ".jsii").read_text("utf-8"))
        about = json.loads((folder / "package.json").read_text("utf-8"))
        self.types: dict[str, Any] = assembly["types"]
        self.name = f"{about['name']} {about['version']}"
        self.licence: str = about["license"]
        self.provider: str = about["cdktf"]["provider"]["version"]

    def named(self) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
        """((resource or data, type), class) of all that the provider has."""
        for made in self.types.values():
            found = TYPE.search(made.get("docs", {}).get("summary", ""))
            if found and made.get("base") in KINDS:
                yield (KINDS[made["base"]], found[1]), made

    def schema(self, made: dict[str, Any]) -> dict[str, Any]:
        """Arguments and blocks of a type, and what it exports beside them."""
        body = self._body(self.types[made["fqn"] + "Config"])
        given = {*body["required"], *body["optional"], *body["blocks"]}
        return body | {"exports": sorted(exports(made) - given)}

    def _body(self, interface: dict[str, Any]) -> dict[str, Any]:
        """What may stand between the braces: required names, other arguments, blocks."""
        required, optional, blocks = [], [], {}
        for member in interface.get("properties", []):
            name = argument(member)
            # `id` is the generator's own addition, `timeouts` is Terraform's.
            if name in ("id", "timeouts"):
                continue
            if is_block(member, name):
                many, inside = inner(member["type"])
                blocks[name] = {"many": many} | self._body(self.types[inside])
            elif member.get("optional"):
                optional.append(name)
            if not member.get("optional"):
                required.append(name)
        return {
            "required": sorted(required),
            "optional": sorted(optional),
            "blocks": dict(sorted(blocks.items())),
        }


def argument(member: dict[str, Any]) -> str:
    """The name in Terraform of a member of an interface."""
    docs = member["docs"]
    [name] = ARGUMENT.findall(docs.get("summary", "") + "\n" + docs.get("remarks", ""))
    return str(name)


def is_block(member: dict[str, Any], name: str) -> bool:
    """A block has no description but this; an object without it is written with `=`."""
    return bool(member["docs"].get("summary") == f"{name} block.")


def inner(kind: dict[str, Any]) -> tuple[bool, str]:
    """Whether a block may come more than once, and the interface of what is in it."""
    if "fqn" in kind:
        return False, kind["fqn"]
    [many] = [part for part in kind["union"]["types"] if "collection" in part]
    return True, many["collection"]["elementtype"]["fqn"]


def exports(made: dict[str, Any]) -> set[str]:
    """Attributes of a class, named as in Terraform."""
    names = (member["name"] for member in made["properties"])
    kept = (name for name in names if not NOT_EXPORTED.search(name))
    return {re.sub(r"(?=[A-Z])", "_", name).lower() for name in kept}


def used_types(folder: Path) -> list[tuple[str, str]]:
    """(resource or data, type) of each block in the folder's files."""
    text = "\n".join(file.read_text("utf-8") for file in folder.glob("*.tf"))
    return sorted(set(BLOCK.findall(text)))


def provider_schema(google: Package, beta: Package) -> dict[str, Any]:
    """The content of google_provider.json."""
    assert google.provider == beta.provider, "take both packages of one version"
    general, more = dict(google.named()), dict(beta.named())
    tables: dict[str, dict[str, Any]] = {"resource": {}, "data": {}}
    for key in used_types(FOLDER):
        in_beta = key not in general
        body = beta.schema(more[key]) if in_beta else google.schema(general[key])
        tables[key[0]][key[1]] = {"beta": in_beta} | body
    return {
        "source": f"{google.name} and {beta.name} of npm, by scripts/make_terraform_schema.py",
        "provider": google.provider,
        "licence": google.licence,
        **tables,
    }


def compact(schema: dict[str, Any]) -> str:
    """JSON with one type a line, so that a change reads well in a diff."""

    def text(value: Any) -> str:
        if isinstance(value, dict) and all(isinstance(part, dict) for part in value.values()):
            lines = (f"{json.dumps(name)}: {json.dumps(part)}" for name, part in value.items())
            return "{\n  " + ",\n  ".join(lines) + "\n}"
        return json.dumps(value)

    return "{\n" + ",\n".join(f'"{key}": {text(value)}' for key, value in schema.items()) + "\n}\n"


def main() -> None:
    """Read both packages, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--google", type=Path, required=True, metavar="DIR")
    parser.add_argument("--google-beta", type=Path, required=True, metavar="DIR")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    options = parser.parse_args()
    schema = provider_schema(Package(options.google), Package(options.google_beta))
    options.output.write_text(compact(schema), encoding="utf-8")


if __name__ == "__main__":
    main()
