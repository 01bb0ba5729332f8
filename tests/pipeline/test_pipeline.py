"""The whole pipeline in clean clones: it runs, runs no more than it must, and gives the same bytes twice."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from wattline import files
from wattline.stages import STAGES

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MADE = ("dvc.lock", "reports/", "model_cards/", "champion/champion.json", "champion/candidate.json")
MEASURED = (
    "reports/measure",
    "reports/train_energy.json",
    "reports/decide",
    "reports/card.json",
)
"""Timings and joules, and what is said of them."""


class Clone:
    """A clone of the project in which commands can be run, with its own platform, state and caches."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def environment(self) -> dict[str, str]:
        unset = ("WATTLINE_STATE", "WATTLINE_DATA_MIRROR", "MLFLOW_TRACKING_URI")
        kept = {name: value for name, value in os.environ.items() if name not in unset}
        return kept | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(self.folder / "src"),
            "DVC_NO_ANALYTICS": "1",
            "DVC_SITE_CACHE_DIR": str(self.folder.parent / "site"),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        }

    def start(self, *command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *command: str) -> tuple[int, str]:
        """Exit code, and what it said."""
        process = self.start(*command)
        said, _ = process.communicate()
        return process.returncode, said

    def repro(self) -> list[str]:
        """Run `dvc repro`; the stages that ran."""
        code, said = self.run("dvc", "repro")
        assert code == 0, said
        return ran(said)

    def params(self, change: Callable[[Any], None]) -> None:
        """Change the block of the task in params.yaml."""
        path = self.folder / "params.yaml"
        tree = yaml.safe_load(path.read_text())
        change(tree[tree["task"]["name"]])
        path.write_text(yaml.safe_dump(tree, sort_keys=False))

    def report(self, stage: str) -> Any:
        return json.loads((self.folder / "reports" / f"{stage}.json").read_text())

    def digests(self) -> dict[str, str]:
        """Every file that stages write, but what is measured."""
        return {
            f"{top}/{name}": digest
            for top in ("data", "models", "reports")
            for name, digest in files.digests(self.folder / top).items()
            if not f"{top}/{name}".startswith(MEASURED)
        }


def ran(said: str) -> list[str]:
    """Stages that `dvc repro` ran, by what it said."""
    return [line.split("'")[1] for line in said.splitlines() if line.startswith("Running stage ")]


