"""A project's root as stages leave it: every report of dvc.yaml, plots, card and bills, and a dvc.lock that fits."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import yaml
from builders import DATASET, training_energy, write_candidate, write_reports

from wattline import files
from wattline.records import Candidate, Finding, Validation

ROOT = Path(__file__).parents[2]
TASK = "node_anomaly"
# The smallest picture that there is: one grey pixel.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6368000000820081dd436af40000000049454e44ae426082"
)


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes()).hexdigest()


def lock() -> None:
    """Write dvc.lock as if every stage had just ended well."""
    stages: dict[str, Any] = {}
    for name, stage in yaml.safe_load(Path("dvc.yaml").read_text())["stages"].items():
        entries = [one for key in ("outs", "metrics", "plots") for one in stage.get(key, [])]
        outs = [next(iter(one)) if isinstance(one, dict) else one for one in entries]
        stages[name] = {"cmd": stage["cmd"], "deps": rows(stage["deps"]), "outs": rows(outs)}
    files.write_text(Path("dvc.lock"), yaml.safe_dump({"schema": "2.0", "stages": stages}))


def rows(paths: list[str]) -> list[dict[str, str]]:
    """Folders are named by a digest that never changes here."""
    return [{"path": one, "md5": md5(Path(one)) if Path(one).is_file() else "f" * 32 + ".dir"} for one in paths]


def run_of(folder: Path, *, failed: tuple[str, ...] = (), findings: tuple[Finding, ...] = ()) -> Candidate:
    """Everything that a run of all stages leaves in `folder`, the current one."""
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    candidate = write_candidate(files.CANDIDATE)
    write_reports(files.REPORTS, candidate, failed=failed)
    validation = Validation(data=DATASET.id, rows=1000, units=1, expectations=7, findings=findings)
    files.write_report("validate", validation)
    files.write_report("train_energy", training_energy())
    for name in ("ingest", "profile", "prepare", "train", "card"):
        files.write_text(files.report_path(name), json.dumps({"data": DATASET.id}))
    for plot in ("evaluate/contenders", "evaluate/own", "measure/latency", "profile/overview"):
        files.write_bytes(files.REPORTS / f"{plot}.png", PIXEL)
    for page in ("validate", "profile"):
        files.write_text(files.REPORTS / page / "index.html", f"<h1>{page}</h1>")
    files.write_text(
        files.CARDS / f"{TASK}.md", "---\nname: x\n---\n# the card\n\n![plot](../reports/evaluate/own.png)\n"
    )
    for kind in ("cdx", "sbom.cdx"):
        files.write_text(files.CARDS / f"{TASK}.{kind}.json", json.dumps({"bomFormat": "CycloneDX", "kind": kind}))
    lock()
    return candidate
