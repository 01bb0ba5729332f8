"""card: nothing required is empty, nothing is stale, and the bill of materials is valid."""

import importlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import energy, training_energy

from stages.conftest import SEED, Scorer, few_resamples, promote_candidate, train_candidate
from wattline import files, splits
from wattline.energy.emissions import of_model
from wattline.errors import InputError, WattlineError
from wattline.params import EmissionsParams
from wattline.records import Decision, Evaluation, Record
from wattline.stages import card, decide, evaluate
from wattline.stages.card import CardReport
from wattline.supply import bom
from wattline.supply import card as model_card
from wattline.supply.card import Evidence

CARD = Path("model_cards/scorer.md")
BILL = Path("model_cards/scorer.cdx.json")


@pytest.fixture
def write(finished, block) -> Callable[[], str]:
    """Run `card` and read the page."""

    def run() -> str:
        card.run(card=block.card, task=Scorer())
        return CARD.read_text()

    return run


@pytest.fixture
def check(finished, block) -> Callable[[], None]:
    return lambda: card.check(card=block.card, task=Scorer())


@pytest.fixture
def evidence(finished, block) -> Evidence:
    return card.gather(block.card, Scorer())


def section(text: str, title: str) -> str:
    return text.split(f"\n## {title}\n")[1].split("\n## ", maxsplit=1)[0]


def test_it_has_the_sections_of_a_model_card(write):
    titles = re.findall(r"^## (.+)$", write(), flags=re.MULTILINE)
    assert titles == [
        "Identity",
        "Decision",
        "Intended use",
        "Data",
        "Training",
        "Evaluation",
        "Slices",
        "Robustness",
        "Latency",
        "Energy",
        "Energy test",
        "Energy of serving",
        "Limits",
        "Change since the champion",
    ]


def test_it_says_what_the_reports_say(write):
    text = write()
    candidate, dataset = train_candidate(), splits.read_dataset()
    evaluation = files.read_report("evaluate", Evaluation)
    assert candidate.digest in section(text, "Identity")
    assert dataset.id in section(text, "Data")
    assert dataset.licence in section(text, "Data")
    for name, scores in evaluation.contenders.items():
        assert f"| {name} | {scores['separation']} |" in section(text, "Evaluation")
    for name, score in evaluation.robustness.items():
        assert f"| {name} | {score} |" in section(text, "Robustness")
    for verdict in files.read_report("decide", Decision).verdicts:
        assert f"| {verdict.name} | {verdict.outcome} |" in section(text, "Decision")


def test_energy_has_its_provenance_and_sensor(write):
    text = section(write(), "Energy")
    joules = r"\S+ J \[\S+, \S+\], (estimated|measured)"
    assert re.search(rf"\| 1,000 predictions, candidate \| {joules} \|", text)
    assert re.search(rf"\| training \| \S+ kWh \[\S+, \S+\] \({joules}\) \|", text)
    assert re.search(r"Sensor: .+\. Boundary: .+\.", text)


