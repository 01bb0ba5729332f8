"""JumpStarter Dataset2: 30 online services, 19 metrics every five minutes over 45 days, labelled."""

from pydantic import Field

from wattline.params import Section
from wattline.records import Column
from wattline.sources.source import Source
from wattline.sources.train_test import Publication, open_publication

HOME = "https://raw.githubusercontent.com/NetManAIOps/JumpStarter/HEAD/dataset/Dataset2"
SERVICES = tuple(f"service{number}" for number in range(30))
PUBLICATION = Publication(
    name="jumpstarter",
    licence="MIT",
    citation="Ma et al., Jump-Starting Multivariate Time Series Anomaly Detection for Online Service Systems, "
    "USENIX ATC 2021",
    cadence_seconds=300,
    columns=tuple(
        Column(name=f"m{index:02d}", unit="1", description="unnamed by its publisher; its physical unit is not stated")
        for index in range(19)
    ),
    units=SERVICES,
    groups={service: service for service in SERVICES},
    suffix=".csv",
    mirror_folder="jumpstarter/dataset2",
)


class Options(Section):
    """services: which of the 30, e.g. service0; all when empty. home: where the publisher's folders lie."""

    services: tuple[str, ...] = ()
    home: str = Field(default=HOME, pattern="^https?://")


def open(options: Options, *, seed: int) -> Source:  # noqa: A001, ARG001
    """Open the dataset from the data mirror's `jumpstarter/dataset2/` (whatever it holds), or download it."""
    return open_publication(PUBLICATION, options.services, home=options.home)
