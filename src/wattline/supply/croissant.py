"""The dataset card: Croissant 1.1 JSON-LD of raw and prepared rows, each field as its Parquet column has it.

https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html. Units of measure are `unitText` of schema.org, a
property of each field, and stand in its description, too.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from wattline import splits
from wattline.records import Column, Dataset, Manifest

Json = dict[str, Any]

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
CONTEXT: Json = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""As the specification prints it: no reader has to fetch it."""
SPDX = "https://spdx.org/licenses/"
PARQUET = "application/x-parquet"
SPLITS = {"train": "cr:TrainingSplit", "validation": "cr:ValidationSplit", "test": "cr:TestSplit"}
MAJOR = 1
"""Of the version of a dataset: rows of one dataset id never change, so the rest of the version is that id."""


def render(dataset: Dataset, manifest: Manifest, *, raw: str, prepared: str) -> str:
    """The card as text.

    raw, prepared: where both folders lie, relative to the card
    """
    text = json.dumps(card(dataset, manifest, raw=raw, prepared=prepared), indent=1, ensure_ascii=False)
    return text + "\n"


def card(dataset: Dataset, manifest: Manifest, *, raw: str, prepared: str) -> Json:
    """The card as JSON-LD."""
    start, end = min(unit.start for unit in dataset.units), max(unit.end for unit in dataset.units)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": dataset.name,
        "description": _description(dataset),
        "conformsTo": CONFORMS_TO,
        "license": _licence(dataset.licence),
        "citeAs": dataset.citation,
        "url": dataset.home,
        "version": f"{MAJOR}.0.0+{dataset.id[:12]}",
        "identifier": dataset.id,
        "isLiveDataset": False,
        "temporalCoverage": f"{_instant(start)}/{_instant(end)}",
        "distribution": [*_raw_files(dataset, raw), *_prepared_files(manifest, prepared)],
        "recordSet": [_raw_rows(dataset), _split_names(manifest), _prepared_rows(manifest, prepared)],
    }


def _description(dataset: Dataset) -> str:
    labels = "labels 0 (normal) and 1 (anomalous) in `target`" if dataset.labelled else "no labels"
    head = (
        f"{dataset.rows:,} rows of {len(dataset.units):,} units, nominally one every {dataset.cadence_seconds:g} s, "
        f"{len(dataset.columns)} columns, {labels}."
    )
    return " ".join([head, *(note[:1].upper() + note[1:] + "." for note in dataset.notes)])


def _licence(licence: str) -> str:
    """An SPDX identifier as its address, anything else as it stands."""
    return f"{SPDX}{licence}" if re.fullmatch(r"[A-Za-z0-9]+(?:[-.][A-Za-z0-9.]+)+|MIT|ISC|Zlib", licence) else licence


def _raw_files(dataset: Dataset, folder: str) -> list[Json]:
    objects = [
        _file(f"raw/{unit.name}.parquet", f"{folder}/{unit.name}.parquet", unit.sha256) for unit in dataset.units
    ]
    text = "Rows as they came, one file for each unit."
    return [*objects, _set("raw-partitions", f"{folder}/*.parquet", text)]


def _prepared_files(manifest: Manifest, folder: str) -> list[Json]:
    objects = [
        _file(f"prepared/{path}", f"{folder}/{path}", digest)
        for path, digest in sorted(manifest.files.items())
        if path.endswith(".parquet")
    ]
    constants = _file(f"prepared/{splits.CONSTANTS}", f"{folder}/{splits.CONSTANTS}", manifest.files[splits.CONSTANTS])
    constants |= {
        "encodingFormat": "application/octet-stream",
        "description": "Location and spread of each column, fitted on train rows alone, as safetensors.",
    }
    text = "Rows on one time axis, cut by time, one file for each split and unit."
    return [*objects, constants, _set("prepared-partitions", f"{folder}/*/*.parquet", text)]


def _file(identifier: str, address: str, digest: str) -> Json:
    return {
        "@type": "cr:FileObject",
        "@id": identifier,
        "name": identifier,
        "contentUrl": address,
        "encodingFormat": PARQUET,
        "sha256": digest,
    }


