"""The metadata of the Flex Templates says what the commands' parsers say."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from pipelines.flex import OWN, command_options

DEPLOY = Path(__file__).parents[2] / "deploy"
COMMANDS = ("backfill", "stream")
# Options whose words are about a machine's folder, which a template's parameter is not.
OTHER_WORDS = {"output"}
WRONG = {
    "command": ["", "streams", "expire"],
    "pageviews": [
        "events/pageviews",
        "gs://b",
        "gs://my-bucket/a b",
        "gs://my-bucket/a,",
        "s3://b/a",
    ],
    "calls": ["calls.jsonl", "gs://my-bucket/a,/local"],
    "engagements": ["", "gs:/my-bucket/a"],
    "erasures": ["gs://My-Bucket/a"],
    "output": ["warehouse", "gs://my-bucket/warehouse", "bigquery://", "bigquery://My_Project"],
    "config": ["attribeam.toml", "gs://my-bucket/attribeam.json"],
    "key_secret": ["attribeam-key", "projects/p/secrets/s", "projects/p/secrets/s/versions/latest"],
    "last_days": ["0", "-1", "two"],
    "from": ["01.06.2026", "2026-6-1", "yesterday"],
    "to": ["2026-06-31T00:00:00Z"],
    "detail": ["True", "yes", "1"],
    "max_dead_letters": ["-1", "1.5", "few"],
    "keep_expired": ["yes"],
    "short_history": [""],
    "now": ["2026-06-30", "2026-06-30T12:00:00"],
    "shards": ["0", "many"],
    "gather_seconds": ["0", "0.5"],
    "subscription": ["attribeam-stream", "projects/p/topics/events"],
}


def metadata(command: str) -> dict[str, Any]:
    return json.loads((DEPLOY / f"{command}.metadata.json").read_text("utf-8"))


def parameters(command: str) -> dict[str, dict[str, Any]]:
    return {given["name"]: given for given in metadata(command)["parameters"]}


EVERY = [(command, name) for command in COMMANDS for name in parameters(command)]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_template_has_the_options_of_its_command_and_its_own(command: str) -> None:
    """Every option but those of one machine is a parameter, and no other but the template's own."""
    assert set(parameters(command)) == {*command_options(command), *OWN[command]}
    assert len(parameters(command)) == len(metadata(command)["parameters"])
    assert metadata(command)["streaming"] is (command == "stream")


@pytest.mark.parametrize(("command", "name"), EVERY)
def test_a_parameter_is_required_where_its_option_is(command: str, name: str) -> None:
    """Parser and metadata agree; of the template's own, command and key_secret are required."""
    action = command_options(command).get(name)
    is_required = name in ("command", "key_secret") if action is None else action.required
    assert parameters(command)[name]["isOptional"] is not is_required


@pytest.mark.parametrize(("command", "name"), EVERY)
def test_a_parameter_is_explained_in_the_words_of_its_option(command: str, name: str) -> None:
    """The help text begins with the option's help, and gives an example."""
    told = parameters(command)[name]["helpText"]
    action = command_options(command).get(name)
    if action is not None and name not in OTHER_WORDS:
        assert told.lower().startswith(str(action.help).lower()), told
    assert re.search(r"Example: \S", told)


@pytest.mark.parametrize(("command", "name"), EVERY)
def test_a_parameters_pattern_takes_its_example_and_refuses_what_is_wrong(
    command: str, name: str
) -> None:
    """The console refuses a wrong value before anything is launched."""
    given = parameters(command)[name]
    [pattern] = given["regexes"]
    assert re.fullmatch(pattern, given["helpText"].rpartition("Example: ")[2])
    assert [text for text in WRONG[name] if re.fullmatch(pattern, text)] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_what_terraform_launches_is_what_the_metadata_has(command: str) -> None:
    """What Terraform gives are parameters of the template, all that are required among them."""
    text = (DEPLOY / "terraform" / "jobs.tf").read_text("utf-8")
    common = re.search(r"common = \{(.*?)\n  \}", text, re.DOTALL)[1]
    own = next(
        part
        for part in re.findall(r"merge\(local\.common, \{(.*?)\}\)", text, re.DOTALL)
        if f'"{command}"' in part
    )
    given = set(re.findall(r"(?m)^\s*(\w+)\s*=", common + own))
    required = {n for n, told in parameters(command).items() if not told["isOptional"]}
    assert required <= given <= set(parameters(command))
