"""deploy/experiment.sh: experiments of DVC side by side, each in a workspace of its own, with one cache."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

SCRIPT = Path(__file__).parents[2] / "deploy" / "experiment.sh"
STAGE = """
import json, pathlib, sys, time, yaml
rate = yaml.safe_load(open("params.yaml"))["rate"]
mark = pathlib.Path(sys.argv[1]) / f"{rate}"
mark.touch()
deadline = time.monotonic() + 240
while len(list(mark.parent.iterdir())) < 2:  # both are at work at once
    assert time.monotonic() < deadline
    time.sleep(0.1)
pathlib.Path("model").write_text(f"model of {rate}")
json.dump({"loss": 1 / rate}, open("loss.json", "w"))
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one stage, which waits until a second experiment is at work."""
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "marks").mkdir()
    (tmp_path / "scratch").mkdir()
    (folder / "stage.py").write_text(STAGE)
    (folder / "params.yaml").write_text("rate: 1\n")
    stage = {
        "cmd": f"{sys.executable} stage.py {tmp_path / 'marks'}",
        "deps": ["stage.py"],
        "params": ["rate"],
        "outs": ["model"],
        "metrics": [{"loss.json": {"cache": False}}],
    }
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": {"train": stage}}))
    for name, value in {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b",
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(tmp_path / "site"),
        "TMPDIR": str(tmp_path / "scratch"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    for command in (
        ["git", "init", "-q"],
        ["dvc", "init", "-q"],
        ["git", "add", "."],
        ["git", "commit", "-qm", "begin"],
    ):
        subprocess.run(command, check=True)
    return folder


def test_two_at_once_give_both_results_and_leave_nothing_behind(project: Path, tmp_path: Path):
    rates = (2, 4)
    jobs = [
        subprocess.Popen(
            [SCRIPT, f"rate-{rate}", "--set-param", f"rate={rate}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for rate in rates
    ]  # fmt: skip
    said = [job.communicate(timeout=300)[0] for job in jobs]
    assert [job.returncode for job in jobs] == [0, 0], said
    shown = subprocess.run(["dvc", "exp", "show", "--json"], check=True, capture_output=True, text=True).stdout
    losses = [float(value) for value in map(str, _losses(json.loads(shown)))]
    assert sorted(losses) == [1 / 4, 1 / 2]
    assert not list((tmp_path / "scratch").iterdir())
    assert (project / "params.yaml").read_text() == "rate: 1\n"
    subprocess.run(["dvc", "exp", "apply", "rate-4"], check=True, capture_output=True)
    assert (project / "model").read_text() == "model of 4"
    again = subprocess.run([SCRIPT, "rate-2"], capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert "there is an experiment rate-2 already" in again.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_one_that_is_ended_takes_its_stage_along(project: Path, tmp_path: Path, number: signal.Signals):
    with subprocess.Popen(
        [SCRIPT, "ended", "--set-param", "rate=2"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as job:
        try:
            deadline = time.monotonic() + 120
            while not (tmp_path / "marks" / "2").exists():
                assert time.monotonic() < deadline
                assert job.poll() is None
                time.sleep(0.1)
            job.send_signal(number)
            assert job.wait(120) == 128 + number
        finally:
            job.kill()
    deadline = time.monotonic() + 120
    while any(str(tmp_path / "marks") in line for line in _commands()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert not list((tmp_path / "scratch").iterdir())


def _commands() -> Iterator[str]:
    """What runs on this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            yield path.read_text(errors="replace")


def _losses(tree: object) -> list[object]:
    """Every loss in what DVC shows."""
    if isinstance(tree, dict):
        own = [tree["loss"]] if "loss" in tree and not isinstance(tree["loss"], dict) else []
        return own + [one for value in tree.values() for one in _losses(value)]
    return [one for value in tree for one in _losses(value)] if isinstance(tree, list) else []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give a name of letters"),
        (["../out"], "give a name of letters"),
        (["one", "--queue"], "--queue does not go with a workspace per job"),
        (["one", "--temp"], "--temp does not go with a workspace per job"),
        (["one", "--tem"], "--tem does not go with a workspace per job"),
        (["one", "--jobs=4"], "--jobs=4 does not go with a workspace per job"),
        (["one", "-j4"], "-j4 does not go with a workspace per job"),
    ],
)
def test_what_two_jobs_must_not_do_is_refused(arguments: list[str], sentence: str):
    done = subprocess.run([SCRIPT, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert sentence in done.stderr
