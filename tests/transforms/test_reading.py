"""Files to blocks: nothing lost however they are split, and clear messages (SPEC section 3)."""

import datetime as dt
import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from apache_beam.io.filesystem import FileMetadata, FileSystem
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.config import parse_config
from transforms import reading
from transforms.decode import Decoded, DecodeSettings, decode_block
from transforms.reading import InputError, list_splits, read_split

SETTINGS = DecodeSettings(parse_config({}), b"k" * 32, 1_790_000_000_000_000)
EVENT = b'{"account":"a","visitor_id":"v","time":1772445600,"url":"https://a.dk/"}'
MIB = 1 << 20


def lines_of(paths: list[str], block_bytes: int = reading.BLOCK_BYTES) -> list[bytes]:
    """All lines that are not blank, in order."""
    splits = list_splits(paths, "pageview", block_bytes)
    data = [block.data for split in splits for block in read_split(split)]
    lines = [line.strip() for block in data for line in block.split(b"\n")]
    return [line for line in lines if line]


def decoded(path: Path, block_bytes: int = reading.BLOCK_BYTES) -> list[Decoded]:
    splits = list_splits([str(path)], "pageview", block_bytes)
    return [decode_block(block, SETTINGS) for split in splits for block in read_split(split)]


def dead_letters(path: Path, block_bytes: int = reading.BLOCK_BYTES) -> list[tuple[int, str]]:
    """(line, code) of the dead letters of a file."""
    tables = [read.dead_letters for read in decoded(path, block_bytes)]
    return pl.concat(tables).select("line", "code").rows() if tables else []


def write(path: Path, content: bytes) -> Path:
    """A file with the content, compressed as its name says."""
    if path.suffix == ".gz":
        content = gzip.compress(content)
    elif path.suffix == ".zst":
        content = zstandard.ZstdCompressor(write_checksum=True).compress(content)
    path.write_bytes(content)
    return path


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"bb" * 20, b"", b" ", b"c\r", b"\xff\x00"]), max_size=12),
    st.booleans(),
    st.booleans(),
    st.integers(1, 50),
    st.sampled_from([".jsonl", ".jsonl.gz", ".jsonl.zst"]),
)
def test_no_split_loses_a_line(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    ends: bool,
    marked: bool,
    block_bytes: int,
    extension: str,
) -> None:
    """Blocks of any size hold each line once, in order, with or without mark and last newline."""
    path = tmp_path_factory.mktemp("split") / f"events{extension}"
    content = b"\n".join(lines) + (b"\n" if ends else b"")
    write(path, (b"\xef\xbb\xbf" if marked else b"") + content)
    expected = [line.strip() for line in lines if line.strip()]
    assert lines_of([str(path)], block_bytes) == expected


