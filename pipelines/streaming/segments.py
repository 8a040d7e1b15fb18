"""Segments: the rows of a store's tables, in Arrow files that never change."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pyarrow as pa

from pipelines.journal import sync_path

FOLDER = "segments"
# Where rows are: `count` rows of a part, from row `start` of a segment on.
RUNS = {"part": pl.Int64, "segment": pl.Int64, "start": pl.Int64, "count": pl.Int64}


class Segments:
    """The segments of a folder by number; new ones are in memory until they are written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self.folder.mkdir(parents=True, exist_ok=True)
        self._open: dict[int, pl.DataFrame] = {}
        self._new: dict[int, pl.DataFrame] = {}
        self._unused: set[int] = set()

    def add(self, segment: int, rows: pl.DataFrame) -> None:
        """Adds a segment, to be written with the next commit."""
        self._new[segment] = rows

    def drop(self, segment: int) -> None:
        """Drops a segment, its file after the next commit."""
        if self._new.pop(segment, None) is None:
            self._unused.add(segment)

    def rows(self, runs: pl.DataFrame) -> list[pl.DataFrame]:
        """The rows of RUNS by segment, with all other columns of their run."""
        return [
            self._frame(segment)[_places(of)].hstack(
                of.select(pl.exclude(RUNS)).select(pl.all().repeat_by(of["count"]).explode())
            )
            for (segment,), of in runs.partition_by("segment", as_dict=True).items()
        ]

    def write(self) -> None:
        """Writes what is new, so that it survives a power cut."""
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(self._write, self._new))
        if self._new:
            sync_path(self.folder)

    def settle(self) -> None:
        """After the commit: what was written is read from its file, what was dropped goes."""
        self._new.clear()
        for segment in self._unused:
            self._open.pop(segment, None)
            self._path(segment).unlink(missing_ok=True)
        self._unused.clear()

    def forget(self) -> None:
        """Instead of a commit: nothing was added, nothing dropped."""
        self._new.clear()
        self._unused.clear()

    def keep_only(self, segments: Iterable[int]) -> None:
        """Removes files that a killed process wrote without committing them."""
        known = set(segments)
        for path in self.folder.glob("*.arrow"):
            if int(path.stem) not in known:
                path.unlink()

    def _frame(self, segment: int) -> pl.DataFrame:
        if segment in self._new:
            return self._new[segment]
        if segment not in self._open:
            # Mapped, not read: a load copies the rows that it takes and no others.
            source = pa.memory_map(str(self._path(segment)))
            self._open[segment] = pl.DataFrame(pa.ipc.open_file(source).read_all())
        return self._open[segment]

    def _write(self, segment: int) -> None:
        path = self._path(segment)
        self._new[segment].write_ipc(path, compression="uncompressed")
        sync_path(path)

    def _path(self, segment: int) -> Path:
        return self.folder / f"{segment}.arrow"


def _places(runs: pl.DataFrame) -> pl.Series:
    """The rows of a segment that runs consist of, in their order."""
    rows = pl.int_ranges("start", pl.col("start") + pl.col("count")).alias("row")
    return runs.select(rows).explode("row").to_series()
