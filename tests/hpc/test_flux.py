"""Flux behind the seam: its programs are called as its manual says, and what they print is understood.

No Flux can be installed here: a program of that name answers what flux-core documents, and notes how it was called.
"""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpc.orders import order
from wattline.errors import InputError, UnreachableError
from wattline.hpc import flux_script
from wattline.hpc.flux import Flux, decimal, expanded
from wattline.hpc.scheduler import State
from wattline.sites import Profile

FAKE = """#!/bin/sh
printf '%s\\n' "$@" > "$0.called"
cat "$0.output"
cat "$0.errors" >&2
exit "$(cat "$0.code")"
"""
# As `flux jobs --json` prints one.
JOB: Mapping[str, Any] = {
    "id": 91088924704768,
    "userid": 1000,
    "urgency": 16,
    "t_submit": 1000.5,
    "t_depend": 1000.6,
    "t_run": 1003.0,
    "t_cleanup": 1063.0,
    "t_inactive": 1063.1,
    "state": "INACTIVE",
    "name": "wattline-train-0123abcd",
    "ntasks": 2,
    "nodelist": "n[08-10,12],login1",
    "success": True,
    "exception_occurred": False,
    "result": "COMPLETED",
    "annotations": {"sched": {"resource_summary": "rank0/core0"}},
    "waitstatus": 0,
    "returncode": 0,
    "runtime": 60.0,
    "exception": {"occurred": False, "severity": "", "type": "", "note": ""},
}
Says = Callable[..., None]


