"""A version with its files and its lineage as an RO-Crate 1.1 (https://w3id.org/ro/crate/1.1)."""

from wattline.supply.lineage.crate.about import About
from wattline.supply.lineage.crate.folder import write, write_zip
from wattline.supply.lineage.crate.links import check

__all__ = ["About", "check", "write", "write_zip"]
