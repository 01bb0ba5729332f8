"""A project with a champion, the rows that it was trained on, and what a server writes, by the server's own code."""

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import chdir
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from builders import COLUMNS, DATASET, STEPS, UNITS, signature, write_keys, write_served

from tests.serving.running import merge, write_params
from wattline import files, params
from wattline.monitoring import look
from wattline.monitoring.look import Options
from wattline.monitoring.records import Look
from wattline.params.serving import LogParams, ObserveParams
from wattline.records import Axis, Candidate, Manifest, Part
from wattline.serving.ids import new_id
from wattline.serving.inference.engine import Engine
from wattline.serving.observing.observations import Observations, Sample
from wattline.serving.prediction_log.log import Answers, PredictionLog, digest
from wattline.serving.protocol.feedback import Feedback
from wattline.settings import Settings
from wattline.task import FloatArray, Series

NAMES = tuple(column.name for column in COLUMNS)
START = datetime(2026, 1, 1, tzinfo=UTC)
TRAINED = 2000
"""Rows of each unit in train; half as many are in validation."""
LOG, SAMPLES = ".wattline/predictions", ".wattline/observe.db"

Change = Callable[[str, FloatArray], FloatArray]
"""What happened to the values of a unit, (rows, columns)."""


def unchanged(unit: str, values: FloatArray) -> FloatArray:
    return values


def values(rows: int, unit: str, *, seed: int) -> FloatArray:
    """A slow process in each column: a row is much like the one before."""
    generator = np.random.default_rng([seed, UNITS.index(unit)])
    noise = generator.normal(0, np.sqrt(1 - 0.8**2), (rows + 100, len(NAMES)))
    for row in range(1, len(noise)):
        noise[row] += 0.8 * noise[row - 1]
    return (noise[100:] * (3.0, 1.0, 2.0) + (250.0, 60.0, 40.0)).astype(np.float32)


@dataclass
class Project:
    """folder: where the project lies and the server runs"""

    folder: Path
    candidate: Candidate
    environment: dict[str, str] = field(default_factory=dict)

    def look(self, **options: Any) -> Look:
        """One look, which must find a champion."""
        found = self.run(**options)
        assert found is not None
        return found

    def run(self, **options: Any) -> Look | None:
        known = {"WATTLINE_SERVED": str(self.folder), "WATTLINE_STATE": str(self.folder / ".wattline")}
        with chdir(self.folder):
            return look.run(params.load(), settings(known | self.environment), Options(**options))

    def knobs(self, **changes: Any) -> None:
        """Change the section `monitoring`."""
        path = self.folder / "params.yaml"
        tree = yaml.safe_load(path.read_text())
        merge(tree["monitoring"], changes)
        path.write_text(yaml.safe_dump(tree))

    def served(
        self, rows: int, change: Change = unchanged, *, seed: int = 1, units: Sequence[str] = UNITS, **fields: Any
    ) -> list[str]:
        """Let the server's own log have answers to windows of the last `rows` minutes; ids, those of alarms first."""
        engine, now, alarms, others = Engine(self.folder / "champion"), datetime.now(UTC), [], []
        params = LogParams(folder=str(self.folder / LOG), queue_records=10**6, flush_seconds=0.5)
        log = PredictionLog(params, worker=f"w{os.getpid()}", on_drop=_never)
        for unit in units:
            known = unit if unit in UNITS else UNITS[0]
            windows = _series(unit, change(unit, values(rows + STEPS, known, seed=seed)), STEPS - 1).windows(STEPS)[
                -rows:
            ]
            outputs = engine.run(windows, np.full(rows, UNITS.index(known), np.int64))
            for place, score in enumerate(outputs["score"].tolist()):
                name, at = new_id(), now - timedelta(minutes=rows - place)
                said = {"digest": self.candidate.digest, "role": "stable"} | fields
                log.record(_answer(name, at, unit, windows[place], score, said))
                (alarms if score > 2.0 else others).append(name)
        log.close()
        return [*alarms, *others]

    def labelled(self, names: Iterable[str], label: int | None) -> None:
        """Send feedback on answers."""
        params = LogParams(folder=str(self.folder / LOG), queue_records=10**6, flush_seconds=0.5)
        log = PredictionLog(params, worker=f"f{os.getpid()}", on_drop=_never)
        assert log.feedback([Feedback(prediction=name, label=label) for name in names], principal="ada")
        log.close()

    def observed(self, rows: int, change: Change = unchanged, *, seed: int = 2) -> None:
        """Let the server's own file of samples have the newest `rows` minutes of every unit."""
        now = datetime.now(UTC)
        file = ObserveParams(file=str(self.folder / SAMPLES), future_seconds=60, gap_steps=3, maximum_units=100)
        kept = Observations(file)
        for unit in UNITS:
            for place, row in enumerate(change(unit, values(rows, unit, seed=seed))):
                kept.observe([Sample(unit, now - timedelta(minutes=rows - place), row)], signature())
        kept.close()

    def snapshot(self, rows: int, change: Change = unchanged, *, seed: int = 3, names: Sequence[str] = NAMES) -> Path:
        """A folder of new raw rows."""
        folder = self.folder / "new"
        for unit in UNITS:
            kept = change(unit, values(rows, unit, seed=seed))[:, [NAMES.index(name) for name in names]]
            files.write_series(folder, _series(unit, kept, 0), names)
        return folder


def make(folder: Path) -> Project:
    """A champion whose threshold 2.0 is far below its scores, unless a change says otherwise."""
    folder.mkdir(parents=True)
    candidate = write_served(folder / "champion", write_keys(folder / "keys"))
    write_params(folder, {"log": {"folder": LOG}, "observe": {"file": SAMPLES}})
    prepared, digests, parts = folder / "data/prepared", {}, []
    for unit in UNITS:
        rows = values(TRAINED * 3 // 2, unit, seed=0)
        for split, mine in (("train", rows[:TRAINED]), ("validation", rows[TRAINED:])):
            digests[f"{split}/{unit}.parquet"] = files.write_series(prepared / split, _series(unit, mine, 0), NAMES)
            part = {"unit": unit, "group": unit, "split": split, "rows": len(mine), "start": START, "end": START}
            parts.append(Part.model_validate(part))
    manifest = Manifest(
        data=DATASET.id,
        dataset=DATASET.name,
        cadence_seconds=60,
        axis=Axis(origin=datetime(2026, 1, 1, tzinfo=UTC)),
        columns=COLUMNS,
        parts=tuple(parts),
        files=digests,
    )
    files.write_text(prepared / "manifest.json", manifest.to_json())
    return Project(folder, candidate)


def settings(variables: dict[str, str]) -> Settings:
    """What a job with these variables knows, and none of this machine's."""
    saved = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        return Settings()
    finally:
        os.environ.clear()
        os.environ.update(saved)


def _series(unit: str, rows: FloatArray, history: int) -> Series:
    times = np.datetime64(START.replace(tzinfo=None), "ns") + np.arange(len(rows)) * np.timedelta64(60, "s")
    return Series(unit, unit, times, rows, np.zeros(len(rows)), history)


def _answer(name: str, at: datetime, unit: str, window: FloatArray, score: float, said: dict[str, Any]) -> Answers:
    return Answers(
        id=name, answered_ns=int(at.timestamp() * 1e9), units=[unit], digests=[digest(window)], scores=[score],
        thresholds=[2.0], model="anomaly", version="1", route="/predict", principal="key-1", single=True, **said,
    )  # fmt: skip


def _never(count: int) -> None:
    raise AssertionError(f"{count} answers were dropped")