@pytest.mark.parametrize("extension", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
@pytest.mark.parametrize("block_bytes", [1, 7, 64, 1000, 1 << 25])
def test_dead_letters_say_their_line(tmp_path: Path, extension: str, block_bytes: int) -> None:
    """A dead letter's line is counted from the beginning of the file, however it was split."""
    lines = [EVENT, b"", b"x", EVENT, b" ", b"[]", b"\r", b"y"]
    path = write(tmp_path / f"events{extension}", b"\n".join(lines))
    expected = [(3, "not_json"), (6, "not_object"), (8, "not_json")]
    assert dead_letters(path, block_bytes) == expected


def test_line_numbers_over_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are counted right across the steps in which a file is counted."""
    monkeypatch.setattr(reading, "BLOCK_BYTES", 10)
    path = write(tmp_path / "events.jsonl", b"\n" * 95 + b"x\n" + b"\n" * 30 + b"y")
    assert dead_letters(path, 16) == [(96, "not_json"), (127, "not_json")]


def test_byte_order_mark_only_at_the_start(tmp_path: Path) -> None:
    """A byte order mark may begin a file; on a later line it is not JSON."""
    path = write(tmp_path / "events.jsonl", b"\xef\xbb\xbf" + EVENT + b"\n\xef\xbb\xbf" + EVENT)
    assert dead_letters(path) == [(2, "not_json")]


@pytest.mark.parametrize("extension", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_huge_line(tmp_path: Path, extension: str) -> None:
    """A line of 50 MB is one dead letter with a payload of 1 MiB; the lines around it are read."""
    huge = b'{"title":"' + b"x" * (50 * MIB) + b'"}'
    path = write(tmp_path / f"events{extension}", EVENT + b"\n" + huge + b"\n" + EVENT + b"\nx")
    read = decoded(path)
    assert sum(block.pageviews.height for block in read) == 2
    letters = pl.concat([block.dead_letters for block in read])
    assert letters.select("line", "code").rows() == [(2, "too_large"), (4, "not_json")]
    assert letters["payload"].bin.size()[0] == MIB + 16


@pytest.mark.parametrize("extension", [".jsonl", ".jsonl.gz"])
def test_huge_blank_line(tmp_path: Path, extension: str) -> None:
    """A blank line is skipped however long, and text after a megabyte of blanks is too large."""
    blank = b" " * (40 * MIB)
    path = write(tmp_path / f"events{extension}", blank + b"\n" + EVENT + b"\n" + blank + b"x\n")
    assert dead_letters(path) == [(3, "too_large")]


@pytest.mark.parametrize("extension", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_empty_file(tmp_path: Path, extension: str) -> None:
    """An empty file is no error and has no lines, whether compressed or of no bytes at all."""
    compressed, bare = tmp_path / f"a{extension}", tmp_path / f"b{extension}"
    write(compressed, b"")
    bare.write_bytes(b"")
    assert lines_of([str(compressed), str(bare)]) == []


@pytest.mark.parametrize("extension", [".gz", ".zst"])
def test_several_members(tmp_path: Path, extension: str) -> None:
    """Compressed files that were put one after the other are read to the end."""
    one = write(tmp_path / f"one.jsonl{extension}", b"a\nb").read_bytes()
    (tmp_path / f"all.jsonl{extension}").write_bytes(one + one)
    assert lines_of([str(tmp_path / f"all.jsonl{extension}")]) == [b"a", b"ba", b"b"]


@pytest.mark.parametrize("extension", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "flip", "other", "more"])
def test_unreadable_compressed_file(tmp_path: Path, extension: str, damage: str) -> None:
    """A compressed file that is cut short, changed or something else is named in one message."""
    path = write(tmp_path / f"events.jsonl{extension}", bytes(range(256)) * 3000)
    content = path.read_bytes()
    middle = len(content) // 2
    damaged = {
        "cut": content[:-5],
        "flip": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
        "other": b'{"account":"a"}\n' * 9,
        "more": content + b"trailing",
    }
    path.write_bytes(damaged[damage])
    with pytest.raises(InputError, match=r"events\.jsonl.*cannot be read.*check"):
        lines_of([str(path)])


# --- paths -------------------------------------------------------------------------------------


def test_paths(tmp_path: Path) -> None:
    """Files, folders and patterns name events; each file is read once, others are left alone."""
    (tmp_path / "day=1").mkdir()
    for name in ("b.jsonl", "a.jsonl.gz", "day=1/c.jsonl.zst", "notes.txt"):
        write(tmp_path / name, name.encode())
    folder, pattern = str(tmp_path), str(tmp_path / "*.jsonl*")
    assert lines_of([folder]) == [b"a.jsonl.gz", b"b.jsonl", b"day=1/c.jsonl.zst"]
    assert lines_of([pattern]) == [b"a.jsonl.gz", b"b.jsonl"]
    assert lines_of([str(tmp_path / "**/*.zst")]) == [b"day=1/c.jsonl.zst"]
    assert lines_of([str(tmp_path / "b.jsonl"), pattern]) == [b"a.jsonl.gz", b"b.jsonl"]


def test_file_with_a_name_like_a_pattern(tmp_path: Path) -> None:
    """A file that exists is itself, though its name has brackets."""
    assert lines_of([str(write(tmp_path / "[a].jsonl", b"x"))]) == [b"x"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("missing.jsonl", "no such file"),
        ("empty", "the folder has no events"),
        ("*.parquet", "nothing matches"),
        ("notes.txt", "unknown kind of file"),
    ],
)
def test_paths_without_events(tmp_path: Path, path: str, message: str) -> None:
    """A path that names no events is an error that says so and names it."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=message) as caught:
        list_splits([str(tmp_path / path)], "pageview")
    assert path in str(caught.value)


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may not be read is named, with the reason."""
    split = list_splits([str(write(tmp_path / "a.jsonl", b"x"))], "pageview")[0]

    def refuse(path: str) -> Any:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(reading, "open_file", refuse)
    with pytest.raises(InputError, match=r"a\.jsonl.*Permission denied"):
        list(read_split(split))


class MemoryFileSystem(FileSystem):
    """A file system of Beam's, in memory, as gs:// is one in the cloud."""

    files: dict[str, bytes] = {}

    @classmethod
    def scheme(cls) -> str:
        return "memory"

    def _list(self, dir_or_prefix: str) -> Iterator[FileMetadata]:
        for path, content in self.files.items():
            if path.startswith(dir_or_prefix):
                yield FileMetadata(path, len(content))

    def open(self, path: str, *_: Any, **__: Any) -> io.BytesIO:
        if path not in self.files:
            raise OSError(f"{path}: gone")
        return io.BytesIO(self.files[path])

    def join(self, basepath: str, *paths: str) -> str:
        return "/".join((basepath, *paths))

    def split(self, path: str) -> tuple[str, str]:
        head, _, tail = path.rpartition("/")
        return head, tail

    def has_dirs(self) -> bool:
        return False

    def exists(self, path: str) -> bool:
        return path in self.files

    def size(self, path: str) -> int:
        return len(self.files[path])

    def metadata(self, path: str) -> FileMetadata:
        return FileMetadata(path, len(self.files[path]))

    def _unused(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    mkdirs = create = copy = rename = last_updated = checksum = delete = _unused


def test_remote_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beam's file systems serve files, folders and patterns, plain and compressed."""
    files = {
        "memory://b/x/1.jsonl": b"one\ntwo",
        "memory://b/x/2.jsonl.gz": gzip.compress(b"three"),
        "memory://b/y.txt": b"no",
    }
    monkeypatch.setattr(MemoryFileSystem, "files", files)
    assert lines_of(["memory://b/x"], 2) == [b"one", b"two", b"three"]
    assert lines_of(["memory://b/x/*.jsonl"]) == [b"one", b"two"]
    assert lines_of(["memory://b/x/2.jsonl.gz"]) == [b"three"]
    with pytest.raises(InputError, match="memory://b/z: no events"):
        list_splits(["memory://b/z"], "pageview")
    split = list_splits(["memory://b/x/1.jsonl"], "pageview")[0]
    files.clear()
    with pytest.raises(InputError, match="gone"):
        list(read_split(split))


# --- Parquet -----------------------------------------------------------------------------------


def parquet(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_parquet_rows_are_events(tmp_path: Path) -> None:
    """Rows with timestamps, lists, maps and structs decode as the same events in JSON do."""
    time = dt.datetime(2026, 3, 2, 10, 0, 0, 123456)
    maps = pa.array([[("b", "2"), ("a", 'q"')], None, []], pa.map_(pa.string(), pa.string()))
    path = parquet(
        tmp_path / "events.parquet",
        account=["a", "a", "a"],
        visitor_id=pa.array([7, 8, None]),
        time=pa.array([time, time, time], pa.timestamp("us")),
        url=pa.array(["https://a.dk/å", "https://a.dk/", "https://a.dk/"]).dictionary_encode(),
        title=['quote " and\nline', None, "c"],
        tracking_numbers=[["33123456", "33123457"], [], None],
        third_party_ids=maps,
        variants=[{"x": "1", "y": None}, None, {"x": None, "y": "2"}],
        ignored=[1.0, 2.0, 3.0],
    )
    stamp = 1_772_445_600_123_456
    first = {
        "account": "a",
        "visitor_id": "7",
        "time": stamp,
        "url": "https://a.dk/å",
        "title": 'quote " and\nline',
        "tracking_numbers": ["33123456", "33123457"],
        "third_party_ids": {"a": 'q"', "b": "2"},
        "variants": {"x": "1"},
    }
    second = {"account": "a", "visitor_id": 8, "time": stamp, "url": "https://a.dk/"}
    same = tmp_path / "same.jsonl"
    same.write_text("\n".join(map(json.dumps, (first, second))))
    (read,), (expected,) = decoded(path), decoded(same)
    assert read.pageviews.sort("visitor_id").equals(expected.pageviews.sort("visitor_id"))
    assert read.dead_letters.select("line", "code", "field").rows() == [
        (3, "missing_field", "visitor_id")
    ]


@pytest.mark.parametrize(
    ("times", "micros"),
    [
        (pa.array([1_772_445_600], pa.timestamp("s")), 1_772_445_600_000_000),
        (pa.array([1_772_445_600_000_000_999], pa.timestamp("ns")), 1_772_445_600_000_000),
        (
            pa.array([1_772_445_600_000], pa.timestamp("ms", "Europe/Copenhagen")),
            1_772_445_600_000_000,
        ),
        (pa.array([1_772_445_600]), 1_772_445_600_000_000),
        (pa.array([1_772_445_600.25]), 1_772_445_600_250_000),
        (pa.array(["2026-03-02T10:00:00Z"]), 1_772_445_600_000_000),
    ],
)
def test_parquet_times(tmp_path: Path, times: pa.Array, micros: int) -> None:
    """Timestamps of any unit and zone, numbers and texts are times; a zoneless one is UTC."""
    path = parquet(tmp_path / "e.parquet", account=["a"], visitor_id=["v"], time=times, url=["u"])
    assert decoded(path)[0].pageviews["time"].to_list() == [micros]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("time", [True]),
        ("time", [dt.date(2026, 3, 2)]),
        ("account", [{"a": 1}]),
        ("url", [["u"]]),
        ("visitor_id", [1.5]),
    ],
)
def test_parquet_with_wrong_types(tmp_path: Path, column: str, values: list[Any]) -> None:
    """A required column in which no value can ever be read is one error, not a million."""
    columns = {"account": ["a"], "visitor_id": ["v"], "time": [1], "url": ["u"], column: values}
    path = parquet(tmp_path / "e.parquet", **columns)
    with pytest.raises(InputError, match=rf"e\.parquet: column {column} has type"):
        decoded(path)


def test_parquet_optional_columns_of_wrong_types_are_dropped(tmp_path: Path) -> None:
    """An optional column of another type is dropped value by value, and counted."""
    path = parquet(
        tmp_path / "e.parquet",
        account=["a"], visitor_id=["v"], time=[1_772_445_600], url=["u"],
        title=[1.5], referrer=[dt.date(2026, 3, 2)], ip=[b"\xff"], user_agent=[float("nan")],
    )  # fmt: skip
    (read,) = decoded(path)
    assert read.pageviews.height == 1
    dropped = {name: number for (_, _, name), number in read.counts.items() if "dropped" in name}
    assert dropped == {"dropped.title": 1, "dropped.referrer": 1, "dropped.ip": 1}


def test_parquet_without_known_columns(tmp_path: Path) -> None:
    """Rows in which nothing is known are dead letters, each of them."""
    assert dead_letters(parquet(tmp_path / "e.parquet", x=[1, 2])) == [
        (1, "missing_field"),
        (2, "missing_field"),
    ]


def test_parquet_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row's number is its place in the file, whatever the blocks."""
    monkeypatch.setattr("transforms.reading_parquet._ROWS", 2)
    columns = {"visitor_id": ["v"] * 5, "time": [1_772_445_600] * 5, "url": ["u"] * 5}
    path = parquet(tmp_path / "e.parquet", account=["a", "a", "a", None, ""], **columns)
    assert dead_letters(path) == [(4, "missing_field"), (5, "missing_field")]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all"])
def test_unreadable_parquet(tmp_path: Path, content: bytes) -> None:
    """A file that is no Parquet is named in one message."""
    (tmp_path / "e.parquet").write_bytes(content)
    with pytest.raises(InputError, match=r"e\.parquet: cannot be read as Parquet"):
        decoded(tmp_path / "e.parquet")
