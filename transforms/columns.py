"""What polars lacks for columns of repeating values and for rows of a few values each."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import polars as pl
import pyarrow as pa

_SLICE_ROWS = 50_000


def per_value(column: pl.Series, function: Callable[[pl.Series], pl.DataFrame]) -> pl.DataFrame:
    """`function` of the column's distinct values, laid out by the column's rows.

    The function must go row by row. Where hardly a value repeats it gets the column itself, since
    finding the distinct ones would cost more than it saves.
    """
    if 2 * column.to_frame().select(pl.all().approx_n_unique()).item() > len(column):
        return _in_slices(column, function)
    values = column.unique().alias("value")
    places = values.to_frame().with_row_index("place")
    placed = (
        column.alias("value")
        .to_frame()
        .join(places, on="value", how="left", nulls_equal=True, maintain_order="left")
    )
    return function(values)[placed["place"]]


def _in_slices(column: pl.Series, function: Callable[[pl.Series], pl.DataFrame]) -> pl.DataFrame:
    """Long columns in slices on all cores: polars lets other threads run while it works."""
    count = min(pl.thread_pool_size(), len(column) // _SLICE_ROWS)
    if count < 2:
        return function(column)
    size = -(-len(column) // count)
    slices = [column.slice(start, size) for start in range(0, len(column), size)]
    with ThreadPoolExecutor(count) as threads:
        return pl.concat(threads.map(function, slices), rechunk=True)


def replaced(column: pl.Series, places: pl.Series, values: pl.Series) -> pl.Series:
    """The column with other values at these places; polars alone would write into the column."""
    return column.clone().scatter(places, values)


def by_row(found: pl.DataFrame, rows: int) -> pl.Series:
    """The values of one name over all rows, null where a row has none."""
    places = np.full(rows, -1, dtype=np.int64)
    places[found["row"].to_numpy()] = np.arange(len(found))
    index = pl.Series(places)
    return found["value"].gather(index.set(index < 0, None))


def lists_by_row(row: pl.Series, values: pl.Series, rows: int) -> pl.Series:
    """A list for each of all rows of the values that have its number; these stand in order."""
    ends = np.concatenate([[0], np.cumsum(np.bincount(row.to_numpy(), minlength=rows))])
    return pl.Series(
        pa.LargeListArray.from_arrays(
            pa.array(ends), values.to_arrow(compat_level=pl.CompatLevel.newest())
        )
    )
