"""`wattline ci child`: GitLab's graph is DVC's graph, and its jobs are what `dvc repro` would run."""

import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gitlab import tiny
from wattline.errors import InputError
from wattline.gitlab import affected, child, run_cache

ROOT = Path(__file__).parents[2]
# What DVC uses is going to change, says what it uses.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
INCLUDE = "/ci/dvc-stage.yml"


def document(one, **variables):
    """The child pipeline for a clone, without those words that a person would read."""
    with tiny.inside(one, **variables) as known:
        return yaml.safe_load(child.child(known, include=INCLUDE, say=lambda line: None))


def jobs(made):
    """Stage -> stages that its job needs."""
    return {
        name.removeprefix("dvc:"): {need.removeprefix("dvc:") for need in job["needs"]}
        for name, job in made.items()
        if name.startswith("dvc:")
    }


def dag(folder):
    """Stage -> stages that it reads from, as DVC draws it."""
    command = [sys.executable, "-m", "dvc", "dag", "--dot"]
    said = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    found = {}
    for one, other in re.findall(r'"([^"]+)"(?: -> "([^"]+)")?;', said):
        found.setdefault(other or one, set()).update({one} if other else set())
        found.setdefault(one, set())
    return found


def reproduced(one):
    """Run `dvc repro` in this process; the stages that ran, not those that came from a cache."""
    from dvc.repo import Repo
    from dvc.stage import run

    ran = []
    original = run.cmd_run
    with tiny.inside(one), pytest.MonkeyPatch.context() as patch, Repo(".") as repo:
        patch.setattr(run, "cmd_run", lambda stage, **more: (ran.append(stage.addressing), original(stage, **more)))
        repo.reproduce(pull=True, allow_missing=True)
    with tiny.inside(one):
        run_cache.remember(ran)
        run_cache.push(ran, say=lambda line: None)
    return set(ran)


class Graph:
    """A pipeline of so many stages, each of which reads from earlier ones; whatever changes, its output does."""

    def __init__(self, seed: int, size: int) -> None:
        choose = random.Random(seed)
        self.names = [f"s{number}" for number in range(size)]
        self.parents = {
            name: sorted(choose.sample(self.names[:index], k=min(index, choose.choice([0, 1, 1, 2, 3]))))
            for index, name in enumerate(self.names)
        }
        self.by_folder = {name for name in self.names if choose.random() < 0.5}

    def files(self) -> dict[str, str]:
        """What a repository of it holds."""
        stages = {}
        for name in self.names:
            deps = [f"src/{name}.txt", *(f"out/{parent}" for parent in self.parents[name])]
            make = f"find {' '.join(deps)} -type f | sort | xargs cat params.yaml"
            target = f"out/{name}/rows.txt" if name in self.by_folder else f"out/{name}"
            stages[name] = {
                "cmd": [
                    f"mkdir -p {Path(target).parent} reports && {make} > {target}",
                    f"echo {name} >> {target} && echo {name} > reports/{name}.json",
                ],
                "deps": deps,
                "params": [name],
                "outs": [f"out/{name}"],
                "metrics": [{f"reports/{name}.json": {"cache": False}}],
            }
        return {
            "dvc.yaml": yaml.safe_dump({"stages": stages}, sort_keys=False, width=1000),
            "params.yaml": yaml.safe_dump(dict.fromkeys(self.names, 0)),
            ".gitignore": "/out\n",
            **{f"src/{name}.txt": f"{name}\n" for name in self.names},
        }

    def change(self, one: tiny.Clone, choose: random.Random) -> None:
        """A parameter, a source or a command, of one or two stages."""
        for name in choose.sample(self.names, k=choose.choice([1, 1, 2])):
            kind = choose.choice(["param", "source", "command"])
            path = {"param": "params.yaml", "source": f"src/{name}.txt", "command": "dvc.yaml"}[kind]
            text = (one.folder / path).read_text()
            new = {
                "param": re.sub(rf"^{name}: .*$", f"{name}: {choose.random()}", text, flags=re.MULTILINE),
                "source": f"{choose.random()}\n",
                "command": re.sub(rf"echo {name} .*?>>", f"echo {name} with {choose.random()} >>", text),
            }[kind]
            (one.folder / path).write_text(new)


@pytest.mark.parametrize("seed", range(6))
def test_the_graphs_are_the_same_for_any_pipeline(tmp_path, seed):
    graph = Graph(seed, size=4 + 3 * seed)
    (tmp_path / "remote").mkdir()
    made = document(tiny.project(tmp_path / "one", remote=tmp_path / "remote", files=graph.files()))
    assert jobs(made) == {name: set(parents) for name, parents in graph.parents.items()}
    assert made["collect"]["stage"] == made["stages"][-1]


def test_the_graphs_are_the_same_for_this_pipeline(tmp_path):
    (tmp_path / "remote").mkdir()
    one = tiny.Clone(tmp_path / "one", tmp_path / "remote")
    one.folder.mkdir()
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"):
        shutil.copyfile(ROOT / name, one.folder / name)
    for name in ("src", ".dvc", "champion", "earlier", "data/external", "data/snapshots"):
        shutil.copytree(
            ROOT / name, one.folder / name, ignore=shutil.ignore_patterns("tmp", "cache", "config.local", "*.pyc")
        )
    tiny.git(one.folder, "init", "--quiet")
    made = document(one)
    assert jobs(made) == dag(one.folder)
    assert set(jobs(made)) == set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])


