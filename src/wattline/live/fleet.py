"""The last rows of every unit, and the model's answer to them: the rows that `prepare` makes, all units at once."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wattline.features import Stream
from wattline.live.decoding import Samples
from wattline.records import Manifest, Signature
from wattline.serving.inference.engine import Engine
from wattline.task import FloatArray

BATCH = 256
"""Answers of one run of the graph."""


@dataclass(frozen=True)
class Scored:
    """The answers for one row of all units.

    timestamp: of the row [ns since 1970]; of a window it is the end
    units: (answers,) places of the units that are answered for
    outputs: output name -> array whose first axis is the answers
    silent: units that were known and have no sample in all the rows that an answer needs
    """

    timestamp: int
    units: NDArray[np.int64]
    outputs: Mapping[str, NDArray[Any]]
    silent: int


class Fleet:
    """Takes samples, and answers for all units whenever a row is complete.

    maximum_units: more than that are never handed in
    """

    def __init__(self, engine: Engine, manifest: Manifest, *, maximum_units: int) -> None:
        signature = engine.signature
        self._engine, self.signature = engine, signature
        self._step = round(manifest.cadence_seconds * 1e9)
        self.stream = Stream(manifest, units=maximum_units)
        self._rows = np.full((maximum_units, signature.steps, len(signature.columns)), np.nan, dtype=np.float32)
        self._begun = np.zeros(maximum_units, dtype=bool)
        self._last: int | None = None

    def feed(self, samples: Samples) -> None:
        """Take samples in any order."""
        self.stream.feed(samples.channels, samples.instants, samples.values)

    def close(self, until: int, known: NDArray[np.int64]) -> Iterator[Scored]:
        """Answers for each row that is known at `until` [ns] and in which anybody has a sample.

        known: of each unit, by place, its index for the graph; -1 for one that was not trained on
        """
        for timestamp, rows in self.stream.close(until):
            missing = 0 if self._last is None else (timestamp - self._last) // self._step - 1
            for _ in range(min(missing, self.signature.steps)):
                self._push(np.full_like(rows, np.nan))
            self._push(rows)
            self._last = timestamp
            yield self._scored(timestamp, known)

    def _push(self, rows: FloatArray) -> None:
        """One more row for every unit. Before its first one, a unit has that one, as in training."""
        self._rows[:, :-1] = self._rows[:, 1:]
        self._rows[:, -1] = rows
        first = ~self._begun & ~np.isnan(rows).all(axis=1)
        self._rows[first] = rows[first][:, None]
        self._begun |= first

    def _scored(self, timestamp: int, known: NDArray[np.int64]) -> Scored:
        recorded = ~np.isnan(self._rows[: len(known)]).all(axis=(1, 2))
        units = np.flatnonzero(recorded & self._begun[: len(known)])
        silent = int(self._begun[: len(known)].sum()) - len(units)
        parts = [
            self._engine.run(self._rows[chunk], known[chunk])
            for chunk in np.array_split(units, max(1, -(-len(units) // BATCH)))
        ]
        outputs = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return Scored(timestamp, units, outputs, silent)


def places(signature: Signature, units: Mapping[str, int]) -> NDArray[np.int64]:
    """Index for the graph of each unit, by its place in the fleet."""
    index = {unit: place for place, unit in enumerate(signature.units)}
    return np.array([index.get(unit, -1) for unit in units], dtype=np.int64)