def git(folder: Path, *arguments: str) -> str:
    """Run git without anybody's configuration."""
    identity = ("-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    ).stdout


def small(block: Any) -> None:
    """A cluster of four nodes for two days, little of everything, and a limit that nothing reaches."""
    block["ingest"] = {"source": "simulator", "options": {"simulator": {"nodes": 4, "nodes_per_rack": 2, "days": 2}}}
    block["profile"]["rows"] = 1000
    block["train"]["model"] = "linear"
    block["evaluate"]["resamples"] = 100
    block["measure"] |= {"windows": 100, "repeats": 3}
    block["gates"]["quality"]["limit"] = 0.999


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the working tree as it is, committed or not, without what stages made in it."""
    folder = tmp_path_factory.mktemp("origin")
    for name in git(ROOT, "ls-files", "-co", "--exclude-standard", "-z").split("\0"):
        made = name.startswith(MADE) and not name.endswith(".gitignore")
        if name and not made and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    Clone(folder).params(small)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "everything")
    return folder


@pytest.fixture(scope="module")
def clones(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, Clone]:
    """Two clean clones, in each of which the pipeline ran once, at the same time."""
    both = []
    for name in ("one", "another"):
        folder = tmp_path_factory.mktemp(name) / "with a longer path" / name
        git(origin, "clone", "--quiet", str(origin), str(folder))
        both.append(Clone(folder))
    processes = [clone.start("dvc", "repro") for clone in both]
    try:
        for process in processes:
            said, _ = process.communicate()
            assert process.returncode == 0, said
            assert ran(said) == list(STAGES)
    finally:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
    return both[0], both[1]


@pytest.fixture
def clone(clones: tuple[Clone, Clone]) -> Clone:
    return clones[0]


def test_every_stage_wrote_its_report(clone):
    for stage in STAGES:
        clone.report(stage)


def test_two_clean_clones_write_the_same_bytes(clones):
    one, another = (clone.digests() for clone in clones)
    assert one == another
    assert len(one) > 20
    assert any(name.startswith("data/prepared/test/") for name in one)
    assert "models/candidate/model.onnx" in one
    assert "reports/evaluate/slices.png" in one


def test_no_output_knows_where_it_was_made(clone):
    for top in ("data", "models", "reports", "model_cards"):
        for path in (clone.folder / top).rglob("*"):
            assert not path.is_file() or b"with a longer path" not in path.read_bytes(), path


def test_a_second_run_runs_nothing(clone):
    assert clone.repro() == []


def test_git_sees_only_what_belongs_into_it(clone):
    changed = [line[3:] for line in git(clone.folder, "status", "--porcelain", "-uall").splitlines()]
    assert changed
    for name in changed:
        assert name.startswith(("reports/", "model_cards/")) or name == "dvc.lock", name


def test_a_rejected_candidate_is_a_result_for_the_pipeline_and_refused_by_the_registry(clone):
    verdicts = {verdict["name"]: verdict["passed"] for verdict in clone.report("decide")["verdicts"]}
    assert verdicts["integrity"]
    assert not verdicts["quality"]
    assert clone.run("wattline", "keys", "new")[0] == 0
    code, said = clone.run("wattline", "register")
    assert code == 1, said
    assert "quality" in said
    assert "Traceback" not in said


def test_a_changed_limit_is_decided_anew_and_nothing_else(clone):
    before = clone.digests()
    clone.params(lambda block: block["gates"]["data"].update(minimum_rows=2))
    assert clone.repro() == ["decide", "card"]
    assert clone.digests() == before


def test_the_card_is_fresh_after_a_run(clone):
    assert clone.run("wattline", "card", "--check") == (0, "")


def test_the_notebooks_are_stages_of_their_own_that_ci_and_a_plain_repro_leave_alone(clone):
    code, said = clone.run("dvc", "repro", "notebooks/dvc.yaml")
    assert code == 0, said
    assert set(ran(said)) == {
        "notebooks/dvc.yaml:exploration", "notebooks/dvc.yaml:results",
    }  # fmt: skip
    pages = {path.name for path in (clone.folder / "reports" / "notebooks").iterdir()}
    assert pages == {f"{name}.{kind}" for name in ("exploration", "results") for kind in ("ipynb", "html")}
    assert "was rejected. Failed or refused: quality" in (clone.folder / "reports/notebooks/results.html").read_text()
    planned = "from wattline.gitlab import affected; print(*affected.plan().parents)"
    code, said = clone.run(sys.executable, "-c", planned)
    assert (code, set(said.split())) == (0, set(STAGES))
    (clone.folder / "notebooks" / "dvc.lock").unlink()


def test_metrics_and_plots_can_be_shown(clone):
    code, said = clone.run("dvc", "metrics", "show", "--json")
    assert code == 0, said
    shown = json.loads(said)[""]["data"]
    assert set(shown) == {f"reports/{stage}.json" for stage in STAGES} | {"reports/train_energy.json"}
    code, said = clone.run("dvc", "plots", "show", "--out", "shown")
    assert code == 0, said
    page = (clone.folder / "shown" / "index.html").read_text()
    for picture in ("contenders.png", "slices.png", "latency.png"):
        assert picture in page
    shutil.rmtree(clone.folder / "shown")


class TestFailure:
    """A stage that fails leaves nothing that could be taken for evidence, and what was there before is not lost."""

    @pytest.fixture
    def unharmed(self, clones: tuple[Clone, Clone]) -> Iterator[Clone]:
        clone = clones[1]
        before, lock = clone.digests(), (clone.folder / "dvc.lock").read_bytes()
        yield clone
        # DVC took the outputs away before the stage ran. With the former inputs they are there again, and nothing runs.
        assert clone.repro() == []
        assert clone.digests() == before
        assert (clone.folder / "dvc.lock").read_bytes() == lock
        for top in ("data", "models", "reports"):
            hidden = {path.name for path in (clone.folder / top).glob(".*")}
            assert hidden <= {".gitignore"}

    def test_a_corrupted_partition_is_refused_and_made_anew(self, unharmed):
        partition = next((unharmed.folder / "data" / "raw").glob("*.parquet"))
        good = partition.read_bytes()
        partition.write_bytes(good[:-9] + b"corrupted")
        for stage in ("validate", "prepare", "profile"):
            code, said = unharmed.run("wattline", "run", stage)
            assert code == 2, said
            assert f"data/raw, which {stage} reads, is not what ingest has on record" in said
            assert "Traceback" not in said
        unharmed.repro()
        assert partition.read_bytes() == good

    def test_an_impossible_demand_ends_the_run_at_its_stage(self, unharmed):
        params = unharmed.folder / "params.yaml"
        former = params.read_bytes()
        unharmed.params(lambda block: block["prepare"].update(minimum_rows=10**6))
        code, said = unharmed.run("dvc", "repro")
        params.write_bytes(former)
        assert code != 0
        assert ran(said) == ["prepare"]
        assert not (unharmed.folder / "reports" / "prepare.json").exists()
        assert "prepare.minimum_rows is 1000000" in said
        assert "Traceback" not in said

    def test_a_wrong_value_ends_the_run_with_its_key(self, unharmed):
        params = unharmed.folder / "params.yaml"
        former = params.read_bytes()
        unharmed.params(lambda block: block["gates"]["energy"].update(budget_joules=-1))
        code, said = unharmed.run("dvc", "repro")
        params.write_bytes(former)
        assert code != 0
        assert "gates.energy.budget_joules must be > 0, got -1" in said
        assert "Traceback" not in said


def within_reach(block: Any) -> None:
    """Limits that any working candidate meets."""
    block["gates"]["quality"] |= {"limit": 0.0, "margin_over_baselines": 0.0}
    block["train"]["model"] = "pca"
    block["gates"]["slices"]["limit"] = 0.0
    block["gates"]["robustness"]["maximum_loss"] = 1.0


def test_the_demonstration_ends_with_the_answer_of_the_promoted_model(clones):
    clone = clones[1]
    clone.params(within_reach)
    # As at a desk: in CI, nothing is registered from sources that differ from the commit.
    code, said = clone.run("env", "-u", "CI", "wattline", "demo")
    assert code == 0, said
    digest = clone.report("train")["candidate"]
    last = said.strip().splitlines()[-1]
    assert last.startswith("answer")
    assert digest in last
    assert said.count("PASS ") == 8
    assert "model_cards/node_anomaly.md" in said
    assert "node_anomaly-simulator version 1" in said
    champion = json.loads((clone.folder / "champion" / "champion.json").read_text())
    assert champion == {"name": "node_anomaly-simulator", "version": "1", "digest": digest}
    assert clone.repro() == ["evaluate", "measure", "decide", "card"]
    assert clone.report("evaluate")["versus_champion"]["vus_pr"]["value"] == 0
