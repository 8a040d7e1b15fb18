"""One clear message for whatever keeps a run from writing its output."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.journal import journal_path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
IN_THE_WAY = (errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


class OutputError(Exception):
    """The output cannot be written; the message says what, where and what to do."""


@contextmanager
def clear_output_errors(folder: Path) -> Iterator[None]:
    """Turns the operating system's errors about the output folder into OutputError."""
    try:
        yield
    except OutputError:
        raise
    except Exception as error:
        explained = explain_output_error(error, folder)
        if explained is None:
            raise
        raise explained from error


def explain_output_error(error: BaseException, folder: Path) -> OutputError | None:
    """The error in words where it, or what caused it, is about writing to the folder; else None.

    Workers of a Beam runner and polars hand on some errors as text only, so a full disk's words
    count too.
    """
    for cause in _causes(error):
        code = cause.errno if isinstance(cause, OSError) else None
        if code in FULL or any(os.strerror(full) in str(cause) for full in FULL):
            return OutputError(_full(folder))
        if isinstance(cause, OSError) and _concerns(cause, folder):
            return OutputError(_refused(cause, folder))
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _concerns(error: OSError, folder: Path) -> bool:
    name = error.filename
    if not isinstance(name, str | os.PathLike):
        return False
    path, place = Path(os.path.abspath(name)), Path(os.path.abspath(folder))
    return path == place or place in path.parents or path in place.parents


def _full(folder: Path) -> str:
    existing = next((p for p in (folder, *folder.absolute().parents) if p.exists()), Path("/"))
    free = shutil.disk_usage(existing).free / 1e6
    return (
        f"{folder}: no space left to write there ({free:,.0f} MB free); free some space or choose "
        f"another --output, then run again. {_state(folder)}"
    )


def _refused(error: OSError, folder: Path) -> str:
    place = error.filename
    if error.errno in FORBIDDEN:
        what = f"{place}: no permission to write there; allow it or choose another --output."
    elif error.errno in IN_THE_WAY:
        what = f"{folder}: is a file, or lies below one; --output must name a folder."
    else:
        what = f"{place}: {error.strerror or error}."
    return f"{what} {_state(folder)}"


def _state(folder: Path) -> str:
    try:
        is_moving = journal_path(folder).exists()
    except OSError:
        is_moving = False
    if is_moving:
        return "The new rows are complete; the next run or report finishes moving them into place."
    return "The output is as it was before."
