"""attribeam backfill: files of events to an attributed warehouse (SPEC sections 12, 13)."""

import datetime as dt
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import polars as pl
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from pipelines import progress
from pipelines.graph import INPUT_DAYS, BackfillPlan, build, read_notes
from pipelines.ledger import imbalances, make_ledger
from pipelines.outputs import OutputRun, open_output
from schemas.config import Config, load_config
from schemas.rules import rule_set
from schemas.tables import DEAD_LETTERS
from transforms.days import Days
from transforms.decode import DecodeSettings
from transforms.models import excluded_callers
from transforms.privacy import load_key
from transforms.reading import InputError, Split, list_splits
from transforms.settings import DAY, with_settings
from transforms.steps import COUNTS

# About this much input makes one shard; a shard's tables are in memory at once.
SHARD_BYTES = 256 << 20
# How much events usually shrink by gzip, zstd or in Parquet.
COMPRESSION = 6
# A share of dead letters that is no sender's rare mistake any more.
MANY_DEAD_LETTERS = 0.1
# Runners whose workers are on this machine, in lower case: Beam takes their names in any.
LOCAL_RUNNERS = frozenset(("fnapirunner", "directrunner", "bundlebaseddirectrunner", "prismrunner"))
# The kinds of events whose days a run replaces, by table.
VISITS = ["pageview", "engagement"]
EVENTS_OF = {
    "conversions": ["call"],
    **dict.fromkeys(("sessions", "displays", "pageviews", "engagements"), VISITS),
}


class UsageError(ValueError):
    """What was asked for cannot be done as asked; the message says what to do (exit code 2)."""


class TooManyDeadLetters(Exception):
    """More dead letters than allowed (exit code 3)."""


@dataclass(frozen=True)
class Backfill:
    """What was asked for; now: us; first, end: days from (inclusive) to (exclusive)."""

    pageviews: Sequence[str]
    engagements: Sequence[str]
    calls: Sequence[str]
    erasures: Sequence[str]
    config: Path | None
    output: Path | str
    now: int
    first: dt.date | None = None
    end: dt.date | None = None
    detail: bool = False
    max_dead_letters: int | None = None
    keep_expired: bool = False
    short_history: bool = False
    shards: int | None = None
    beam_options: Sequence[str] = ()


def run_backfill(asked: Backfill) -> dict[str, Any]:
    """Runs a backfill and commits its rows; the run's report.

    Raises ConfigError, KeyMissing, UsageError, InputError, OutputError, TooManyDeadLetters; the
    warehouse is then as it was.
    """
    began = time.monotonic()
    _check_runner(asked.beam_options)
    config = load_config(asked.config)
    settings = DecodeSettings(config, load_key(), asked.now)
    splits = find_splits(asked)
    with open_output(asked.output, config, asked.beam_options).open_run() as run:
        progress.expect(sum(split_bytes(split) for split in splits))
        plan = make_plan(asked, splits, settings, run.staging)
        with beam.Pipeline(options=local_options(asked.beam_options)) as pipeline:
            build(pipeline, plan)
        with _removed(plan.blocks):
            report = make_ledger(read_notes(run.staging, "counts", COUNTS))
            _check_counts(report, asked)
            replaced = _replaced(run, asked, config, report)
            report["rule_set"] = rule_set()
            report["seconds"] = round(time.monotonic() - began, 3)
            run.commit(replaced, report)
    return report


@contextmanager
def _removed(folder: str | None) -> Iterator[None]:
    """Removes a folder that is of no more use while its body runs: it may hold gigabytes."""
    with ThreadPoolExecutor(1) as thread:
        if folder is not None:
            thread.submit(shutil.rmtree, folder, ignore_errors=True)
        yield


def find_splits(asked: Backfill) -> list[Split]:
    """The input's parts; a file's kind is that of the flag that gave it.

    Raises InputError where a flag gives no file or empty files only.
    """
    given = {
        "pageview": asked.pageviews,
        "engagement": asked.engagements,
        "call": asked.calls,
        "erasure": asked.erasures,
    }
    splits = {kind: list_splits(paths, kind) for kind, paths in given.items() if paths}
    for kind, found in splits.items():
        if not found:
            raise _empty(given[kind], kind)
    return [split for found in splits.values() for split in found]


def _empty(paths: Sequence[str], kind: str) -> InputError:
    return InputError(
        f"{', '.join(paths)}: empty; expected {kind} events, one JSON object a line; "
        "give the files that hold them"
    )


def split_bytes(split: Split) -> int:
    """The bytes of a split as they are decoded; of a compressed local file an estimate."""
    if split.end is not None:
        return split.end - split.start
    path = Path(split.path)
    return path.stat().st_size * COMPRESSION if path.exists() else 0


def make_plan(
    asked: Backfill, splits: list[Split], settings: DecodeSettings, staging: Path
) -> BackfillPlan:
    """The plan of the graph; as many shards as the input's size asks for."""
    size = sum(split_bytes(split) for split in splits)
    return BackfillPlan(
        splits=tuple(splits),
        settings=settings,
        days=Days(settings.config, asked.now, asked.first, asked.end, asked.keep_expired),
        excluded=excluded_callers(settings.config, settings.key),
        staging=str(staging),
        blocks=str(staging / "blocks") if runs_here(asked.beam_options) else None,
        shards=asked.shards or 1 + size // SHARD_BYTES,
        detail=asked.detail,
    )