def _set(identifier: str, pattern: str, description: str) -> Json:
    return {
        "@type": "cr:FileSet",
        "@id": identifier,
        "name": identifier,
        "description": description,
        "encodingFormat": PARQUET,
        "includes": pattern,
    }


def _raw_rows(dataset: Dataset) -> Json:
    return {
        "@type": "cr:RecordSet",
        "@id": "raw",
        "name": "raw",
        "description": "Rows as the source has them; a row that was never recorded is absent.",
        "key": [{"@id": "raw/unit"}, {"@id": "raw/timestamp"}],
        "field": [_unit("raw"), *_columns("raw", dataset.columns, labelled=dataset.labelled)],
    }


def _prepared_rows(manifest: Manifest, folder: str) -> Json:
    # It must leave its own answer as it is: a reader that joins on it applies it twice.
    regex = rf"^(?:{re.escape(folder)}/)?([^/]+)(?:/.+)?$"
    split = _text("prepared", "split", "Part of the rows, by time.", path={"fileProperty": "fullpath"}, regex=regex)
    split["references"] = {"field": {"@id": "splits/name"}}
    return {
        "@type": "cr:RecordSet",
        "@id": "prepared",
        "name": "prepared",
        "description": "Rows on one time axis; a row that was never recorded holds NaN.",
        "key": [{"@id": "prepared/unit"}, {"@id": "prepared/timestamp"}],
        "field": [split, _unit("prepared"), *_columns("prepared", manifest.columns, labelled=True)],
    }


def _split_names(manifest: Manifest) -> Json:
    """One record for each split, with its rows and its span."""
    names = {"name": "sc:Text", "url": "sc:URL", "rows": "sc:Integer", "start": "sc:DateTime", "end": "sc:DateTime"}
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "description": "How rows are cut: every unit at the same instants, or where its publisher's test part begins.",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": f"splits/{name}", "name": f"splits/{name}", "dataType": kind}
            for name, kind in names.items()
        ],
        "data": [dict(_prefixed(_split(manifest, split))) for split in SPLITS],
    }


def _split(manifest: Manifest, split: str) -> Mapping[str, object]:
    parts = [part for part in manifest.parts if part.split == split]
    return {
        "name": split,
        "url": SPLITS[split],
        "rows": sum(part.rows for part in parts),
        "start": _instant(min(part.start for part in parts)),
        "end": _instant(max(part.end for part in parts)),
    }


def _prefixed(values: Mapping[str, object]) -> Iterable[tuple[str, object]]:
    return ((f"splits/{name}", value) for name, value in values.items())


def _unit(record_set: str) -> Json:
    what = "Unit (a node, a machine, a service): the name of its file."
    return _text(record_set, "unit", what, path={"fileProperty": "filename"}, regex=r"^(.+)\.parquet$")


def _text(record_set: str, name: str, description: str, *, path: Json, regex: str) -> Json:
    return {
        **_field(record_set, name, "sc:Text", description),
        "source": {"fileSet": {"@id": f"{record_set}-partitions"}, "extract": path, "transform": {"regex": regex}},
    }


def _columns(record_set: str, columns: Sequence[Column], *, labelled: bool) -> Iterable[Json]:
    """Fields in the order of the Parquet schema: `timestamp`, the columns, `target`."""
    target = (
        "What an answer is judged against; NaN where that is unknown." if labelled else "No labels: NaN throughout."
    )
    yield _stored(record_set, "timestamp", "sc:DateTime", "Instant of the row, UTC, in microseconds.")
    for column in columns:
        said = f"{column.description[:1].upper()}{column.description[1:]} " if column.description else ""
        field = _stored(record_set, column.name, "cr:Float32", f"{said}[{column.unit}]")
        yield field | {"unitText": column.unit}
    yield _stored(record_set, "target", "cr:Float64", target)


def _stored(record_set: str, column: str, kind: str, description: str) -> Json:
    return {
        **_field(record_set, column, kind, description),
        "source": {"fileSet": {"@id": f"{record_set}-partitions"}, "extract": {"column": column}},
    }


def _field(record_set: str, name: str, kind: str, description: str) -> Json:
    return {
        "@type": "cr:Field",
        "@id": f"{record_set}/{name}",
        "name": f"{record_set}/{name}",
        "description": description,
        "dataType": kind,
    }


def _instant(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
