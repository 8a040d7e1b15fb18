"""The wiring of keyed stages on a pipeline (FnApiRunner, pinned)."""

from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.testing.util import assert_that
from polars.testing import assert_frame_equal

from schemas.config import parse_config
from transforms.blocks import BlockStore
from transforms.stages import KeepRows, KeyedStage, Route, TableCoder
from transforms.steps import Step, Tables, count_rows

TestPipeline.__test__ = False

NUMBERS = {"account": pl.String, "name": pl.String, "number": pl.Int64}
WORDS = {"account": pl.String, "word": pl.String}


def numbers(*rows: tuple[str, str, int]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=NUMBERS, orient="row")


@dataclass
class Sums(Step):
    """The sum of each key's numbers, beside all words; which columns came."""

    def __call__(self, tables: Tables) -> Tables:
        sums = tables["numbers"].group_by("account", "name").agg(pl.col("number").sum())
        words = "".join(sorted(tables["words"]["word"].to_list()))
        return {
            "sums": sums.with_columns(words=pl.lit(words)),
            "schemas": pl.DataFrame({"columns": [str(tables["words"].schema)]}),
            "nothing": sums.clear(),
        }


def stage(
    shards: int, store: BlockStore, broadcast: dict[str, beam.PCollection] | None = None
) -> KeyedStage:
    routes = {
        "numbers": Route(("account", "name"), NUMBERS),
        "words": Route(("account",), WORDS),
    }
    step = Sums(parse_config({}), 0)
    return KeyedStage(step, routes, ("sums", "schemas", "nothing"), shards, store, broadcast or {})


def run_sums(
    shards: int, store: BlockStore, given: list[pl.DataFrame], words: list[pl.DataFrame]
) -> None:
    """Runs the stage on tables of numbers, the words broadcast, and compares its sums."""
    expected = {("a", "x"): 4, ("a", "y"): 2, ("b", "x"): 10}

    def check(found: list[pl.DataFrame]) -> None:
        rows = pl.concat(found).rows()
        assert sorted(rows) == [(*key, number, "go") for key, number in sorted(expected.items())]

    def check_none(found: list[pl.DataFrame]) -> None:
        assert found == []

    with TestPipeline("FnApiRunner") as pipeline:
        tables = pipeline | "Numbers" >> beam.Create(given, reshuffle=False)
        whole = pipeline | "Words" >> beam.Create(words, reshuffle=False)
        found = {"numbers": tables} | stage(shards, store, {"words": whole})
        assert_that(found.sums, check, label="sums")
        assert_that(found.nothing, check_none, label="nothing")


ALL = [("a", "x", 1), ("a", "y", 2), ("a", "x", 3), ("b", "x", 10)]
WORD_TABLES = [pl.DataFrame({"account": ["a"], "word": [word]}) for word in ("o", "g")]


@pytest.mark.parametrize("shards", [1, 2, 50])
@pytest.mark.parametrize("where", ["memory", "folder"])
def test_a_step_sees_all_rows_of_a_key_at_once(shards: int, where: str, tmp_path: Path) -> None:
    """Any number of shards and blocks gives one sum a key, and every shard sees the broadcast."""
    store = BlockStore(str(tmp_path) if where == "folder" else None)
    run_sums(shards, store, [numbers(row) for row in ALL], WORD_TABLES)
    run_sums(shards, store, [numbers(*ALL[:3]), numbers(), numbers(ALL[3])], WORD_TABLES)


def test_a_table_that_never_comes_is_empty_with_its_columns() -> None:
    """A step finds all its tables; those without rows have the route's schema."""

    def check(found: list[pl.DataFrame]) -> None:
        assert pl.concat(found)["columns"].unique().to_list() == [str(pl.Schema(WORDS))]

    with TestPipeline("FnApiRunner") as pipeline:
        tables = pipeline | beam.Create([numbers(*ALL)])
        found = {"numbers": tables} | stage(2, BlockStore())
        assert_that(found.schemas, check)


def test_two_tables_of_one_key_meet() -> None:
    """Rows of both tables of an account are in one call of the step, whatever their blocks."""
    routes = {"numbers": Route(("account",), NUMBERS), "words": Route(("account",), WORDS)}
    step = Sums(parse_config({}), 0)

    def check(found: list[pl.DataFrame]) -> None:
        rows = pl.concat(found).select("account", "words").unique().rows()
        assert len(rows) == 2
        assert {account: set(words) >= {account} for account, words in rows} == {
            "a": True,
            "b": True,
        }

    with TestPipeline("FnApiRunner") as pipeline:
        given = {
            "numbers": pipeline | "Numbers" >> beam.Create([numbers(row) for row in ALL]),
            "words": pipeline
            | "Words"
            >> beam.Create([pl.DataFrame({"account": [name], "word": [name]}) for name in "ab"]),
        }
        found = given | KeyedStage(step, routes, ("sums",), 7, BlockStore())
        assert_that(found.sums, check)


@pytest.mark.parametrize("shards", [0, -1])
def test_fewer_than_one_shard_is_refused(shards: int) -> None:
    """The graph cannot be built with no shard to put rows in."""
    with pytest.raises(ValueError, match="shards must be at least 1, not"):
        stage(shards, BlockStore())


def test_kept_rows_and_counts_go_their_own_ways() -> None:
    """A rule's rows go on and its counts beside them; empty tables of either do not."""

    def keep_even(rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        kept = rows.filter(pl.col("number") % 2 == 0)
        counts = count_rows("numbers", outside=rows.height - kept.height)
        return kept, counts.filter(pl.col("count") > 0)

    def check_kept(found: list[pl.DataFrame]) -> None:
        assert sorted(table["number"].to_list() for table in found) == [[2], [10]]

    def check_counts(found: list[pl.DataFrame]) -> None:
        assert [table.rows() for table in found] == [[("numbers", "outside", 2)]]

    with TestPipeline("FnApiRunner") as pipeline:
        given = [numbers(ALL[0], ALL[1], ALL[2]), numbers(ALL[3])]
        found = (
            pipeline
            | beam.Create(given)
            | beam.ParDo(KeepRows(keep_even)).with_outputs("counts", main="kept")
        )
        assert_that(found.kept, check_kept, label="kept")
        assert_that(found.counts, check_counts, label="counts")


def test_tables_travel_between_workers_unchanged() -> None:
    """The coder of tables gives back what it was given, and is the one that Beam finds."""
    coder = beam.coders.registry.get_coder(pl.DataFrame)
    assert isinstance(coder, TableCoder)
    assert_frame_equal(coder.decode(coder.encode(numbers(*ALL))), numbers(*ALL))
    assert not coder.is_deterministic()
    assert coder.estimate_size(numbers(*ALL)) > 0
