"""Sites: where stages run, as a typed profile in deploy/sites/."""

from wattline.sites.profile import FOLDER, LOCAL, DaskProfile, EnvironmentProfile, Profile, load, names

__all__ = ["FOLDER", "LOCAL", "DaskProfile", "EnvironmentProfile", "Profile", "load", "names"]
