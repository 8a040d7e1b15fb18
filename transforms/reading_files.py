"""The files that paths name, local and of Beam's file systems, and what to say where none are."""

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

EXTENSIONS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
_EXPECTED = "expected files named *" + ", *".join(EXTENSIONS)
_SCHEME = "://"


class InputError(Exception):
    """Input that cannot be read; the message names the file, what was expected and what to do."""


def find_files(path: str) -> dict[str, int]:
    """The sizes (bytes) of the event files that a file, folder or glob names.

    Raises InputError where there are none.
    """
    try:
        return _remote_files(path) if _SCHEME in path else _local_files(path)
    except OSError as error:
        raise unreadable(path, error) from error


def open_file(path: str) -> BinaryIO:
    """The bytes of a file, local or of Beam's file systems, as they are."""
    if _SCHEME not in path:
        return open(path, "rb")
    # Beam takes a second to load, and only files elsewhere need it.
    from apache_beam.io.filesystem import CompressionTypes  # noqa: PLC0415
    from apache_beam.io.filesystems import FileSystems  # noqa: PLC0415

    opened: BinaryIO = FileSystems.open(path, compression_type=CompressionTypes.UNCOMPRESSED)
    return opened


def unreadable(path: str, error: OSError) -> InputError:
    """The error of a file that cannot be read, with the reason."""
    reason = error.strerror or str(error)
    return InputError(
        f"{path}: cannot be read: {reason}; check that it is complete and that you may read it"
    )


def _local_files(path: str) -> dict[str, int]:
    if Path(path).is_file():
        if not path.endswith(EXTENSIONS):
            raise InputError(f"{path}: unknown kind of file: {_EXPECTED}; rename or convert it")
        return {path: Path(path).stat().st_size}
    missing = f"{path}: no such file"
    if Path(path).is_dir():
        missing = f"{path}: the folder has no events: {_EXPECTED}"
    elif glob.has_magic(path):
        missing = f"{path}: nothing matches: {_EXPECTED}; put quotes around a pattern"
    matches = [Path(path)] if Path(path).is_dir() else map(Path, glob.glob(path, recursive=True))
    named = [found for match in matches for found in _inside(match)]
    sizes = {
        str(found): found.stat().st_size
        for found in named
        if found.name.endswith(EXTENSIONS) and not found.is_dir()
    }
    if not sizes:
        raise InputError(missing)
    return sizes


def _inside(path: Path) -> Iterable[Path]:
    return path.rglob("*") if path.is_dir() else [path]


def _remote_files(path: str) -> dict[str, int]:
    from apache_beam.io.filesystems import FileSystems  # noqa: PLC0415  as in open_file

    matches = FileSystems.match([path, path.rstrip("/") + "/**"])
    sizes = {data.path: data.size_in_bytes for match in matches for data in match.metadata_list}
    events = {name: size for name, size in sizes.items() if name.endswith(EXTENSIONS)}
    if not events:
        raise InputError(f"{path}: no events there: {_EXPECTED}; check the name and your access")
    return events
