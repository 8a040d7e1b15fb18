"""Where rows go: a local folder, or a BigQuery project; both have the same runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from apache_beam.options.pipeline_options import (
    DebugOptions,
    GoogleCloudOptions,
    PipelineOptions,
    WorkerOptions,
)

from pipelines.bigquery.names import is_bigquery, parse_target
from pipelines.warehouse import LocalWarehouse, Run
from schemas.config import Config

if TYPE_CHECKING:
    from pipelines.bigquery.warehouse import BigQueryRun, BigQueryWarehouse

Output: TypeAlias = Union[LocalWarehouse, "BigQueryWarehouse"]
OutputRun: TypeAlias = Union[Run, "BigQueryRun"]


def open_output(output: str | Path, config: Config, beam_options: Sequence[str] = ()) -> Output:
    """The warehouse that `--output` names; Beam's options say where the run works.

    Raises ConfigError where it names none, OutputError without credentials.
    """
    if not is_bigquery(str(output)):
        return LocalWarehouse(Path(output))
    # Google's client takes a second to import, which a local run need not wait for.
    from pipelines.bigquery.service import connect  # noqa: PLC0415
    from pipelines.bigquery.warehouse import BigQueryWarehouse  # noqa: PLC0415

    target = parse_target(str(output))
    region = work_regions(PipelineOptions([*beam_options]))
    return BigQueryWarehouse(connect(target.project), target, config, region)


def work_regions(options: PipelineOptions) -> str | None:
    """Every region that Beam's options name for a job or its workers, with commas between.

    None where they name none. A zone is its region and a letter: europe-west3-a.
    """
    workers = options.view_as(WorkerOptions)
    zones = (zone for zone in (workers.worker_zone, workers.zone) if zone)
    named = (
        options.view_as(GoogleCloudOptions).region,
        workers.worker_region,
        options.view_as(DebugOptions).lookup_experiment("worker_region"),
        *(zone.rpartition("-")[0] or zone for zone in zones),
    )
    return ",".join(dict.fromkeys(filter(None, named))) or None
