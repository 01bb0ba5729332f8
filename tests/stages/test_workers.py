"""Workers of the data stages, as processes: same bytes, same errors, bounded memory, nothing left behind."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import yaml

from stages import units
from stages.conftest import CLUSTER, SEED, small_splits
from wattline import files, stages, workers
from wattline.errors import InputError, WattlineError
from wattline.hpc import running
from wattline.params import IngestParams
from wattline.settings import settings
from wattline.stages import ingest, prepare
from wattline.workers import configuration

pytestmark = pytest.mark.usefixtures("clean")

Site = Callable[..., None]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Say how many workers the site has. Afterwards none of their processes is there."""
    before = set(psutil.Process().children(recursive=True))
    monkeypatch.chdir(tmp_path)

    def choose(count: int, **dask: Any) -> None:
        profile = {"description": "a test", "scheduler": "local", "dask": {"workers": count, **dask}}
        files.write_text(Path("deploy/sites/here.yaml"), yaml.safe_dump(profile))
        monkeypatch.setenv("WATTLINE_SITE", "here")
        settings.cache_clear()

    yield choose
    left = set(psutil.Process().children(recursive=True)) - before
    assert not psutil.wait_procs([one for one in left if not is_tracker(one)], timeout=60)[1]


def is_tracker(process: psutil.Process) -> bool:
    """Whether it is what multiprocessing keeps for the life of a program that has started processes."""
    try:
        return "resource_tracker" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def data_stages() -> dict[str, bytes]:
    """Run `ingest` and `prepare`; every byte they wrote."""
    ingest.run(ingest=IngestParams(source="simulator", options={"simulator": CLUSTER}), seed=SEED)
    prepare.run(prepare=small_splits(), task=SimpleNamespace(target=units.target))
    return written()


def written() -> dict[str, bytes]:
    folders = (Path("data"), Path("reports"))
    return {str(path): path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}


def test_outputs_are_the_same_bytes_whatever_the_number_of_workers(site: Site):
    site(0)
    alone = data_stages()
    assert len([name for name in alone if name.endswith(".parquet")]) == 4 * CLUSTER["nodes"]
    site(2)
    assert data_stages() == alone
    site(1)
    prepare.run(prepare=small_splits(), task=SimpleNamespace(target=units.target))
    assert written() == alone


def test_a_unit_whose_worker_dies_is_done_again_and_few_are_taken_ahead(site: Site):
    site(2)
    taken: list[int] = []

    def items() -> Iterator[tuple[str, int]]:
        for number in range(30):
            taken.append(number)
            yield str(number), number

    answers, ahead = [], []
    with workers.each(units.square, items(), title="test") as results:
        listening = [one for process in (psutil.Process(), *psutil.Process().children()) for one in listens(process)]
        for process, answer in results:
            assert process != psutil.Process().pid
            answers.append(answer)
            ahead.append(len(taken) - len(answers))
    assert answers == [number**2 for number in range(30)]
    assert Path("died").exists()
    assert max(ahead) <= 2 * 2
    assert set(listening) == {"127.0.0.1"}, "somebody else's machine could hand in work"


def listens(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):  # it has ended since it was listed
        return [one.laddr.ip for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
    return []


def test_a_unit_that_needs_more_memory_than_a_worker_has_is_named(site: Site, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(configuration.OURS, "distributed.scheduler.allowed-failures", 0)
    site(1, memory_gib=0.5)
    remedy = r"test: 1 workers died of giant.*dask\.memory_gib \(0\.5 GiB\).*deploy/sites/here\.yaml"
    with (
        pytest.raises(WattlineError, match=remedy),
        workers.each(units.grow, [("giant", 1024)], title="test") as results,
    ):
        list(results)


def test_an_error_in_a_unit_is_the_one_that_it_is_without_workers(site: Site):
    rows = "timestamp,power\n" + "".join(f"2026-01-01T00:{minute:02d}:00Z,{minute}\n" for minute in range(60))
    for name in ("n1", "n2", "n3"):
        files.write_text(Path(f"in/{name}.csv"), rows if name == "n1" else rows.replace(",30\n", ",off\n"))
    options = {"path": "in", "column_units": {"power": "W"}, "cadence_seconds": 60, "licence": "l", "citation": "c"}
    said = []
    for count in (0, 2):
        site(count)
        with pytest.raises(InputError, match=r"in/n2\.csv") as error:
            ingest.run(ingest=IngestParams(source="csv", options={"csv": options}), seed=1)
        said.append(str(error.value))
        assert not list(Path("data").iterdir())
    assert said[0] == said[1]


def test_without_workers_items_are_taken_one_by_one(site: Site):
    site(0)
    with workers.each(units.fail, [("0", 0), ("1", 1), ("2", 2)], title="test") as results:
        assert [next(results), next(results)] == [0, 1]
        with pytest.raises(InputError, match="unit 2 is wrong"):
            next(results)


def test_workers_are_those_of_the_site_that_was_chosen_and_in_a_job_those_of_the_jobs(
    site: Site, monkeypatch: pytest.MonkeyPatch
):
    site(1)
    found = []

    def stage(_: str) -> None:
        with workers.each(units.square, [("one", 1)], title="test") as results:
            found.extend(process for process, _ in results)

    monkeypatch.setattr(stages, "run", stage)
    monkeypatch.setattr(running, "as_ordered", lambda *_: None)  # no job was ordered
    Path("dvc.yaml").write_text("stages: {ingest: {cmd: wattline run ingest}}")
    Path("params.yaml").write_text("{}")
    asked = {"attach": False, "cancel": False}
    running.ask("ingest", "local", keep=None, **asked)
    assert found == [os.getpid()]
    running.ask("ingest", "local", keep=Path("kept"), **asked)  # as a job does
    monkeypatch.delenv("WATTLINE_SITE")
    settings.cache_clear()
    running.ask("ingest", "here", keep=None, **asked)
    assert os.getpid() not in found[1:]
    assert len(found) == 3


def test_what_cannot_be_sent_is_one_line(site: Site):
    site(0)
    ingest.run(ingest=IngestParams(source="simulator", options={"simulator": CLUSTER}), seed=SEED)
    site(1)
    with Path("open").open("w") as stream:
        task = SimpleNamespace(target=units.target, log=stream)
        with pytest.raises(InputError, match=r"prepare: what is to be done cannot be sent to workers: .*dask\.workers"):
            prepare.run(prepare=small_splits(), task=task)


def test_a_site_without_a_profile_is_refused_before_anything_is_written(site: Site, monkeypatch: pytest.MonkeyPatch):
    site(0)
    monkeypatch.setenv("WATTLINE_SITE", "absent")
    settings.cache_clear()
    with pytest.raises(InputError, match="there is no site 'absent'"):
        data_stages()
    assert not Path("data/raw").exists()


def test_signals_mean_what_they_meant():
    """dask-jobqueue lets Ctrl-C end whoever imports it with exit code 0."""
    check = (
        "import signal, sys\n"
        "from wattline.workers.cluster import signals_kept\n"
        "former = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]\n"
        "with signals_kept():\n"
        "    import wattline.workers.jobs\n"
        "assert former == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]\n"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