class TestEnergy:
    """Lost work counts and is shown; grams are shown with all that they rest on, or not at all."""

    @pytest.fixture
    def interrupted(self, evidence) -> Evidence:
        spent = training_energy(300)
        found = evidence.measurement.model_copy(update={"training_energy": spent.total})
        return replace(evidence, measurement=found, training_energy=spent)

    @pytest.fixture
    def stated(self, interrupted) -> Evidence:
        site = EmissionsParams(
            grams_per_kwh=250,
            source="the operator",
            as_of="2026-06-30",
            embodied_grams_per_hour=36,
            embodied_source="the vendor",
        )
        found = of_model(energy(36), interrupted.training_energy, site)
        return replace(interrupted, measurement=interrupted.measurement.model_copy(update={"emissions": found}))

    def page(self, evidence: Evidence) -> str:
        return section(model_card.render(evidence, folder=files.CARDS, reports=files.REPORTS), "Energy")

    def consumptions(self, evidence: Evidence) -> dict[str, Any]:
        text = bom.render(evidence)
        assert bom.validate(text) is None
        model = json.loads(text)["metadata"]["component"]["modelCard"]
        found = model["considerations"]["environmentalConsiderations"]["energyConsumptions"]
        return {one["activity"]: one for one in found}

    def test_every_attempt_is_listed_with_what_was_lost(self, interrupted):
        text = self.page(interrupted)
        assert "| training | 8.33e-05 kWh [7.5e-05, 9.17e-05] (300 J [270, 330], estimated) |" in text
        assert "begun 2 times" in text
        assert "75 J of lost work included" in text
        assert "| 1 | 0 | 0 | lost | 75 J [67.5, 82.5], estimated |" in text
        assert "| 2 | 0 | 0 | ended | 225 J [202, 248], estimated |" in text

    def test_one_attempt_is_said_in_a_line(self, evidence):
        assert "The training ended at its first attempt." in self.page(evidence)

    def test_attempts_of_another_training_are_refused(self, evidence):
        with pytest.raises(InputError, match="are about different trainings; run `dvc repro measure`"):
            self.page(replace(evidence, training_energy=training_energy(1)))

    def test_without_a_factor_there_are_no_grams(self, interrupted):
        assert "gCO2" not in self.page(interrupted)
        found = self.consumptions(interrupted)
        assert "co2CostEquivalent" not in found["training"]
        assert "grams" not in json.dumps(found)

    def test_grams_stand_beside_energy_factor_date_and_source(self, stated):
        text = self.page(stated)
        assert "| 1,000 predictions | 1e-05 kWh, estimated | 0.0025 | 0.01 | 0.0125 |" in text
        assert "| training | 8.33e-05 kWh, estimated | 0.0208 | 0.02 | 0.0408 |" in text
        assert "ISO/IEC 21031:2024) with 250 gCO2e/kWh as of 2026-06-30: the operator. Embodied: the vendor." in text

    def test_the_bill_has_tonnes_and_what_they_rest_on(self, stated):
        found = self.consumptions(stated)
        assert found["training"]["co2CostEquivalent"]["value"] == pytest.approx(300 / 3.6e6 * 250 / 1e6)
        said = {one["name"]: one["value"] for one in found["training"]["properties"]}
        assert said["wattline:attempts"] == "2"
        assert said["wattline:provenance"] == "estimated"
        assert (said["wattline:grams_per_kwh"], said["wattline:emission_as_of"]) == ("250", "2026-06-30")
        assert said["wattline:emission_source"] == "the operator"
        per = {one["name"]: one["value"] for one in found["inference"]["properties"]}["wattline:per"]
        assert per == "1,000 predictions"

    def test_it_is_said_what_was_not_read(self, interrupted):
        cut = {"not_read": "at most 9 J after the last reading"}
        spent = interrupted.training_energy.total.model_copy(update={"parameters": cut})
        whole = interrupted.training_energy.model_copy(update={"total": spent})
        measured = interrupted.measurement.model_copy(update={"training_energy": spent})
        text = self.page(replace(interrupted, measurement=measured, training_energy=whole))
        assert "Not read: at most 9 J after the last reading." in text


def test_every_picture_is_there_and_linked_relative_to_the_card(write):
    text = write()
    (files.REPORTS / "train").mkdir(exist_ok=True)
    files.write_text(files.REPORTS / "validate" / "index.html", "what `validate` writes")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) == 8
    for link in links:
        assert not link.startswith("/")
        assert (CARD.parent / link).is_file(), link


def test_tables_stay_tables_whatever_is_in_a_cell():
    lines = model_card.table(["why"], [["|a| is\n\nlarge"], ["short"]])
    assert lines == ["| why |", "| --- |", r"| \|a\| is large |", "| short |"]


def test_every_row_of_a_table_has_as_many_cells_as_its_header(write):
    tables = re.findall(r"(?:^\|.*\|\n)+", write(), flags=re.MULTILINE)
    assert len(tables) > 5
    for rows in tables:
        assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows.splitlines()}) == 1


def test_the_same_evidence_gives_the_same_bytes(write):
    before = write(), BILL.read_bytes(), files.report_path("card").read_bytes()
    assert (write(), BILL.read_bytes(), files.report_path("card").read_bytes()) == before


