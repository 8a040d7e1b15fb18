"""The command line: bad input and bad options give one clear message, and change nothing."""

import base64
import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from oracle.cases import CALLER, B, call, form, page
from tables import KEY, T

from pipelines.cli import main
from pipelines.warehouse import LocalWarehouse
from transforms.settings import DAY

SECRET = base64.b64encode(KEY).decode()
ADDRESS = "anna.andersen@example.dk"
# What no message may hold: numbers and addresses as sent and as normalised, and the key.
PERSONAL = ("20202020", "20 20 20 20", "4020304", ADDRESS, "anna", "192.0.2.77", SECRET)
EVENTS = [
    page("v", 0, B, session_id="s", ip="192.0.2.77"),
    form("v", 1, "20 20 20 20", fields={"phone": "20 20 20 20", "email": ADDRESS, "name": "anna"}),
    call("c1", 2, a_number=CALLER),
    call("c2", DAY, a_number="+4540203040"),
]
BAD_CALL = {"type": "call", "account": "a", "call_id": 7.5, "a_number": CALLER, "email": ADDRESS}
NOW = f"{(T + 10 * DAY) // 1_000_000}"


@dataclass
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def errors(self) -> list[str]:
        """What it says went wrong; notes of progress and warnings are left out."""
        return [line for line in self.err.splitlines() if "error: " in line]


Command = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTRIBEAM_KEY", SECRET)
    monkeypatch.delenv("ATTRIBEAM_KEY_FILE", raising=False)


@pytest.fixture
def attribeam(capfd: pytest.CaptureFixture[str]) -> Command:
    """Runs the command in this process: its exit code, stdout and stderr."""

    def run(*arguments: str | Path) -> Outcome:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        code = ended.value.code
        assert isinstance(code, int)
        return Outcome(code, said.out, said.err)

    return run


def jsonl(path: Path, kind: str, *more: bytes) -> Path:
    """Writes the events of a kind, and more lines, as a file; packed where its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    found = [json.dumps(event).encode() for event in EVENTS if event["type"] == kind]
    data = b"".join(line + b"\n" for line in [*found, *more])
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@dataclass
class Place:
    """Good input files and a warehouse that holds rows."""

    folder: Path

    @property
    def pageviews(self) -> Path:
        return self.folder / "pageviews.jsonl"

    @property
    def calls(self) -> Path:
        return self.folder / "calls.jsonl"

    @property
    def output(self) -> Path:
        return self.folder / "warehouse"

    def backfill(self, **changed: Any) -> list[str]:
        """The arguments of a backfill; what is changed replaces a good one, None leaves it out."""
        given = {"pageviews": self.pageviews, "calls": self.calls, "output": self.output}
        given |= {"now": NOW, "short_history": True} | changed
        arguments = ["backfill"]
        for name, value in given.items():
            flag = "--" + name.replace("_", "-")
            if value is True:
                arguments.append(flag)
            elif value is not None:
                arguments += [flag, str(value)]
        return arguments

    def contents(self) -> dict[str, bytes]:
        """Every file of the warehouse but its lock, with its bytes."""
        files = [path for path in self.output.rglob("*") if path.is_file()]
        return {str(path): path.read_bytes() for path in files if path.name != ".lock"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with a warehouse, made once by the real command."""
    place = Place(tmp_path_factory.mktemp("made"))
    jsonl(place.pageviews, "pageview")
    jsonl(place.folder / "engagements.jsonl", "engagement")
    jsonl(place.calls, "call")
    done = real(*place.backfill(engagements=place.folder / "engagements.jsonl"))
    assert done.code == 0, done.err
    return place.folder


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Place:
    return Place(Path(shutil.copytree(made, tmp_path / "place")))


