"""The entry of the Flex Templates: parameters, always `--name=value`, to a job on Dataflow.

A parameter is an option of the command with underscores for hyphens; several paths stand in one
value with commas between. What is no parameter is Beam's. deploy/*.metadata.json lists them all.
"""

import argparse
import datetime as dt
import functools
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.backfill import UsageError
from pipelines.bigquery.names import is_bigquery
from pipelines.flex_jobs import (
    CLEAR,
    RunBackfill,
    load_secret_key,
    local_config,
    make_stream_plan,
    read_arguments,
    run_backfill_pipeline,
)
from pipelines.options import FAILED, USAGE, clock, make_parser
from pipelines.outputs import work_regions
from pipelines.stream_graph import StreamPlan, run_stream_pipeline
from schemas.config import ConfigError, load_config
from transforms.privacy import KeyMissing
from transforms.settings import MICROSECONDS

# Parameters that are no options of the command.
OWN = {
    "backfill": ("command", "key_secret", "last_days"),
    "stream": ("command", "key_secret", "shards", "gather_seconds"),
}
# Options of the commands that mean nothing where machines come and go.
LOCAL = ("state", "drain", "metrics_port", "json")


@dataclass(frozen=True)
class Parameters:
    """What a template was launched with: our parameters, and Beam's options as they came."""

    command: str
    values: dict[str, str]
    beam: tuple[str, ...]

    def needed(self, name: str) -> str:
        """A value that must be there. Raises UsageError."""
        if not self.values.get(name):
            raise UsageError(f"the parameter {name} is missing")
        return self.values[name]

    def number(self, name: str) -> int | None:
        """A whole number of at least 1, None where it is not given. Raises UsageError."""
        text = self.values.get(name)
        if not text:
            return None
        if not text.isdigit() or int(text) < 1:
            raise UsageError(f"{name}={text}: write a whole number of at least 1")
        return int(text)


def main(arguments: Sequence[str] | None = None) -> None:
    """Launches what the parameters say, and exits with the codes of the command line."""
    logging.basicConfig(level=os.environ.get("ATTRIBEAM_LOG", "INFO").upper())
    try:
        launch(sys.argv[1:] if arguments is None else arguments)
    except CLEAR as error:
        print(f"attribeam: error: {error}", file=sys.stderr)
        sys.exit(USAGE if isinstance(error, ConfigError | KeyMissing | UsageError) else FAILED)


def launch(arguments: Sequence[str]) -> Any:
    """Starts the job that parameters ask for; the runner's result.

    All that can be known before is checked first. Raises the errors of the commands.
    """
    given = read_parameters(arguments)
    if not is_bigquery(given.needed("output")):
        raise UsageError(f"output={given.values['output']}: write bigquery://PROJECT[/LOCATION]")
    secret, config = given.needed("key_secret"), given.values.get("config") or None
    options = PipelineOptions([*given.beam])
    load_secret_key(secret)
    with local_config(config) as path:
        loaded = load_config(path)
    if given.command == "backfill":
        backfill = backfill_arguments(given)
        read_arguments(backfill)
        return run_backfill_pipeline(RunBackfill(backfill, config, secret), options)
    plan = make_stream_plan(
        loaded,
        subscription=given.needed("subscription"),
        output=given.needed("output"),
        shards=given.number("shards") or StreamPlan.shards,
        gather_seconds=given.number("gather_seconds") or StreamPlan.gather_seconds,
        region=work_regions(options),
        secret=functools.partial(load_secret_key, secret),
    )
    return run_stream_pipeline(plan, options)


def read_parameters(arguments: Sequence[str]) -> Parameters:
    """Tells our parameters from Beam's options. Raises UsageError."""
    commands = [a.partition("=")[2] for a in arguments if a.startswith("--command=")]
    if len(commands) != 1 or commands[0] not in OWN:
        raise UsageError(f"command={','.join(commands)}: write backfill or stream, once")
    names = {*OWN[commands[0]], *command_options(commands[0])}
    values: dict[str, str] = {}
    rest = []
    for argument in arguments:
        name, is_given, value = argument.removeprefix("--").partition("=")
        if name not in names:
            rest.append(argument)
        elif not is_given:
            raise UsageError(f"{argument}: write --{name}=VALUE")
        else:
            values[name] = value
    return Parameters(commands[0], values, tuple(rest))


def command_options(command: str) -> dict[str, argparse.Action]:
    """The options of a command that a template has, by the names of their parameters."""
    [commands] = [a for a in make_parser()._actions if isinstance(a.choices, dict)]
    parser: argparse.ArgumentParser = commands.choices[command]  # type: ignore[index]
    named = {
        action.option_strings[-1].removeprefix("--").replace("-", "_"): action
        for action in parser._actions
    }
    return {name: action for name, action in named.items() if name not in (*LOCAL, "help")}


def backfill_arguments(given: Parameters) -> list[str]:
    """The options of `attribeam backfill` that parameters ask for.

    Configuration goes its own way. The moment that the rows go by is fixed, so that a worker that
    begins again writes the same rows. Raises UsageError.
    """
    now = given.values.get("now") or _text(clock())
    arguments = [f"--now={now}", *_last_days(given)]
    for name, action in command_options("backfill").items():
        if name not in ("config", "now") and given.values.get(name):
            arguments += _as_option(name, action, given.values[name])
    # The backfill is one machine's own run, for which --region only says where that may be.
    regions = work_regions(PipelineOptions([*given.beam]))
    return [*arguments, f"--region={regions}"] if regions else arguments


def _as_option(name: str, action: argparse.Action, value: str) -> list[str]:
    if action.nargs == "+":
        return [action.option_strings[-1], *filter(None, value.split(","))]
    if action.nargs != 0:
        return [f"{action.option_strings[-1]}={value}"]
    if value not in ("true", "false"):
        raise UsageError(f"{name}={value}: write true or false")
    return [action.option_strings[-1]] if value == "true" else []


def _last_days(given: Parameters) -> Iterator[str]:
    """The last complete UTC days as --from and --to: a schedule cannot write dates."""
    days = given.number("last_days")
    if days is None:
        return
    if given.values.get("from") or given.values.get("to"):
        raise UsageError("last_days stands for from and to: give it, or them")
    today = dt.datetime.fromtimestamp(clock() / MICROSECONDS, dt.UTC).date()
    yield f"--from={today - dt.timedelta(days=days)}"
    yield f"--to={today}"


def _text(moment: int) -> str:
    return dt.datetime.fromtimestamp(moment / MICROSECONDS, dt.UTC).isoformat()
