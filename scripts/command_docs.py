"""The command line as a page: every command and flag from the parser itself."""

import argparse
from collections.abc import Iterator

Parser = argparse.ArgumentParser


def commands_page(parser: Parser, note: str) -> str:
    """All commands with their arguments, as Markdown; note: the page's first line."""
    lines = [
        note,
        "# Commands",
        "",
        "Results go to stdout, progress and messages to stderr. Exit codes: **0** done,",
        "**1** failed, **2** usage or configuration (also: no key, too short a history),",
        "**3** more dead letters than allowed. `attribeam COMMAND --help` shows the same.",
    ]
    for name, help_, command in _commands(parser):
        lines += ["", *_section(name, help_, command)]
    return "\n".join(lines) + "\n"


def _commands(parser: Parser) -> Iterator[tuple[str, str, Parser]]:
    """(name, what it is for, its parser) of every command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            yield from ((name, helps[name], command) for name, command in action.choices.items())


def _section(name: str, help_: str, command: Parser) -> Iterator[str]:
    yield f"## attribeam {name}"
    yield ""
    yield command.description or f"{help_[:1].upper()}{help_[1:]}."
    yield ""
    yield "| argument | |"
    yield "|---|---|"
    for action in command._actions:
        if action.dest != "help":
            needed = " (required)" if action.required and action.option_strings else ""
            yield f"| `{_written(action)}` | {_cell(action.help or '')}{needed} |"
    if command.epilog:
        yield from ["", "```text", *command.epilog.strip().splitlines(), "```"]


def _written(action: argparse.Action) -> str:
    """A flag or argument as it is written on the command line."""
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    if action.choices is not None and not action.metavar:
        value = ",".join(map(str, action.choices))
    many = "…" if action.nargs in ("+", "*") else ""
    return " ".join([*action.option_strings[:1], f"{value}{many}"]).strip()


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("%%", "%")