def real(*arguments: str | Path, **changed: str) -> Outcome:
    """Runs the real command in a process of its own."""
    known = {"ATTRIBEAM_KEY": SECRET, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.cli", *map(str, arguments)],
        env=os.environ | known | changed,
        capture_output=True,
        text=True,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


def assert_refused(done: Outcome, place: Place, before: dict[str, bytes], code: int) -> str:
    """One message, the right code, nothing personal, nothing changed; the message."""
    assert done.code == code, done.err
    assert len(done.errors) == 1, done.err
    assert "Traceback" not in done.err
    assert done.out == ""
    for value in PERSONAL:
        assert value not in done.err
    assert place.contents() == before
    return done.errors[0]


def truncated_gzip(path: Path) -> None:
    jsonl(path, "call")
    path.write_bytes(path.read_bytes()[:-12])


def not_gzip(path: Path) -> None:
    path.write_bytes(b"\x00" + json.dumps(BAD_CALL).encode() * 9)


def parquet_of_wrong_types(path: Path) -> None:
    rows = {"account": ["a"], "call_id": ["c"], "start": [[CALLER]], "b_number": [B]}
    pq.write_table(pa.table(rows), path)


def truncated_parquet(path: Path) -> None:
    rows = {"account": ["a"], "call_id": [CALLER], "start": ["x"], "b_number": [ADDRESS]}
    pq.write_table(pa.table(rows), path)
    path.write_bytes(path.read_bytes()[:-20])


def folder_without_events(path: Path) -> None:
    path.mkdir()
    (path / "notes.txt").write_text(ADDRESS)


@pytest.mark.parametrize(
    ("name", "make", "said"),
    [
        ("missing.jsonl", lambda path: None, "no such file"),
        ("empty.jsonl", lambda path: path.write_bytes(b""), "empty"),
        ("empty.jsonl.gz", lambda path: path.write_bytes(b""), "empty"),
        ("packed.jsonl.gz", lambda path: path.write_bytes(gzip.compress(b"")), "empty"),
        ("folder", folder_without_events, "the folder has no events"),
        ("nothing-*.jsonl", lambda path: None, "nothing matches"),
        ("calls.csv", lambda path: path.write_text(ADDRESS), "unknown kind of file"),
        ("cut.jsonl.gz", truncated_gzip, "cannot be read"),
        ("false.jsonl.gz", not_gzip, "cannot be read"),
        ("false.jsonl.zst", not_gzip, "cannot be read"),
        ("types.parquet", parquet_of_wrong_types, "column start has type"),
        ("cut.parquet", truncated_parquet, "cannot be read as Parquet"),
        ("false.parquet", not_gzip, "cannot be read as Parquet"),
    ],
)
def test_input_that_cannot_be_read_is_named(
    name: str, make: Callable[[Path], None], said: str, place: Place, attribeam: Command
) -> None:
    """Exit 1: the message names the file and what is wrong with it, and the output is intact."""
    path = place.folder / "bad" / name
    path.parent.mkdir()
    make(path)
    before = place.contents()
    message = assert_refused(attribeam(*place.backfill(calls=path)), place, before, 1)
    assert str(path) in message
    assert said in message


def write_config(place: Place, text: str) -> Path:
    path = place.folder / "attribeam.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sesion_gap_minutes = 30", "sesion_gap_minutes"),
        ("[accounts.a]\nretention = 5", "accounts.a: unknown key `retention`"),
        ("min_probability = 2", "min_probability: must be at most 1"),
        ("session_gap_minutes = 'long'", "session_gap_minutes"),
        ("[accounts.a", "not TOML"),
        (
            "[[accounts.a.pools]]\nname='p'\nnumbers=['70101010']\n"
            "[[accounts.a.pools]]\nname='q'\nnumbers=['+45 70 10 10 10']",
            "accounts.a.pools: +4570101010 stands in two entries at one time",
        ),
    ],
)
def test_a_configuration_error_names_the_key(
    text: str, said: str, place: Place, attribeam: Command
) -> None:
    """Exit 2: the message names the file and the key."""
    config = write_config(place, text)
    before = place.contents()
    message = assert_refused(attribeam(*place.backfill(config=config)), place, before, 2)
    assert str(config) in message
    assert said in message


