"""Where rows come from: one module for each source, and what a source hands to `ingest`."""

from wattline.sources.registry import check_names, open_source
from wattline.sources.source import NoSamplesError, Readers, Source, UnitSeries

__all__ = ["NoSamplesError", "Readers", "Source", "UnitSeries", "check_names", "open_source"]
