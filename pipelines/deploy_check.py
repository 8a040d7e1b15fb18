"""attribeam deploy-check: the jobs as Dataflow would get them, looked at and not submitted."""

import functools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
    TestOptions,
    WorkerOptions,
)
from apache_beam.options.pipeline_options_validator import PipelineOptionsValidator

from pipelines.asked import check_beam_options
from pipelines.backfill import UsageError
from pipelines.bigquery.names import control_places, find_places, parse_target
from pipelines.bigquery.plan import check_locations, check_region
from pipelines.flex_jobs import RunBackfill, make_stream_plan, run_backfill_pipeline
from pipelines.outputs import work_regions
from pipelines.stream_graph import run_stream_pipeline
from schemas.config import Config, load_config
from transforms.privacy import KEY_BYTES

JOBS = ("stream", "backfill")
RUNNER = "DataflowRunner"
# What a name must not hold: an address, a place in a file, a number that Beam gave a second one.
UNSTABLE = re.compile(r"0x[0-9a-f]{4,}|<lambda|\.py:\d+|_\d+$|^$")
# Machines that share a core, which Dataflow's service does not support.
SHARED_CORE = re.compile(r"(f1-micro|g1-small|e2-(micro|small|medium))$")
LEAST_DISK_GB = 30


@dataclass(frozen=True)
class Finding:
    """What was looked at, what was found, and whether a job can run so."""

    subject: str
    is_right: bool
    words: str


@dataclass(frozen=True)
class Found:
    """All findings."""

    findings: tuple[Finding, ...]

    @property
    def is_right(self) -> bool:
        """Whether nothing speaks against the jobs."""
        return all(finding.is_right for finding in self.findings)

    def text(self) -> str:
        """A line a finding."""
        width = max(len(finding.subject) for finding in self.findings)
        return "\n".join(
            f"{'ok   ' if found.is_right else 'WRONG'}  {found.subject:<{width}}  {found.words}"
            for found in self.findings
        )

    def json(self) -> dict[str, Any]:
        """The findings for scripts."""
        return {"is_right": self.is_right, "findings": [asdict(f) for f in self.findings]}


def check_deploy(config_path: Path | None, output: str, given: Sequence[str]) -> Found:
    """Checks the options given, and the graphs of the jobs where these are right.

    Raises ConfigError where the configuration or the output cannot be read.
    """
    config = load_config(config_path)
    parse_target(output)
    try:
        check_beam_options(given)
    except UsageError as error:
        return Found((Finding("options", False, str(error)),))
    options = PipelineOptions([*given])
    findings = [
        Finding("options", True, f"{sum(a.startswith('-') for a in given)}, each known to Beam"),
        *_settle("job", check_job(options), job_words(output, options)),
        *_settle("image", check_image(options), "named, and stays what it is"),
        *_settle("workers", check_workers(options), "bounded, and such as the service has"),
        *_settle("region", check_place(config, output, options), "allowed for every account"),
    ]
    if not all(finding.is_right for finding in findings):
        return Found(tuple(findings))
    for job in JOBS:
        names = transform_names(make_graph(job, config, output, given))
        words = f"{len(names)} transforms, each with a name of its own that stays"
        findings += _settle(job, check_names(names), words)
    return Found(tuple(findings))


def _settle(subject: str, wrong: Iterator[str], right: str) -> list[Finding]:
    return [Finding(subject, False, words) for words in wrong] or [Finding(subject, True, right)]


def check_job(options: PipelineOptions) -> Iterator[str]:
    """Says what of a job's own options is missing."""
    cloud = options.view_as(GoogleCloudOptions)
    runner = options.view_as(StandardOptions).runner
    if runner not in (None, RUNNER):
        yield f"--runner {runner}: jobs are for {RUNNER}; leave it out"
    if not cloud.project:
        yield "--project is missing: whose job it is"
    # Without a folder it accepts Beam would make a bucket of its own, a check or not.
    validator = PipelineOptionsValidator(options, None)
    if validator.validate_gcs_path(cloud, "temp_location"):
        yield f"--temp_location {cloud.temp_location}: name a folder, gs://BUCKET/FOLDER"
    if not cloud.service_account_email:
        yield (
            "--service_account_email is missing: workers would have the project's default account "
            "and all its roles"
        )


