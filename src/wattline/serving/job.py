"""What a serving process is told when it starts."""

from dataclasses import dataclass
from pathlib import Path

from wattline.params.serving import ServingParams


@dataclass(frozen=True)
class Job:
    """One server.

    model: name in the registry
    folder: of the champion; challenger: of the canary or shadow; both where `serving.model.origin` is folder
    state: folder for verified copies of models
    watts_per_core: what energy is estimated with [W]
    """

    params: ServingParams
    model: str
    folder: Path
    challenger: Path | None
    state: Path
    watts_per_core: float
