"""Tables as bytes between stages, and their shards."""

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tables import showings

from transforms.blocks import BlockStore, gather, shard_of, split_shards

KEYS = ("account", "visitor_id")
ROWS = pl.DataFrame(
    {
        "account": ["a", "a", "b", None, "a", "ø"] * 50,
        "visitor_id": [f"v{n % 37}" for n in range(300)],
        "number": range(300),
    }
)


@pytest.mark.parametrize("where", ["memory", "folder"])
def test_a_table_comes_back_as_it_went(where: str, tmp_path: Path) -> None:
    """Rows and types, nested ones too, survive packing; an empty table does."""
    store = BlockStore(str(tmp_path / "new" / "blocks") if where == "folder" else None)
    for table in (ROWS, showings({}, {"engaged_times": [1, 2]}), showings()):
        assert_frame_equal(store.unpack(store.pack(table)), table)


def test_in_a_folder_only_the_name_travels(tmp_path: Path) -> None:
    """Memory does not grow with the rows of blocks that rest in files; each has its own."""
    store = BlockStore(str(tmp_path))
    packed = [store.pack(ROWS), store.pack(ROWS)]
    assert len(set(packed)) == len(list(tmp_path.iterdir())) == 2
    assert max(map(len, packed)) < 300


def test_every_row_is_in_one_shard_and_every_key_too() -> None:
    """The shards are a partition of the rows, and rows of one key are together."""
    parts = dict(split_shards(ROWS, KEYS, 7))
    assert set(parts) <= set(range(7))
    assert_frame_equal(pl.concat(parts.values()).sort("number"), ROWS)
    keys = [set(part.select(KEYS).rows()) for part in parts.values()]
    assert sum(map(len, keys)) == len(set().union(*keys))


def test_a_shard_depends_on_the_key_alone() -> None:
    """Whatever rows stand beside it, and in every process, a key has the same shard."""
    whole = ROWS.select(shard_of(KEYS, 5)).to_series()
    single = [ROWS[n : n + 1].select(shard_of(KEYS, 5)).item() for n in range(40)]
    assert single == whole.head(40).to_list()
    assert whole.n_unique() == 5


def test_a_key_without_its_last_part_has_a_shard() -> None:
    """A null is left out of the key, and such a row is not lost."""
    rows = pl.DataFrame({"account": ["a", "a"], "caller_key": [None, "k"]})
    parts = list(split_shards(rows, ("account", "caller_key"), 1000))
    assert sum(part.height for _, part in parts) == 2


def test_one_shard_is_the_table_itself() -> None:
    """Nothing is hashed where there is nothing to split; no rows give no shard."""
    ((shard, rows),) = split_shards(ROWS, KEYS, 1)
    assert shard == 0
    assert rows is ROWS
    assert list(split_shards(ROWS.head(0), KEYS, 3)) == []


def test_gathering_nothing_gives_an_empty_table_of_the_schema() -> None:
    """A step always finds its columns; what there is comes one after the other."""
    assert gather([], ROWS.schema).schema == ROWS.schema
    assert_frame_equal(gather(iter([ROWS.head(2), ROWS[2:4]]), ROWS.schema), ROWS.head(4))
