"""What the documents promise: flags, columns, files, commands and the worked example are real."""

import argparse
import base64
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.flex import OWN
from pipelines.options import make_parser
from schemas.config import load_config, parse_config
from schemas.tables import TABLES
from transforms.decode import DecodeSettings, decode_block
from transforms.decode_block import Block

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
]
PAGES += sorted((ROOT / "docs").glob("*.md"))


def commands() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    [found] = [
        action
        for action in make_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    return found.choices


def command_line(command: str) -> list[argparse.Action]:
    """The arguments of a command but for --help."""
    return [action for action in commands()[command]._actions if action.dest != "help"]


def flags_of(command: str) -> set[str]:
    return {flag for action in command_line(command) for flag in action.option_strings}


def beam_options() -> set[str]:
    """The names of all options of Beam."""
    return set(PipelineOptions([]).get_all_options())


def as_name(flag: str) -> str:
    return flag.lstrip("-").replace("-", "_")


def section(title: str) -> str:
    """The README's section of this title."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_every_command_is_documented():
    """The README tells of each command; docs/commands.md has its flags, each with its meaning."""
    told = section("Command line")
    page = _text(ROOT / "docs" / "commands.md")
    for name in commands():
        assert f"`attribeam {name}" in told, name
        part = page.partition(f"\n## attribeam {name}\n")[2].partition("\n## ")[0]
        for flag in flags_of(name):
            assert re.search(rf"^\| `{flag}[ `].*\| .+ \|$", part, re.MULTILINE), (name, flag)


def test_no_document_names_a_flag_that_does_not_exist():
    """A flag in a command or a sentence is attribeam's, or Beam's."""
    ours = {flag for command in commands() for flag in flags_of(command)}
    ours |= {flag for action in make_parser()._actions for flag in action.option_strings}
    ours |= {f"--{name}" for names in OWN.values() for name in names}  # of a Flex Template
    told = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", "".join(map(_text, PAGES))))
    scripts = {"--markdown", "--runs", "--data-file"}  # of benchmarks/run.py; of gcloud
    unknown = told - ours - scripts
    assert {flag for flag in unknown if as_name(flag) not in beam_options()} == set()


def test_no_option_of_ours_is_one_of_beams():
    """An option means one thing: neither its flag nor its name is Beam's."""
    ours = {action.dest for action in command_line("backfill")}
    ours |= {as_name(flag) for flag in flags_of("backfill")}
    assert ours & beam_options() == set()


def test_every_output_column_is_in_the_dictionary():
    """docs/columns.md has a row for each column in the section of its table."""
    page = _text(ROOT / "docs" / "columns.md")
    for table in TABLES.values():
        part = page.partition(f"\n## {table.name}\n")[2].partition("\n## ")[0]
        assert [name for name in table.names if f"| `{name}` |" not in part] == []


def test_every_table_and_view_is_in_the_readme():
    """The README's section on output names all that a warehouse holds."""
    views = [path.stem for path in (ROOT / "schemas" / "views").glob("*.sql")]
    names = [*TABLES, *views]
    assert [name for name in names if f"`{name}`" not in section("Output")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    """A relative link names a file, and its anchor a heading there."""
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", _text(page)):
        path = page.parent / target if target else page
        assert path.exists(), target
        if anchor:
            assert anchor in _anchors(path), f"{target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_is_named_exists(page):
    """A path below one of the project's folders is there, in code spans and diagrams too."""
    folders = "schemas|transforms|pipelines|scripts|benchmarks|docs|tests|deploy|examples"
    named = re.findall(rf"(?<![\w/.])((?:{folders})/[\w./-]*)", _text(page))
    assert [path for path in named if not (ROOT / path.rstrip(".")).exists()] == []


def test_every_file_of_the_flow_exists():
    """ARCHITECTURE's diagram names files of transforms without their folder."""
    flow = _text(ROOT / "ARCHITECTURE.md").partition("## The flow")[2].partition("\n## ")[0]
    named = re.findall(r"(?<![\w/])(\w+\.py)", flow)
    assert len(named) > 10
    assert [name for name in named if not (ROOT / "transforms" / name).exists()] == []


def test_every_name_that_architecture_points_at_exists():
    """Functions and constants of its table stand in the file beside them."""
    table = _text(ROOT / "ARCHITECTURE.md").partition("## Where to change what")[2]
    rows = re.findall(r"^\|[^|]*\| (`(?!\w+/).*?`) in `([\w./]+)`", table, re.MULTILINE)
    assert len(rows) >= 4
    for names, path in rows:
        source = _text(ROOT / path)
        for name in re.findall(r"`([\w.]+)`", names):
            assert re.search(rf"\b{name.rpartition('.')[2]}\b", source), (name, path)


def test_every_make_target_that_is_named_exists():
    """`make something` is in the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", _text(ROOT / "Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", "".join(map(_text, PAGES))))
    assert {"demo", "test"} <= named
    assert named <= targets


def test_configuration_that_is_shown_is_valid(tmp_path):
    """The README's TOML can be read, and its keys are in docs/configuration.md."""
    [shown] = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    file = tmp_path / "attribeam.toml"
    file.write_text(shown, encoding="utf-8")
    account = load_config(file).account("nordmobil")
    assert account.match_window_minutes == 45
    assert [pool.min_probability for pool in account.pools] == [0.6]
    told = _text(ROOT / "docs" / "configuration.md")
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|", section("Configuration"), re.MULTILINE)
    keys = [key for row in rows for key in re.findall(r"`([a-z_]+)`", row)]
    assert len(keys) > 10
    assert [key for key in keys if f"| `{key}`" not in told] == []


def test_events_that_are_shown_are_accepted():
    """The README's three lines decode to one event of each kind."""
    [shown] = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
    block = Block(shown.encode(), "pageview", "README.md", 1)
    now = 4_000_000_000_000_000
    decoded = decode_block(block, DecodeSettings(parse_config({}), bytes(32), now))
    tables = (decoded.pageviews, decoded.engagements, decoded.calls, decoded.dead_letters)
    assert [table.height for table in tables] == [1, 1, 1, 0]
    assert decoded.engagements["phone_key"].to_list() == decoded.calls["caller_key"].to_list()


def test_the_worked_example_is_what_explain_says(tmp_path):
    """The demo's call is decided as the README shows, but for days, ids, key and rule set."""
    events, warehouse = tmp_path / "events", tmp_path / "warehouse"
    _run("scripts/make_examples.py", "--output", str(events))
    paths = [
        (f"--{kind}", str(path))
        for kind in ("pageviews", "engagements", "calls")
        for path in events.glob(f"{kind}*")
    ]
    common = ["--output", str(warehouse), "--config", str(events / "attribeam.toml")]
    _run("-m", "pipelines.cli", "backfill", *(part for pair in paths for part in pair), *common)
    shown = re.search(r"attribeam explain (\S+) .*\n((?:Call .*\n)(?:.*\n)*?)```", README)
    assert shown is not None
    told = _run("-m", "pipelines.cli", "explain", shown[1], *common)
    truth = (events / "truth.csv").read_text(encoding="utf-8")
    for line, real in zip(shown[2].splitlines(), told.splitlines(), strict=True):
        assert _without_what_varies(real).startswith(_without_what_varies(line).rstrip("…"))
    second = re.search(r"^  2\..* of visitor (\S+):", told, re.MULTILINE)
    assert second is not None
    assert re.search(rf"^{shown[1]},.*,{re.escape(second[1])},", truth, re.MULTILINE)


def _without_what_varies(line: str) -> str:
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "WHEN", line)
    line = re.sub(r"\d{9}\.\d{10}(-(\d{13}|…))?", "ID", line)
    line = re.sub(r"session \d+\.\d+-…", "session ID", line)
    line = re.sub(r"rule set [\w-]+", "rule set", line)
    line = re.sub(r"(may change until then|final)\.$", "STATE", line)
    return re.sub(r"key [0-9a-f]{32}", "key", line)


def _run(*command: str) -> str:
    key = base64.b64encode(bytes(32)).decode()
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**os.environ, "ATTRIBEAM_KEY": key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as code hosts make them."""
    titles = re.findall(r"^#+ (.*)$", _text(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
