"""card: its head is metadata as the Hugging Face Hub specifies them, and says no more than was found out."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stages.conftest import Scorer, train_candidate
from wattline import files, splits
from wattline.energy.emissions import of_model
from wattline.params import EmissionsParams
from wattline.records import Decision, Evaluation, Measurement, Score
from wattline.stages import card
from wattline.supply.card import Evidence, render
from wattline.supply.card.licences import KNOWN, named

# How the Hub finds the metadata of a card (huggingface_hub.repocard).
BLOCK = re.compile(r"^(\s*---[\r\n]+)([\S\s]*?)([\r\n]+---(\r\n|\n|$))")
Text = Annotated[str, Field(min_length=1)]
Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.+_-]*$")]
DatasetId = Annotated[str, Field(pattern=r"^(?:[A-Za-z0-9_-][A-Za-z0-9_.-]*/)?[A-Za-z0-9_-][A-Za-z0-9_.-]*$")]


class Spec(BaseModel):
    """https://github.com/huggingface/hub-docs/blob/main/modelcard.md, with nothing beside it."""

    model_config = ConfigDict(extra="forbid", strict=True)


class TaskOfResult(Spec):
    type: Identifier
    name: Text | None = None


class DatasetOfResult(Spec):
    type: DatasetId
    name: Text
    config: Text | None = None
    split: Text | None = None
    revision: Text | None = None
    args: Mapping[str, Any] = {}


class MetricOfResult(Spec):
    type: Identifier
    value: float = Field(allow_inf_nan=False)
    name: Text | None = None
    config: Text | None = None
    args: Mapping[str, Any] = {}
    verified: Literal[False] = False


class Result(Spec):
    task: TaskOfResult
    dataset: DatasetOfResult
    metrics: list[MetricOfResult] = Field(min_length=1)


class Model(Spec):
    name: Text
    results: list[Result] = Field(min_length=1)


class EmissionsOfTraining(Spec):
    emissions: float = Field(ge=0, allow_inf_nan=False)
    source: Text
    training_type: Literal["pre-training", "fine-tuning"] | None = None
    geographical_location: Text | None = None
    hardware_used: Text | None = None


class Metadata(Spec):
    language: list[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]]
    license: Identifier
    license_name: Identifier | None = None
    license_link: Text | None = None
    library_name: Identifier | None = None
    pipeline_tag: Identifier | None = None
    tags: list[Identifier] = []
    datasets: list[DatasetId] = []
    metrics: list[Identifier] = []
    model_index: list[Model] | None = Field(default=None, alias="model-index", min_length=1)
    co2_eq_emissions: EmissionsOfTraining | None = None
    wattline: Mapping[str, Any]

    @model_validator(mode="after")
    def _licence(self) -> "Metadata":
        if (self.license == "other") != (self.license_name is not None):
            raise ValueError("license_name goes with `license: other`")
        if self.license not in KNOWN | {"other"}:
            raise ValueError(f"the Hub does not know the license {self.license}")
        return self


@pytest.fixture
def evidence(finished, block) -> Evidence:
    return card.gather(block.card, Scorer())


@pytest.fixture
def head() -> Callable[[Evidence], Metadata]:
    """The metadata of the card that `evidence` makes, held against the specification."""

    def read(evidence: Evidence) -> Metadata:
        return Metadata.model_validate(parsed(page(evidence)))

    return read


def page(evidence: Evidence) -> str:
    return render(evidence, folder=files.CARDS, reports=files.REPORTS)


def parsed(text: str) -> dict[str, Any]:
    found = BLOCK.match(text)
    assert found
    content: dict[str, Any] = yaml.safe_load(found[2])
    return content


def scored(evidence: Evidence, name: str, score: Score) -> Evidence:
    contenders = dict(evidence.evaluation.contenders)
    contenders["candidate"] = dict(contenders["candidate"]) | {name: score}
    return replace(evidence, evaluation=evidence.evaluation.model_copy(update={"contenders": contenders}))


def test_it_is_what_the_specification_allows(evidence, head):
    found = head(evidence)
    assert found.language == ["en"]
    assert found.license == "apache-2.0"
    assert found.library_name == "onnx"
    assert {"onnx", "scorer", "mean-abs", "energy-estimated"} <= set(found.tags)
    assert found.datasets == [splits.read_dataset().name]
    assert found.metrics == ["separation", "mean_score"]


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "blue"},
        {"license": "Apache-2.0"},
        {"license": "other"},
        {"license_name": "mine"},
        {"tags": "onnx"},
        {"co2_eq_emissions": {"emissions": 1}},
        {"model-index": []},
        {"model-index": [{"name": "scorer", "results": []}]},
    ],
)
def test_the_specification_refuses_what_the_hub_refuses(evidence, change):
    with pytest.raises(ValidationError):
        Metadata.model_validate(parsed(page(evidence)) | change)