def test_a_missing_configuration_is_a_configuration_error(place: Place, attribeam: Command) -> None:
    """Exit 2 with the name of the file that is not there."""
    before = place.contents()
    done = attribeam(*place.backfill(config=place.folder / "none.toml"))
    assert "none.toml: cannot be read" in assert_refused(done, place, before, 2)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"from": "2026-05-01", "to": "2026-05-02"}, "no calls from 2026-05-01 to 2026-05-02"),
        ({"from": "2026-03-04"}, "2 calls lie outside"),
        ({"from": "2026-03-03", "to": "2026-03-03"}, "must be before"),
        ({"output": "bigquery://project/EU"}, "only a local folder can be written"),
        ({"max_dead_leters": "3"}, "did you mean --max-dead-letters?"),
        ({"direct_num_worker": "2"}, "did you mean --direct_num_workers?"),
        ({"from": "1 May"}, "'1 May' is no day; write 2026-06-30"),
        ({"now": "tomorrow"}, "'tomorrow' is no time"),
        ({"shards": "0"}, "must be at least 1"),
        ({"max_dead_letters": "-1"}, "--max-dead-letters"),
        ({"calls": None}, "--calls"),
        ({"output": None}, "--output"),
    ],
)
def test_what_cannot_be_asked_for_is_told(
    changed: dict[str, str], said: str, place: Place, attribeam: Command
) -> None:
    """Exit 2: usage errors name the option and what to write instead."""
    before = place.contents()
    message = assert_refused(attribeam(*place.backfill(**changed)), place, before, 2)
    assert said in message


def test_a_stray_word_is_refused(place: Place, attribeam: Command) -> None:
    """An argument that belongs to no option is a mistake, not Beam's."""
    before = place.contents()
    done = attribeam(*place.backfill(json=True), "stray")
    assert "stray" in assert_refused(done, place, before, 2)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (None, "no secret key: set ATTRIBEAM_KEY"),
        ("", "no secret key: set ATTRIBEAM_KEY"),
        ("c2hvcnQ=", "ATTRIBEAM_KEY: not 32 bytes in base64"),
        ("anna", "ATTRIBEAM_KEY: not 32 bytes in base64"),
    ],
)
def test_without_a_usable_key_nothing_is_read(
    key: str | None,
    said: str,
    place: Place,
    attribeam: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Exit 2: the message says how to make a key and never shows the one that was given."""
    if key is None:
        monkeypatch.delenv("ATTRIBEAM_KEY")
    else:
        monkeypatch.setenv("ATTRIBEAM_KEY", key)
    before = place.contents()
    assert said in assert_refused(attribeam(*place.backfill()), place, before, 2)


def test_a_key_file_that_is_missing_is_named(
    place: Place, attribeam: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key may come from a file; where it is not there, exit 2 with its name."""
    monkeypatch.delenv("ATTRIBEAM_KEY")
    monkeypatch.setenv("ATTRIBEAM_KEY_FILE", str(place.folder / "key"))
    before = place.contents()
    message = assert_refused(attribeam(*place.backfill()), place, before, 2)
    assert f"{place.folder / 'key'} cannot be read" in message
    (place.folder / "key").write_text(SECRET + "\n")
    assert attribeam(*place.backfill()).code == 0


def test_more_dead_letters_than_allowed_exit_3(place: Place, attribeam: Command) -> None:
    """The message counts them by code and nothing of their content is in it."""
    bad = json.dumps(BAD_CALL).encode()
    jsonl(place.calls, "call", bad, bad[:-9], b"anna 20202020")
    before = place.contents()
    done = attribeam(*place.backfill(max_dead_letters=2))
    message = assert_refused(done, place, before, 3)
    assert "3 dead letters, 2 allowed (--max-dead-letters)" in message
    assert "{'missing_field': 1, 'not_json': 2}" in message


def test_dead_letters_within_the_limit_are_a_warning(place: Place, attribeam: Command) -> None:
    """Exit 0: many of them are told on stderr by code, without what they hold."""
    jsonl(place.calls, "call", json.dumps(BAD_CALL).encode())
    done = attribeam(*place.backfill(max_dead_letters=1))
    assert done.code == 0
    assert "1 of 4 events could not be used: {'missing_field': 1}" in done.err
    for value in PERSONAL:
        assert value not in done.err + done.out


def test_short_history_is_refused_without_the_flag(place: Place, attribeam: Command) -> None:
    """Exit 2: which days, of which account, and the flag that does it all the same."""
    before = place.contents()
    done = attribeam(*place.backfill(short_history=None))
    message = assert_refused(done, place, before, 2)
    assert "2026-03-02 to 2026-03-03 of account a already has rows" in message
    assert "--short-history" in message


def test_results_go_to_stdout(place: Place, attribeam: Command) -> None:
    """The report as JSON is all of stdout; as text it says where the warehouse is."""
    done = attribeam(*place.backfill(json=True))
    report = json.loads(done.out)
    assert (done.code, done.errors) == (0, [])
    assert report["rows"]["conversions"] == {"written": 2, "expired": 0, "outside": 0}
    told = attribeam(*place.backfill()).out
    assert "2 conversions written" in " ".join(told.split())
    assert str(place.output / "warehouse.duckdb") in told


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="attribeam-test-"))
    folder.chmod(0o755)
    yield folder
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder)


