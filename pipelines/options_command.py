"""How every command of the parser is made."""

import argparse
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def add_command(
    commands: Commands, name: str, help_: str, examples: str, description: str | None = None
) -> argparse.ArgumentParser:
    """A command without arguments yet, whose help shows its examples as they are written.

    help_: what it is for, a line of the list of commands.
    """
    return commands.add_parser(
        name,
        help=help_,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def local_warehouse(text: str) -> Path:
    """The folder of a command that reads local warehouses only."""
    if "://" in text:
        raise argparse.ArgumentTypeError(
            f"{text}: this command reads a local warehouse; write the days it is about into a "
            "folder (attribeam backfill --detail --output DIR, whose input may lie in gs://) and "
            "name that folder"
        )
    return Path(text)