def test_results_are_the_candidates_with_units_and_intervals(evidence, head):
    evaluation = files.read_report("evaluate", Evaluation)
    model, *others = head(evidence).model_index
    result = model.results[0]
    assert not others
    assert (model.name, result.task.type, result.dataset.split) == ("scorer", "scorer", "test")
    assert result.dataset.revision == splits.read_dataset().id
    for metric, described in zip(result.metrics, Scorer.description.metrics, strict=True):
        score = evaluation.contenders["candidate"][metric.type]
        assert metric.value == score.value
        assert metric.args == {
            "unit": described.unit,
            "higher_is_better": described.higher_is_better,
            "low": score.low,
            "high": score.high,
            "confidence": 0.95,
            "units": score.units,
        }


def test_an_undefined_score_is_no_result(evidence, head):
    undefined = Score(value=np.nan, low=np.nan, high=np.nan, units=0)
    one = scored(evidence, "separation", undefined)
    assert [metric.type for metric in head(one).model_index[0].results[0].metrics] == ["mean_score"]
    assert head(scored(one, "mean_score", undefined)).model_index is None


def test_energy_is_in_joules_with_its_provenance_and_no_grams_are_made_up(evidence, head):
    assert "co2" not in BLOCK.match(page(evidence))[2]
    measurement = files.read_report("measure", Measurement)
    own = head(evidence).wattline
    for key, energy in {
        "energy_per_1000_predictions": measurement.candidate.energy_per_1000,
        "energy_of_training": measurement.training_energy,
    }.items():
        assert own[key]["joules"] == energy.joules
        assert own[key]["interval_joules"] == list(energy.interval)
        assert own[key]["provenance"] == energy.provenance


def test_the_hub_gets_grams_with_all_that_they_rest_on(evidence, head):
    site = EmissionsParams(grams_per_kwh=250, source="the operator", as_of="2026-06-30")
    measured = evidence.measurement
    found = of_model(measured.candidate.energy_per_1000, evidence.training_energy, site)
    one = replace(evidence, measurement=measured.model_copy(update={"emissions": found}))
    hub, own = head(one).co2_eq_emissions, head(one).wattline
    assert hub.emissions == pytest.approx(measured.training_energy.joules / 3.6e6 * 250)
    assert re.fullmatch(r"\S+ kWh \(estimated\) x 250 gCO2e/kWh as of 2026-06-30: the operator", hub.source)
    assert [(each["for"], each["source"]) for each in own["emissions"]] == [
        ("1,000 predictions", "the operator"),
        ("training", "the operator"),
    ]
    assert own["energy_of_training"]["attempts"] == 1


def test_it_names_the_candidate_and_what_the_gates_said(evidence, head):
    accepted = files.read_report("decide", Decision).accepted
    own = head(evidence).wattline
    assert own["candidate"] == train_candidate().digest
    assert own["decision"] == ("accepted" if accepted else "rejected")


@pytest.mark.parametrize(
    ("licence", "fields"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("CC-BY-NC-SA-4.0", {"license": "cc-by-nc-sa-4.0"}),
        ("OpenRAIL++", {"license": "openrail++"}),
        ("Our Centre's own, v1", {"license": "other", "license_name": "our-centre-s-own-v1"}),
        ("GPL-3.0-or-later", {"license": "other", "license_name": "gpl-3.0-or-later"}),
        ("другая", {"license": "other", "license_name": "other"}),
        ("other", {"license": "other", "license_name": "other"}),
    ],
)
def test_a_licence_is_one_the_hub_knows_or_has_a_name(evidence, head, licence, fields):
    assert named(licence) == fields
    found = head(replace(evidence, card=evidence.card.model_copy(update={"licence": licence})))
    assert found.license == fields["license"]


@pytest.mark.parametrize(
    ("name", "home", "dataset"),
    [
        ("smd", "https://github.com/NetManAIOps/OmniAnomaly", "smd"),
        ("Our own rows!", "local", "our-own-rows"),
        ("данные", "local", "unnamed"),
        ("smd", "https://huggingface.co/datasets/thuml/SMD/", "thuml/SMD"),
    ],
)
def test_a_dataset_has_its_id_on_the_hub_or_nobodys(evidence, head, name, home, dataset):
    update = {"name": name, "home": home}
    found = head(replace(evidence, dataset=evidence.dataset.model_copy(update=update)))
    assert found.datasets == [dataset]
    assert found.model_index[0].results[0].dataset.type == dataset


@pytest.mark.parametrize(
    "text", ["a\n---\nb", "yes", "1.0", "'\"%@`", "- a: b # c", "\t tab", "ä€\u2028", "{{x}}", "null"]
)
def test_whatever_a_text_holds_it_stays_one_block(evidence, head, text):
    description = evidence.description.model_copy(update={"purpose": text})
    changed = replace(
        evidence, description=description, candidate=evidence.candidate.model_copy(update={"model": text})
    )
    found = head(changed)
    assert found.model_index[0].results[0].task.name == " ".join(text.split())
    assert page(changed) == page(changed)


def test_the_page_below_starts_with_its_title(evidence):
    rest = page(evidence)[BLOCK.match(page(evidence)).end() :]
    assert rest.startswith("\n# scorer\n")
    assert "<h1>scorer</h1>" in MarkdownIt("commonmark").enable("table").render(rest)
