"""Parquet files of your own."""

from pathlib import Path
from typing import TYPE_CHECKING

from wattline.errors import InputError
from wattline.sources import tabular
from wattline.sources.source import Source

if TYPE_CHECKING:
    import pyarrow

Options = tabular.Options


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Open the Parquet files that `options.path` means."""
    return tabular.open_files(options, read, suffix=".parquet")


def read(path: Path, options: Options) -> "pyarrow.Table":  # noqa: ARG001
    """Read one file. Raises InputError when it is not Parquet."""
    import pyarrow
    from pyarrow import parquet

    try:
        # A folder name like rack=3 would otherwise become a column.
        return parquet.read_table(path, partitioning=None)
    except (pyarrow.ArrowInvalid, OSError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{path} is not Parquet: {first}; write it again or leave it out of `path`") from None
