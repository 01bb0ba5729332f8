"""How fast are the data on their way from the monitoring system to the model?

python benchmarks/data.py                 everything below
python benchmarks/data.py --only prepare

prepare     rows per second from irregular samples to windows, in turns with pandas' groupby.resample and with polars
            doing the same; and a file four times as large as the memory that the process may have
validation  seconds for 1 million rows x 40 columns x 60 expectations on one core after imports, and which share of
            them Great Expectations itself needs
snapshots   rows per second pulled, checked and stored, beside PyArrow writing the same files
archive     a day out of a month of an M100 ExaData archive, in turns with pandas reading the same files
live        samples per second decoded, aggregated and scored for 10,000 nodes and for the 980 of Marconi100, and
            joules for a million samples; what a real broker hands on
"""

import argparse
import importlib
import sys

from clock import Figure, conclude

PARTS = ("prepare", "validation", "snapshots", "archive", "live")


def main(parts: list[str]) -> int:
    """Print every figure beside its limit."""
    found: list[Figure] = []
    for part in parts:
        found += importlib.import_module(f"flow.{part}").figures()
    return conclude(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    sys.exit(main(parser.parse_args().only))
