"""Moving a version between sites: one signed archive with its files, papers and history, without the data."""

from wattline.registry.archive.limits import Limits
from wattline.registry.archive.manifest import ArchivedFile, ArchiveManifest
from wattline.registry.archive.packing import file_name, pack
from wattline.registry.archive.unpacking import Unpacked, unpacked

__all__ = ["ArchiveManifest", "ArchivedFile", "Limits", "Unpacked", "file_name", "pack", "unpacked"]
