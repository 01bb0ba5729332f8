"""Small things to test with: a real ONNX graph with its records, made in milliseconds."""

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import safetensors.numpy
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from wattline import files, signing
from wattline.records import (
    Attempt,
    Axis,
    Candidate,
    Champion,
    Column,
    Dataset,
    Decision,
    Energy,
    Evaluation,
    Manifest,
    Measurement,
    Metric,
    Performance,
    Score,
    Signature,
    Tensor,
    TrainingEnergy,
    UnitRows,
    Verdict,
)
from wattline.serving.inference.engine import Engine
from wattline.serving.inference.golden import make as make_golden
from wattline.signing import entry as entries
from wattline.signing import keys
from wattline.signing.entry import FIRST, Actor, Entry
from wattline.signing.keys import PrivateKey
from wattline.signing.statement import CardSummary, Statement, compose
from wattline.task import FloatArray, Series

COLUMNS = (
    Column(name="power", unit="W"),
    Column(name="temperature", unit="degC"),
    Column(name="load", unit="%"),
)
UNITS = ("node-01", "node-02", "node-03")
STEPS = 4
THRESHOLD = 2.0
ROWS = b"rows of node-01"
DATASET = Dataset(
    name="simulator",
    source="simulator",
    home="generated",
    licence="CC0-1.0",
    citation="none",
    cadence_seconds=60,
    columns=COLUMNS,
    units=(
        UnitRows(
            name="node-01",
            group="rack-1",
            rows=1000,
            start=datetime(2026, 1, 1, tzinfo=UTC),
            end=datetime(2026, 1, 2, tzinfo=UTC),
            sha256=hashlib.sha256(ROWS).hexdigest(),
        ),
    ),
    labelled=True,
)
POOLED_CENTER = 0.0
CENTERS = (1.0, 2.0, 3.0)
"""Center of each unit's values, in every column."""


def mean_abs(windows: FloatArray, units: NDArray[np.int64]) -> NDArray[np.float32]:
    """What the graph of `scorer` computes: mean |value - center of the unit|, a missing value as no deviation."""
    known = (units >= 0) & (units < len(CENTERS))
    centers = np.where(known, np.asarray(CENTERS)[np.clip(units, 0, len(CENTERS) - 1)], POOLED_CENTER)
    deviations = np.nan_to_num(np.abs(windows - centers[:, None, None]))
    scores: NDArray[np.float32] = deviations.mean(axis=(1, 2)).astype(np.float32)
    return scores


