"""The durable state of a stream beside the same state in memory, and after kills."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from pipelines.streaming import store as module
from pipelines.streaming.segments import FOLDER
from pipelines.streaming.store import StateError, Store
from transforms.streaming.state import FILING, Change, MemoryState, change

COLUMNS = {"value": pl.Int64, "words": pl.List(pl.String)}
TABLES = {"plain": COLUMNS, "filed": COLUMNS | {"note": pl.String}}
STAGES = {"s": SimpleNamespace(tables=TABLES, filed=frozenset(["filed"]))}
PARTS, KEYS, DUES = range(30), range(100, 130), range(1000)
KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.streaming import segments, store as module
import test_store
store = module.Store(Path(sys.argv[1]), test_store.STAGES)
test_store.fill(store, 3)
point, where = sys.argv[2:]
place = {"sync": (segments, "sync_path"), "unlink": (Path, "unlink")}[point]
plain = getattr(*place)
def die(*arguments, **named):
    if where in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGKILL)
    return plain(*arguments, **named)
setattr(*place, die)
test_store.fill(store, 8)
store.merge()
store.commit()
print("alive")
"""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MERGED_AT_ONCE", 3)
    monkeypatch.setattr(module, "LARGEST_MERGED_ROWS", 64)


def random_change(table: str, draw: random.Random) -> Change:
    """Parts cleared, some of them with new rows, others with more rows or another due."""
    cleared = draw.sample(PARTS, draw.randint(0, 4))
    rows = [
        {
            "value": draw.randrange(100),
            "words": draw.sample(["a", "b", "c"], draw.randint(0, 3)),
            "note": draw.choice([None, "x", "long " * 20]),
            "part": part,
            "due": due,
            "keys": keys,
        }
        for part in cleared + ([] if table == "filed" else draw.sample(PARTS, 2))
        for due in [draw.choice(DUES)]
        for keys in [draw.sample(KEYS, draw.randint(1, 3)) if table == "filed" else [part]]
        for _ in range(draw.randint(0, 5))
    ]
    untouched = sorted({*PARTS} - {*cleared} - {row["part"] for row in rows})
    lasting = [{"part": part, "due": draw.choice(DUES)} for part in draw.sample(untouched, 2)]
    return change(
        pl.DataFrame(rows, schema=TABLES[table] | FILING),
        pl.Series(cleared, dtype=pl.Int64),
        pl.DataFrame(lasting, schema={"part": pl.Int64, "due": pl.Int64}),
    )


def fill(store: Store, commits: int) -> None:
    """Rows in so many commits, one of each the part that the next replaces."""
    for number in range(commits):
        for part in (1, 10 + number):
            row = {"value": number, "words": ["w"], "note": None}
            row |= {"part": part, "due": 10, "keys": [100]}
            rows = pl.DataFrame([row], schema=TABLES["filed"] | FILING)
            store.apply("s", {"filed": change(rows, rows["part"])})
        store.commit()


def equal(one: pl.DataFrame, other: pl.DataFrame) -> None:
    columns = sorted(one.columns)
    order = ["part", "value", "words", *(["note"] if "note" in columns else [])]
    assert_frame_equal(one.select(columns).sort(order), other.select(columns).sort(order))


def compare(store: Store, memory: MemoryState, draw: random.Random) -> None:
    """Everything, and what some keys and a watermark find."""
    state = store.of("s")
    for table in TABLES:
        every = KEYS if table == "filed" else PARTS
        for keys in (list(every), draw.sample(every, 5), []):
            wanted = pl.Series(keys, dtype=pl.Int64)
            equal(state.load(table, wanted), memory.load(table, wanted))
        for watermark in (0, draw.choice(DUES), 2000):
            equal(state.ripe(table, watermark), memory.ripe(table, watermark))


@pytest.mark.parametrize("seed", range(3))
def test_the_store_holds_what_the_memory_holds(tmp_path: Path, seed: int):
    """Whatever is applied, dropped, merged, committed, rolled back, and after opening it again."""
    draw = random.Random(seed)
    store, memory = Store(tmp_path, STAGES), MemoryState(TABLES)
    committed: dict[str, Any] = dict(memory.tables)
    for _ in range(90):
        action = draw.choices(
            ["apply", "commit", "merge", "expire", "rollback", "reopen"], [10, 4, 3, 1, 1, 1]
        )[0]
        if action == "apply":
            changes = {table: random_change(table, draw) for table in TABLES}
            store.apply("s", changes)
            memory.apply(changes)
        elif action == "commit":
            store.commit()
            committed = dict(memory.tables)
        elif action == "merge":
            store.merge()
        elif action == "expire":
            watermark = draw.choice(DUES) // 4
            store.expire(watermark)
            memory.expire(watermark)
        elif action == "rollback":
            store.rollback()
            memory.tables = dict(committed)
        else:
            store.close()
            store = Store(tmp_path, STAGES)
            memory.tables = dict(committed)
        compare(store, memory, draw)
    store.close()


def test_files_that_nothing_points_to_disappear(tmp_path: Path):
    """Once all parts are dropped, a merge and a commit leave no file of rows."""
    store = Store(tmp_path, STAGES)
    fill(store, 5)
    store.merge()
    store.commit()
    assert 1 <= len(list((tmp_path / FOLDER).iterdir())) < 10
    store.expire(11)
    store.merge()
    store.commit()
    assert list((tmp_path / FOLDER).iterdir()) == []
    store.close()


@pytest.mark.parametrize(
    ("point", "where", "kept"),
    [("sync", ".arrow", 3), ("sync", FOLDER, 3), ("unlink", ".arrow", 8)],
)
def test_a_killed_process_leaves_no_stray(tmp_path: Path, point: str, where: str, kept: int):
    """Killed while it writes files, before its commit, or before it removes what it merged."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path, point, where],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(Path(__file__).parent)])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    store = Store(tmp_path, STAGES)
    rows = store.of("s").load("filed", pl.Series([100]))
    assert set(rows["part"]) == {1, *range(10, 10 + kept)}
    known = {row[0] for row in store.database.execute("SELECT id FROM segments")}
    assert {int(path.stem) for path in (tmp_path / FOLDER).iterdir()} == known
    store.close()


def test_a_second_process_never_gets_between_two_commits(tmp_path: Path):
    """The folder is held all the time, also in the moment between commits."""
    store = Store(tmp_path, STAGES)
    for _ in range(5):
        with pytest.raises(StateError, match="another stream is using this state"):
            Store(tmp_path, STAGES)
        fill(store, 5)
    store.close()
    Store(tmp_path, STAGES).close()


def test_a_state_of_other_columns_is_refused(tmp_path: Path):
    """A state that another version wrote is not misread: it says what to do."""
    Store(tmp_path, STAGES).close()
    other = {"s": SimpleNamespace(tables={"plain": COLUMNS}, filed=frozenset())}
    with pytest.raises(StateError, match="another version of attribeam wrote this state"):
        Store(tmp_path, other)


def test_what_is_no_state_is_refused(tmp_path: Path):
    """A file of another kind in its place is left alone."""
    (tmp_path / "state.db").write_text("something else, and long enough to be no database" * 100)
    with pytest.raises(StateError, match="this is no state of a stream"):
        Store(tmp_path, STAGES)
    assert (tmp_path / "state.db").read_text().startswith("something else")
