"""Simulated cluster: jobs, power, heat and fans of a few racks, with labelled faults in the test part."""

from wattline.sources.simulator import cluster
from wattline.sources.simulator.calibration import CITATION, COLUMNS
from wattline.sources.simulator.options import Options
from wattline.sources.source import Source

__all__ = ["Options", "open"]


def open(options: Options, *, seed: int) -> Source:  # noqa: A001
    """Open a simulation. Equal options and seed give equal rows."""
    return Source(
        name="simulated-cluster",
        home="generated",
        licence="CC0-1.0",
        citation=CITATION,
        cadence_seconds=options.cadence_seconds,
        columns=COLUMNS,
        labelled=True,
        units=cluster.units(options, seed),
        unit_count=options.nodes,
        notes=(
            f"simulated with seed {seed}; no machine was observed",
            f"the test part, the last {options.test_fraction:.0%} of the time, is labelled; the train part is not, "
            f"and hides {options.train_faults} faults",
        ),
    )