def test_the_jobs_are_what_would_run_whatever_changed(tmp_path):
    """In a clone without data; `dvc repro` runs beside it, with data. Then the same is asked after it ran."""
    choose, graph = random.Random(7), Graph(11, size=7)
    (tmp_path / "remote").mkdir()
    one = tiny.project(tmp_path / "one", remote=tmp_path / "remote", files=graph.files())
    with tiny.inside(one) as known:
        from wattline.gitlab import dvc_remote

        dvc_remote.configure(known)
    assert reproduced(one) == set(graph.names)
    one.commit()
    for turn in range(6):
        graph.change(one, choose)
        one.commit()
        bare = tiny.clone(one.folder, tmp_path / f"bare{turn}", remote=one.remote)
        planned = document(bare)
        assert set(jobs(planned)) == reproduced(one)
        again = document(bare)
        assert jobs(again) == {}
        assert "collect" in again
        one.commit()
        settled = tiny.clone(one.folder, tmp_path / f"settled{turn}", remote=one.remote)
        assert [name for name, job in document(settled).items() if "extends" in job] == ["unchanged"]


class TestLock:
    """What dvc.lock may look like after people worked on it."""

    @pytest.fixture(scope="class")
    def made(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("made")
        (folder / "remote").mkdir()
        one = tiny.project(folder / "one", remote=folder / "remote")
        with tiny.inside(one) as known:
            from wattline.gitlab import dvc_remote

            dvc_remote.configure(known)
        reproduced(one)
        one.commit()
        return one

    @pytest.fixture
    def bare(self, made, tmp_path):
        return tiny.clone(made.folder, tmp_path / "bare", remote=made.remote)

    def test_one_that_a_merge_put_together_makes_the_later_stage_a_job(self, bare):
        """Each side is right in itself: the merge has the model of one and the decision of the other."""
        lock = yaml.safe_load(bare.text("dvc.lock"))
        lock["stages"]["decide"]["deps"][0]["md5"] = "0" * 32
        bare.write(dvc_dot_lock=yaml.safe_dump(lock))
        with tiny.inside(bare) as known:
            child.dvc_remote.configure(known)
            plan = affected.plan()
        assert plan.unchanged == ["ingest", "train"]
        # It ran with the inputs that it has now, so that nothing has to run.
        assert plan.restored == ["decide"]

    def test_without_one_all_comes_from_the_run_cache(self, bare):
        (bare.folder / "dvc.lock").unlink()
        assert [name for name, job in document(bare).items() if "extends" in job] == ["collect"]

    def test_one_with_marks_of_a_conflict_is_told_of(self, bare):
        bare.write(dvc_dot_lock="<<<<<<< HEAD\n" + bare.text("dvc.lock"))
        with pytest.raises(InputError, match="after a merge with conflicts"):
            document(bare)

    def test_a_report_that_somebody_edited_is_put_right(self, bare):
        bare.write(reports__decide_dot_json="better\n")
        assert [name for name, job in document(bare).items() if "extends" in job] == ["collect"]

    def test_the_hpc_runner_gets_the_stages_that_it_is_for(self, bare):
        bare.write(source_dot_txt="more\n")
        plain = document(bare)
        assert {plain[f"dvc:{name}"]["extends"] for name in ("ingest", "train", "decide")} == {".dvc-stage"}
        there = document(bare, WATTLINE_HPC_TAG="slurm", WATTLINE_HPC_STAGES="train, decide")
        assert [there[f"dvc:{name}"]["extends"] for name in ("ingest", "train", "decide")] == [
            ".dvc-stage",
            ".dvc-stage-hpc",
            ".dvc-stage-hpc",
        ]
        fork = {"CI_MERGE_REQUEST_PROJECT_PATH": "a/b", "CI_MERGE_REQUEST_SOURCE_PROJECT_PATH": "c/b"}
        assert document(bare, WATTLINE_HPC_TAG="slurm", **fork)["dvc:train"]["extends"] == ".dvc-stage"

    @pytest.mark.slow
    def test_jobs_of_their_own_give_the_lock_that_one_run_gives(self, bare, tmp_path):
        """Each job starts from git and the remote alone; the last one collects."""
        bare.write(train_dot_sh="echo training otherwise\n")
        bare.commit()
        planned = jobs(document(bare))
        assert planned == {"train": set(), "decide": {"train"}}
        for name in [*planned, "collect"]:
            one = tiny.clone(bare.folder, tmp_path / name, remote=bare.remote)
            code, said = one.repro(*([name] if name in planned else []))
            assert code == 0, said
            assert f"ran: {name if name in planned else 'nothing'};" in said
        assert [name for name, job in document(one).items() if "extends" in job] == ["unchanged"]

    def test_it_needs_a_place_that_jobs_share(self, bare):
        with pytest.raises(InputError, match="WATTLINE_DVC_REMOTE"):
            document(tiny.Clone(bare.folder, None))
