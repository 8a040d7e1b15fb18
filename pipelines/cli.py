"""The command attribeam: reads the options, runs a command, turns errors into words and exit codes.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 more dead letters than allowed.
Progress goes to stderr, results to stdout.
"""

import argparse
import json
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from pipelines.options import DEAD_LETTERS, FAILED, USAGE, clock, make_parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command and exits with its code."""
    parser = make_parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and options.command not in ("backfill", "stream", "deploy-check"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    sys.exit(COMMANDS[options.command](options, rest))


def backfill(options: argparse.Namespace, beam_options: Sequence[str]) -> int:
    """`attribeam backfill`."""
    from pipelines import backfill as pipeline
    from pipelines.asked import asked_of, check_beam_options
    from pipelines.output import OutputError
    from pipelines.progress import show_progress
    from pipelines.summary import print_summary
    from schemas.config import ConfigError
    from transforms.privacy import KeyMissing
    from transforms.reading import InputError

    # Beam logs a traceback of what is raised anyway, and what is raised is put into words below.
    logging.basicConfig(level=os.environ.get("ATTRIBEAM_LOG", "ERROR").upper())
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    try:
        check_beam_options(beam_options)
        asked = asked_of(options, beam_options)
        with show_progress():
            report = pipeline.run_backfill(asked)
    except (ConfigError, KeyMissing, pipeline.UsageError) as error:
        return _fail(error, USAGE)
    except (InputError, OutputError) as error:
        return _fail(error, FAILED)
    except pipeline.TooManyDeadLetters as error:
        return _fail(error, DEAD_LETTERS)
    except Exception as error:
        return _fail_unexpectedly(error)
    for warning in report["warnings"]:
        print(f"attribeam: warning: {warning}", file=sys.stderr)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print_summary(report, asked.output)
    return 0


def stream(options: argparse.Namespace, beam_options: Sequence[str]) -> int:
    """`attribeam stream`: on this machine, or started on the runner that Beam's options name."""
    if any(option.split("=")[0] == "--runner" for option in beam_options):
        return _launch_stream(options, beam_options)
    from pipelines.options_stream import STATE
    from pipelines.output import OutputError
    from pipelines.pubsub import SourceError
    from pipelines.stream import Stream, run_stream
    from pipelines.streaming.store import StateError
    from pipelines.summary import print_stream_summary
    from schemas.config import ConfigError
    from transforms.privacy import KeyMissing

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("pipelines").setLevel(os.environ.get("ATTRIBEAM_LOG", "INFO").upper())
    if options.state is None and "://" in options.output:
        return _fail(ConfigError(f"--output {options.output} needs --state, a folder"), USAGE)
    asked = Stream(
        subscription=options.subscription,
        output=options.output,
        state=options.state or Path(options.output) / STATE,
        config=options.config,
        drain=options.drain,
        metrics_port=options.metrics_port,
        region=_region(beam_options),
    )
    try:
        report = run_stream(asked)
    except (ConfigError, KeyMissing) as error:
        return _fail(error, USAGE)
    except (SourceError, StateError, OutputError) as error:
        return _fail(error, FAILED)
    except Exception as error:
        return _fail_unexpectedly(error)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        print_stream_summary(report, options.output)
    return 0


def _region(beam_options: Sequence[str]) -> str | None:
    """Beam's --region: where this machine is. Exits where another option is given."""
    parser = argparse.ArgumentParser(prog="attribeam stream", add_help=False, allow_abbrev=False)
    parser.add_argument("--region")
    region: str | None = parser.parse_args(list(beam_options)).region
    return region


def _launch_stream(options: argparse.Namespace, beam_options: Sequence[str]) -> int:
    """Starts the stream as a job, as its Flex Template does."""
    from pipelines.flex import main as launch

    config = [f"--config={options.config}"] if options.config else []
    asked = [f"--subscription={options.subscription}", f"--output={options.output}", *config]
    launch(["--command=stream", *asked, *beam_options])
    return 0


