"""How long notebooks may take."""

from wattline.params.section import Positive, Section


class NotebookParams(Section):
    """Notebooks that run without a person: `wattline notebook`.

    start_seconds: a kernel must answer within this time; shared machines are slow to start one [s]
    cell_seconds: longest time of one cell [s]
    """

    start_seconds: Positive = 120.0
    cell_seconds: Positive = 600.0