@pytest.fixture
def flux_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Sets what the program `flux` answers."""
    program = tmp_path / "programs" / "flux"
    program.parent.mkdir()
    program.write_text(FAKE)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def says(output: str = "", *, errors: str = "", code: int = 0) -> None:
        for name, text in (("output", output), ("errors", errors), ("code", str(code))):
            program.with_suffix(f".{name}").write_text(text)

    says()
    return says


@pytest.fixture
def called(tmp_path: Path) -> Callable[[], list[str]]:
    return lambda: (tmp_path / "programs" / "flux.called").read_text().split("\n")[:-1]


def site(**values: Any) -> Profile:
    return Profile(**{"description": "tests", "scheduler": "flux", "stages": ("train",), **values})


def failed(kind: str, note: str) -> dict[str, Any]:
    return {"result": "FAILED", "returncode": 1, "exception": {"occurred": True, "type": kind, "note": note}}


@pytest.mark.parametrize(
    ("printed", "number"),
    [
        ("ƒiFkbMhFM\n", "91088924704768"),
        ("fiFsPiQD5\n", "91093387444224"),
        ("ƒiHP9Htes\n", "91150983626752"),
        ("42\n", "42"),
    ],
)
def test_a_number_is_read_in_every_way_that_flux_prints_it(printed: str, number: str):
    assert decimal(printed) == number


def test_a_script_is_handed_in_and_its_number_read(flux_says: Says, called: Callable, tmp_path: Path):
    flux_says("ƒiFkbMhFM\n")
    wanted = order(tmp_path, ["true"], site())
    assert Flux().submit(wanted) == "91088924704768"
    assert called() == ["batch", str(wanted.script)]


def test_a_refusal_says_why_and_what_to_do(flux_says: Says, tmp_path: Path):
    flux_says(errors="flux-batch: ERROR: Invalid queue gpu specified\n", code=1)
    with pytest.raises(InputError, match=r"Flux refuses the job wattline-train-0123abcd: .*queue gpu.*--dry-run"):
        Flux().submit(order(tmp_path, ["true"], site()))


@pytest.mark.parametrize("garbage", ["", "not a number", "ƒ0OIl"])
def test_what_is_no_number_is_not_taken_for_one(flux_says: Says, tmp_path: Path, garbage: str):
    flux_says(garbage)
    with pytest.raises(UnreachableError, match="no number of a job"):
        Flux().submit(order(tmp_path, ["true"], site()))


def test_a_job_is_found_by_its_name_alone_and_the_newest_of_several(flux_says: Says, called: Callable):
    jobs = [{**JOB, "id": 1, "t_submit": 5.0}, {**JOB, "id": 2, "t_submit": 7.0}, {**JOB, "id": 3, "name": "other"}]
    flux_says(json.dumps({"jobs": jobs}))
    assert Flux().find(JOB["name"]) == "2"
    assert called() == ["jobs", "--json", "-a", f"--name={JOB['name']}"]
    flux_says('{"jobs": []}')
    assert Flux().find(JOB["name"]) is None


def test_a_job_is_described_with_its_times_and_nodes(flux_says: Says, called: Callable):
    flux_says(json.dumps(JOB))
    look = Flux().look("91088924704768")
    assert called() == ["jobs", "--json", "91088924704768"]
    assert look is not None
    assert (look.job, look.name, look.state, look.exit_code) == ("91088924704768", JOB["name"], State.COMPLETED, 0)
    assert look.nodes == ("n08", "n09", "n10", "n12", "login1")
    assert (look.queue_seconds, look.run_seconds, look.restarts) == (2.5, 60.0, 0)


@pytest.mark.parametrize(
    ("change", "state", "reason"),
    [
        ({"state": "DEPEND", "result": ""}, State.PENDING, ""),
        ({"state": "SCHED", "annotations": {"sched": {"reason_pending": "no nodes"}}}, State.PENDING, "no nodes"),
        ({"state": "RUN"}, State.RUNNING, ""),
        ({"state": "CLEANUP"}, State.RUNNING, ""),
        ({"result": "FAILED", "returncode": 3}, State.FAILED, ""),
        ({"result": "CANCELED", "returncode": -15}, State.CANCELLED, ""),
        ({"result": "TIMEOUT", "returncode": 142}, State.TIMEOUT, ""),
        (failed("exec", "lost contact with job shell on n08"), State.NODE_FAIL, "exec: lost contact"),
        (failed("node-failure", "n08"), State.NODE_FAIL, "node-failure"),
        (failed("preempt", "for ƒ9"), State.PREEMPTED, "preempt"),
        (failed("exec", "task 0 was killed: out of memory"), State.OUT_OF_MEMORY, "out of memory"),
    ],
)
def test_every_state_of_flux_is_one_of_ours(flux_says: Says, change: dict, state: State, reason: str):
    flux_says(json.dumps({**JOB, **change}))
    look = Flux().look("1")
    assert look is not None
    assert look.state is state
    assert reason in look.reason
    assert (look.exit_code is None) == (not state.ended or look.state is State.CANCELLED)


@pytest.mark.parametrize("code", [0, 1])
def test_a_job_that_flux_has_forgotten_is_none(flux_says: Says, code: int):
    flux_says(errors="flux-jobs: ERROR: JobID ƒ9 unknown\n", code=code)
    assert Flux().look("9") is None


@pytest.mark.parametrize(
    "garbage", ["{", "[]", '{"jobs": [{}]}', "null", '{"id": 1, "state": "INACTIVE", "result": "?"}']
)
def test_garbage_is_no_state(flux_says: Says, garbage: str):
    flux_says(garbage)
    with pytest.raises(UnreachableError):
        Flux().look("1")


def test_a_broker_that_does_not_answer_is_not_a_job_that_ended(flux_says: Says):
    flux_says(errors="flux-jobs: ERROR: Unable to connect to Flux: broker socket was not found\n", code=1)
    for ask in (Flux().look, Flux().find, Flux().cancel):
        with pytest.raises(UnreachableError, match="Unable to connect"):
            ask("1")


def test_no_flux_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="there is no flux on PATH here; load the module"):
        Flux().look("1")


def test_what_has_ended_is_left_alone_when_it_is_cancelled(flux_says: Says, called: Callable):
    flux_says(errors="flux-cancel: ERROR: ƒiFkbMhFM: job is inactive\n", code=1)
    Flux().cancel("91088924704768")
    assert called() == ["cancel", "91088924704768"]
    flux_says(errors="flux-cancel: ERROR: Permission denied\n", code=1)
    with pytest.raises(UnreachableError, match="Permission denied"):
        Flux().cancel("91088924704768")


def test_several_processes_learn_their_place_and_where_they_meet(tmp_path: Path):
    """The script runs in bash, with a `flux run` that starts one process as Flux does."""
    programs = tmp_path / "programs"
    programs.mkdir()
    starts = 'while [ "${1#--}" != "$1" ] || [ "$1" = run ]; do shift; done\nexport FLUX_TASK_RANK=3 FLUX_JOB_SIZE=4\n'
    (programs / "flux").write_text(f'#!/bin/sh\n{starts}export FLUX_TASK_LOCAL_ID=1\nexec "$@"\n')
    (programs / "flux").chmod(0o755)
    command = ["sh", "-c", "echo $RANK $WORLD_SIZE $LOCAL_RANK $GROUP_RANK $GROUP_WORLD_SIZE; exit 75"]
    wanted = order(tmp_path, command, site(scratch=str(tmp_path)), nodes=2, tasks_per_node=2, gpus_per_node=4)
    wanted.folder.mkdir(parents=True)
    wanted.script.write_text(Flux().render(wanted))
    assert "# flux: --gpus-per-slot=2" in wanted.script.read_text()
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", wanted.script], env=environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("3 4 1 1 2\n", 75), done.stderr
    assert wanted.exit_code.read_text() == "75\n"
    deadline = time.monotonic() + 60
    while left_of(programs):
        assert time.monotonic() < deadline, "what waits for the time limit outlives the job"
        time.sleep(0.1)


def left_of(programs: Path) -> list[str]:
    """Processes that have such a PATH; zombies have none."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"PATH={programs}:" in (process / "environ").read_bytes().decode(errors="replace"):
                found.append(process.name)
    return found


@pytest.mark.parametrize(
    ("profile", "resources", "words"),
    [
        (site(qos="high"), {}, "Flux has no QoS"),
        (site(), {"gpus_per_node": 3, "tasks_per_node": 2}, "cannot be shared"),
        (site(), {"minutes": 2}, "notice_seconds"),
    ],
)
def test_what_flux_cannot_do_is_refused(tmp_path: Path, profile: Profile, resources: dict, words: str):
    with pytest.raises(InputError, match=words):
        flux_script.flux(order(tmp_path, ["true"], profile, **resources))


def test_an_array_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="Flux has no arrays of jobs"):
        flux_script.flux(replace(order(tmp_path, ["true"], site()), array="1-4"))


def test_a_list_of_nodes_is_read(tmp_path: Path):
    assert expanded("") == ()
    assert expanded("a1,b[1-2]c,d[009-011]") == ("a1", "b1c", "b2c", "d009", "d010", "d011")
