"""Where rows go: a local folder, or a BigQuery project; both have the same runs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Union

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from pipelines.bigquery.names import is_bigquery, parse_target
from pipelines.warehouse import LocalWarehouse, Run
from schemas.config import Config

if TYPE_CHECKING:
    from pipelines.bigquery.warehouse import BigQueryRun, BigQueryWarehouse

Output: TypeAlias = Union[LocalWarehouse, "BigQueryWarehouse"]
OutputRun: TypeAlias = Union[Run, "BigQueryRun"]


def open_output(output: str | Path, config: Config, beam_options: Sequence[str] = ()) -> Output:
    """The warehouse that `--output` names; Beam's --region says where the run works.

    Raises ConfigError where it names none, OutputError without credentials.
    """
    if not is_bigquery(str(output)):
        return LocalWarehouse(Path(output))
    # Google's client takes a second to import, which a local run need not wait for.
    from pipelines.bigquery.service import connect  # noqa: PLC0415
    from pipelines.bigquery.warehouse import BigQueryWarehouse  # noqa: PLC0415

    target = parse_target(str(output))
    region = PipelineOptions([*beam_options]).view_as(GoogleCloudOptions).region
    return BigQueryWarehouse(connect(target.project), target, config, region)
