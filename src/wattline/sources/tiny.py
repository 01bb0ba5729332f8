"""A small part of the simulated cluster, always the same one: for tests, first steps and places without a network."""

from dataclasses import replace

from wattline.params import Section
from wattline.sources import simulator
from wattline.sources.simulator.options import Options as ClusterOptions
from wattline.sources.source import Source

CLUSTER = ClusterOptions(nodes=3, nodes_per_rack=2, days=0.4)
SEED = 7


class Options(Section):
    """There is nothing to choose: everybody has the same rows."""


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Open it: 3 nodes of 2 racks, 9.6 hours, one row a minute. `seed` makes no difference."""
    return replace(simulator.open(CLUSTER, seed=SEED), name="tiny")
