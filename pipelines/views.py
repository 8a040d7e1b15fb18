"""`warehouse.duckdb`: one view per table over its Parquet files, and the views of schemas/views.

The database holds no rows. Its views find the files beside it wherever the folder lies now and
whatever the working directory is: DuckDB keeps temporary files beside the database that was opened,
so that setting says where it is. Where the database is attached to another, or `temp_directory` was
set by hand, paths count from the working directory, or from `SET VARIABLE attribeam_folder = '…'`;
where that is not the warehouse's folder the views fail, rather than look empty.
"""

import hashlib
from importlib import resources
from pathlib import Path

import duckdb

from schemas.columns import Column, Table
from schemas.tables import TABLES

DATABASE = "warehouse.duckdb"
# In the order in which they build on each other.
VIEWS = (
    "conversions_latest",
    "sessions_latest",
    "conversions_by_source",
    "multi_touch",
    "pool_health",
)
DUCKDB_TYPES = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "BOOL": "BOOLEAN",
    "BYTES": "BLOB",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMPTZ",
}
_BESIDE = r"regexp_replace(current_setting('temp_directory'), '[^/\\]*$', '')"
_FOLDER = f"COALESCE(getvariable('attribeam_folder') || '/', {_BESIDE})"
# Signs that mean something in a pattern stand for themselves in a folder's name.
_ESCAPED_FOLDER = rf"regexp_replace({_FOLDER}, '([*?\[])', '[\1]', 'g')"

_NOT_LOCATED = (
    f"{DATABASE} is not where its views look for it: open it by its path, or SET VARIABLE "
    "attribeam_folder to its folder; found: "
)


def table_view(table: Table) -> str:
    """SQL of a table's rows: all columns, even without files or where old files lack some.

    The first part gives the types, no rows, and an error where the folder is not the right one.
    """
    empty = ", ".join(f"CAST(NULL AS {duckdb_type(c)}) AS {c.name}" for c in table.columns)
    return f"""
SELECT {", ".join(table.names)}
FROM (
  SELECT {empty}
  FROM (SELECT COUNT(*) AS found FROM glob({_ESCAPED_FOLDER} || '{DATABASE}')) AS located
  WHERE CASE WHEN found = 0 THEN CAST(error('{_NOT_LOCATED}' || found) AS BOOLEAN) ELSE FALSE END
  UNION ALL BY NAME
  SELECT *
  FROM read_parquet(
    {_ESCAPED_FOLDER} || '{table.name}/*/*.parquet',
    allow_empty = TRUE, union_by_name = TRUE, hive_partitioning = FALSE
  )
)"""


def duckdb_type(column: Column) -> str:
    """The DuckDB type of a column."""
    if column.type == "RECORD":
        fields = ", ".join(f"{field.name} {duckdb_type(field)}" for field in column.fields)
        name = f"STRUCT({fields})"
    else:
        name = DUCKDB_TYPES[column.type]
    return f"{name}[]" if column.mode == "REPEATED" else name


def view_sql(name: str) -> str:
    """SQL of one of the views that are made by hand."""
    return (resources.files("schemas") / "views" / f"{name}.sql").read_text(encoding="utf-8")


def write_database(path: Path) -> None:
    """Writes a database of all views to a path where none is."""
    with duckdb.connect(str(path)) as connection:
        for name, sql in _all_views().items():
            connection.execute(f"CREATE VIEW {name} AS {sql}")
        connection.execute(f"CREATE VIEW warehouse_version AS SELECT '{_version()}' AS views")


def database_is_current(path: Path) -> bool:
    """True where the database exists and has the views as they are defined now."""
    if not path.exists():
        return False
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            row = connection.execute("SELECT views FROM warehouse_version").fetchone()
    except duckdb.Error:
        return False
    return row is not None and row[0] == _version()


def _all_views() -> dict[str, str]:
    tables = {table.name: table_view(table) for table in TABLES.values()}
    return tables | {name: view_sql(name) for name in VIEWS}


def _version() -> str:
    return hashlib.sha256("\0".join(_all_views().values()).encode()).hexdigest()[:16]
