"""The section `snapshots`."""

from wattline.params.section import Positive, Section


class SnapshotsParams(Section):
    """How rows are pulled for a snapshot.

    page_hours: span of one page of a source that is asked for a span; a killed pull goes on after its last page [h]
    """

    page_hours: Positive = 6.0
