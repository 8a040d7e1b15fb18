"""Turn the published source lists into the project's own rule tables.

    python scripts/make_rules.py --referrers DIR --channels DIR [--output DIR]

`DIR`s are checkouts of the lists that schemas/rules/README.md names. `referrers.json` is made anew;
in `channels.json` only the categories are, its rule table is kept by hand and stays as it is.
Running it twice writes the same bytes.
"""

import argparse
import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

REFERRERS_SOURCE = "github.com/matomo-org/searchengine-and-social-list at 3b3a82dc (2026-07-15)"
CHANNELS_SOURCE = "github.com/Velir/dbt-ga4 at 2d7b1f1c"
CATEGORY_PREFIX = "SOURCE_CATEGORY_"
# The list's key for each list of the compact table.
ENGINE_LISTS = {
    "urls": "urls",
    "params": "params",
    "hiddenkeyword": "hidden",
    "charsets": "charsets",
}


def read_yaml(path: Path) -> dict[str, Any]:
    """Every scalar stays the text it is in the file (a name may look like a number)."""
    text = path.read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.load(text, yaml.BaseLoader)  # noqa: S506, makes only text
    return content


def search_engines(path: Path) -> list[dict[str, Any]]:
    """One entry a group of hosts, in source order, so a name may come more than once."""
    return [
        {"name": name.lower()}
        | {ours: group[theirs] for theirs, ours in ENGINE_LISTS.items() if group.get(theirs)}
        for name, groups in read_yaml(path).items()
        for group in groups
    ]


def named_hosts(path: Path) -> list[dict[str, Any]]:
    """Social networks and AI assistants: a name and its hosts."""
    return [{"name": name.lower(), "urls": urls} for name, urls in read_yaml(path).items()]


def referrer_rules(folder: Path) -> dict[str, Any]:
    """The content of referrers.json."""
    return {
        "source": REFERRERS_SOURCE,
        "licence": "CC0-1.0",
        "search": search_engines(folder / "SearchEngines.yml"),
        "social": named_hosts(folder / "Socials.yml"),
        "ai": named_hosts(folder / "AIAssistants.yml"),
    }


def source_categories(path: Path) -> dict[str, str]:
    """Source, lower case, to search, social, shopping or video."""
    with path.open(encoding="utf-8", newline="") as lines:
        return {
            row["source"].strip().lower(): row["source_category"]
            .removeprefix(CATEGORY_PREFIX)
            .lower()
            for row in csv.DictReader(lines)
        }


def channel_rules(folder: Path, present: Path) -> dict[str, Any]:
    """The content of channels.json: new categories, the rule table as it is."""
    kept = json.loads(present.read_text(encoding="utf-8"))
    return {
        "source": CHANNELS_SOURCE,
        "licence": "MIT",
        "patterns": kept["patterns"],
        "rules": kept["rules"],
        "categories": source_categories(folder / "source_categories.csv"),
    }


def compact(rules: dict[str, Any]) -> str:
    """JSON with one entry of a list or table a line, so that a change reads well in a diff."""
    return "{\n" + ",\n".join(_section(key, value) for key, value in rules.items()) + "\n}\n"


def _section(key: str, value: Any) -> str:
    def text(part: Any) -> str:
        return json.dumps(part, ensure_ascii=False)

    def block(opening: str, lines: Iterable[str], closing: str) -> str:
        return f"{text(key)}: {opening}\n  " + ",\n  ".join(lines) + f"\n{closing}"

    if isinstance(value, list):
        return block("[", map(text, value), "]")
    if isinstance(value, dict):
        return block("{", (f"{text(name)}: {text(part)}" for name, part in value.items()), "}")
    return f"{text(key)}: {text(value)}"


def main() -> None:
    """Read the folders given, write both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--referrers", type=Path, required=True, metavar="DIR")
    parser.add_argument("--channels", type=Path, required=True, metavar="DIR")
    default = Path(__file__).parent.parent / "schemas" / "rules"
    parser.add_argument("--output", type=Path, default=default, metavar="DIR")
    options = parser.parse_args()
    channels = options.output / "channels.json"
    tables = {
        options.output / "referrers.json": referrer_rules(options.referrers),
        channels: channel_rules(options.channels, channels),
    }
    for path, rules in tables.items():
        path.write_text(compact(rules), encoding="utf-8")


if __name__ == "__main__":
    main()
