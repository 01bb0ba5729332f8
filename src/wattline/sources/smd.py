"""Server Machine Dataset: 28 servers of an internet company, 38 metrics a minute over five weeks, labelled."""

from pydantic import Field

from wattline.params import Section
from wattline.records import Column
from wattline.sources.source import Source
from wattline.sources.train_test import Publication, open_publication

HOME = "https://raw.githubusercontent.com/NetManAIOps/OmniAnomaly/master/ServerMachineDataset"
GROUP_SIZES = {1: 8, 2: 9, 3: 11}
GROUPS = {
    f"machine-{group}-{number}": f"group-{group}"
    for group, size in GROUP_SIZES.items()
    for number in range(1, size + 1)
}
PUBLICATION = Publication(
    name="smd",
    licence="MIT",
    citation="Su et al., Robust Anomaly Detection for Multivariate Time Series through Stochastic Recurrent Neural "
    "Network, KDD 2019, doi 10.1145/3292500.3330672",
    cadence_seconds=60,
    columns=tuple(
        Column(name=f"m{index:02d}", unit="1", description="unnamed by its publisher, who scaled it to 0..1")
        for index in range(38)
    ),
    units=tuple(GROUPS),
    groups=GROUPS,
    suffix=".txt",
    mirror_folder="smd",
)


class Options(Section):
    """machines: which of the 28, e.g. machine-1-1; all when empty. home: where the publisher's folders lie."""

    machines: tuple[str, ...] = ()
    home: str = Field(default=HOME, pattern="^https?://")


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Open the dataset from the data mirror's `smd/` (whatever machines it holds), or download it."""
    return open_publication(PUBLICATION, options.machines, home=options.home)
