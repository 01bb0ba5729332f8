"""What production is held against: the champion, and the rows that it was trained on."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from wattline import files, signing, splits
from wattline.drift.rows import Rows, of_scores, of_units
from wattline.errors import InputError
from wattline.params import Params
from wattline.records import Candidate, Champion, Energy, Manifest, Signature
from wattline.serving.inference.engine import Engine
from wattline.task import FloatArray, Split

LARGEST_REFERENCE = 20000
"""Newest validation rows of a unit that are scored: enough for any quantile, and done in seconds."""


@dataclass(frozen=True)
class Reference:
    """The champion with the prepared rows of the data that it was trained on.

    energy: of 1,000 predictions, as signed; None where nothing is signed
    """

    version: str
    candidate: Candidate
    engine: Engine
    manifest: Manifest
    energy: Energy | None
    prepared: Path

    @property
    def signature(self) -> Signature:
        return self.engine.signature

    @cached_property
    def inputs(self) -> Rows:
        """Train and validation rows, in the columns of the model."""
        parts: dict[str, list[FloatArray]] = {}
        for split in ("train", "validation"):
            for unit, series in splits.read_split(split, folder=self.prepared).items():
                parts.setdefault(unit, []).append(self._selected(series.values))
        names = [column.name for column in self.signature.columns]
        return of_units(names, {unit: np.concatenate(rows) for unit, rows in parts.items()})

    @cached_property
    def scores(self) -> Rows:
        """The champion's scores of validation rows, which its weights were not fitted on."""
        train = splits.read_split("train", folder=self.prepared)
        validation = splits.read_split("validation", folder=self.prepared)
        names = [column.name for column in self.manifest.columns]
        return scored(self.engine, splits.with_history(validation, train), names)

    def _selected(self, values: FloatArray) -> FloatArray:
        place = {column.name: index for index, column in enumerate(self.manifest.columns)}
        selected: FloatArray = values[:, [place[column.name] for column in self.signature.columns]]
        return selected


def scored(engine: Engine, split: Split, columns: list[str]) -> Rows:
    """Scores of the judged rows of each unit, the newest LARGEST_REFERENCE of them."""
    found = {}
    for unit, series in split.items():
        newest = max(0, len(series) - LARGEST_REFERENCE)
        found[unit] = np.asarray(engine.predict(series, columns=columns)["score"], np.float32)[newest:]
    return of_scores(found)


def read(params: Params, *, prepared: Path) -> Reference | None:
    """The champion in champion/ and its reference; None where nothing was promoted yet.

    prepared: folder that the stage `prepare` wrote
    Raises InputError when one of them is not there or they do not belong together, IntegrityError when bytes differ.
    """
    path = files.CHAMPION / "champion.json"
    if not path.exists():
        raise InputError(f"{path} is missing; run `wattline champion`, which fetches what production is held against")
    champion = files.read_record(path, Champion)
    if champion.version is None:
        return None
    engine = Engine(files.CHAMPION)
    candidate = files.read_record(files.CHAMPION / "candidate.json", Candidate)
    return Reference(
        version=champion.version,
        candidate=candidate,
        engine=engine,
        manifest=_manifest(prepared, candidate, engine.signature),
        energy=_energy(params, candidate),
        prepared=prepared,
    )


def _manifest(prepared: Path, candidate: Candidate, signature: Signature) -> Manifest:
    if not (prepared / splits.MANIFEST).exists():
        raise InputError(
            f"{prepared / splits.MANIFEST} is missing, the reference of drift; run "
            "`wattline ci repro --outputs prepare` or `dvc pull prepare`"
        )
    manifest = splits.read_manifest(prepared)
    if manifest.data != candidate.data:
        raise InputError(
            f"{prepared} is of the dataset {manifest.data[:12]}, the champion was trained on {candidate.data[:12]}; "
            "give that one's prepared rows with --reference, or promote a version of the new data"
        )
    known = {(column.name, column.unit) for column in manifest.columns}
    strange = [column.name for column in signature.columns if (column.name, column.unit) not in known]
    if strange:
        raise InputError(f"{prepared} lacks the column {strange[0]} of the champion; prepare the champion's rows again")
    return manifest


def _energy(params: Params, candidate: Candidate) -> Energy | None:
    """What the version took when it was measured. Raises when a statement is there and does not hold."""
    if not (files.CHAMPION / signing.FILE).exists():
        return None
    trusted = signing.load_public(params.serving.model.trusted_keys)
    return signing.verify_folder(files.CHAMPION, trusted, candidate=candidate).predicate.energy_per_1000
