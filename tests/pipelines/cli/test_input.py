"""Input that cannot be read gives one clear message, and changes nothing."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli_runs import (
    ADDRESS,
    BAD_CALL,
    Command,
    Place,
    assert_refused,
    jsonl,
)
from oracle.cases import CALLER, B


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
