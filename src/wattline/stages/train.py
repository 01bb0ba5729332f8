"""train: fit the task's model, export it as one graph, prove that both agree, and log the run."""

import csv
import hashlib
import io
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from wattline import files, graph, params, splits
from wattline.checkpoints import Kept, Told, listening
from wattline.energy.place import here, together
from wattline.energy.training import accounted, check_devices, meter_of
from wattline.errors import InputError, WattlineError
from wattline.params import EnergyParams, HpcParams, typed
from wattline.progress import progress
from wattline.records import Candidate, Record, Signature, TrainingEnergy
from wattline.registry import tracking
from wattline.serving.inference import golden
from wattline.serving.inference.contents import GOLDEN
from wattline.serving.inference.engine import Engine
from wattline.settings import settings
from wattline.task import FloatArray, Run, Task, Trained, TrainingData, folder_of

PARITY_WINDOWS = 1000
PARITY_TOLERANCE = 1e-5


class Training(Record):
    """Outcome of `train`, as `dvc metrics` shows it. What it took is in `reports/train_energy.json`."""

    candidate: str
    model: str
    data: str
    parameters: int
    steps: int
    epochs: int
    final: Mapping[str, float]
    parity_max_abs: float


def run(*, train: Mapping[str, Any], energy: EnergyParams, seed: int, task: Task) -> None:
    """Write models/candidate, reports/train.json with its curves, and the energy that this stage took.

    Of several processes that train together, the first one writes; what the others took is counted.
    Raises PausedError when a signal told it to end and a checkpoint was kept, SupersededError when a second copy of the
    same training has begun meanwhile, as a scheduler may start one that has lost sight of this one.
    """
    options = typed(task.options, train, where=f"params.yaml: {task.description.name}.train")
    identity = _identity(options, seed, task)
    folder = settings().state / "checkpoints" / identity
    place = here()
    hpc = _hpc()
    processes = replace(together(place), patience_seconds=hpc.peer_seconds)
    meter = meter_of(energy, place)
    with listening() as told, accounted(meter, folder / "energy", place=place) as account:
        kept = Kept(
            folder,
            identity=identity,
            processes=processes,
            launch=place.launch,
            minutes=hpc.checkpoint_minutes,
            told=told,
        )

        def check(*_: object) -> None:
            account.check()
            check_devices(energy, meter)

        data = splits.read_training_data()
        trained = _fit(task, data, options, run=Run(seed, check, kept, processes), told=told)
        if place.rank == 0:
            kept.check()
            logged = _flat(options.model_dump()) | {"seed": seed}

            def spent() -> TrainingEnergy:
                return account.total().model_copy(update={"ran_on": dict(trained.notes)})

            def log(candidate: Candidate) -> None:
                energy = spent()
                kept.check()
                tracking.log_training(candidate, params=logged, curves=trained.curves, energy=energy)

            candidate = write_candidate(trained, task, data, options, log=log)
            _report(candidate, trained, spent())
    if place.rank == 0:
        kept.remove()


def _fit(task: Task, data: TrainingData, options: BaseModel, *, run: Run, told: Told) -> Trained:
    """Let the task train. A meter that stopped working ends it at its next report, not after hours.

    run: its `report` shows nothing, and raises when what the training takes is not read
    """
    with progress("train") as report:

        def checked(what: str, done: float, figures: Mapping[str, float]) -> None:
            run.report(what, done, figures)
            if run.processes.rank == 0:
                report(what, done, figures)

        trained = task.train(data, options, replace(run, report=checked))
    told.heeded = False
    if told.to_end:
        raise told.error("the last checkpoint stays; start the training again and it goes on from there")
    run.report("trained", 1.0, {})
    check_curves(trained.curves)
    return trained


def _hpc() -> HpcParams:
    """How a training gets over interruptions. Not a parameter of the stage: a changed knob would train anew."""
    return params.load().hpc if params.FILE.is_file() else HpcParams()


def check_curves(curves: Sequence[Mapping[str, float]]) -> None:
    """Raise WattlineError naming the first figure that is not finite, InputError when the curves are no table."""
    if not curves:
        raise InputError("the task gave no training curves; give at least one row of figures in Trained.curves")
    for epoch, figures in enumerate(curves):
        if figures.keys() != curves[0].keys():
            raise InputError(
                f"epoch {epoch} of the training curves has figures {', '.join(figures)}, the first has "
                f"{', '.join(curves[0])}; give the same ones for every epoch"
            )
        for name, value in figures.items():
            if not math.isfinite(value):
                raise WattlineError(f"training diverged: {name} is {value} at epoch {epoch}; lower the learning rate")


