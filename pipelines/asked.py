"""What a backfill was asked for: its options and Beam's, by the command line or a template."""

import argparse
import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.backfill import Backfill, UsageError
from pipelines.bigquery.names import is_bigquery
from pipelines.options import backfill_flags, clock


def asked_of(options: argparse.Namespace, beam_options: Sequence[str]) -> Backfill:
    """What the options of `attribeam backfill` ask for. Raises UsageError."""
    if "://" in options.output and not is_bigquery(options.output):
        raise UsageError(
            f"--output {options.output}: write a local folder or bigquery://PROJECT[/LOCATION]"
        )
    if options.first and options.end and options.first >= options.end:
        raise UsageError(f"--from {options.first} must be before --to {options.end}")
    return Backfill(
        pageviews=options.pageviews,
        engagements=options.engagements,
        calls=options.calls,
        erasures=options.erasures,
        config=options.config,
        output=options.output if is_bigquery(options.output) else Path(options.output),
        now=options.now if options.now is not None else clock(),
        first=options.first,
        end=options.end,
        detail=options.detail,
        max_dead_letters=options.max_dead_letters,
        keep_expired=options.keep_expired,
        short_history=options.short_history,
        shards=options.shards,
        beam_options=beam_options,
    )


def check_beam_options(given: Sequence[str]) -> None:
    """Refuses options that neither attribeam nor Beam knows: UsageError names the closest."""
    known = _beam_flags(PipelineOptions) if given else set()
    for flag in (option.split("=")[0] for option in given):
        if flag not in known and (flag.startswith("-") or not known & set(given)):
            near = difflib.get_close_matches(flag, [*backfill_flags(), *known], n=1)
            hint = f"did you mean {near[0]}?" if near else "see attribeam backfill --help"
            raise UsageError(f"unknown option {flag}: {hint}")


def _beam_flags(options: type[Any]) -> set[str]:
    flags: set[str] = set()
    for kind in options.__subclasses__():
        parser = argparse.ArgumentParser(add_help=False, conflict_handler="resolve")
        kind._add_argparse_args(parser)
        flags |= set(re.findall(r"--\w+", parser.format_help())) | _beam_flags(kind)
    return flags