def scorer(
    columns: Sequence[Column] = COLUMNS,
    *,
    steps: int = STEPS,
    optional: bool = True,
    rename: dict[str, str] | None = None,
    window_type: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A graph that keeps the contract: a per-unit center, the pooled one for an unknown unit, mean |deviation|.

    optional: whether it answers `threshold` and `contribution` too
    rename: input or output names to change, to break the contract
    """
    outputs = [("score", ["batch"])]
    if optional:
        outputs += [("threshold", ["batch"]), ("contribution", ["batch", len(columns)])]
    names = rename or {}
    nodes = [_renamed(node, names) for node in _nodes(optional, cast=window_type != TensorProto.FLOAT)]
    graph = helper.make_graph(
        nodes,
        "scorer",
        [
            helper.make_tensor_value_info(names.get("window", "window"), window_type, ["batch", steps, len(columns)]),
            helper.make_tensor_value_info(names.get("unit", "unit"), TensorProto.INT64, ["batch"]),
        ],
        [helper.make_tensor_value_info(names.get(name, name), TensorProto.FLOAT, shape) for name, shape in outputs],
        initializer=_constants(),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def _constants() -> list[onnx.TensorProto]:
    values: dict[str, Any] = {
        "centers": np.asarray([*CENTERS, POOLED_CENTER], np.float32),
        "pooled": np.asarray(len(CENTERS), np.int64),
        "first": np.asarray(0, np.int64),
        "zero": np.asarray(0, np.float32),
        "limit": np.asarray(THRESHOLD, np.float32),
        "axes": np.asarray([1, 2], np.int64),
        "time": np.asarray([1], np.int64),
    }
    return [numpy_helper.from_array(value, name) for name, value in values.items()]


def _nodes(optional: bool, *, cast: bool) -> list[onnx.NodeProto]:
    make = helper.make_node
    nodes = [
        make("Cast", ["window"], ["raw"], to=TensorProto.FLOAT) if cast else make("Identity", ["window"], ["raw"]),
        make("Less", ["unit", "pooled"], ["below"]),
        make("GreaterOrEqual", ["unit", "first"], ["above"]),
        make("And", ["below", "above"], ["known"]),
        make("Where", ["known", "unit", "pooled"], ["place"]),
        make("Gather", ["centers", "place"], ["center"]),
        make("Unsqueeze", ["center", "axes"], ["wide"]),
        make("Sub", ["raw", "wide"], ["difference"]),
        make("Abs", ["difference"], ["distance"]),
        make("IsNaN", ["distance"], ["missing"]),
        make("Where", ["missing", "zero", "distance"], ["deviation"]),
        make("ReduceMean", ["deviation", "axes"], ["score"], keepdims=0),
    ]
    if optional:
        nodes += [
            make("Mul", ["score", "zero"], ["nothing"]),
            make("Add", ["nothing", "limit"], ["threshold"]),
            make("ReduceMean", ["deviation", "time"], ["contribution"], keepdims=0),
        ]
    return nodes


def _renamed(node: onnx.NodeProto, names: dict[str, str]) -> onnx.NodeProto:
    for values in (node.input, node.output):
        for place, value in enumerate(values):
            values[place] = names.get(value, value)
    return node


def signature(columns: Sequence[Column] = COLUMNS, *, steps: int = STEPS, optional: bool = True) -> Signature:
    """The signature that `scorer` keeps."""
    shapes: dict[str, tuple[int | str, ...]] = {"score": ("batch",)}
    if optional:
        shapes |= {"threshold": ("batch",), "contribution": ("batch", len(columns))}
    window = ("batch", steps, len(columns))
    return Signature(
        task="anomaly",
        steps=steps,
        cadence_seconds=60,
        columns=tuple(columns),
        units=UNITS,
        inputs=(
            Tensor(name="window", dtype="float32", shape=window, unit="as in columns", description="latest rows"),
            Tensor(name="unit", dtype="int64", shape=("batch",), unit="1", description="place in units"),
        ),
        outputs=tuple(
            Tensor(name=name, dtype="float32", shape=shape, unit="1", description=name)
            for name, shape in shapes.items()
        ),
    )


def write_data(raw: Path, prepared: Path) -> Dataset:
    """Write rows of one unit and their records, as `ingest` and `prepare` do; candidates are made from them."""
    for folder in (raw, prepared):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "node-01.parquet").write_bytes(ROWS)
    manifest = Manifest(
        data=DATASET.id,
        dataset=DATASET.name,
        cadence_seconds=60,
        axis=Axis(origin=datetime(2026, 1, 1, tzinfo=UTC)),
        columns=COLUMNS,
        parts=(),
        files={"node-01.parquet": hashlib.sha256(ROWS).hexdigest()},
    )
    (raw / "dataset.json").write_text(DATASET.to_json())
    (prepared / "manifest.json").write_text(manifest.to_json())
    return DATASET


def write_candidate(
    folder: Path,
    columns: Sequence[Column] = COLUMNS,
    *,
    model: onnx.ModelProto | None = None,
    declared: Signature | None = None,
    weights: bytes = b"weights",
    golden: bool = False,
) -> Candidate:
    """Write model.onnx, signature.json, weights.safetensors and candidate.json to `folder`, as `train` does.

    weights: content of the one tensor in weights.safetensors
    golden: whether golden.json is written too, with answers of the graph to two windows
    """
    folder.mkdir(parents=True, exist_ok=True)
    graph = model or scorer(columns)
    (folder / "model.onnx").write_bytes(graph.SerializeToString(deterministic=True))
    (folder / "signature.json").write_text((declared or signature(columns)).to_json())
    (folder / "weights.safetensors").write_bytes(safetensors.numpy.save({"weights": np.frombuffer(weights, np.uint8)}))
    if golden:
        (folder / "golden.json").write_bytes(golden_answers(folder))
    return write_record(folder)


def golden_answers(folder: Path) -> bytes:
    """Content of golden.json for the graph in `folder`: a known unit, and an unknown one with a missing value."""
    described = Signature.from_json((folder / "signature.json").read_text())
    windows = np.arange(2 * described.steps * len(described.columns), dtype=np.float32)
    windows = windows.reshape(2, described.steps, len(described.columns))
    windows[1, 0, 0] = np.nan
    engine = Engine.of(folder / "model.onnx", described)
    return make_golden(engine, windows, np.array([0, -1], dtype=np.int64))


def write_record(folder: Path) -> Candidate:
    """Write the candidate.json that fits the files in `folder`."""
    (folder / "candidate.json").unlink(missing_ok=True)
    candidate = Candidate(
        task="anomaly",
        model="mean-abs",
        files=files.digests(folder),
        data=DATASET.id,
        dataset=DATASET.name,
        params_sha256=hashlib.sha256(b"params").hexdigest(),
        parameters=4,
        parity_max_abs=1e-7,
        parity_windows=100,
    )
    (folder / "candidate.json").write_text(candidate.to_json())
    return candidate


def signing_key(seed: int = 0) -> PrivateKey:
    """A key pair that follows from `seed`."""
    return PrivateKey.of(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"%d" % seed).digest()))


def write_keys(folder: Path, *, seed: int = 0) -> PrivateKey:
    """Write the pair of `signing_key` as private.pem and public.pem to `folder`, whatever is there."""
    key = signing_key(seed)
    for name in (keys.PRIVATE, keys.PUBLIC):
        (folder / name).unlink(missing_ok=True)
    keys.write(folder, key)
    return key


def statement(candidate: Candidate, *, name: str = "anomaly", version: str = "1") -> Statement:
    """What is said of `candidate` as a version of the registered model `name`."""
    return compose(
        candidate,
        name=name,
        version=version,
        commit="c" * 40,
        dirty=False,
        registered=datetime(2026, 1, 1, tzinfo=UTC),
        decision=decision(candidate),
        evaluation=evaluation(candidate),
        measurement=measurement(candidate),
        card=CardSummary(purpose="to be tested", owner="nobody"),
        evidence={"reports/decide.json": "d" * 64},
    )


def promotion(candidate: Candidate, *, version: str = "1", name: str = "anomaly", **fields: Any) -> Entry:
    """The entry of an audit log that made `candidate` champion; `fields` are others than those of a first promotion."""
    said: dict[str, Any] = {
        "sequence": 1,
        "previous": FIRST,
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "actor": Actor(name="ada", kind="person"),
        "action": "promote",
        "model": name,
        "version": version,
        "digest": candidate.digest,
        "token": 1,
    }
    return Entry.model_validate(said | fields)


def write_served(
    folder: Path,
    key: PrivateKey,
    *,
    version: str = "1",
    name: str = "anomaly",
    entry: Mapping[str, Any] | None = None,
    **candidate: Any,
) -> Candidate:
    """Write what `wattline champion` leaves: files, candidate.json, champion.json and the statement signed by `key`.

    It takes the place of the folder that is there, as it does in earnest.
    entry: fields of the entry that made it champion, as for `promotion`; None for a folder without one
    candidate: options of `write_candidate`
    """
    fresh = folder.with_name(f"{folder.name}.new")
    written = write_candidate(fresh, **({"golden": True} | candidate))
    champion = Champion(version=version, digest=written.digest, name=name)
    (fresh / "champion.json").write_text(champion.to_json())
    (fresh / signing.FILE).write_bytes(signing.sign(statement(written, name=name, version=version), key))
    if entry is not None:
        said = promotion(written, **({"version": version, "name": name} | entry))
        (fresh / entries.FILE).write_bytes(entries.seal(said, key))
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    return written


def write_reports(
    folder: Path, candidate: Candidate, *, failed: Sequence[str] = (), champion: Champion | None = None
) -> Decision:
    """Write decide.json, evaluate.json and measure.json for `candidate` to `folder`.

    failed: gates that say no; champion: which it was compared with
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = decision(candidate, failed=failed)
    for name, record in {
        "decide": found,
        "evaluate": evaluation(candidate, champion=champion),
        "measure": measurement(candidate),
    }.items():
        (folder / f"{name}.json").write_text(record.to_json())
    return found


def decision(candidate: Candidate, *, failed: Sequence[str] = ()) -> Decision:
    """Verdicts of four gates on `candidate`."""
    verdicts = tuple(
        Verdict(name=name, passed=name not in failed, value=0.5, limit=0.4, reason=f"the {name} is what it is")
        for name in ("integrity", "quality", "champion", "energy")
    )
    return Decision(candidate=candidate.digest, data=candidate.data, verdicts=verdicts)


def evaluation(candidate: Candidate, *, champion: Champion | None = None) -> Evaluation:
    """Scores of `candidate` and one baseline; the champion's are left out."""
    metric = Metric(name="vus_pr", unit="1", higher_is_better=True, description="volume under the surface")
    return Evaluation(
        candidate=candidate.digest,
        champion=champion or Champion(),
        data=candidate.data,
        rows=1000,
        rows_sha256="0" * 64,
        headline=metric,
        contenders={
            "candidate": {"vus_pr": Score(value=0.53, low=0.4, high=0.6, units=3)},
            "random": {"vus_pr": Score(value=0.07, low=0.05, high=0.09, units=3)},
        },
    )


def energy(joules: float = 12.0) -> Energy:
    """An estimate with an interval of 10 % each way."""
    return Energy(
        joules=joules,
        interval=(joules * 0.9, joules * 1.1),
        provenance="estimated",
        sensor="CPU time x 12.5 W/core",
        boundary="one core",
        seconds=1,
    )


def training_energy(joules: float = 300.0) -> TrainingEnergy:
    """Two attempts, of which the first one was interrupted after a quarter of the energy."""
    lost, rest = energy(joules / 4), energy(joules * 3 / 4)
    attempts = (
        Attempt(number=1, rank=0, node=0, finished=False, energy=lost),
        Attempt(number=2, rank=0, node=0, finished=True, energy=rest),
    )
    return TrainingEnergy(total=energy(joules), attempts=attempts)


def measurement(candidate: Candidate) -> Measurement:
    """What `candidate` costs."""
    return Measurement(
        candidate=Performance(
            digest=candidate.digest,
            latency_p50_ms=0.1,
            latency_p99_ms=0.2,
            throughput_per_second=5000,
            batch=256,
            energy_per_1000=energy(),
        ),
        machine="x86_64, Linux",
        training_energy=energy(300),
    )


def series(rows: int, *, unit: str = "node-02", history: int = 0, columns: int = 3, seed: int = 0) -> Series:
    """Random rows of one unit, a minute apart, a twentieth of the values missing."""
    generator = np.random.default_rng(seed)
    values = generator.normal(2, 3, (rows, columns)).astype(np.float32)
    values[generator.random(values.shape) < 0.05] = np.nan
    start = np.datetime64(datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None), "ns")
    return Series(
        unit=unit,
        group="rack-1",
        timestamps=start + np.arange(rows) * np.timedelta64(60, "s"),
        values=values,
        target=np.zeros(rows),
        history=history,
    )
