"""Rows on their way to the warehouse: kept by the stream's transaction until they are there.

Rows are put in with the state that they follow from, and taken out once the warehouse has them. A
shipment is decided in the database before it is sent, so after a kill the same rows go again under
the same name, and the warehouse replaces what it may have of them.
"""

from pathlib import Path
from typing import Any, Protocol

import polars as pl

from pipelines.journal import sync_path
from pipelines.streaming.store import Store

OUTBOX = "outbox"
# So many rows are in memory at once after the warehouse was busy for long.
SHIPPED_ROWS = 200_000


class Sink(Protocol):
    """Where rows go."""

    def append(self, name: str, rows: dict[str, pl.DataFrame], report: dict[str, Any]) -> None:
        """Appends rows by table; the same name again replaces what it appended before.

        Raises SinkBusy where it has to be tried again later.
        """
        ...


class SinkBusy(Exception):
    """The warehouse takes no rows now; the message says why. They stay and go later."""


class Outbox:
    """The rows that the warehouse has not confirmed, in files beside the store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.folder = store.folder / OUTBOX
        self.folder.mkdir(exist_ok=True)
        self._execute = store.database.execute
        self._execute(
            "CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, "
            'name TEXT NOT NULL, "rows" INTEGER NOT NULL, shipment INTEGER)'
        )
        store.commit()
        self._remove_strays()

    def put(self, table: str, rows: pl.DataFrame) -> None:
        """Adds rows of a table; they count from the store's next commit on."""
        if rows.is_empty():
            return
        row = self._execute('INSERT INTO outbox (name, "rows") VALUES (?, ?)', (table, rows.height))
        path = self._path(row.lastrowid or 0)
        rows.write_ipc(path, compression="lz4")
        sync_path(path)

    def waiting(self) -> int:
        """How many rows the warehouse has not confirmed."""
        return int(self._execute('SELECT COALESCE(SUM("rows"), 0) FROM outbox').fetchone()[0])

    def ship(self, sink: Sink, report: dict[str, Any]) -> int:
        """Sends what is waiting, or the first SHIPPED_ROWS of it, and takes it out once it has
        arrived; how many rows went.

        Raises what the sink raises; the rows then stay.
        """
        query = "SELECT MIN(shipment) FROM outbox WHERE shipment IS NOT NULL"
        shipment = self._execute(query).fetchone()[0] or self._decide()
        if shipment is None:
            return 0
        query = 'SELECT id, name, "rows" FROM outbox WHERE shipment = ? ORDER BY id'
        entries = self._execute(query, (shipment,)).fetchall()
        rows: dict[str, list[pl.DataFrame]] = {}
        for entry, table, _ in entries:
            rows.setdefault(table, []).append(pl.read_ipc(self._path(entry)))
        sink.append(
            f"{self.store.name}-{shipment:010}",
            {table: pl.concat(parts) for table, parts in rows.items()},
            report,
        )
        self._execute("DELETE FROM outbox WHERE shipment = ?", (shipment,))
        self.store.commit()
        for entry, _, _ in entries:
            self._path(entry).unlink(missing_ok=True)
        return sum(count for *_, count in entries)

    def _decide(self) -> int | None:
        """Decides what goes next: up to which entry, None where nothing is waiting."""
        shipment, total = None, 0
        for entry, count in self._execute('SELECT id, "rows" FROM outbox ORDER BY id').fetchall():
            if shipment is not None and total + count > SHIPPED_ROWS:
                break
            shipment, total = entry, total + count
        if shipment is not None:
            self._execute("UPDATE outbox SET shipment = ? WHERE id <= ?", (shipment, shipment))
            self.store.commit()
        return shipment

    def _path(self, entry: int) -> Path:
        return self.folder / f"{entry}.arrow"

    def _remove_strays(self) -> None:
        """Removes files that a killed process left: not committed, or already confirmed."""
        known = {row[0] for row in self._execute("SELECT id FROM outbox")}
        for path in self.folder.glob("*.arrow"):
            if int(path.stem) not in known:
                path.unlink()
