"""A site: a project folder with params.yaml, data, a trained candidate, keys and a registry of its own."""

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from builders import signing_key, training_energy, write_candidate, write_data, write_keys, write_reports
from reproduction.tiny import git

from wattline import cli, files, params
from wattline.params import Params
from wattline.params.serving import LogParams
from wattline.records import Candidate, Champion, Manifest, Part, SourceFile
from wattline.registry import approval, model, moving, promotion, registration, tracking
from wattline.registry.model import Model
from wattline.serving.ids import new_id
from wattline.serving.prediction_log.log import Answers, PredictionLog
from wattline.serving.protocol.feedback import Feedback
from wattline.settings import settings
from wattline.signing import entry as entries
from wattline.signing import keys

ROOT = Path(__file__).parents[2]
SOURCES = str(ROOT / "src")
NAME = "anomaly-simulator"
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LOG = Path(".wattline/predictions")
THEIRS = ".wattline/theirs.pem"
CARD = {
    "metadata": {
        "component": {
            "description": "Finds nodes that behave unusually.",
            "manufacturer": {"name": "The Centre"},
            "licenses": [{"license": {"name": "CC-BY-4.0"}}],
        }
    }
}
IGNORED = "/data/\n/models/\n/champion/\n/earlier/\n/.wattline/\n/wattline-*\n/out/\n"


@cache
def loaded(text: str) -> Params:
    """The params.yaml of the current folder, which has this text: reading YAML takes longer than all the rest."""
    return params.load()


@dataclass(frozen=True)
class Said:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Site:
    """What people do at one site; each call is made from its folder, with settings read anew."""

    folder: Path

    @contextmanager
    def here(self) -> Iterator[Params]:
        with chdir(self.folder):
            settings.cache_clear()
            try:
                yield loaded(Path("params.yaml").read_text())
            finally:
                settings.cache_clear()

    @contextmanager
    def opened(self, *, reading: bool = False) -> Iterator[Model]:
        with self.here() as loaded, model.of_project(loaded, reading=reading) as found:
            yield found

    def knobs(self, *, registry: dict[str, Any] | None = None, trusted: Sequence[str] = ()) -> None:
        """Change knobs, as a commit."""
        path = self.folder / "params.yaml"
        tree = yaml.safe_load(path.read_text())
        tree["registry"] |= registry or {}
        tree["serving"]["model"]["trusted_keys"] += trusted
        files.write_text(path, yaml.safe_dump(tree, sort_keys=False))
        git(self.folder, "add", "--all")
        git(self.folder, "commit", "--quiet", "--allow-empty", "--message", "knobs")

    def train(
        self,
        weights: bytes = b"weights",
        *,
        champion: Champion | None = None,
        failed: Sequence[str] = (),
        log: bool = True,
        knobs: dict[str, str | float | int] | None = None,
    ) -> Candidate:
        """Another candidate with its reports, and its run unless it is not to be logged."""
        with self.here():
            shutil.rmtree(files.CANDIDATE, ignore_errors=True)
            candidate = write_candidate(files.CANDIDATE, weights=weights, golden=True)
            write_reports(files.REPORTS, candidate, champion=champion, failed=failed)
            if log:
                curves = [{"loss": 0.5}, {"loss": 0.25}]
                params = {"model": "pca", "ridge": 0.1, "components": 6} | (knobs or {})
                tracking.log_training(candidate, params=params, curves=curves, energy=training_energy(300))
        return candidate

    def register(self, weights: bytes | None = None, **options: Any) -> str:
        """Register the candidate, or another one with these weights; `options` as `train` or `register` take them."""
        training = {name: options.pop(name) for name in ("champion", "failed", "log") if name in options}
        if weights is not None:
            self.train(weights, **training)
        with self.opened() as found:
            return registration.register(found, **options)

    def promote(self, version: str | None = None, **options: Any) -> str:
        with self.opened() as found:
            return promotion.promote(found, version, **options)

    def approve(self, version: str | None = None, *, reason: str = "") -> str:
        with self.opened() as found:
            return approval.approve(found, version, reason=reason)[0]

    def rollback(self, *, reason: str = "") -> str:
        with self.opened() as found:
            return promotion.rollback(found, reason=reason)

    def champion(self) -> Champion:
        """What the next candidate is compared with."""
        with self.opened(reading=True) as found:
            entry = found.champion()
        assert entry is not None
        return Champion(version=entry.version, digest=entry.digest, name=NAME)

    def sign(self, version: str | None = None) -> str:
        with self.opened() as found:
            return registration.sign(found, version)

    def export(self, version: str | None = None, *, to: Path | None = None) -> Path:
        with self.opened() as found:
            return self.folder / moving.export(found, version, destination=to or Path(), now=NOW)

    def take(self, archive: Path) -> str:
        """Import an archive."""
        with self.opened() as found:
            return moving.import_archive(found, archive)

    def trust(self, other: "Site") -> None:
        """Let archives of another site in."""
        (self.folder / THEIRS).write_bytes(other.public.read_bytes())
        self.knobs(registry={"import_keys": [THEIRS]})

    @property
    def public(self) -> Path:
        return self.folder / ".wattline" / "keys" / keys.PUBLIC

    @property
    def private(self) -> Path:
        return self.folder / ".wattline" / "keys" / keys.PRIVATE

    def artifacts(self, version: str) -> Path:
        """Where the store keeps what belongs to a version."""
        with self.opened(reading=True) as found:
            source = found.client.get_model_version(NAME, version).source
        return Path(str(source).removeprefix("file://")).parent

    def versions(self) -> list[str]:
        """All versions in MLflow, whatever the audit log says."""
        with self.opened(reading=True) as found:
            return sorted(str(one.version) for one in found.client.search_model_versions(f"name = '{NAME}'"))

    def actions(self) -> list[str]:
        """What the audit log tells of, in order."""
        with self.opened(reading=True) as found:
            return [entries.peek(one).action for one in found.ledger.envelopes()]

    def answer(
        self, candidate: Candidate, version: str | None, *, name: str = NAME, feedback: str | None = None, **fields: Any
    ) -> str:
        """Let the server's writer log the answer to one window; returns its id."""
        identity = new_id()
        said: dict[str, Any] = {
            "id": identity, "answered_ns": int(NOW.timestamp()) * 10**9, "units": ["node-01"], "digests": ["e" * 64],
            "scores": [3.5], "thresholds": [2.0], "model": name, "version": version, "digest": candidate.digest,
            "route": "/predict", "principal": "operator", "role": "stable", "single": True,
        }  # fmt: skip
        knobs = LogParams(folder=str(self.folder / LOG), queue_records=100, flush_seconds=60.0)
        log = PredictionLog(knobs, worker=f"worker-{identity}", on_drop=lambda _: pytest.fail("an answer was dropped"))
        log.record(Answers(**(said | fields)))
        if feedback is not None:
            assert log.feedback([Feedback(identity, 1, feedback)], principal="ada")
        log.close()
        return identity

    def run(self, capsys: pytest.CaptureFixture[str], *arguments: str) -> Said:
        """The command line in this process, as `wattline` starts it."""
        capsys.readouterr()
        with chdir(self.folder), pytest.MonkeyPatch.context() as patch:
            settings.cache_clear()
            patch.setattr(sys, "argv", ["wattline", *arguments])
            with pytest.raises(SystemExit) as ended:
                cli.main()
            settings.cache_clear()
        out, err = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0, out, err)