def test_it_knows_no_path_of_this_machine(write, finished):
    assert str(finished) not in write()
    assert str(Path(__file__).parents[2]) not in CARD.read_text() + BILL.read_text()


def test_the_report_says_which_bytes_speak_about_which_model(write):
    write()
    report = files.read_report("card", CardReport)
    assert report.candidate == train_candidate().digest
    assert (report.card_sha256, report.bom_sha256) == (files.sha256(CARD), files.sha256(BILL))


def test_a_first_candidate_changes_nothing(write):
    assert "There is no champion yet" in section(write(), "Change since the champion")


def test_the_change_since_the_champion_is_paired(write, block):
    champion = promote_candidate()
    evaluate.run(evaluate=few_resamples(), train={}, seed=SEED, task=Scorer())
    decide.run(gates=block.gates, decide=block.decide, measure=block.measure)
    text = section(write(), "Change since the champion")
    assert champion.digest is not None
    assert champion.digest in text
    assert "| separation | 0 [0, 0] |" in text


class TestRequiredFields:
    """A card with a hole is not written; the hole is named."""

    def refused(self, evidence: Evidence) -> str:
        with pytest.raises(InputError) as caught:
            card.render(evidence)
        message = str(caught.value)
        assert re.fullmatch(r"model card: required field .+ is empty; .+", message)
        return message

    def without(self, evidence: Evidence, path: str, value: Any = "") -> Evidence:
        """`evidence` with one field emptied; `path` is a record's name and the fields below it."""
        name, *fields = path.split(".")
        return replace(evidence, **{name: emptied(getattr(evidence, name), fields, value)})

    @pytest.mark.parametrize("value", ["", "  \n"])
    @pytest.mark.parametrize(
        ("path", "field"),
        [
            ("card.owner", "owner"),
            ("card.contact", "contact"),
            ("card.licence", "licence"),
            ("candidate.model", "model"),
            ("candidate.params_sha256", "params_sha256"),
            ("dataset.name", "dataset"),
            ("dataset.home", "home of the dataset"),
            ("dataset.licence", "licence"),
            ("dataset.citation", "citation"),
            ("description.purpose", "description.purpose"),
            ("description.intended_use", "intended use"),
            ("description.out_of_scope", "out of scope"),
            ("description.limits", "description.limits"),
            ("description.output", "output"),
            ("description.output_unit", "unit of the output"),
            ("measurement.machine", "measurement.machine"),
            ("measurement.candidate.energy_per_1000.sensor", "energy.sensor"),
            ("measurement.candidate.energy_per_1000.boundary", "energy.boundary"),
        ],
    )
    def test_an_empty_text_is_named(self, evidence, path, field, value):
        assert f"required field {field}" in self.refused(self.without(evidence, path, value))

    def test_an_absent_training_energy_is_named(self, evidence):
        assert "energy" in self.refused(self.without(evidence, "measurement.training_energy", None))

    def test_absent_figures_of_training_are_named(self, evidence):
        emptied = replace(evidence, training=dict(evidence.training) | {"final": {}})
        assert "final figures" in self.refused(emptied)

    def test_a_decision_without_verdicts_is_named(self, evidence):
        assert "decision.verdicts" in self.refused(self.without(evidence, "decision.verdicts", ()))

    def test_a_verdict_without_a_reason_is_named(self, evidence):
        decision = evidence.decision
        first = decision.verdicts[0].model_copy(update={"reason": ""})
        found = decision.model_copy(update={"verdicts": (first, *decision.verdicts[1:])})
        assert f"decision.{first.name}.reason" in self.refused(replace(evidence, decision=found))

    @pytest.mark.parametrize("report", ["validate", "train", "train_energy", "evaluate", "measure", "decide"])
    def test_an_absent_report_is_named_and_nothing_is_written(self, write, report):
        files.report_path(report).unlink()
        with pytest.raises(InputError, match=rf"reports/{report}\.json is missing"):
            write()
        assert not CARD.exists()
        assert not BILL.exists()

    def test_a_hole_leaves_the_former_card(self, write, block):
        write()
        before = files.digests(files.CARDS), files.report_path("card").read_bytes()
        task = Scorer()
        task.description = Scorer.description.model_copy(update={"limits": ""})
        with pytest.raises(InputError, match=r"description\.limits"):
            card.run(card=block.card, task=task)
        assert (files.digests(files.CARDS), files.report_path("card").read_bytes()) == before


