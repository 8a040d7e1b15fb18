"""Options of the commands that concern BigQuery and retention."""

from collections.abc import Callable
from pathlib import Path

from pipelines.options_command import Commands, add_command

TABLES_EXAMPLES = """examples:
  attribeam tables diff --output bigquery://my-project/EU --config attribeam.toml
  attribeam tables apply --output bigquery://my-project/EU --config attribeam.toml \\
      --instruction "keep 30 days, ticket 4711"
"""


def add_expire(commands: Commands, moment: Callable[[str], int]) -> None:
    """`attribeam expire`; moment: reads a time."""
    expire = add_command(
        commands,
        "expire",
        "take days whose time is over out of a local warehouse",
        "example:\n  attribeam expire --output warehouse --config attribeam.toml",
    )
    add = expire.add_argument
    add("--output", required=True, metavar="DIR", help="folder of the warehouse")
    add("--config", type=Path, metavar="FILE", help="TOML configuration (defaults without one)")
    add("--now", type=moment, metavar="TIME", help="the moment that expiry goes by (the clock)")
    add("--json", action="store_true", help="print JSON")


def add_tables(commands: Commands) -> None:
    """`attribeam tables`."""
    tables = add_command(
        commands,
        "tables",
        "create and change the tables of accounts in BigQuery",
        TABLES_EXAMPLES,
        description="Datasets, tables and views of the accounts that the configuration names and "
        "of those that have a dataset in the project.",
    )
    add = tables.add_argument
    add(
        "action",
        choices=("apply", "diff", "show"),
        metavar="apply|diff|show",
        help="make what is missing and change what differs; say what apply would do; list",
    )
    add("--output", required=True, metavar="bigquery://PROJECT[/LOCATION]", help="the project")
    add("--config", type=Path, metavar="FILE", help="TOML configuration (defaults without one)")
    add("--detail", action="store_true", help="also the tables pageviews and engagements")
    add(
        "--instruction",
        metavar="TEXT",
        help="on whose word retention_days changes; kept in the table instructions",
    )
    add("--json", action="store_true", help="print JSON")