@dataclass(frozen=True)
class Lived:
    """A site after a while.

    Version 1 was taken although its energy was too high, approved and promoted; 2 took its place and was rolled back; 3
    is challenger.
    """

    site: Site
    first: Candidate
    second: Candidate
    prediction: str


def build(folder: Path, empty_store: Path, *, seed: int = 0, site: str = "site A", theirs: int | None = None) -> Site:
    """A project at its first commit, with a candidate that was judged. It may be copied: nothing is in its store.

    empty_store: a migrated store, to be copied
    seed: of the signing key
    theirs: seed of the key of another site, whose archives are let in
    """
    (folder / ".wattline").mkdir(parents=True)
    shutil.copyfile(empty_store, folder / ".wattline" / "mlflow.db")
    write_keys(folder / ".wattline" / "keys", seed=seed)
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    shared = {name: tree[name] for name in ("seed", "registry", "serving", "monitoring")}
    shared["registry"] |= {"site": site, "lock_seconds": 5.0, "wait_seconds": 10.0}
    if theirs is not None:
        (folder / THEIRS).write_bytes(signing_key(theirs).public.pem())
        shared["registry"] |= {"import_keys": [THEIRS]}
    text = {"task": {"name": "anomaly", "folder": "src/project"}, **shared, "anomaly": tree["node_anomaly"]}
    for name, content in {
        "params.yaml": yaml.safe_dump(text, sort_keys=False),
        ".gitignore": IGNORED,
        "dvc.lock": "schema: '2.0'\nstages: {}\n",
        "model_cards/anomaly.md": "# anomaly\n",
        "model_cards/anomaly.cdx.json": json.dumps(CARD),
    }.items():
        files.write_text(folder / name, content)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a project")
    made = Site(folder)
    with made.here():
        describe_data()
    made.train(log=False)
    return made


def describe_data() -> None:
    """Rows with records as rich as those of a real source."""
    dataset = write_data(files.RAW, files.PREPARED)
    found = tuple(
        SourceFile(path=f"22-04/{name}.parquet", sha256=f"{place:x}" * 64, size_bytes=81_003_112, origin="mirror")
        for place, name in enumerate(("ganglia", "ipmi"), start=1)
    )
    files.write_text(files.RAW / "dataset.json", dataset.model_copy(update={"files": found}).to_json())
    manifest = files.read_record(files.PREPARED / "manifest.json", Manifest)
    start = dataset.units[0].start
    parts = [
        Part(unit="node-01", group="rack-1", split=split, rows=rows, start=start, end=start + timedelta(hours=1))
        for split, rows in (("train", 600), ("validation", 150), ("test", 250))
    ]
    files.write_text(files.PREPARED / "manifest.json", manifest.model_copy(update={"parts": tuple(parts)}).to_json())
