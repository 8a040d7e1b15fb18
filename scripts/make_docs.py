"""Generates what follows from definitions: BigQuery schemas, columns, keys, commands.

`make docs` writes the files, `make lint` (with --check) fails where one is not current.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from command_docs import commands_page  # noqa: E402

from pipelines.options import make_parser  # noqa: E402
from pipelines.views import VIEWS, view_sql  # noqa: E402  found only with the line above
from schemas.columns import Column, Table  # noqa: E402
from schemas.config import MODEL_KEYS, Account, Pool, Settings, StaticNumber  # noqa: E402
from schemas.tables import TABLES  # noqa: E402

NOTE = "<!-- Written by scripts/make_docs.py: change the definitions, then run make docs. -->"

MEANINGS = {
    "match_window_minutes": "How long before a call a session may have shown the number, or used "
    "a page with it, to be a candidate.",
    "call_probability": "Probability that a session which shows a number leads to a call.",
    "delay_means": "Mean delays from display to call in seconds, one for each part of the mixture.",
    "delay_weights": "Share of each part of the delay mixture; as many as `delay_means`.",
    "background_calls_per_day": "Calls a day to one number by nobody on the site: misdialled, "
    "printed, remembered.",
    "saved_number_calls_per_day": "Calls a day to one number by one caller who has called it "
    "before and kept it.",
    "known_caller_factor": "What is left of the other explanations where the caller had called "
    "the number before.",
    "min_probability": "The likeliest explanation decides a call where it has at least this "
    "probability.",
    "identity_probability": "Probability given to a session whose visitor entered the caller's "
    "number in a form.",
    "session_gap_minutes": "A pageview after a longer silence starts a new session (sessions "
    "without an id of the tracker).",
    "session_max_gap_hours": "Any event after a longer silence starts a new session, whatever its "
    "id.",
    "lookback_days": "How far back touchpoints and a caller's earlier calls count.",
    "declared_window_hours": "How long before a call a session that the switch named may have "
    "shown the number.",
    "form_window_hours": "How long before a call its number may have been entered in a form.",
    "qualified_seconds": "A call that talked at least this long is qualified.",
    "assume_answered": "Calls without a status count as answered, for switches that send no "
    "answer time.",
    "allowed_lateness_hours": "Events this late still change rows; after it a call's row is final.",
    "out_of_order_seconds": "The watermark stays this far behind the latest event (stream).",
    "idle_seconds": "The watermark moves on with the clock after so long without events (stream).",
    "default_region": "Country (ISO 3166) by which numbers without a country code are read.",
    "retention_days": "After so many days a day's rows expire.",
    "location": "Where the account's BigQuery dataset lies, such as EU or europe-west3; without "
    "it the location that `--output` names, else EU.",
    "allowed_locations": "Where datasets may lie and runs that write to BigQuery may work; without "
    "it anywhere.",
    "kms_key": "Key of the owner's (Cloud KMS) that BigQuery encrypts the account's tables with.",
    "dataset": "Name of the account's BigQuery dataset; without it the account's name, with "
    "underscores for dashes, dots and spaces.",
    "own_domains": "Domains of the account: visits from them, and from hosts below, have no "
    "outside referrer.",
    "ignored_referrers": "Domains that never are a referrer, such as payment and sign-on pages.",
    "excluded_callers": "Numbers whose calls count for nothing: own staff, test calls.",
    "static_numbers": "Numbers that stand for one source, such as one printed in a catalogue.",
    "pools": "Sets of tracking numbers with parameters of their own.",
    "number": "The number; national spellings are read by `default_region`.",
    "source": "The source that the number stands for.",
    "medium": "Its medium.",
    "campaign": "Its campaign.",
    "valid_from": "First day (UTC, of the call's start) on which the entry holds.",
    "valid_to": "First day on which it no longer holds.",
    "name": "Name of the pool.",
    "numbers": "Its numbers; on one day a number may be in one pool only.",
}
# The column with which a group begins, and the group's title.
GROUPS = {
    "conversions": {
        "account": "The row",
        "call_start": "The call",
        "status": "The decision",
        "session_id": "The session it came from",
        "candidates": "Who else may have called, and the way there",
        "rule_set": "The rules",
    },
    "sessions": {
        "account": "The session",
        "entry_page": "Where it came from, and with what",
        "contact_keys": "Who was in it, and the row",
    },
}


def documents() -> dict[Path, str]:
    """Every generated file by its path in the project."""
    files = {
        Path("docs/columns.md"): columns_page(TABLES.values()),
        Path("docs/configuration.md"): configuration_page(),
        Path("docs/commands.md"): commands_page(make_parser(), NOTE),
    }
    for table in TABLES.values():
        schema = json.dumps(table.bigquery(), indent=2, ensure_ascii=False)
        files[Path("schemas/bigquery") / f"{table.name}.json"] = schema + "\n"
    return files


def columns_page(tables: Iterable[Table]) -> str:
    """The data dictionary."""
    tables = list(tables)
    lines = [
        NOTE,
        "# Columns",
        "",
        "Times are UTC with microseconds, days are UTC days. Required columns are never null.",
        "",
        *(f"- [{table.name}](#{table.name}): {table.description}" for table in tables),
        "- [views](#views): what BI tools read, built on these tables.",
    ]
    for table in tables:
        lines += ["", *_table_section(table)]
    lines += ["", "## views"]
    for name in VIEWS:
        lines += ["", f"### {name}", "", "```text", *_header(view_sql(name)), "```"]
    return "\n".join(lines) + "\n"


def configuration_page() -> str:
    """The keys of the configuration file, with defaults and meanings."""
    account_keys = [key for key in Account.__struct_fields__ if key not in _keys(Settings)]
    lines = [
        NOTE,
        "# Configuration",
        "",
        "A TOML file given by `--config`; without one the defaults hold. An unknown key is an",
        "error that names it.",
        "",
        "## Top level, and `[accounts.NAME]`",
        "",
        "At the top level a key holds for every account, in `[accounts.NAME]` for that account.",
        "The keys marked * may also stand in a pool.",
        "",
        *_key_table(Settings, _keys(Settings), marked=MODEL_KEYS),
        "",
        "## Only in `[accounts.NAME]`",
        "",
        *_key_table(Account, account_keys),
        "",
        "### `[[accounts.NAME.static_numbers]]`",
        "",
        *_key_table(StaticNumber, _keys(StaticNumber)),
        "",
        "### `[[accounts.NAME.pools]]`",
        "",
        "Besides these, any of the keys marked * above.",
        "",
        *_key_table(Pool, [key for key in _keys(Pool) if key not in MODEL_KEYS]),
    ]
    return "\n".join(lines) + "\n"


def _table_section(table: Table) -> Iterator[str]:
    titles = GROUPS.get(table.name, {})
    clustering = ", ".join(f"`{name}`" for name in table.clustering)
    yield f"## {table.name}"
    yield ""
    yield f"{table.description} Partitioned by `{table.partition}`, clustered by {clustering}."
    for number, column in enumerate(table.columns):
        if column.name in titles:
            yield from ["", f"### {titles[column.name]}"]
        if number == 0 or column.name in titles:
            yield from ["", "| column | type | meaning |", "|---|---|---|"]
        yield from _column_rows(column)


def _header(sql: str) -> Iterator[str]:
    """The comment at the top of a view."""
    for line in takewhile(lambda line: line.startswith("--"), sql.splitlines()):
        yield line.removeprefix("--").removeprefix(" ")


def _column_rows(column: Column, prefix: str = "") -> Iterator[str]:
    name = prefix + column.name
    is_map = [field.name for field in column.fields] == ["name", "value"]
    mode = {"REQUIRED": ", required", "REPEATED": ", repeated"}.get(column.mode, "")
    kind = "map: repeated name, value" if is_map else column.type + mode
    yield f"| `{name}` | {kind} | {_cell(column.description)} |"
    for field in () if is_map else column.fields:
        yield from _column_rows(field, f"{name}.")


def _keys(kind: type[Settings] | type[Account] | type[Pool] | type[StaticNumber]) -> list[str]:
    return list(kind.__struct_fields__)


def _key_table(
    kind: type[Settings] | type[Account] | type[Pool] | type[StaticNumber],
    keys: Iterable[str],
    marked: Iterable[str] = (),
) -> Iterator[str]:
    defaults = {field.name: field.default for field in msgspec.structs.fields(kind)}
    yield "| key | default | meaning |"
    yield "|---|---|---|"
    for key in keys:
        default = _toml(defaults[key])
        star = "\\*" if key in marked else ""
        yield f"| `{key}`{star} | {default} | {_cell(MEANINGS[key])} |"


def _toml(value: object) -> str:
    """A default as it would be written in TOML; nothing where the key is simply absent."""
    if value is msgspec.NODEFAULT:
        return "required"
    if value is None or value == ():
        return ""
    if isinstance(value, tuple):
        return f"`[{', '.join(f'{item:g}' for item in value)}]`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, int | float) else f'`"{value}"`'


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> int:
    """Writes the files, or with --check says which are not current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 where stale")
    check = parser.parse_args().check
    stale = []
    for path, text in documents().items():
        target = ROOT / path
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if not check:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path}: {'not current, run make docs' if check else 'written'}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
