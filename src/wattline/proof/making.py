"""How a version was made, as part of a lineage: run, commit, knobs, rows and what they come from, energy, verdicts."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from wattline import files
from wattline.environment import Environment
from wattline.proof.draft import Draft
from wattline.records import Dataset, Manifest
from wattline.registry import statements
from wattline.registry.evidence import ENVIRONMENT, Evidence, energy_text
from wattline.registry.moving import ORIGIN
from wattline.registry.tracking import DIGEST, RECORD
from wattline.supply.lineage.graph import Node

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

MOST_FILES = 12
"""Source files that are shown one by one."""
MOST_PARAMS = 12
SOURCES = {"false": "as committed", "true": "differed from the commit"}
"""Tag of a version -> what it was made from."""


def describe(draft: Draft, version: "ModelVersion", run: "Run", evidence: Evidence) -> Node:
    """Add everything that `version` was made from to `draft`; returns its candidate."""
    candidate, digest = evidence.candidate, evidence.candidate.digest
    node = draft.add(
        "candidate",
        digest,
        f"{candidate.model} {digest[:12]}",
        {
            "parameters": f"{candidate.parameters:,}",
            "graph and trained model differ": f"by at most {candidate.parity_max_abs:.1e}",
            "files": ", ".join(sorted(candidate.files)),
        },
    )
    trained = _run(draft, version, run, evidence)
    draft.link(node, "wasGeneratedBy", trained)
    draft.link(trained, "used", _data(draft, evidence))
    _energy(draft, evidence, candidate=node, run=trained)
    return node


def _run(draft: Draft, version: "ModelVersion", run: "Run", evidence: Evidence) -> Node:
    papers, tags = evidence.folder / "provenance", version.tags
    node = _training(draft, version, run)
    commit, sources = tags.get(statements.COMMIT, "unknown"), SOURCES.get(tags.get(statements.DIRTY, ""), "not known")
    draft.link(node, "used", draft.add("commit", commit, commit[:12], {"sources": sources}))
    knobs = dict(sorted(run.data.params.items())[:MOST_PARAMS])
    sha256 = evidence.candidate.params_sha256
    draft.link(node, "used", draft.add("params", sha256, sha256[:12], knobs))
    if (papers / "dvc.lock").is_file():
        sha256 = files.sha256(papers / "dvc.lock")
        draft.link(node, "used", draft.add("lock", sha256, "dvc.lock", sha256=sha256))
    if (papers / ENVIRONMENT).is_file():
        found = files.read_record(papers / ENVIRONMENT, Environment)
        sha256 = files.sha256(papers / ENVIRONMENT)
        facts = {"packages": len(found.packages), "platform": found.platform, "lock SHA-256": found.lock_sha256}
        draft.link(node, "used", draft.add("environment", sha256, f"Python {found.python}", facts, sha256=sha256))
    return node


def _training(draft: Draft, version: "ModelVersion", run: "Run") -> Node:
    """The run; where it took place elsewhere, or nobody logged it, nothing is said of it but that."""
    info, origin = run.info, version.tags.get(ORIGIN)
    if origin is not None:
        return draft.add("run", f"imported/{version.tags[DIGEST]}", f"training at {origin.rpartition(': ')[0]}")
    if RECORD not in run.data.tags:
        return draft.add("run", info.run_id, "training that was not logged")
    return draft.add(
        "run",
        info.run_id,
        f"training {info.run_id[:8]}",
        {
            "status": info.status if info.status != "FINISHED" else None,
            "registered by CI job": version.tags.get("wattline.job"),
        },
        began=instant(info.start_time) if info.start_time else None,
        ended=instant(info.end_time) if info.end_time else None,
    )


def _data(draft: Draft, evidence: Evidence) -> Node:
    """The prepared rows, and below them the dataset and its files."""
    papers = evidence.folder / "provenance"
    manifest = files.read_record(papers / "manifest.json", Manifest)
    dataset = files.read_record(papers / "dataset.json", Dataset)
    rows: dict[str, int] = {}
    for part in manifest.parts:
        rows[part.split] = rows.get(part.split, 0) + part.rows
    split = {name: f"{count:,} rows" for name, count in rows.items()}
    sha256 = files.sha256(papers / "manifest.json")
    prepared = draft.add("prepared data", sha256, "rows of each part", split, sha256=sha256)
    raw = draft.add("dataset", dataset.id, dataset.name, _dataset_facts(dataset))
    stage = draft.add("stage", f"prepare/{sha256}", "prepare")
    ingest = draft.add("stage", f"ingest/{dataset.id}", "ingest", {"source": dataset.source})
    draft.link(prepared, "wasGeneratedBy", stage)
    draft.link(stage, "used", raw)
    draft.link(raw, "wasGeneratedBy", ingest)
    _sources(draft, dataset, ingest)
    return prepared


def _dataset_facts(dataset: Dataset) -> dict[str, object]:
    return {
        "rows": f"{dataset.rows:,}, of each unit one every {dataset.cadence_seconds:g} s",
        "units": f"{len(dataset.units):,}",
        "span": f"{min(unit.start for unit in dataset.units):%Y-%m-%d} to "
        f"{max(unit.end for unit in dataset.units):%Y-%m-%d} UTC",
        "licence": dataset.licence,
        "citation": dataset.citation,
    }


def _sources(draft: Draft, dataset: Dataset, ingest: Node) -> None:
    home = draft.add("site", dataset.home, dataset.home)
    draft.link(ingest, "wasAssociatedWith", home)
    for file in dataset.files[:MOST_FILES]:
        facts = {"size": f"{file.size_bytes:,} B", "origin": file.origin}
        draft.link(ingest, "used", draft.add("source file", file.sha256, file.path, facts, sha256=file.sha256))
    rest = len(dataset.files) - MOST_FILES
    if rest > 0:
        facts = {"what": "their digests are in provenance/dataset.json"}
        draft.link(ingest, "used", draft.add("source file", f"{dataset.id}/rest", f"{rest} more files", facts))


def _energy(draft: Draft, evidence: Evidence, *, candidate: Node, run: Node) -> None:
    cost, digest = evidence.measurement, evidence.candidate.digest
    if cost.training_energy is not None:
        facts = {"energy": energy_text(cost.training_energy), "boundary": cost.training_energy.boundary}
        node = draft.add("energy", f"training/{digest}", "training", facts)
        draft.link(node, "wasGeneratedBy", run)
    spent = cost.candidate.energy_per_1000
    facts = {"energy": energy_text(spent), "boundary": spent.boundary, "machine": cost.machine}
    node = draft.add("energy", f"predictions/{digest}", "1,000 predictions", facts)
    draft.link(node, "wasDerivedFrom", candidate)
    for verdict in evidence.decision.verdicts:
        facts = {"reason": verdict.reason, "evidence": verdict.provenance}
        label = f"{verdict.name}: {verdict.outcome}"
        said = draft.add("verdict", f"{verdict.name}/{digest}", label, facts)
        draft.link(said, "wasDerivedFrom", node if verdict.name == "energy" else candidate)


def instant(milliseconds: int) -> datetime:
    """A time as MLflow says it [ms since 1970-01-01 UTC], to the second."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC)
