"""A lineage as rich as a real one: from one prediction to the files that its model learned from."""

import hashlib
from datetime import UTC, datetime
from itertools import pairwise

from wattline.supply.lineage.graph import Edge, Lineage, Node, address
from wattline.supply.lineage.kinds import Kind, Relation


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 14, hour, minute, tzinfo=UTC)


def node(kind: Kind, name: str, label: str | None = None, **options: object) -> Node:
    return Node.model_validate({"id": address(kind, name), "kind": kind, "label": label or name, **options})


COMMIT = "4f2c9a1e7b3d5f60718293a4b5c6d7e8f9012345"

PREDICTION = node(
    "prediction",
    "01JQ8Z6Y3M5N7P9R1T3V5X7Z9B",
    facts={"time": "2026-03-16T08:15:00+00:00", "unit": "node-017", "score": "7.31 (threshold 4.2)", "alarm": "yes"},
)
FEEDBACK = node("feedback", "01JQ8Z/1", "confirmed by the operator", facts={"verdict": "true alarm", "note": "fan 3"})
VERSION = node(
    "version",
    "anomaly/7",
    "anomaly version 7",
    facts={"registered": "2026-03-14T11:00:00+00:00", "VUS-PR": "0.412 [0.389, 0.433]", "alias": "champion"},
)
CANDIDATE = node(
    "candidate",
    digest("candidate"),
    "conv-forecaster",
    facts={"parameters": "41,203", "parity": "at most 3.1e-07 on 4,096 windows", "files": "4"},
)
STATEMENT = node(
    "statement",
    digest("statement"),
    "in-toto statement",
    facts={"key": "SHA256:9f86d081884c7d65"},
    sha256=digest("statement"),
)
RUN = node("run", "a1b2c3d4e5f60718", "training run a1b2c3d4", facts={"epochs": "24"}, began=at(9), ended=at(9, 41))
COMMIT_NODE = node("commit", COMMIT, COMMIT[:12], facts={"dirty": "no", "subject": "feat: wider kernels"})
PARAMS = node("params", digest("params"), "params.yaml", facts={"train.epochs": "24"}, sha256=digest("params"))
LOCK = node("lock", digest("lock"), "requirements/core.lock", sha256=digest("lock"))
ENVIRONMENT = node("environment", digest("environment"), "Python 3.11.9, Linux x86_64", facts={"packages": "252"})
TRAIN_ENERGY = node(
    "energy",
    "train/a1b2c3d4",
    "energy of training",
    facts={"energy": "18.4 kJ [17.9, 18.9]", "provenance": "measured", "sensor": "rapl:package-0"},
)
SERVE_ENERGY = node(
    "energy",
    "serve/anomaly/7",
    "energy of 1,000 predictions",
    facts={"energy": "2.10 J [2.02, 2.19]", "provenance": "measured", "sensor": "rapl:package-0"},
)
PREPARED = node("prepared data", digest("prepared"), "data/prepared", facts={"rows": "1,204,993"})
PREPARE = node("stage", "prepare/1", "prepare", began=at(8, 30), ended=at(8, 34))
INGEST = node("stage", "ingest/1", "ingest", began=at(8), ended=at(8, 20))
DATASET = node("dataset", digest("dataset"), "M100 telemetry", facts={"licence": "CC-BY-4.0", "units": "49 nodes"})
FILE_1 = node("source file", digest("one"), "22-04/ganglia.parquet", facts={"size": "81,003,112 B"}, sha256=digest("1"))
FILE_2 = node("source file", digest("two"), "22-04/ipmi.parquet", facts={"size": "12,400,901 B"}, sha256=digest("2"))
QUALITY = node("verdict", "quality/anomaly/7", "quality: PASS", facts={"value": "0.389", "limit": "0.35"})
ENERGY_VERDICT = node("verdict", "energy/anomaly/7", "energy: PASS", facts={"value": "2.19 J", "limit": "3 J"})
APPROVAL = node("approval", "anomaly/7/1", "approval of version 7", facts={"ticket": "OPS-211"}, ended=at(12))
PROMOTION = node("promotion", "anomaly/7/12", "promotion to champion", facts={"token": "12"}, ended=at(12, 5))
APPROVER = node("person", "grace@example.org", "Grace Hopper")
TRAINER = node("person", "ada@example.org", "Ada Lovelace")
SITE = node("site", "cineca", "CINECA, Bologna")

NODES = (
    PREDICTION, FEEDBACK, VERSION, CANDIDATE, STATEMENT, RUN, COMMIT_NODE, PARAMS, LOCK, ENVIRONMENT, TRAIN_ENERGY,
    SERVE_ENERGY, PREPARED, PREPARE, INGEST, DATASET, FILE_1, FILE_2, QUALITY, ENERGY_VERDICT, APPROVAL, PROMOTION,
    APPROVER, TRAINER, SITE,
)  # fmt: skip

LINKS: tuple[tuple[Node, Relation, Node], ...] = (
    (FEEDBACK, "wasDerivedFrom", PREDICTION),
    (FEEDBACK, "wasAttributedTo", APPROVER),
    (PREDICTION, "wasDerivedFrom", VERSION),
    (VERSION, "wasDerivedFrom", CANDIDATE),
    (STATEMENT, "wasDerivedFrom", VERSION),
    (CANDIDATE, "wasGeneratedBy", RUN),
    (RUN, "used", COMMIT_NODE),
    (RUN, "used", PARAMS),
    (RUN, "used", LOCK),
    (RUN, "used", ENVIRONMENT),
    (RUN, "used", PREPARED),
    (RUN, "wasAssociatedWith", TRAINER),
    (TRAIN_ENERGY, "wasGeneratedBy", RUN),
    (SERVE_ENERGY, "wasDerivedFrom", CANDIDATE),
    (PREPARED, "wasGeneratedBy", PREPARE),
    (PREPARE, "used", DATASET),
    (PREPARE, "wasInformedBy", INGEST),
    (DATASET, "wasGeneratedBy", INGEST),
    (INGEST, "used", FILE_1),
    (INGEST, "used", FILE_2),
    (FILE_1, "wasAttributedTo", SITE),
    (FILE_2, "wasAttributedTo", SITE),
    (QUALITY, "wasDerivedFrom", CANDIDATE),
    (ENERGY_VERDICT, "wasDerivedFrom", SERVE_ENERGY),
    (APPROVAL, "used", QUALITY),
    (APPROVAL, "used", ENERGY_VERDICT),
    (APPROVAL, "wasAssociatedWith", APPROVER),
    (PROMOTION, "used", VERSION),
    (PROMOTION, "used", STATEMENT),
    (PROMOTION, "wasInformedBy", APPROVAL),
    (TRAINER, "actedOnBehalfOf", SITE),
)


def edge(origin: Node, relation: Relation, target: Node) -> Edge:
    return Edge(origin=origin.id, relation=relation, target=target.id)


LINEAGE = Lineage(nodes=NODES, edges=tuple(edge(*link) for link in LINKS))


def chain(length: int) -> Lineage:
    """Stages one after the other, the last one first."""
    nodes = tuple(node("stage", f"{place}") for place in range(length))
    links = pairwise(nodes)
    return Lineage(nodes=nodes, edges=tuple(edge(one, "wasInformedBy", other) for one, other in links))
