"""Beam's runners: where tables rest between stages, and that it shows in no row."""

from dataclasses import replace
from pathlib import Path

import apache_beam as beam
import polars as pl
import pytest
from backfill_runs import KINDS, NOW
from polars.testing import assert_frame_equal
from tables import KEY

from pipelines.backfill import (
    Backfill,
    UsageError,
    find_splits,
    local_options,
    make_plan,
    run_backfill,
)
from pipelines.graph import BackfillPlan, build
from pipelines.parquet import read_file, table_files
from schemas.config import load_config
from schemas.tables import TABLES
from transforms.decode import DecodeSettings


def plan_of(story: Path, staging: Path, *beam_options: str) -> BackfillPlan:
    """The plan of a backfill of the story that writes aside to a folder."""
    given = {f"{kind}s": [str(story / f"{kind}s.jsonl")] for kind in KINDS}
    asked = Backfill(
        **given,
        erasures=[],
        config=None,
        output=staging,
        now=NOW,
        shards=2,
        beam_options=beam_options,
    )
    settings = DecodeSettings(load_config(None), KEY, NOW)
    return make_plan(asked, find_splits(asked), settings, staging)


def rows_of_run(plan: BackfillPlan, *beam_options: str) -> dict[str, pl.DataFrame]:
    """The rows of every table that a run of the plan writes aside, in an order of their own."""
    with beam.Pipeline(options=local_options(beam_options)) as pipeline:
        build(pipeline, plan)
    rows = {}
    for name, table in TABLES.items():
        parts = [
            pl.DataFrame(read_file(file, table)) for file in table_files(Path(plan.staging), table)
        ]
        if parts:
            text = pl.struct(pl.all().exclude(pl.Binary)).struct.json_encode()
            rows[name] = pl.concat(parts).sort(text)
    return rows


@pytest.mark.parametrize(
    ("options", "is_shared"),
    [
        ((), True),
        (("--runner=FnApiRunner",), True),
        (("--runner", "directrunner"), True),
        (("--runner=BundleBasedDirectRunner",), True),
        (("--runner=PrismRunner",), True),
        (("--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",), True),
        (("--runner=DataflowRunner",), False),
        (("--runner", "FlinkRunner"), False),
    ],
)
def test_tables_rest_in_files_only_where_workers_share_them(
    story: Path, tmp_path: Path, options: tuple[str, ...], is_shared: bool
) -> None:
    """A worker on another machine gets the rows themselves, not the name of a file here."""
    plan = plan_of(story, tmp_path / "aside", *options)
    assert plan.blocks == (str(tmp_path / "aside" / "blocks") if is_shared else None)
    assert plan.store.folder == plan.blocks


def test_rows_that_travel_as_bytes_are_those_that_rest_in_files(
    story: Path, tmp_path: Path
) -> None:
    """How tables get from stage to stage shows in no row."""
    in_files = plan_of(story, tmp_path / "files")
    as_bytes = replace(plan_of(story, tmp_path / "bytes"), blocks=None)
    expected, found = rows_of_run(in_files), rows_of_run(as_bytes)
    assert expected["conversions"].height == 8
    assert expected.keys() == found.keys()
    for name, rows in expected.items():
        assert_frame_equal(found[name], rows)
    assert list((tmp_path / "files" / "blocks").iterdir())
    assert not (tmp_path / "bytes" / "blocks").exists()


def test_the_bundle_based_runner_gives_the_same_rows(story: Path, tmp_path: Path) -> None:
    """Many bundles at once, and each output of a step goes only where it belongs."""
    expected = rows_of_run(plan_of(story, tmp_path / "usual"))
    found = rows_of_run(plan_of(story, tmp_path / "bundles"), "--runner=BundleBasedDirectRunner")
    assert expected.keys() == found.keys()
    for name, rows in expected.items():
        assert_frame_equal(found[name], rows)


def test_a_runner_whose_workers_share_no_disk_is_refused(story: Path, tmp_path: Path):
    """Rows that workers elsewhere wrote aside could not be committed, so it is said before."""
    given = {f"{kind}s": [str(story / f"{kind}s.jsonl")] for kind in KINDS}
    asked = Backfill(
        **given,
        erasures=[],
        config=None,
        output=tmp_path / "warehouse",
        now=NOW,
        beam_options=["--runner=DataflowRunner"],
    )
    with pytest.raises(UsageError, match="Flex Template"):
        run_backfill(asked)
    assert not asked.output.exists()
