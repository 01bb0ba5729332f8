"""What a site's profile needs of this host and of the cluster, and what of it is missing."""

from wattline.hpc.checks.finding import Finding
from wattline.hpc.checks.site import findings, scripts

__all__ = ["Finding", "findings", "scripts"]
