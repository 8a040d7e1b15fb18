"""Bytes to lines as a column of texts, and which of them may be split at their quotes."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from transforms.decode_json import MAX_BYTES

_NEWLINE = ord("\n")
_RETURN = ord("\r")
_FIRST_PRINTABLE = 0x20
# Small enough for a processor's cache: large temporary arrays cost more than the search itself.
_STEP = 1 << 18


@dataclass
class Lines:
    """The lines of some bytes, each with its newline.

    starts: where each begins, and where the last one ends. texts: the lines; where one of them is
    not UTF-8, None. plain: places of the lines without escapes, without control characters but
    those that end it, and not too large: in such a line every quote begins or ends a string.
    """

    data: bytes
    starts: np.ndarray
    texts: pl.Series | None
    plain: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def line(self, place: int) -> bytes:
        """One line, with its newline."""
        return self.data[self.starts[place] : self.starts[place + 1]]


def split_lines(data: bytes, start: int, end: int) -> Lines:
    """The lines of the bytes from start to end; the last may lack its newline."""
    content = np.frombuffer(data, np.uint8)[:end]
    controls = _control_places(content, start)
    is_newline = content[controls] == _NEWLINE
    ends = controls[is_newline] + 1
    if start < end and (not len(ends) or ends[-1] != end):
        ends = np.append(ends, end)
    starts = np.concatenate((np.array([start], np.int64), ends))
    plain = np.diff(starts) <= MAX_BYTES
    others = controls[~is_newline]
    plain[_lines_of(others[~_ends_line(content, others)], starts)] = False
    if data.find(b"\\", start, end) >= 0:
        escapes = np.flatnonzero(content[start:] == ord("\\")) + start
        plain[_lines_of(escapes, starts)] = False
    return Lines(data, starts, _texts(data, starts), np.flatnonzero(plain))


def _control_places(content: np.ndarray, begin: int) -> np.ndarray:
    """Where control characters stand from some place on."""
    is_control = np.empty(_STEP, bool)
    places = [np.zeros(0, np.int64)]
    for start in range(begin, len(content), _STEP):
        part = content[start : start + _STEP]
        found = np.less(part, _FIRST_PRINTABLE, out=is_control[: len(part)])
        places.append(np.flatnonzero(found) + start)
    return np.concatenate(places)


def _ends_line(content: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Whether a carriage return before a newline stands there."""
    following = content[np.minimum(places + 1, len(content) - 1)]
    return (content[places] == _RETURN) & (following == _NEWLINE)


def _lines_of(places: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.unique(np.searchsorted(starts, places, side="right") - 1)


def _texts(data: bytes, starts: np.ndarray) -> pl.Series | None:
    """The lines as texts, not copied; the cast is what proves them UTF-8."""
    buffers = [None, pa.py_buffer(starts.astype(np.int64, copy=False)), pa.py_buffer(data)]
    lines = pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(starts) - 1, buffers)
    try:
        return pl.Series("line", lines).cast(pl.String)
    except pl.exceptions.ComputeError:
        return None