def local_options(given: Sequence[str]) -> PipelineOptions:
    """Beam's options; without a runner, the local one that is tested (FnApiRunner)."""
    named = any(option.split("=")[0] == "--runner" for option in given)
    return PipelineOptions([*given] if named else ["--runner=FnApiRunner", *given])


def _check_runner(beam_options: Sequence[str]) -> None:
    runner = local_options(beam_options).view_as(StandardOptions).runner
    if "dataflow" in runner.lower():
        raise UsageError(
            f"--runner={runner}: a backfill commits what its workers wrote aside, so they must "
            "share a disk; on Google Cloud launch the Flex Template (docs/deploy.md)"
        )


def runs_here(beam_options: Sequence[str]) -> bool:
    """Whether all workers of a run are on this machine, and so share its files."""
    runner = local_options(beam_options).view_as(StandardOptions).runner
    return runner.rpartition(".")[2].lower() in LOCAL_RUNNERS


def _check_counts(report: dict[str, Any], asked: Backfill) -> None:
    wrong = imbalances(report)
    if wrong:
        raise RuntimeError("events were lost or doubled, please report this: " + "; ".join(wrong))
    for kind, paths in (("pageview", asked.pageviews), ("call", asked.calls)):
        if not report["ledger"][kind]["read"]:
            raise _empty(paths, kind)
    calls = report["rows"]["conversions"]
    if (asked.first or asked.end) and not calls["written"] + calls["expired"]:
        raise UsageError(
            f"no calls from {asked.first or 'the beginning'} to {asked.end or 'the end'} "
            f"({calls['outside']} calls lie outside); check --from and --to; nothing was written"
        )
    dead = sum(report["dead_letters"].values())
    if asked.max_dead_letters is not None and dead > asked.max_dead_letters:
        raise TooManyDeadLetters(
            f"{dead} dead letters, {asked.max_dead_letters} allowed (--max-dead-letters): "
            f"{report['dead_letters']}; nothing was written"
        )


def _replaced(
    run: OutputRun, asked: Backfill, config: Config, report: dict[str, Any]
) -> pl.DataFrame:
    """What the run replaces (table, account, day), with warnings added to the report.

    Of each account: the days its input has events of, calls for conversions and visits for the
    other tables, even where their rows have moved away; and every day of a range with both ends.
    Raises UsageError on short history.
    """
    keys = ["table", "account", "day"]
    existing = run.existing().select(keys).filter(pl.col("table") != DEAD_LETTERS.name)
    input_days = read_notes(run.staging, "days", INPUT_DAYS)
    begins = input_days.group_by("account").agg(pl.min("begins"))
    days = Days(config, asked.now, asked.first, asked.end, asked.keep_expired)
    tables = pl.DataFrame(list(EVENTS_OF.items()), schema=["table", "kind"], orient="row")
    covered = tables.explode("kind").join(input_days, on="kind").select(keys)
    if asked.first is not None and asked.end is not None:
        covered = pl.concat([covered, existing.join(begins, on="account", how="semi")])
    written = days.written(covered.unique())
    history = _check_history(written, existing, begins, asked, config)
    report["warnings"] = [*history, *_warnings(report)]
    return written


def _warnings(report: dict[str, Any]) -> list[str]:
    """What was left out and might be missed."""
    warnings = []
    expired = {table: n["expired"] for table, n in report["rows"].items() if n["expired"]}
    erasures = report["ledger"]["erasure"]["accepted"]
    if expired:
        rows = ", ".join(f"{count} {table}" for table, count in expired.items())
        warnings.append(
            f"of days that have expired (retention_days) {rows} were not written; "
            "--keep-expired writes them"
        )
    if erasures:
        warnings.append(f"erasure requests are not applied by this version; read: {erasures}")
    dead, read = (
        sum(counts[name] for counts in report["ledger"].values())
        for name in ("dead_letters", "read")
    )
    if dead > MANY_DEAD_LETTERS * read:
        warnings.append(
            f"{dead} of {read} events could not be used: {report['dead_letters']}; "
            "see the table dead_letters, and whether each option got the files meant for it"
        )
    return warnings


def _check_history(
    covered: pl.DataFrame,
    existing: pl.DataFrame,
    begins: pl.DataFrame,
    asked: Backfill,
    config: Config,
) -> list[str]:
    dated = covered.filter(pl.col("table") != DEAD_LETTERS.name).join(begins, on="account")
    dated = with_settings(dated, config, days=lambda account: account.lookback_days)
    history = pl.col("day").cast(pl.Int64) * DAY - pl.col("begins")
    short = dated.filter(history < pl.col("days") * DAY)
    replacing = short.join(existing, on=["table", "account", "day"], how="semi")
    if replacing.height and not asked.short_history:
        raise UsageError(
            f"{_span(replacing)} of account {replacing.row(0, named=True)['account']} already has "
            "rows, and the input begins less than lookback_days before it: repeat callers, "
            "touchpoints and kept "
            "numbers would be lost. Give more input, a later --from, or --short-history to replace "
            "it all the same; nothing was written"
        )
    if short.height:
        return [
            f"{_span(short)}: the input begins less than lookback_days before; earlier calls, "
            "touchpoints and kept numbers from before are not known there"
        ]
    return []


def _span(rows: pl.DataFrame) -> str:
    days = sorted({str(day) for day in rows["day"]})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
