"""What a stream counts: kept in its transaction, so the ledger adds up after a kill, too."""

from collections import Counter
from typing import Any

import polars as pl

from pipelines.ledger import make_ledger
from pipelines.streaming.store import Store
from transforms.steps import COUNTS


class Counters:
    """Counts by kind and name, and what they say."""

    def __init__(self, store: Store) -> None:
        self.store = store
        store.database.execute(
            "CREATE TABLE IF NOT EXISTS counts (kind TEXT NOT NULL, name TEXT NOT NULL, "
            '"count" INTEGER NOT NULL, PRIMARY KEY (kind, name))'
        )
        store.commit()

    def add(self, counts: pl.DataFrame) -> None:
        """Adds counts (kind, name, count); they count from the store's next commit on."""
        totals: Counter[tuple[str, str]] = Counter()
        for kind, name, count in counts.iter_rows():
            totals[kind, name] += count
        self.store.database.executemany(
            "INSERT INTO counts VALUES (?, ?, ?) "
            'ON CONFLICT DO UPDATE SET "count" = "count" + excluded."count"',
            [(*key, count) for key, count in totals.items() if count],
        )

    def table(self) -> pl.DataFrame:
        """All counts: kind, name, count."""
        rows = self.store.database.execute('SELECT kind, name, "count" FROM counts').fetchall()
        return pl.DataFrame(rows, schema=COUNTS, orient="row")

    def ledger(self) -> dict[str, Any]:
        """The ledger, as in a backfill's report; `waiting`: calls that were never written yet."""
        report = make_ledger(self.table())
        waiting = self.store.database.execute(
            'SELECT COUNT(DISTINCT part) FROM "conversions.pending" '
            'WHERE part NOT IN (SELECT part FROM "conversions.written")'
        ).fetchone()[0]
        report["rows"]["conversions"]["waiting"] = waiting
        return report
