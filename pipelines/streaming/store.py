"""The durable state of a local stream: rows in Arrow files, found and committed through SQLite.

Rows never change: each commit adds a file a table (a segment), and SQLite knows which runs of rows
are filed under which key, belong to which part, and until when. So a block costs what it touches,
however large the state is, and one SQLite transaction is the commit of everything. Segments that
are small and many are merged, which leaves out the rows that nothing points to any more.
"""

import json
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.streaming.segments import RUNS, Segments
from transforms.streaming.state import Change

DATABASE = "state.db"
# Segments of a table in one size class are merged when there are so many; a class holds as many
# times the rows of the class below.
MERGED_AT_ONCE = 8
# What SQLite keeps of its index in memory, and how much of it it gathers before it tidies up.
CACHE_KIB = 256 << 10
CHECKPOINT_PAGES = 16 << 10
# Larger segments stay as they are until nothing points to them, so merging needs little memory.
LARGEST_MERGED_ROWS = 1 << 15
# A list of numbers as one value of a query.
LISTED = "(SELECT value FROM json_each(?))"


class StateError(Exception):
    """The state cannot be used; the message says why and what to do."""


@contextmanager
def clear_state_errors(folder: Path) -> Iterator[None]:
    """Puts SQLite's errors into words."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StateError(
                f"{folder}: another stream is using this state; stop it, or give --state"
            ) from error
        raise StateError(f"{folder}: {error}; free space or allow writing there") from error
    except sqlite3.DatabaseError as error:
        raise StateError(f"{folder}: {error}; this is no state of a stream") from error


class Store:
    """The tables of some stages' states, in a folder.

    stages: by name, with the schemas of their `tables`; those in `filed` have keys that are not
    their parts. Nothing done since the last commit survives a kill or `rollback`.
    """

    def __init__(self, folder: Path, stages: Mapping[str, Any]) -> None:
        self.folder = folder
        self.schemas = {
            f"{name}.{table}": schema
            for name, stage in stages.items()
            for table, schema in stage.tables.items()
        }
        self.filed = {f"{name}.{table}" for name, stage in stages.items() for table in stage.filed}
        self.empty = {
            name: pl.DataFrame(schema={**schema, "part": pl.Int64})
            for name, schema in self.schemas.items()
        }
        self.segments = Segments(folder)
        self.database = sqlite3.connect(folder / DATABASE, isolation_level=None, timeout=1.0)
        with clear_state_errors(folder):
            # Held until the end, so that no second stream can use the folder.
            self.database.execute("PRAGMA locking_mode=EXCLUSIVE")
            self.database.execute("PRAGMA journal_mode=WAL")
            self.database.execute("PRAGMA synchronous=FULL")
            self.database.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
            self.database.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
            self.database.execute("BEGIN IMMEDIATE")
        self._make_tables()
        self._check_version()
        self.name = str(self.recall("name", uuid.uuid4().hex[:12]))
        self.note("name", self.name)
        self.commit()
        self.segments.keep_only(row[0] for row in self.database.execute("SELECT id FROM segments"))

    def recall(self, key: str, otherwise: Any = None) -> Any:
        """A value that was noted."""
        row = self.database.execute("SELECT value FROM notes WHERE key = ?", (key,)).fetchone()
        return otherwise if row is None else json.loads(row[0])

    def note(self, key: str, value: Any) -> None:
        """Notes a small value under a key, with what is committed next."""
        self.database.execute(
            "INSERT INTO notes VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (key, json.dumps(value)),
        )

    def size_bytes(self) -> int:
        """What the state takes on disk."""
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())

    def of(self, stage: str) -> "StageState":
        """The state of one stage."""
        return StageState(self, stage)

    def apply(self, stage: str, changes: Mapping[str, Change]) -> None:
        """Does what a stage's step decided."""
        for table, change in changes.items():
            name = f"{stage}.{table}"
            self._clear(name, change.cleared)
            self._add(name, change.rows)
            self.database.executemany(
                f'UPDATE "{name}.due" SET due = ? WHERE part = ?',
                change.lasting.select("due", "part").iter_rows(),
            )

    def expire(self, watermark: int) -> None:
        """Drops the parts whose due (us) the watermark has passed."""
        for name in self.schemas:
            gone = f'(SELECT part FROM "{name}.due" WHERE due < ?)'
            for table in self._tables(name):
                self.database.execute(f'DELETE FROM "{table}" WHERE part IN {gone}', (watermark,))

    def commit(self) -> None:
        """Makes what was done last: the files reach the disk first, then what points to them."""
        self.segments.write()
        self.database.execute("COMMIT")
        self.segments.settle()
        self.database.execute("BEGIN IMMEDIATE")

    def rollback(self) -> None:
        """Forgets what was done since the last commit."""
        self.database.rollback()  # where a full disk has not done so already
        self.segments.forget()
        self.database.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Closes the store; what is not committed is gone."""
        self.database.rollback()
        self.database.close()

    # --- rows --------------------------------------------------------------------------------

    def load(self, name: str, keys: pl.Series) -> pl.DataFrame:
        """The rows of a table filed under any of the keys, each once, with part."""
        wanted = LISTED
        if name in self.filed:
            wanted = f'(SELECT part FROM "{name}.keys" WHERE key IN {LISTED})'
        return self._gather(name, wanted, listed(keys))

    def ripe(self, name: str, watermark: int) -> pl.DataFrame:
        """The rows of the parts whose due (us) the watermark has passed, with part."""
        return self._gather(name, f'(SELECT part FROM "{name}.due" WHERE due < ?)', watermark)

    def _gather(self, name: str, wanted: str, value: str | int) -> pl.DataFrame:
        """The rows of the parts that a query finds."""
        query = f'SELECT part, segment, start, "count" FROM "{name}" WHERE part IN {wanted}'
        found = self.database.execute(query, (value,)).fetchall()
        if not found:
            return self.empty[name]
        return pl.concat(self.segments.rows(pl.DataFrame(found, schema=RUNS, orient="row")))

    def _clear(self, name: str, parts: pl.Series) -> None:
        if parts.len():
            for table in self._tables(name):
                query = f'DELETE FROM "{table}" WHERE part IN {LISTED}'
                self.database.execute(query, (listed(parts),))

    def _add(self, name: str, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        ordered = rows.sort("part", maintain_order=True)
        filing = ordered.select("part", "keys", "due").with_row_index("start")
        runs = filing.group_by("part", maintain_order=True).agg(
            pl.col("start").first(), pl.len().alias("count"), pl.col("keys", "due").last()
        )
        segment = self._new_segment(name, ordered.select(self.empty[name].columns))
        self.database.executemany(
            f'INSERT INTO "{name}" VALUES (?, ?, ?, ?)',
            runs.select("part", pl.lit(segment), "start", "count").iter_rows(),
        )
        if name in self.filed:
            self.database.executemany(
                f'INSERT OR IGNORE INTO "{name}.keys" VALUES (?, ?)',
                runs.explode("keys").select("keys", "part").iter_rows(),
            )
        self.database.executemany(
            f'INSERT INTO "{name}.due" VALUES (?, ?) ON CONFLICT DO UPDATE SET due = excluded.due',
            runs.select("part", "due").iter_rows(),
        )

    def _new_segment(self, name: str, rows: pl.DataFrame) -> int:
        row = self.database.execute(
            'INSERT INTO segments (name, "rows") VALUES (?, ?)', (name, rows.height)
        )
        segment = row.lastrowid or 0
        self.segments.add(segment, rows)
        return segment

    def merge(self) -> None:
        """Merges the segments of a size class that has many; drops those nothing points to."""
        for name in self.schemas:
            self._drop_unused(name)
            sizes = self.database.execute(
                'SELECT id, "rows" FROM segments WHERE name = ? AND "rows" <= ?',
                (name, LARGEST_MERGED_ROWS),
            ).fetchall()
            classes: dict[int, list[int]] = {}
            for segment, rows in sizes:
                classes.setdefault(max(rows, 1).bit_length() // 3, []).append(segment)
            for segments in classes.values():
                if len(segments) >= MERGED_AT_ONCE:
                    self._merge(name, segments)

    def _merge(self, name: str, segments: list[int]) -> None:
        query = (
            f'SELECT part, segment, start, "count" FROM "{name}" '
            f"WHERE segment IN {LISTED} ORDER BY part, segment, start"
        )
        found = self.database.execute(query, (json.dumps(segments),)).fetchall()
        runs = pl.DataFrame(found, schema=RUNS, orient="row").with_row_index("run")
        empty = self.empty[name].with_columns(pl.lit(0, runs["run"].dtype).alias("run"))
        rows = pl.concat([empty, *self.segments.rows(runs)]).sort("run", maintain_order=True)
        merged = self._new_segment(name, rows.drop("run"))
        starts = runs["count"].cum_sum() - runs["count"]
        self.database.executemany(
            f'UPDATE "{name}" SET segment = ?, start = ? WHERE segment = ? AND start = ?',
            runs.select(
                pl.lit(merged), starts, "segment", pl.col("start").alias("was")
            ).iter_rows(),
        )
        self._drop_unused(name)

    def _drop_unused(self, name: str) -> None:
        gone = self.database.execute(
            "DELETE FROM segments WHERE name = ? AND NOT EXISTS "
            f'(SELECT 1 FROM "{name}" WHERE segment = segments.id) RETURNING id',
            (name,),
        ).fetchall()
        for (segment,) in gone:
            self.segments.drop(segment)

    def _check_version(self) -> None:
        """Refuses a state whose tables have other columns than this version's."""
        tables = {
            name: {c: str(kind) for c, kind in of.items()} for name, of in self.schemas.items()
        }
        if self.recall("tables", tables) != tables:
            raise StateError(
                f"{self.folder}: another version of attribeam wrote this state; drain it with that "
                "version (--drain), then start with a new --state folder"
            )
        self.note("tables", tables)

    def _make_tables(self) -> None:
        execute = self.database.execute
        execute("CREATE TABLE IF NOT EXISTS notes (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
        execute(
            "CREATE TABLE IF NOT EXISTS segments "
            '(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, "rows" INTEGER)'
        )
        for name in self.schemas:
            execute(
                f'CREATE TABLE IF NOT EXISTS "{name}" (part INTEGER NOT NULL, segment INTEGER '
                'NOT NULL, start INTEGER NOT NULL, "count" INTEGER NOT NULL, '
                "PRIMARY KEY (part, segment, start)) WITHOUT ROWID"
            )
            execute(f'CREATE INDEX IF NOT EXISTS "{name}.at" ON "{name}" (segment, start)')
            execute(
                f'CREATE TABLE IF NOT EXISTS "{name}.due" '
                "(part INTEGER PRIMARY KEY, due INTEGER NOT NULL)"
            )
            execute(f'CREATE INDEX IF NOT EXISTS "{name}.when" ON "{name}.due" (due)')
        for name in self.filed:
            execute(
                f'CREATE TABLE IF NOT EXISTS "{name}.keys" (key INTEGER NOT NULL, '
                "part INTEGER NOT NULL, PRIMARY KEY (key, part)) WITHOUT ROWID"
            )
            execute(f'CREATE INDEX IF NOT EXISTS "{name}.of" ON "{name}.keys" (part)')

    def _tables(self, name: str) -> tuple[str, ...]:
        """SQLite's tables that know of a table's parts, the one that `due` is in last."""
        keys = (f"{name}.keys",) if name in self.filed else ()
        return (name, *keys, f"{name}.due")


class StageState:
    """The state of one stage in a store."""

    def __init__(self, store: Store, stage: str) -> None:
        self.store = store
        self.stage = stage

    def load(self, table: str, keys: pl.Series) -> pl.DataFrame:
        return self.store.load(f"{self.stage}.{table}", keys)

    def ripe(self, table: str, watermark: int) -> pl.DataFrame:
        return self.store.ripe(f"{self.stage}.{table}", watermark)


def listed(numbers: pl.Series) -> str:
    """Numbers as the value that LISTED stands for."""
    return json.dumps(numbers.unique().to_list())
