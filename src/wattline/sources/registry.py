"""Sources by name: the ones that come with Wattline, and a fork's own by dotted name."""

import importlib
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from wattline.errors import InputError
from wattline.params import Section, typed
from wattline.sources.source import Source
from wattline.sources.span import SpanOptions

MODULES = {
    "simulator": "wattline.sources.simulator",
    "tiny": "wattline.sources.tiny",
    "smd": "wattline.sources.smd",
    "jumpstarter": "wattline.sources.jumpstarter",
    "m100": "wattline.sources.m100",
    "examon": "wattline.sources.examon.source",
    "prometheus": "wattline.sources.prometheus.source",
    "mqtt": "wattline.sources.mqtt.source",
    "m100_archive": "wattline.sources.m100_archive",
    "ipmi": "wattline.sources.ipmi.source",
    "jobs": "wattline.sources.jobs.source",
    "parquet": "wattline.sources.parquet_files",
    "csv": "wattline.sources.csv_files",
    "snapshot": "wattline.sources.snapshot",
}
MEMBERS = ("Options", "open")


def open_source(name: str, options: Mapping[str, Any], *, seed: int) -> Source:
    """Open the source called `name`, or the one in the module that a dotted name ("project.source") means.

    options: its part of params.yaml, typed by the module's `Options`
    Raises InputError for an unknown name, a module that is no source, or an option it does not know.
    """
    module = _module(name)
    given = typed(module.Options, options, where=f"params.yaml: ingest.options.{name}")
    source = module.open(given, seed=seed)
    if not isinstance(source, Source):
        raise InputError(f"{module.__name__}.open must return a wattline.sources.Source, got {type(source).__name__}")
    return source


def options_of(name: str, options: Mapping[str, Any]) -> Section:
    """The same options, typed. Raises the same errors."""
    kind: type[Section] = _module(name).Options
    return typed(kind, options, where=f"params.yaml: ingest.options.{name}")


def is_asked_for_a_span(name: str) -> bool:
    """Whether the source takes `start` and `end`, so that its rows can be had page by page."""
    return issubclass(_module(name).Options, SpanOptions)


def every_row(name: str) -> dict[str, int]:
    """Options with which the source keeps every row: `ingest` needs two of a unit, a page may hold one of them."""
    return {"minimum_rows": 0} if "minimum_rows" in _module(name).Options.model_fields else {}


def is_known(name: str) -> bool:
    """Whether there may be such a source: one of ours, or a module by dotted name."""
    return name in MODULES or "." in name


def check_names(names: Iterable[str]) -> None:
    """Raise InputError for the first source that does not exist: its options would be ignored without a word."""
    for name in names:
        if not is_known(name):
            raise InputError(f"params.yaml: ingest.options.{name} is for no source; known: {', '.join(MODULES)}")


def _module(name: str) -> ModuleType:
    if not is_known(name):
        known = ", ".join(MODULES)
        raise InputError(
            f"params.yaml: ingest.source is {name!r}, which is no source; known: {known}, or a module of yours "
            'by dotted name, like "project.source"'
        )
    try:
        module = importlib.import_module(MODULES.get(name, name))
    except (ImportError, ValueError, TypeError) as error:
        raise InputError(f"params.yaml: ingest.source is {name!r}, which cannot be imported: {error}") from None
    absent = [member for member in MEMBERS if not hasattr(module, member)]
    if absent:
        raise InputError(f"{name} is no source: it lacks {', '.join(absent)}; see wattline/sources/m100.py for one")
    if not (isinstance(module.Options, type) and issubclass(module.Options, Section)):
        raise InputError(f"{name} is no source: its Options must be a wattline.params.Section")
    return module
