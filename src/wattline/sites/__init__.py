"""Sites: where stages run, as a typed profile in deploy/sites/."""

from wattline.sites.profile import (
    FOLDER,
    LOCAL,
    PIPELINE,
    DaskProfile,
    EnvironmentProfile,
    Profile,
    load,
    names,
    stages,
)

__all__ = ["FOLDER", "LOCAL", "PIPELINE", "DaskProfile", "EnvironmentProfile", "Profile", "load", "names", "stages"]
