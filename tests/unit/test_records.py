"""records: what one stage writes, the next reads back unchanged, and a record can be known by its content."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from builders import energy
from pydantic import ValidationError

from wattline.records import (
    Axis,
    Candidate,
    Champion,
    Check,
    Column,
    Dataset,
    Decision,
    Evaluation,
    Finding,
    Manifest,
    Metric,
    Part,
    Score,
    Signature,
    Slice,
    SourceFile,
    Tensor,
    UnitRows,
    Validation,
    Verdict,
)

DAY = datetime(2026, 1, 1, tzinfo=UTC)
POWER = Column(name="power", unit="W")


def unit(name: str, sha256: str = "aa", **fields: Any) -> UnitRows:
    return UnitRows(
        **{"name": name, "group": "rack-0", "rows": 10, "start": DAY, "end": DAY, "sha256": sha256} | fields
    )


def dataset(**fields: Any) -> Dataset:
    usual: dict[str, Any] = {
        "name": "sample",
        "source": "parquet",
        "home": "local files",
        "licence": "CC0-1.0",
        "citation": "none",
        "cadence_seconds": 60,
        "columns": (POWER,),
        "units": (unit("n0", "aa"), unit("n1", "bb")),
        "labelled": True,
        "files": (SourceFile(path="n0.csv", sha256="cc", size_bytes=3, origin="local"),),
    }
    return Dataset(**usual | fields)


def metric() -> Metric:
    return Metric(name="f1", unit="1", higher_is_better=True, description="F1 of points")


def score(value: float = 0.5) -> Score:
    return Score(value=value, low=value, high=value, units=2)


def evaluation() -> Evaluation:
    return Evaluation(
        candidate="aa",
        champion=Champion(),
        data="bb",
        rows=20,
        rows_sha256="cc",
        headline=metric(),
        contenders={"candidate": {"f1": score()}},
        slices=(Slice(kind="unit", name="n0", rows=10, scores={"f1": 0.5}),),
        robustness={"noise": score(0.4)},
    )


RECORDS = [
    dataset(),
    Manifest(
        data="aa",
        dataset="sample",
        cadence_seconds=60,
        axis=Axis(origin=datetime(2026, 1, 1, tzinfo=UTC)),
        columns=(POWER,),
        parts=(Part(unit="n0", group="rack-0", split="train", rows=5, start=DAY, end=DAY),),
        files={"train/n0.parquet": "aa"},
    ),
    Signature(
        task="f1",
        steps=4,
        cadence_seconds=60,
        columns=(POWER,),
        units=("n0",),
        inputs=(Tensor(name="window", dtype="float32", shape=("batch", 4, 1), unit="W", description="rows"),),
        outputs=(Tensor(name="score", dtype="float32", shape=("batch",), unit="1", description="score"),),
    ),
    evaluation(),
    energy(),
    Validation(
        data="aa",
        rows=5,
        units=1,
        expectations=2,
        findings=(Finding(rule="between", column="power", severity="critical", count=1, share=0.2),),
    ),
    Decision(
        candidate="aa",
        data="bb",
        verdicts=(Verdict(name="quality", passed=True, value=1.0, limit=0.5, reason="good"),),
    ),
    Champion(version="3", digest="aa"),
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_a_record_survives_its_file(record):
    text = record.to_json()
    assert type(record).from_json(text) == record
    assert type(record).from_json(text).to_json() == text
    assert text.endswith("}\n")


def test_an_undefined_figure_is_null_in_the_file_and_nan_in_memory():
    written = score(math.nan).to_json()
    assert json.loads(written)["value"] is None
    assert "NaN" not in written
    assert math.isnan(Score.from_json(written).value)


def test_an_undefined_figure_inside_a_mapping_survives_too():
    part = Slice(kind="unit", name="n0", rows=10, scores={"f1": math.nan, "recall": 0.5})
    found = Slice.from_json(part.to_json()).scores
    assert math.isnan(found["f1"])
    assert found["recall"] == 0.5


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_an_infinite_figure_never_makes_a_file_that_other_tools_cannot_read(value):
    json.loads(score(value).to_json(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_an_unknown_field_is_refused(record):
    tree = json.loads(record.to_json()) | {"renamed": 1}
    with pytest.raises(ValidationError, match="renamed"):
        type(record).from_json(json.dumps(tree))


def test_an_unknown_field_deep_inside_is_refused():
    tree = json.loads(dataset().to_json())
    tree["units"][0]["rack"] = "r0"
    with pytest.raises(ValidationError, match="rack"):
        Dataset.from_json(json.dumps(tree))


def test_a_record_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        score().value = 1.0  # type: ignore[misc]


@pytest.mark.parametrize("name", ["../n0", "a/b", "", ".hidden", "n 0"])
def test_a_unit_whose_name_is_no_file_name_is_refused(name):
    with pytest.raises(ValidationError):
        unit(name)


class TestDatasetId:
    """Equal rows have equal ids, and nothing else has."""

    def test_where_and_how_the_rows_were_read_does_not_matter(self):
        elsewhere = dataset(home="a mirror", notes=("copied",), files=(), source="smd")
        assert elsewhere.id == dataset().id

    @pytest.mark.parametrize(
        "changed",
        [
            {"name": "other"},
            {"units": (unit("n0", "aa"), unit("n1", "changed"))},
            {"units": (unit("n0", "aa"), unit("renamed", "bb"))},
            {"units": (unit("n1", "bb"), unit("n0", "aa"))},
            {"units": (unit("n0", "aa"),)},
            {"columns": (Column(name="power", unit="kW"),)},
            {"columns": (Column(name="watts", unit="W"),)},
            {"columns": (POWER, Column(name="load", unit="1"))},
        ],
        ids=["name", "bytes", "unit", "order", "fewer", "unit of a column", "column", "more columns"],
    )
    def test_other_content_has_another_id(self, changed):
        assert dataset(**changed).id != dataset().id

    def test_it_survives_the_file(self):
        assert Dataset.from_json(dataset().to_json()).id == dataset().id

    def test_rows_are_those_of_all_units(self):
        assert dataset().rows == 20


class TestCandidateDigest:
    def candidate(self, **fields: Any) -> Candidate:
        usual: dict[str, Any] = {
            "task": "t",
            "model": "m",
            "files": {"a": "1", "b": "2"},
            "data": "d",
            "dataset": "s",
            "params_sha256": "p",
            "parameters": 1,
            "parity_max_abs": 0.0,
            "parity_windows": 1,
        }
        return Candidate(**usual | fields)

    def test_it_is_that_of_the_files_whatever_their_order(self):
        assert self.candidate(files={"b": "2", "a": "1"}).digest == self.candidate().digest
        assert self.candidate(parity_max_abs=1e-7).digest == self.candidate().digest

    @pytest.mark.parametrize("files", [{"a": "1", "b": "3"}, {"a": "1"}, {"a": "1", "c": "2"}, {"a": "2", "b": "1"}])
    def test_other_files_have_another_digest(self, files):
        assert self.candidate(files=files).digest != self.candidate().digest


class TestDecision:
    def verdict(self, name: str = "quality", *, passed: bool = True, refused: bool = False) -> Verdict:
        return Verdict(name=name, passed=passed, refused=refused, value=1, limit=1, reason="because")

    def decided(self, *verdicts: Verdict, advisory: tuple[str, ...] = ()) -> bool:
        return Decision(candidate="c", data="d", verdicts=verdicts, advisory=advisory).accepted

    def test_all_gates_must_pass(self):
        assert self.decided(self.verdict(), self.verdict("energy"))
        assert not self.decided(self.verdict(), self.verdict("energy", passed=False))

    def test_a_refusal_never_passes(self):
        refused = self.verdict("energy", passed=True, refused=True)
        assert refused.outcome == "REFUSE"
        assert not self.decided(self.verdict(), refused)

    def test_no_verdict_is_no_acceptance(self):
        assert not self.decided()

    def test_advice_alone_is_no_acceptance(self):
        assert not self.decided(self.verdict(), advisory=("quality",))

    def test_an_advisory_failure_does_not_reject(self):
        assert self.decided(self.verdict(), self.verdict("latency", passed=False), advisory=("latency",))


def test_a_check_of_nothing_does_not_hold():
    assert not Check(name="file", expected="", found="").holds
    assert not Check(name="file", expected="a", found="b").holds
    assert Check(name="file", expected="a", found="a").holds


def test_a_unit_that_was_not_trained_on_has_no_index():
    signature = next(record for record in RECORDS if isinstance(record, Signature))
    assert (signature.index("n0"), signature.index("n9")) == (0, -1)


def test_energy_scales_with_its_interval_and_time():
    twice = energy(10).scaled(2)
    assert (twice.joules, twice.interval, twice.seconds) == (20, (18, 22), 2)


def test_findings_are_told_apart_by_severity():
    validation = next(record for record in RECORDS if isinstance(record, Validation))
    assert len(validation.failures("critical")) == 1
    assert validation.failures("warning") == ()
