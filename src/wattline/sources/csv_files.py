"""CSV files of your own: comma-separated, with a header."""

from pathlib import Path
from typing import TYPE_CHECKING

from wattline.errors import InputError
from wattline.sources import tabular
from wattline.sources.source import Source

if TYPE_CHECKING:
    import pyarrow

Options = tabular.Options


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Open the CSV files that `options.path` means."""
    return tabular.open_files(options, read, suffix=".csv")


def read(path: Path, options: Options) -> "pyarrow.Table":
    """Read one file; timestamps and names stay text. Raises InputError when rows differ in length."""
    import pyarrow
    from pyarrow import csv

    texts = [column for column in (options.timestamp, options.unit, options.group) if column]
    conversion = csv.ConvertOptions(column_types=dict.fromkeys(texts, pyarrow.string()), strings_can_be_null=False)
    try:
        table = csv.read_csv(path, read_options=csv.ReadOptions(use_threads=False), convert_options=conversion)
        table.column_names  # noqa: B018  # decodes the header, whose bytes nobody has looked at so far
        return table
    except (pyarrow.ArrowInvalid, UnicodeDecodeError) as error:
        first = str(error).splitlines()[0]
        raise InputError(f"{path} is not comma-separated rows below a header: {first}; repair that row") from None
