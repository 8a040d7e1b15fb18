"""Rows on their way to the warehouse: none lost, none twice, whatever the sink does."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from pipelines.output import OutputError
from pipelines.streaming.outbox import Outbox, SinkBusy
from pipelines.streaming.store import Store

STAGES = {"s": SimpleNamespace(tables={"t": {"value": pl.Int64}}, filed=frozenset())}


class Shelf:
    """A sink that keeps rows by name; fails once before or after keeping them."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, list[int]]] = {}
        self.fails: tuple[str, Exception] | None = None
        self.names: list[str] = []

    def append(self, name: str, rows: dict[str, pl.DataFrame], report: dict[str, Any]) -> None:
        del report
        self.names.append(name)
        when, error = self.fails or ("", None)
        if when == "before":
            raise error
        self.kept[name] = {table: part["value"].to_list() for table, part in rows.items()}
        if when == "after":
            raise error

    def rows(self, table: str) -> list[int]:
        """All rows of a table, by name of shipment."""
        return [value for _, part in sorted(self.kept.items()) for value in part.get(table, [])]


def opened(folder: Path) -> Outbox:
    return Outbox(Store(folder, STAGES))


def put(outbox: Outbox, table: str, *values: int) -> None:
    outbox.put(table, pl.DataFrame({"value": values}, schema={"value": pl.Int64}))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "outbox").iterdir())


def test_what_is_put_goes_once_and_in_order(tmp_path: Path):
    """Rows of several commits go together, by table; afterwards nothing waits and no file stays."""
    outbox, shelf = opened(tmp_path), Shelf()
    put(outbox, "a", 1, 2)
    put(outbox, "b", 10)
    outbox.store.commit()
    put(outbox, "a", 3)
    put(outbox, "b")
    outbox.store.commit()
    assert outbox.waiting() == 4
    assert outbox.ship(shelf, {}) == 4
    assert (shelf.rows("a"), shelf.rows("b")) == ([1, 2, 3], [10])
    assert (outbox.waiting(), files(tmp_path)) == (0, [])
    assert outbox.ship(shelf, {}) == 0
    assert len(shelf.names) == 1


def test_what_is_rolled_back_never_goes(tmp_path: Path):
    """Rows belong to the commit that they were put with."""
    outbox, shelf = opened(tmp_path), Shelf()
    put(outbox, "a", 1)
    outbox.store.rollback()
    put(outbox, "a", 2)
    outbox.store.commit()
    outbox.ship(shelf, {})
    assert shelf.rows("a") == [2]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [SinkBusy("busy"), OutputError("full")])
@pytest.mark.parametrize("again", [False, True])
def test_a_shipment_that_failed_goes_again_as_it_was(
    tmp_path: Path, when: str, error: Exception, again: bool
):
    """Under the same name and with the same rows, though others came, also by a new process."""
    outbox, shelf = opened(tmp_path), Shelf()
    put(outbox, "a", 1)
    outbox.store.commit()
    shelf.fails = (when, error)
    with pytest.raises(type(error)):
        outbox.ship(shelf, {})
    put(outbox, "a", 2)
    outbox.store.commit()
    if again:
        outbox.store.close()
        outbox = opened(tmp_path)
    assert outbox.waiting() == 2
    shelf.fails = None
    assert outbox.ship(shelf, {}) == 1
    assert outbox.ship(shelf, {}) == 1
    assert shelf.rows("a") == [1, 2]
    assert shelf.names[0] == shelf.names[1] != shelf.names[2]


def test_names_of_two_streams_never_meet(tmp_path: Path):
    """Shipments of another state folder have other names, so neither replaces the other's."""
    shelf = Shelf()
    for name in ("one", "two"):
        outbox = opened(tmp_path / name)
        put(outbox, "a", 1)
        outbox.store.commit()
        outbox.ship(shelf, {})
    assert len(set(shelf.names)) == 2
    assert shelf.rows("a") == [1, 1]


def test_files_of_a_killed_process_are_removed(tmp_path: Path):
    """What was put without a commit, and what was confirmed, leaves no file behind."""
    outbox = opened(tmp_path)
    put(outbox, "a", 1)
    outbox.store.commit()
    put(outbox, "a", 2)
    outbox.store.close()
    assert files(tmp_path) == ["1.arrow", "2.arrow"]
    (tmp_path / "outbox" / "99.arrow").write_bytes(b"half")
    again = opened(tmp_path)
    assert files(tmp_path) == ["1.arrow"]
    assert again.waiting() == 1


def test_much_that_waited_goes_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A shipment has no more rows than fit in memory; the next has the rest, and none is lost."""
    monkeypatch.setattr("pipelines.streaming.outbox.SHIPPED_ROWS", 3)
    outbox, shelf = opened(tmp_path), Shelf()
    for first in (0, 2, 4):
        put(outbox, "conversions", first, first + 1)
    outbox.store.commit()
    assert [outbox.ship(shelf, {}) for _ in range(4)] == [2, 2, 2, 0]
    assert shelf.rows("conversions") == [0, 1, 2, 3, 4, 5]