AS_NOBODY = """
import contextlib, os, sys
from pipelines.cli import main
both = sys.argv[1:]
between = both.index("--")
with contextlib.redirect_stdout(None), contextlib.suppress(SystemExit):
    main(both[:between])
os.getuid() or os.setuid(65534)
main(both[between + 1 :])
"""


def as_nobody(place: Place, warm: Place, output: Path) -> Outcome:
    """Runs a backfill as a user without privileges.

    The process runs it elsewhere with all of them first, so that everything it needs is loaded:
    Python itself may stand where nobody else may read.
    """
    arguments = [*warm.backfill(), "--", *place.backfill(output=output)]
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *arguments],
        env=os.environ | {"ATTRIBEAM_KEY": SECRET, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    warnings = done.stderr.count("attribeam: warning: ")
    assert warnings == 1, done.stderr
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("name", ["warehouse", "new"])
def test_an_output_that_may_not_be_written_is_named(
    name: str, place: Place, made: Path, public: Path
) -> None:
    """Exit 1 for a warehouse and for a new folder in a place without permission."""
    warm, place = place, Place(Path(shutil.copytree(made, public / "place")))
    output = place.folder / name
    before = place.contents()
    allow(place.folder, files=0o444, folders=0o555)
    done = as_nobody(place, warm, output)
    message = assert_refused(done, place, before, 1)
    assert "no permission to write there" in message
    assert str(output) in message


def test_an_input_that_may_not_be_read_is_named(place: Place, made: Path, public: Path) -> None:
    """Exit 1 with the file and the reason."""
    warm, place = place, Place(Path(shutil.copytree(made, public / "place")))
    allow(place.folder, files=0o666, folders=0o777)
    place.calls.chmod(0o000)
    before = place.contents()
    done = as_nobody(place, warm, place.output)
    message = assert_refused(done, place, before, 1)
    assert f"{place.calls}: cannot be read: Permission denied" in message


def allow(folder: Path, files: int, folders: int) -> None:
    for path in [folder, *folder.rglob("*")]:
        path.chmod(folders if path.is_dir() else files)


def test_an_output_that_is_a_file_is_refused(place: Place, attribeam: Command) -> None:
    """Exit 1: --output names a folder."""
    before = place.contents()
    done = attribeam(*place.backfill(output=place.calls))
    assert "--output must name a folder" in assert_refused(done, place, before, 1)


def test_an_output_that_another_run_writes_is_refused(place: Place) -> None:
    """Exit 1: the message says who holds the warehouse."""
    with LocalWarehouse(place.output).open_run():
        before = place.contents()
        done = real(*place.backfill())
        message = assert_refused(done, place, before, 1)
    assert f"process {os.getpid()} on" in message


def test_the_real_command_says_what_it_can_do() -> None:
    """Help with examples, and usage errors with exit code 2, from a process of its own."""
    helped = real("backfill", "--help")
    assert helped.code == 0
    for part in ("--short-history", "examples:", "attribeam backfill --pageviews"):
        assert part in helped.out
    wrong = real("backfil")
    assert wrong.code == 2
    assert "backfill" in wrong.err


def test_the_rows_hold_no_raw_personal_value(place: Place) -> None:
    """Neither a number nor an address that was sent stands in any file of the warehouse."""
    with duckdb.connect(str(place.output / "warehouse.duckdb"), read_only=True) as warehouse:
        told = "".join(
            str(warehouse.sql(f"SELECT * FROM {table}").fetchall())
            for table in ("conversions", "sessions", "displays", "dead_letters")
        )
    assert "+45…20" in told
    for value in PERSONAL:
        assert value not in told
    report = (place.output / "run_report.json").read_text()
    assert not [value for value in PERSONAL if value in report]
