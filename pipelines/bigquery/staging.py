"""Staging: the rows a run wrote aside, one file and one load for each table of a location."""

import datetime as dt
from collections.abc import Collection
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from google.cloud import bigquery

from pipelines.bigquery.jobs import run_job
from pipelines.bigquery.scripts import staged_column
from pipelines.bigquery.service import Service
from pipelines.bigquery.wanted import LABEL, STAGING_DAYS, Resource
from pipelines.parquet import read_file, table_files
from schemas.columns import Table

ROW_GROUP = 1 << 17


def merge_files(folder: Path, table: Table, accounts: Collection[str | None], target: Path) -> bool:
    """Writes the staged rows of some accounts of a table as one file; False where none are."""
    schema = staged_schema(table)
    wanted = pa.array(sorted(a for a in accounts if a is not None), pa.string())
    found = False
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for file in table_files(folder, table):
            rows = read_file(file, table)
            mine = pc.is_in(rows["account"], value_set=wanted)
            if None in accounts:
                mine = pc.or_(mine, pc.is_null(rows["account"]))
            rows = rows.filter(mine)
            if rows.num_rows:
                writer.write_table(_as_staged(rows, schema), row_group_size=ROW_GROUP)
                found = True
    return found


def staged_schema(table: Table) -> pa.Schema:
    """The Arrow schema of a staging table."""
    fields = [
        column.arrow_field().with_type(pa.string())
        if column.type == "BYTES"
        else column.arrow_field()
        for column in table.columns
    ]
    return pa.schema(fields)


def load(
    service: Service,
    file: Path,
    table: Table,
    target: str,
    *,
    location: str,
    job_id: str,
    kms_key: str | None = None,
) -> None:
    """Loads a file into a new staging table, which expires by itself.

    Raises the service's errors.
    """
    fields = [staged_column(column) for column in table.bigquery()]
    _make(service, target, fields, kms_key)
    options = bigquery.ParquetOptions()
    options.enable_list_inference = True
    config = bigquery.LoadJobConfig(
        source_format=bigquery.SourceFormat.PARQUET,
        # Into the table as it was made: to truncate would make it anew, without what is not said.
        write_disposition=bigquery.WriteDisposition.WRITE_EMPTY,
        schema=[bigquery.SchemaField.from_api_repr(column) for column in fields],
    )
    config.parquet_options = options
    if kms_key:
        config.destination_encryption_configuration = bigquery.EncryptionConfiguration(kms_key)

    def start(attempt_id: str) -> bigquery.LoadJob:
        with file.open("rb") as data:
            return service.client.load_table_from_file(
                data,
                target,
                num_retries=service.upload_tries,
                job_id=attempt_id,
                location=location,
                job_config=config,
                timeout=service.patience_seconds,
            )

    run_job(service, start, job_id, location)


def drop(service: Service, dataset: str, prefix: str) -> None:
    """Removes the staging tables whose names begin so. Raises the service's errors."""
    for table in service.client.list_tables(dataset, retry=service.retry):
        if table.table_id.startswith(prefix):
            service.client.delete_table(table, not_found_ok=True, retry=service.retry)


def _make(service: Service, target: str, fields: list[Resource], kms_key: str | None) -> None:
    project, dataset, name = target.split(".")
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(days=STAGING_DAYS)
    resource: Resource = {
        "tableReference": {"projectId": project, "datasetId": dataset, "tableId": name},
        "labels": LABEL,
        "schema": {"fields": fields},
        "clustering": {"fields": ["account"]},
        "expirationTime": str(int(expires.timestamp() * 1000)),
    }
    if kms_key:
        resource["encryptionConfiguration"] = {"kmsKeyName": kms_key}
    table = bigquery.Table.from_api_repr(resource)
    service.client.create_table(table, exists_ok=True, retry=service.retry)


def _as_staged(rows: pa.Table, schema: pa.Schema) -> pa.Table:
    for number, column in enumerate(rows.schema):
        if pa.types.is_binary(column.type):
            text = pl.Series(rows.column(number)).bin.encode("base64").to_arrow()
            rows = rows.set_column(number, schema.field(number), text.cast(pa.string()))
    return rows.cast(schema)
