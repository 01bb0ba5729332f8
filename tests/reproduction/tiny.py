"""A project of three stages that runs in seconds: real git, real DVC, rows and a model of a few bytes."""

import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from wattline import splits
from wattline.records import Candidate, Champion
from wattline.reproduction import Environment, Recipe, environment

INGEST = """
import hashlib, json, pathlib
import pyarrow
from pyarrow import parquet
rows = json.loads(pathlib.Path("data/external/rows.json").read_text())
raw = pathlib.Path("data/raw")
raw.mkdir(parents=True, exist_ok=True)
units = []
for name, values in rows.items():
    path = raw / f"{name}.parquet"
    parquet.write_table(pyarrow.table({"power": values}), path)
    units.append({"name": name, "group": name, "rows": len(values), "start": "2026-01-01T00:00:00Z",
                  "end": "2026-01-01T01:00:00Z", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()})
(raw / "dataset.json").write_text(json.dumps({
    "name": "tiny", "source": "parquet", "home": "here", "licence": "CC0-1.0", "citation": "none",
    "cadence_seconds": 60, "columns": [{"name": "power", "unit": "W"}], "units": units, "labelled": False}))
pathlib.Path("reports").mkdir(exist_ok=True)
pathlib.Path("reports/ingest.json").write_text(json.dumps({"units": len(units)}))
"""

TRAIN = """
import hashlib, json, pathlib, time
import numpy
from pyarrow import parquet
from safetensors.numpy import save
paths = sorted(pathlib.Path("data/raw").glob("*.parquet"))
values = [parquet.ParquetFile(path).read()["power"].to_numpy() for path in paths]
weights = save({"center": numpy.array([value.mean() for value in values])})
folder = pathlib.Path("models/candidate")
folder.mkdir(parents=True, exist_ok=True)
(folder / "weights.safetensors").write_bytes(weights)
(folder / "candidate.json").write_text(json.dumps({
    "task": "tiny", "model": "mean", "files": {"weights.safetensors": hashlib.sha256(weights).hexdigest()},
    "data": "", "dataset": "tiny", "params_sha256": "", "parameters": 2, "parity_max_abs": 0, "parity_windows": 1}))
pathlib.Path("reports").mkdir(exist_ok=True)
pathlib.Path("reports/train.json").write_text(json.dumps({"center": values[0].mean()}))
pathlib.Path("reports/train_energy.json").write_text(json.dumps({"joules": time.time_ns()}))
"""

EVALUATE = """
import json, pathlib
from safetensors.numpy import load
center = load(pathlib.Path("models/candidate/weights.safetensors").read_bytes())["center"]
pathlib.Path("reports/evaluate.json").write_text(json.dumps({"score": float(center.sum())}))
"""

WIRING = """
stages:
  ingest:
    cmd: python src/ingest.py
    deps: [src/ingest.py, data/external]
    outs: [data/raw: {persist: true}]
    metrics: [reports/ingest.json: {cache: false, persist: true}]
  train:
    cmd: python src/train.py
    deps: [src/train.py, data/raw]
    params: [seed]
    outs: [models/candidate: {persist: true}]
    metrics:
      - reports/train.json: {cache: false, persist: true}
      - reports/train_energy.json: {cache: false, persist: true, meta: {measured: true}}
  evaluate:
    cmd: python src/evaluate.py
    deps: [src/evaluate.py, "${task.folder}", models/candidate, champion]
    metrics: [reports/evaluate.json: {cache: false, persist: true}]
"""

IGNORED = "/data/raw\n/data/external/*\n!/data/external/.gitignore\n/models/\n/reports/\n"


def git(folder: Path, *arguments: str) -> str:
    """Run git without anybody's configuration."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def dvc(folder: Path, *arguments: str) -> str:
    """Run DVC with the tests' interpreter first on the path and the sources in `folder` before all others."""
    unset = ("WATTLINE_STATE", "WATTLINE_DATA_MIRROR", "MLFLOW_TRACKING_URI")
    environment = {name: value for name, value in os.environ.items() if name not in unset} | {
        "PYTHONPATH": str(folder / "src"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(folder.parent / "site"),
    }
    command = [sys.executable, "-m", "dvc", *arguments]
    said = subprocess.run(command, cwd=folder, env=environment, check=False, capture_output=True, text=True)
    assert said.returncode == 0, said.stdout + said.stderr
    return said.stdout


def commit(folder: Path, message: str = "change") -> str:
    """Commit everything; the commit's id."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD").strip()


def build(folder: Path) -> None:
    """Write the project and commit it, without running anything."""
    contents = {
        "src/ingest.py": INGEST,
        "src/train.py": TRAIN,
        "src/evaluate.py": EVALUATE,
        "src/task/task.py": "",
        "dvc.yaml": WIRING,
        "params.yaml": "seed: 7 # of everything\ntask: {name: tiny, folder: src/task}\n",
        "requirements/core.lock": f"pydantic=={metadata.version('pydantic')} \\\n    --hash=sha256:00\n",
        "requirements/torch-cpu.lock": f"torch=={metadata.version('torch')} --hash=sha256:00\n",
        "data/external/.gitignore": "",
        "data/external/rows.json": json.dumps({"node-1": [1.0, 2.0, 3.0], "node-2": [4.0, 5.0, 6.5]}),
        "champion/.gitignore": "*\n!.gitignore\n",
        ".gitignore": IGNORED,
    }
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "--quiet")
    dvc(folder, "init", "--quiet")
    commit(folder, "everything")


def recipe(folder: Path, **changes: object) -> Recipe:
    """What a registry would say of the version that lies in `folder`."""
    candidate = Candidate.from_json((folder / "models/candidate/candidate.json").read_bytes())
    found = splits.read_dataset(folder / "data/raw")
    made = Recipe(
        name="tiny",
        version="3",
        commit=git(folder, "rev-parse", "HEAD").strip(),
        dirty=False,
        data=found.id,
        dataset="tiny",
        candidate=candidate,
        champion=Champion(),
        lock=(folder / "dvc.lock").read_text(),
        params=(folder / "params.yaml").read_text(),
        environment=environment.installed(Path(sys.executable), folder),
    )
    return made.model_copy(update=changes)


def nowhere() -> Environment:
    """An environment that is not this one."""
    return Environment(python="3.11.0", platform="elsewhere", lock_sha256="0", packages={"pydantic": "0.1"})