def emptied(record: Record, fields: list[str], value: Any) -> Record:
    first, *rest = fields
    new = emptied(getattr(record, first), rest, value) if rest else value
    return record.model_copy(update={first: new})


class TestCheck:
    """`wattline card --check`: does the card say what the reports say today?"""

    def test_a_fresh_card_holds(self, write, check):
        write()
        check()

    @pytest.mark.parametrize("path", [CARD, BILL])
    @pytest.mark.parametrize("change", ["edited", "absent"])
    def test_a_changed_or_absent_one_is_stale(self, write, check, path, change):
        write()
        if change == "edited":
            path.write_text(path.read_text() + " ")
        else:
            path.unlink()
        with pytest.raises(WattlineError, match=rf"^{path} is stale: .*`dvc repro card`"):
            check()

    def test_it_is_stale_when_a_report_changed(self, write, check, block):
        write()
        gates = block.gates.model_copy(update={"data": block.gates.data.model_copy(update={"minimum_rows": 2})})
        decide.run(gates=gates, decide=block.decide, measure=block.measure)
        with pytest.raises(WattlineError, match="is stale"):
            check()

    def test_it_is_stale_when_the_owner_changed(self, write, block):
        write()
        with pytest.raises(WattlineError, match="is stale"):
            card.check(card=block.card.model_copy(update={"owner": "somebody else"}), task=Scorer())

    def test_it_is_stale_when_the_code_changed(self, write, check, monkeypatch):
        write()
        monkeypatch.setattr(card, "code_digest", lambda task: "another")
        with pytest.raises(WattlineError, match="is stale"):
            check()

    def test_it_writes_nothing(self, finished, check):
        with pytest.raises(WattlineError, match="is stale"):
            check()
        assert not CARD.parent.exists()


class TestBill:
    @pytest.fixture
    def bill(self, write) -> Mapping[str, Any]:
        write()
        found: Mapping[str, Any] = json.loads(BILL.read_text())
        return found

    def test_it_is_valid(self, bill):
        assert bom.validate(json.dumps(bill)) is None

    def test_what_is_not_valid_is_found(self, bill):
        assert bom.validate(json.dumps(dict(bill) | {"colour": "blue"}))
        assert bom.validate("{}")

    def test_it_names_the_bytes_of_model_and_data(self, bill):
        model = bill["metadata"]["component"]
        assert model["type"] == "machine-learning-model"
        assert model["hashes"] == [{"alg": "SHA-256", "content": files.sha256(files.CANDIDATE / "model.onnx")}]
        data = next(component for component in bill["components"] if component["type"] == "data")
        assert data["hashes"][0]["content"] == splits.read_dataset().id

    def test_energy_is_in_kilowatt_hours(self, bill):
        considerations = bill["metadata"]["component"]["modelCard"]["considerations"]["environmentalConsiderations"]
        found = {one["activity"]: one["activityEnergyCost"] for one in considerations["energyConsumptions"]}
        joules = json.loads(files.report_path("train_energy").read_text())["total"]["joules"]
        assert found["training"] == {"value": joules / 3.6e6, "unit": "kWh"}
        assert set(found) == {"training", "inference"}

    def test_every_reference_leads_somewhere(self, bill):
        known = {bill["metadata"]["component"]["bom-ref"], *(part["bom-ref"] for part in bill["components"])}
        for dependency in bill["dependencies"]:
            assert {dependency["ref"], *dependency["dependsOn"]} <= known


def test_the_code_digest_knows_every_source_of_the_task(tmp_path, monkeypatch):
    folder = tmp_path / "own_sources"
    files.write_text(folder / "task.py", "class Own: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    task = importlib.import_module("own_sources.task").Own()
    before = card.code_digest(task)
    assert card.code_digest(task) == before
    files.write_text(folder / "deeper" / "features.py", "")
    assert card.code_digest(task) != before