def write_candidate(
    trained: Trained,
    task: Task,
    data: TrainingData,
    options: BaseModel,
    *,
    log: Callable[[Candidate], object],
) -> Candidate:
    """Write models/candidate with the graph's parity checked, or leave what was there.

    log: called with the complete candidate; when it fails, nothing is replaced
    Raises WattlineError when graph and trained model differ by more than PARITY_TOLERANCE.
    """
    manifest = splits.read_manifest()
    signature = graph.signature(
        trained,
        task.description,
        columns=data.columns,
        units=data.constants.units,
        cadence_seconds=data.cadence_seconds,
    )
    with files.replace_directory(files.CANDIDATE) as folder:
        files.write_bytes(folder / "model.onnx", graph.canonical(trained.graph))
        files.write_text(folder / "signature.json", signature.to_json())
        _write_weights(folder / "weights.safetensors", trained)
        engine = Engine.of(folder / "model.onnx", signature)
        parity, windows = check_parity(trained, engine, data, signature)
        files.write_bytes(folder / GOLDEN, golden.make(engine, *golden.sample(data.validation, signature)))
        candidate = Candidate(
            task=task.description.name,
            model=trained.model,
            files=files.digests(folder),
            data=manifest.data,
            dataset=manifest.dataset,
            params_sha256=hashlib.sha256(options.model_dump_json().encode()).hexdigest(),
            parameters=sum(tensor.size for tensor in trained.tensors.values()),
            parity_max_abs=parity,
            parity_windows=windows,
        )
        files.write_text(folder / "candidate.json", candidate.to_json())
        log(candidate)
    return candidate


def check_parity(trained: Trained, engine: Engine, data: TrainingData, signature: Signature) -> tuple[float, int]:
    """Largest difference of exported graph and trained model, and on how many raw windows it was looked for."""
    windows, units = sample_windows(data, signature)
    difference = graph.largest_difference(engine.run(windows, units), trained.reference(windows, units))
    if not difference <= PARITY_TOLERANCE:
        raise WattlineError(
            f"the exported graph differs from the trained model by {difference:.2g} on {len(windows)} windows, "
            f"allowed is {PARITY_TOLERANCE:g}; look for operations that export differently"
        )
    return difference, len(windows)


def sample_windows(data: TrainingData, signature: Signature) -> tuple[FloatArray, np.ndarray[Any, np.dtype[np.int64]]]:
    """Raw windows spread over all units' validation rows, some of them with missing values or of an unknown unit."""
    names = list(data.validation)
    share = math.ceil(PARITY_WINDOWS / len(names))
    windows, units = [], []
    for name in names:
        view = data.validation[name].windows(signature.steps)
        rows = np.linspace(0, len(view) - 1, min(share, len(view)), dtype=np.int64)
        windows.append(view[rows])
        units.append(np.full(len(rows), signature.index(name), dtype=np.int64))
    chosen, indices = np.concatenate(windows)[:PARITY_WINDOWS], np.concatenate(units)[:PARITY_WINDOWS]
    chosen[::10, :, 0] = np.nan
    indices[::7] = -1
    return chosen, indices


def _write_weights(path: Path, trained: Trained) -> None:
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in sorted(trained.tensors.items())}
    files.write_bytes(path, save(tensors))


def _identity(options: BaseModel, seed: int, task: Task) -> str:
    """Names the checkpoints of one training: other rows, options, seed or code of the task never resume from them."""
    splits.read_manifest()  # says what is missing
    manifest = files.sha256(files.PREPARED / splits.MANIFEST)
    code = files.sources_digest(folder_of(task))
    return hashlib.sha256(f"{manifest} {options.model_dump_json()} {seed} {code}".encode()).hexdigest()[:16]


def _report(candidate: Candidate, trained: Trained, spent: TrainingEnergy) -> None:
    report = Training(
        candidate=candidate.digest,
        model=candidate.model,
        data=candidate.data,
        parameters=candidate.parameters,
        steps=trained.steps,
        epochs=len(trained.curves),
        final=trained.curves[-1],
        parity_max_abs=candidate.parity_max_abs,
    )
    files.write_report("train", report)
    files.write_report("train_energy", spent)
    files.write_text(files.REPORTS / "train" / "curves.csv", _csv(trained.curves))


def _csv(curves: Sequence[Mapping[str, float]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=["epoch", *curves[0]], lineterminator="\n")
    writer.writeheader()
    writer.writerows({"epoch": epoch, **figures} for epoch, figures in enumerate(curves))
    return stream.getvalue()


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, str | float | int]:
    flat: dict[str, str | float | int] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value if isinstance(value, int | float | str) else str(value)
    return flat
