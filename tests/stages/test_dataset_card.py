"""The dataset card is valid Croissant without a network, and says what the Parquet files say."""

import json
import socket
from pathlib import Path
from typing import Any

import mlcroissant
import numpy as np
import pytest
from pyarrow import parquet

from stages.conftest import Scorer
from wattline import files, splits
from wattline.errors import WattlineError
from wattline.records import Dataset, Manifest
from wattline.stages import card
from wattline.stages.card import CardReport
from wattline.supply import croissant

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what mlcroissant and rdflib lean on

CARD = files.DATASET_CARD
TYPES = {"timestamp[us, tz=UTC]": "sc:DateTime", "float": "cr:Float32", "double": "cr:Float64"}
"""What a Parquet column is called in Arrow -> what its field is."""


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def written(project: Path, offline: None) -> Path:
    """The card of a project after `prepare`."""
    files.write_text(CARD, render(splits.read_dataset(), splits.read_manifest()))
    return CARD


def render(dataset: Dataset, manifest: Manifest) -> str:
    return croissant.render(dataset, manifest, raw="raw", prepared="prepared")


def fields(text: str, record_set: str) -> list[dict[str, Any]]:
    return next(one["field"] for one in json.loads(text)["recordSet"] if one["@id"] == record_set)


def stored(text: str, record_set: str) -> list[dict[str, Any]]:
    """Fields that are a column of the files, not of their names."""
    return [field for field in fields(text, record_set) if "column" in field["source"]["extract"]]


def test_mlcroissant_finds_no_error(written: Path):
    loaded = mlcroissant.Dataset(jsonld=str(written))
    assert not loaded.metadata.issues.errors
    # When the publisher of the rows published them is known to nobody here, so nothing is made up.
    assert [text.split('"')[1] for text in loaded.metadata.issues.warnings] == ["https://schema.org/datePublished"]


def test_a_card_with_a_field_of_no_known_type_would_be_found(written: Path):
    written.write_text(written.read_text().replace('"cr:Float32"', '"cr:Flaot32"').replace('"sc:Dataset"', '"sc:Set"'))
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(jsonld=str(written))


@pytest.mark.parametrize(("record_set", "pattern"), [("raw", "raw/*.parquet"), ("prepared", "prepared/*/*.parquet")])
def test_fields_are_those_of_every_parquet_file_in_name_type_and_order(written: Path, record_set: str, pattern: str):
    expected = [
        (field["source"]["extract"]["column"], field["dataType"]) for field in stored(CARD.read_text(), record_set)
    ]
    paths = sorted(Path("data").glob(pattern))
    assert paths
    for path in paths:
        schema = parquet.read_schema(path)
        assert [(field.name, TYPES[str(field.type)]) for field in schema] == expected


def test_units_of_measure_are_those_of_the_dataset(written: Path):
    found = {field["name"]: field for field in stored(CARD.read_text(), "raw")}
    for column in splits.read_dataset().columns:
        field = found[f"raw/{column.name}"]
        assert field["unitText"] == column.unit
        assert field["description"].endswith(f"[{column.unit}]")


def test_every_file_is_named_with_its_digest_and_no_other_one(written: Path):
    objects = [one for one in json.loads(CARD.read_text())["distribution"] if one["@type"] == "cr:FileObject"]
    named = {one["contentUrl"]: one["sha256"] for one in objects}
    there = files.digests(Path("data"))
    assert named == {name: there[name] for name in there if name.endswith((".parquet", ".safetensors"))}


def test_licence_citation_and_home_are_those_of_the_source(written: Path):
    dataset, found = splits.read_dataset(), json.loads(CARD.read_text())
    assert found["license"] == f"https://spdx.org/licenses/{dataset.licence}"
    assert (found["citeAs"], found["url"], found["identifier"]) == (dataset.citation, dataset.home, dataset.id)
    assert found["version"].endswith(dataset.id[:12])
    start, end = found["temporalCoverage"].split("/")
    assert start == min(unit.start for unit in dataset.units).isoformat().replace("+00:00", "Z")
    assert end == max(unit.end for unit in dataset.units).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(("licence", "said"), [("internal", "internal"), ("MIT", "https://spdx.org/licenses/MIT")])
def test_a_licence_that_has_no_address_stands_as_it_is(written: Path, licence: str, said: str):
    dataset = splits.read_dataset().model_copy(update={"licence": licence})
    assert json.loads(render(dataset, splits.read_manifest()))["license"] == said


def test_mlcroissant_reads_the_rows_that_are_there(written: Path):
    loaded = mlcroissant.Dataset(jsonld=str(written))
    dataset = splits.read_dataset()
    records = list(loaded.records("raw"))
    assert len(records) == dataset.rows
    names = [column.name for column in dataset.columns]
    for unit in dataset.units:
        mine = [one for one in records if one["raw/unit"].decode() == unit.name]
        series = splits.read_raw(dataset, unit.name)
        values = np.array([[one[f"raw/{name}"] for name in names] for one in mine], np.float32)
        np.testing.assert_array_equal(values, series.values)
        assert [np.datetime64(one["raw/timestamp"].tz_localize(None), "ns") for one in mine] == list(series.timestamps)


def test_splits_are_those_of_the_manifest(written: Path):
    loaded, manifest = mlcroissant.Dataset(jsonld=str(written)), splits.read_manifest()
    said = {one["splits/name"]: one["splits/rows"] for one in loaded.records("splits")}
    expected: dict[str, int] = {}
    for part in manifest.parts:
        expected[part.split] = expected.get(part.split, 0) + part.rows
    assert said == expected
    counted: dict[str, int] = {}
    for one in loaded.records("prepared"):
        split = one["prepared/split"].decode()
        counted[split] = counted.get(split, 0) + 1
    assert counted == expected


def test_equal_data_give_equal_bytes(written: Path):
    assert written.read_text() == render(splits.read_dataset(), splits.read_manifest())


def test_the_stage_writes_it_and_the_model_card_links_to_it(finished: Path, block: Any):
    card.run(card=block.card, task=Scorer())
    assert files.read_report("card", CardReport).dataset_card_sha256 == files.sha256(CARD)
    assert "(../data/croissant.json)" in Path("model_cards/scorer.md").read_text()
    CARD.write_text(CARD.read_text().replace("cr:Float32", "cr:Float64"))
    with pytest.raises(WattlineError, match=rf"{CARD} is stale"):
        card.check(card=block.card, task=Scorer())