def explain(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`attribeam explain`."""
    from pipelines.explain import ExplainError
    from pipelines.explain import explain as explain_call
    from schemas.config import ConfigError, load_config

    try:
        config = load_config(options.config)
        print(explain_call(options.call_id, options.output, config, options.account, options.json))
    except ConfigError as error:
        return _fail(error, USAGE)
    except ExplainError as error:
        return _fail(error, FAILED)
    return 0


def _fail_unexpectedly(error: Exception) -> int:
    """Says where, not what: the words of an unknown error may hold somebody's values."""
    if logging.getLogger().isEnabledFor(logging.DEBUG):
        raise error
    where = traceback.extract_tb(error.__traceback__)[-1]
    print(
        f"attribeam: error: unexpected {type(error).__name__} at {Path(where.filename).name}:"
        f"{where.lineno}; the output is as it was. Please report this with the run's options; "
        "ATTRIBEAM_LOG=DEBUG shows all, your data included",
        file=sys.stderr,
    )
    return FAILED


def _fail(error: Exception, code: int) -> int:
    # Beam adds where in the graph it was, which says nothing to who has to mend the input.
    message = str(error).split(" [while running")[0]
    print(f"attribeam: error: {message}", file=sys.stderr)
    return code


def doctor(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`attribeam doctor`."""
    from pipelines.doctor import diagnose

    inputs = {
        "pageview": options.pageviews,
        "engagement": options.engagements,
        "call": options.calls,
    }
    found = diagnose(options.config, options.output, inputs)
    print(found.json() if options.json else found.text())
    return found.exit_code


def report(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`attribeam report`."""
    from pipelines.output import OutputError
    from pipelines.report import ReportError, write_report
    from schemas.config import ConfigError

    try:
        written = write_report(options.output, options.html, options.account)
    except ConfigError as error:
        return _fail(error, USAGE)
    except (ReportError, OutputError) as error:
        return _fail(error, FAILED)
    if not written.calls:
        print("attribeam: warning: no calls in the warehouse; the report says so", file=sys.stderr)
    print(f"Report: {written.path} ({written.calls:,} calls{written.when})")
    return 0


def tables(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`attribeam tables`."""
    from pipelines.output import OutputError
    from pipelines.tables import run_tables
    from schemas.config import ConfigError

    try:
        is_done = run_tables(
            options.action,
            options.output,
            options.config,
            options.instruction,
            detail=options.detail,
            as_json=options.json,
            say=print,
        )
    except ConfigError as error:
        return _fail(error, USAGE)
    except OutputError as error:
        return _fail(error, FAILED)
    if not is_done and options.action == "apply":
        print("attribeam: refused; nothing was changed", file=sys.stderr)
    return 0 if is_done else FAILED


def expire(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`attribeam expire`."""
    from pipelines.expire import expire as expire_days
    from pipelines.output import OutputError
    from schemas.config import ConfigError, load_config

    try:
        if "://" in options.output:
            raise ConfigError(
                f"--output {options.output}: BigQuery removes expired days by itself; "
                "attribeam tables shows after how long"
            )
        now = options.now if options.now is not None else clock()
        gone = expire_days(Path(options.output), load_config(options.config), now)
    except ConfigError as error:
        return _fail(error, USAGE)
    except OutputError as error:
        return _fail(error, FAILED)
    print(json.dumps(gone.json(), indent=2) if options.json else gone.text())
    return 0


def simulate(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`attribeam simulate`."""
    from pipelines import simulate as simulation
    from pipelines.simulation.parameters import ParameterError

    try:
        print(simulation.run_simulate(options))
    except ParameterError as error:
        return _fail(error, USAGE)
    except simulation.SimulationError as error:
        return _fail(error, FAILED)
    return 0


def evaluate(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`attribeam evaluate`."""
    from pipelines.evaluate import run_evaluate
    from pipelines.evaluation.reading import EvaluationError
    from pipelines.output import OutputError
    from schemas.config import ConfigError

    try:
        print(run_evaluate(options))
    except ConfigError as error:
        return _fail(error, USAGE)
    except (EvaluationError, OutputError) as error:
        return _fail(error, FAILED)
    return 0


def calibrate(options: argparse.Namespace, _: Sequence[str]) -> int:
    """`attribeam calibrate`."""
    from pipelines.calibrate import CalibrationError, run_calibrate
    from pipelines.evaluation.reading import EvaluationError
    from pipelines.output import OutputError
    from schemas.config import ConfigError

    try:
        print(run_calibrate(options))
    except ConfigError as error:
        return _fail(error, USAGE)
    except (CalibrationError, EvaluationError, OutputError) as error:
        return _fail(error, FAILED)
    return 0


def deploy_check(options: argparse.Namespace, beam_options: Sequence[str]) -> int:
    """`attribeam deploy-check`."""
    from pipelines.deploy_check import check_deploy
    from schemas.config import ConfigError

    logging.basicConfig(level=os.environ.get("ATTRIBEAM_LOG", "ERROR").upper())
    try:
        found = check_deploy(options.config, options.output, beam_options)
    except ConfigError as error:
        return _fail(error, USAGE)
    print(json.dumps(found.json(), indent=2) if options.json else found.text())
    return 0 if found.is_right else FAILED


COMMANDS = {
    "backfill": backfill,
    "stream": stream,
    "explain": explain,
    "doctor": doctor,
    "report": report,
    "tables": tables,
    "expire": expire,
    "simulate": simulate,
    "evaluate": evaluate,
    "calibrate": calibrate,
    "deploy-check": deploy_check,
}

if __name__ == "__main__":
    main()