def job_words(output: str, options: PipelineOptions) -> str:
    """What is right of a job; it may write into another project, which is said."""
    words = "project, temporary files and account are named"
    job, datasets = options.view_as(GoogleCloudOptions).project, parse_target(output).project
    if job == datasets:
        return words
    return f"{words}; the job runs in {job} and writes to {datasets}: its account needs roles there"


def check_image(options: PipelineOptions) -> Iterator[str]:
    """Says what is wrong with the workers' image."""
    image = options.view_as(WorkerOptions).sdk_container_image
    if not image:
        yield "--sdk_container_image is missing: workers would lack this project"
    elif "@sha256:" not in image and not re.search(r":[^/:]+$", image):
        yield f"--sdk_container_image {image}: has no tag, and would be another tomorrow"
    elif image.endswith(":latest"):
        yield f"--sdk_container_image {image}: latest is another tomorrow; name a tag that stays"


def check_workers(options: PipelineOptions) -> Iterator[str]:
    """Says which of the workers' options the service refuses or would be dear."""
    workers = options.view_as(WorkerOptions)
    most, first = workers.max_num_workers, workers.num_workers
    if not most:
        yield "--max_num_workers is missing: nothing bounds what the stream may cost"
    elif first and first > most:
        yield f"--num_workers {first} is more than --max_num_workers {most}"
    if SHARED_CORE.match(workers.machine_type or ""):
        yield f"--machine_type {workers.machine_type}: shares a core, which Dataflow does not take"
    if workers.disk_size_gb is not None and workers.disk_size_gb < LEAST_DISK_GB:
        yield f"--disk_size_gb {workers.disk_size_gb}: the image alone needs {LEAST_DISK_GB}"
    if workers.use_public_ips is False and not (workers.subnetwork or workers.network):
        yield "--no_use_public_ips without --subnetwork: workers would reach nothing"


def check_place(config: Config, output: str, options: PipelineOptions) -> Iterator[str]:
    """Says where datasets would lie, or jobs work, outside the allowed locations."""
    if not options.view_as(GoogleCloudOptions).region:
        yield "--region is missing: where the jobs work"
        return
    target = parse_target(output)
    places = find_places(config.accounts, config, target)
    everywhere = [*places.values(), *control_places(places.values(), config, target)]
    yield from check_locations(everywhere)
    yield from check_region(everywhere, work_regions(options))


def make_graph(job: str, config: Config, output: str, given: Sequence[str]) -> Any:
    """The graph of a job as its proto: made by the runner itself, which submits nothing.

    Keys and paths are stand-ins; no transform's name goes by them.
    """
    options = PipelineOptions([*given])
    options.view_as(StandardOptions).runner = RUNNER
    options.view_as(TestOptions).dry_run = True
    cloud = options.view_as(GoogleCloudOptions)
    cloud.job_name = f"attribeam-{job}"
    if job == "backfill":
        arguments = ["--pageviews=gs://events/p", "--calls=gs://events/c", f"--output={output}"]
        result = run_backfill_pipeline(RunBackfill(arguments, None, ""), options)
    else:
        plan = make_stream_plan(
            config,
            subscription=f"projects/{cloud.project}/subscriptions/attribeam-stream",
            output=output,
            region=work_regions(options),
            secret=functools.partial(bytes, KEY_BYTES),
        )
        result = run_stream_pipeline(plan, options)
    return result.job.proto_pipeline


def transform_names(graph: Any) -> list[str]:
    """The full names of a graph's transforms, in order; the root, which is no step, left out."""
    transforms = graph.components.transforms
    steps = (transforms[key] for key in transforms if key not in graph.root_transform_ids)
    return sorted(step.unique_name for step in steps)


def check_names(names: Sequence[str]) -> Iterator[str]:
    """Says which names a running job could not be updated by."""
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{name}: {count} transforms have this name"
        if UNSTABLE.search(name):
            yield f"{name}: may be another in the next version; give the transform a name"
