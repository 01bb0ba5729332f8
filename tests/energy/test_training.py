"""Energy of a training: every attempt of every process counts once, and nothing is left out silently."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from wattline import files
from wattline.energy import parts, training
from wattline.energy.meters import Estimate, MeterError
from wattline.energy.parts import Part
from wattline.energy.place import Place, here, together
from wattline.energy.training import Account, ReadByTheFirst, accounted, meter_of
from wattline.errors import InputError
from wattline.params import EnergyParams
from wattline.records import Energy, Scope, TrainingEnergy
from wattline.settings import settings
from wattline.task import Processes

LAUNCHES = ("a" * 16, "b" * 16)
VARIABLES = (
    "RANK", "WORLD_SIZE", "LOCAL_RANK", "GROUP_RANK", "GROUP_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
    "TORCHELASTIC_RUN_ID", "SLURM_LOCALID",
    "TORCHELASTIC_RESTART_COUNT", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT", "SLURM_PROCID",
    "SLURM_NODEID", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NUM_NODES",
)  # fmt: skip


class Steady:
    """A meter of `watts`, for as long as a test says that time passes: exact figures, no machine.

    fails: raised by the next `stop`
    """

    minimum_seconds = 0.0

    def __init__(self, watts: float = 10.0, *, name: str = "rapl", scope: Scope = "machine", gpus: str = "") -> None:
        self.name, self.scope, self.watts = name, scope, watts
        self.parameters = {"gpus": gpus} if gpus else {}
        self.now = self._began = 0.0
        self.fails: MeterError | None = None

    def passes(self, seconds: float) -> None:
        self.now += seconds

    def start(self) -> None:
        self._began = self.now

    def stop(self) -> Energy:
        if self.fails:
            raise self.fails
        seconds = self.now - self._began
        joules = seconds * self.watts
        return Energy(
            joules=joules,
            interval=(joules * 0.9, joules * 1.1),
            provenance="measured",
            sensor=self.name,
            boundary="a machine",
            seconds=seconds,
            scope=self.scope,
            parameters=self.parameters,
        )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "energy"


@pytest.fixture
def begun(folder: Path) -> Iterator[Callable[..., Account]]:
    """Begin an account whose laps a test makes itself; its thread ends with the test."""
    accounts: list[Account] = []

    def begin(meter: Any, launch: str = LAUNCHES[0], **place: int) -> Account:
        account = Account(meter, folder, place=Place(launch=launch, **place), lap_seconds=3600)
        account.begin()
        accounts.append(account)
        return account

    yield begin
    for account in accounts:
        account._done.set()
        if account._thread.is_alive():
            account._thread.join()


def lap(account: Account, meter: Steady, seconds: float) -> None:
    meter.passes(seconds)
    account._lap(meter)


class TestOneProcess:
    def test_laps_add_up_to_what_one_reading_would_have_been(self, begun, folder):
        meter = Steady(10)
        account = begun(meter)
        for seconds in (5, 5, 2):
            lap(account, meter, seconds)
        meter.passes(3)
        found = account.total()
        assert (found.total.joules, found.total.seconds) == (150, 15)
        assert found.total.interval == (pytest.approx(135), pytest.approx(165))
        assert [attempt.finished for attempt in found.attempts] == [True]
        assert found.attempts[0].energy.joules == found.total.joules

    def test_a_lap_is_as_long_as_the_meter_needs(self, folder):
        meter = Steady()
        meter.minimum_seconds = 200.0
        with accounted(meter, folder, place=Place(launch=LAUNCHES[0]), lap_seconds=0.01):
            (part,) = parts.read(folder)
        assert part.lap_seconds == 200

    def test_the_thread_writes_while_the_training_works(self, folder):
        meter = Steady()
        with accounted(meter, folder, place=Place(launch=LAUNCHES[0]), lap_seconds=0.01):
            meter.passes(7)
            deadline = time.monotonic() + 20
            while (part := parts.read(folder)[0]).energy is None or part.energy.joules < 70:
                assert time.monotonic() < deadline, "no lap was written"
                time.sleep(0.01)
        assert not [thread for thread in threading.enumerate() if thread.name == "training-energy"]

    def test_what_was_read_at_no_time_is_in_the_upper_bound(self, begun):
        meter = Steady(10)
        account = begun(meter)
        meter.passes(100)
        account._lap(meter)
        account._began -= 104  # as if reading the meter had taken 4 s each time
        found = account.total().total
        assert found.joules == 1000
        assert found.interval[1] == pytest.approx(1100 + 4 * 11, rel=1e-3), "4 s at the power of the lap's upper bound"
        assert "44" in found.parameters["not_read"]

    def test_children_that_a_training_starts_count(self, folder):
        meter = Estimate(watts_per_core=100, watts_source="a test", **idle_of(Estimate))
        code = "import time\nwhile time.process_time() < 0.4: pass"
        with accounted(meter, folder, place=Place(launch=LAUNCHES[0]), lap_seconds=0.1) as account:
            subprocess.run([sys.executable, "-c", code], check=True)
            found = account.total()
        assert found.total.joules > 0.9 * 40
        assert found.total.provenance == "estimated"


def idle_of(kind: type) -> dict[str, Any]:
    """Arguments about idle power, where the estimate knows them."""
    known = kind.__init__.__annotations__  # type: ignore[misc]
    return {name: value for name, value in {"idle_share": 0.0, "idle_source": "a test"}.items() if name in known}


class TestAttempts:
    def test_lost_ones_count_with_all_that_they_may_have_taken_after_the_last_reading(self, begun, folder):
        first = Steady(10)
        lap(begun(first, LAUNCHES[0]), first, 5)  # and then it was killed
        second = Steady(20)
        account = begun(second, LAUNCHES[1])
        lap(account, second, 4)
        second.passes(6)
        found = account.total()
        assert [(a.number, a.finished, a.energy.joules) for a in found.attempts] == [(1, False, 50), (2, True, 200)]
        assert (found.total.joules, found.total.seconds, found.launches) == (250, 15, 2)
        lost = found.attempts[0].energy
        assert lost.interval[1] == pytest.approx(55 + 3600 * 22, rel=1e-3), "a lap at the highest power that was seen"
        assert "after the last one" in lost.parameters["not_read"]
        assert found.total.interval[1] == pytest.approx(lost.interval[1] + 220, rel=1e-3)

    def test_one_that_was_killed_before_its_first_reading_is_an_attempt(self, begun):
        begun(Steady(), LAUNCHES[0])
        meter = Steady(10)
        account = begun(meter, LAUNCHES[1])
        lap(account, meter, 10)
        found = account.total()
        assert [(a.number, a.energy.joules) for a in found.attempts] == [(1, 0), (2, 100)]
        assert found.attempts[0].energy.interval == (0, pytest.approx(3600 * 11, rel=1e-3))

    def test_one_that_failed_was_read_to_its_end(self, folder):
        meter = Steady(10)

        def interrupted() -> None:
            with accounted(meter, folder, place=Place(launch=LAUNCHES[0])):
                meter.passes(3)
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        (part,) = parts.read(folder)
        assert (part.state, part.energy.joules) == ("failed", 30)

    def test_one_that_ended_without_its_result_being_kept_is_lost_work(self, begun):
        meter = Steady()
        meter.passes(1)
        begun(meter, LAUNCHES[0]).close()  # and then the tracking server gave no answer
        found = begun(Steady(), LAUNCHES[1]).total()
        assert [attempt.finished for attempt in found.attempts] == [False, True]

    def test_two_live_copies_both_count(self, begun):
        meters = Steady(10), Steady(10)
        stranded, other = (begun(meter, launch) for meter, launch in zip(meters, LAUNCHES, strict=True))
        lap(stranded, meters[0], 8)
        lap(other, meters[1], 4)
        found = other.total()
        assert [(a.finished, a.energy.joules) for a in found.attempts] == [(False, 80), (True, 40)]
        assert found.total.joules == 120

    def test_a_copy_whose_folder_another_one_removed_stops(self, begun, folder):
        meter = Steady()
        account = begun(meter)
        (folder / account._part.name).unlink()
        folder.rmdir()
        with pytest.raises(MeterError, match="was removed while this training ran; another copy of it has ended"):
            lap(account, meter, 1)
        assert not folder.exists()

    def test_a_launch_whose_name_was_used_before_is_another_one(self, begun):
        """torchrun gives the same name to every launch that no name was asked for."""
        former = [begun(Steady(), rank=rank, ranks=2) for rank in range(2)]
        meters = [Steady(10, scope="processes") for _ in range(2)]
        accounts = [begun(meter, rank=rank, ranks=2) for rank, meter in enumerate(meters)]
        for meter, account in zip(meters, accounts, strict=True):
            lap(account, meter, 2)
        accounts[1].close()
        found = accounts[0].total()
        assert len(former) == 2
        assert [(a.number, a.rank, a.energy.joules) for a in found.attempts][2:] == [(2, 0, 20), (2, 1, 20)]
        assert found.launches == 2

    def test_a_sum_is_estimated_as_soon_as_one_attempt_is(self, begun, folder):
        meter = Steady()
        lap(begun(meter, LAUNCHES[0]), meter, 1)
        (path,) = folder.iterdir()
        path.write_text(path.read_text().replace('"measured"', '"estimated"'))
        found = begun(Steady(), LAUNCHES[1]).total()
        assert [a.energy.provenance for a in found.attempts] == ["estimated", "measured"]
        assert found.total.provenance == "estimated"


class TestSeveralProcesses:
    def all_of(self, begun: Any, meters: list[Steady], nodes: list[int], seconds: float = 10) -> TrainingEnergy:
        """The sum of processes on these nodes that all work for so long."""
        accounts = [
            begun(meter, rank=rank, ranks=len(meters), node=node, nodes=max(nodes) + 1)
            for rank, (meter, node) in enumerate(zip(meters, nodes, strict=True))
        ]
        for meter, account in zip(meters, accounts, strict=True):
            lap(account, meter, seconds)
        for account in accounts[1:]:
            account.close()
        return accounts[0].total()

    def test_a_meter_of_the_machine_counts_once_for_each_node(self, begun):
        found = self.all_of(begun, [Steady(10) for _ in range(4)], [0, 0, 1, 1])
        assert [(a.rank, a.node) for a in found.attempts] == [(0, 0), (2, 1)]
        assert found.total.joules == 200

    def test_processes_that_are_metered_one_by_one_all_count(self, begun):
        found = self.all_of(begun, [Steady(10, name="estimate", scope="processes") for _ in range(4)], [0, 0, 1, 1])
        assert [(a.rank, a.node) for a in found.attempts] == [(0, 0), (1, 0), (2, 1), (3, 1)]
        assert (found.total.joules, found.total.seconds) == (400, 10)

    def test_the_same_accelerators_count_once_and_different_ones_all(self, begun):
        gpus = ["GPU-a, GPU-b", "GPU-a, GPU-b", "GPU-c", "GPU-d"]
        found = self.all_of(begun, [Steady(10, name="nvml", scope="devices", gpus=one) for one in gpus], [0, 0, 1, 1])
        assert [a.rank for a in found.attempts] == [0, 2, 3]

    @pytest.mark.parametrize("name", ["slurm", "prometheus"])
    def test_a_figure_of_the_whole_job_counts_once(self, begun, name):
        found = self.all_of(begun, [Steady(10, name=name) for _ in range(4)], [0, 0, 1, 1])
        assert [a.rank for a in found.attempts] == [0]
        assert found.total.joules == 100

    def test_others_need_no_meter_whose_figure_the_first_one_reads(self, begun):
        """Slurm's refuses to be read in any process but the first one."""
        meter = Steady(10, name="slurm")
        others = [begun(ReadByTheFirst("slurm"), rank=rank, ranks=3) for rank in (1, 2)]
        first = begun(meter, rank=0, ranks=3)
        lap(first, meter, 10)
        for other in others:
            other.check()
            other.close()
        found = first.total()
        assert [(a.rank, a.energy.joules) for a in found.attempts] == [(0, 100)]

    @pytest.mark.parametrize(("rank", "name"), [(1, "slurm"), (3, "prometheus")])
    def test_others_do_not_even_ask_for_it(self, rank, name):
        energy = EnergyParams(meter=name, watts_per_core=1, watts_source="x", idle_share=0, idle_source="x")
        assert meter_of(energy, Place(launch=LAUNCHES[0], rank=rank, ranks=4)) == ReadByTheFirst(name)
        with pytest.raises(MeterError, match=f"energy.meter: {name} does not work here"):
            meter_of(energy, Place(launch=LAUNCHES[0], rank=0, ranks=4))

    def test_a_lap_is_never_longer_than_anybody_wants_to_lose(self, folder):
        meter = Steady()
        meter.minimum_seconds = 6000.0
        with accounted(meter, folder, place=Place(launch=LAUNCHES[0])):
            (part,) = parts.read(folder)
        assert part.lap_seconds == 600

    def test_a_meter_of_one_machine_is_refused_for_several(self, begun):
        with pytest.raises(MeterError, match="redfish, which reads one machine, and this training runs on 2"):
            begun(Steady(name="redfish"), ranks=2, nodes=2)

    def test_of_a_node_the_process_that_read_longest_counts(self, begun):
        meters = [Steady(10), Steady(10)]
        accounts = [begun(meter, rank=rank, ranks=2) for rank, meter in enumerate(meters)]
        lap(accounts[0], meters[0], 1)
        lap(accounts[1], meters[1], 5)  # and then both were killed
        found = begun(Steady(), LAUNCHES[1]).total()
        assert [(a.rank, a.energy.joules) for a in found.attempts if a.number == 1] == [(1, 50)]

    def test_the_first_process_waits_for_the_others(self, begun):
        meters = [Steady(10, scope="processes"), Steady(10, scope="processes")]
        accounts = [begun(meter, rank=rank, ranks=2) for rank, meter in enumerate(meters)]
        meters[1].passes(3)
        late = threading.Timer(0.3, accounts[1].close)
        late.start()
        assert accounts[0].total().total.joules == 30
        late.join()

    def test_one_that_is_still_at_work_is_named(self, begun, folder):
        accounts = [begun(Steady(), rank=rank, ranks=2) for rank in range(2)]
        with pytest.raises(MeterError, match=rf"{LAUNCHES[0]}\.1\.1\.json is not final: process 1 .* still at work"):
            accounts[0].total(wait_seconds=0)

    def test_one_that_never_came_is_named(self, begun):
        with pytest.raises(
            MeterError, match=rf"{LAUNCHES[0]}\.1\.1\.json is missing: process 1 .* remove .* and train"
        ):
            begun(Steady(), rank=0, ranks=2).total(wait_seconds=0)


class TestWhatCannotBeCounted:
    """The sum would be too low: an error that names the file, and before the training rather than after it."""

    @pytest.fixture
    def former(self, begun, folder) -> Path:
        meter = Steady()
        lap(begun(meter, LAUNCHES[0]), meter, 5)
        (path,) = folder.iterdir()
        return path

    @pytest.mark.parametrize(
        "damage",
        [
            lambda path: path.write_bytes(path.read_bytes()[:-20]),
            lambda path: path.write_bytes(b""),
            lambda path: path.write_bytes(b"\xff\x00"),
            lambda path: path.write_text(path.read_text().replace("50.0", "-50.0", 1)),
            lambda path: path.write_text(path.read_text().replace("50.0", "NaN", 1)),
            lambda path: path.rename(path.with_name(f"{LAUNCHES[1]}.1.0.json")),
            lambda path: (path.unlink(), path.mkdir()),
        ],
        ids=["torn", "empty", "garbage", "negative", "not-a-number", "another-one's", "a-folder"],
    )
    def test_a_damaged_part(self, begun, former, damage):
        damage(former)
        with pytest.raises(MeterError, match=r"\.1\.0\.json is no figure of an attempt .* remove .* and train anew"):
            begun(Steady(), "c" * 16)

    @pytest.mark.parametrize("name", ["notes.txt", ".hidden", "a.json", f"{LAUNCHES[0]}.1.1.json.bak"])
    def test_a_foreign_file(self, begun, former, name):
        former.with_name(name).write_text("{}")
        with pytest.raises(MeterError, match="does not belong here"):
            begun(Steady(), "c" * 16)

    def test_a_missing_process_of_an_earlier_attempt(self, begun, folder):
        for rank in range(2):
            begun(Steady(), rank=rank, ranks=2)
        (folder / f"{LAUNCHES[0]}.1.1.json").unlink()
        with pytest.raises(MeterError, match=rf"{LAUNCHES[0]}\.1\.1\.json is missing"):
            begun(Steady(), LAUNCHES[1])

    def test_what_a_killed_writer_leaves_is_none(self, begun, former):
        """Its file is still the one before it: a reading is replaced in one step."""
        former.with_name(f".{former.name}.4711").write_bytes(b'{"place"')
        former.with_name(".nfs00000000deadbeef").write_bytes(b"{}")
        assert begun(Steady(), LAUNCHES[1]).total().total.joules == 50

    def test_a_part_that_is_damaged_while_the_training_runs(self, begun, former):
        account = begun(Steady(), LAUNCHES[1])
        former.write_bytes(b"{}")
        with pytest.raises(MeterError, match="is no figure of an attempt"):
            account.total()

    def test_a_meter_that_vanishes_ends_the_training_at_its_next_report(self, folder):
        meter = Steady()

        def vanishing() -> None:
            with accounted(meter, folder, place=Place(launch=LAUNCHES[0]), lap_seconds=0.01) as account:
                meter.fails = MeterError("the counter is gone")
                account._thread.join(20)
                account.check()

        with pytest.raises(MeterError, match="the counter is gone"):
            vanishing()

    def test_a_meter_that_vanishes_at_the_very_end(self, begun):
        meter = Steady()
        account = begun(meter)
        meter.fails = MeterError("the counter is gone")
        with pytest.raises(MeterError, match="the counter is gone"):
            account.total()

    def test_a_folder_that_cannot_be_written_to(self, begun, folder, monkeypatch):
        account = begun(Steady())

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(files, "write_text", full)
        with pytest.raises(MeterError, match=r"cannot be written \(No space left on device\)"):
            account.total()


class TestPlace:
    @pytest.fixture(autouse=True)
    def variables(self, monkeypatch) -> Iterator[Callable[..., Place]]:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)

        def place(**given: str) -> Place:
            for name in VARIABLES:
                monkeypatch.delenv(name, raising=False)
            for name, value in given.items():
                monkeypatch.setenv(name, value)
            settings.cache_clear()
            return here()

        yield place
        settings.cache_clear()

    def test_alone_every_process_is_a_launch_of_its_own(self, variables):
        first, second = variables(), variables()
        assert (first.rank, first.ranks, first.node, first.nodes) == (0, 1, 0, 1)
        assert first.launch != second.launch

    def test_a_batch_script_is_alone_whatever_its_job_has(self, variables):
        """It has SLURM_PROCID 0 and the tasks of the job, but no step."""
        job = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "0", "SLURM_NODEID": "0", "SLURM_NTASKS": "8"}
        assert variables(**job).ranks == 1
        assert variables(**job).launch != variables(**job).launch

    def step(self, **other: str) -> dict[str, str]:
        given = {"SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_STEP_NUM_NODES": "2"}
        return given | {"SLURM_PROCID": "3", "SLURM_NODEID": "1"} | other

    def test_srun_says_it(self, variables):
        found = variables(**self.step())
        assert (found.rank, found.ranks, found.node, found.nodes) == (3, 4, 1, 2)
        assert found.launch == variables(**self.step(SLURM_PROCID="0", SLURM_NODEID="0")).launch

    def test_a_requeued_job_and_another_step_are_other_launches(self, variables):
        same = [self.step(), self.step(SLURM_RESTART_COUNT="1"), self.step(SLURM_STEP_ID="1")]
        assert len({variables(**one).launch for one in same}) == 3

    def torchrun(self, **other: str) -> dict[str, str]:
        given = {"RANK": "5", "WORLD_SIZE": "8", "GROUP_RANK": "1", "GROUP_WORLD_SIZE": "2", "MASTER_PORT": "29500"}
        return given | {"TORCHELASTIC_RUN_ID": "none", "TORCHELASTIC_RESTART_COUNT": "0"} | other

    def test_torchrun_says_it_even_inside_a_step(self, variables):
        agent = {"SLURM_JOB_ID": "7", "SLURM_PROCID": "1", "SLURM_NODEID": "1", "SLURM_STEP_NUM_TASKS": "2"}
        found = variables(**agent, **self.torchrun())
        assert (found.rank, found.ranks, found.node, found.nodes) == (5, 8, 1, 2)
        assert found.launch == variables(**agent | {"SLURM_STEP_ID": "9"}, **self.torchrun()).launch

    def test_workers_that_torchrun_restarted_are_another_launch(self, variables):
        first, second = variables(**self.torchrun()), variables(**self.torchrun(TORCHELASTIC_RESTART_COUNT="1"))
        assert first.launch != second.launch

    def test_a_rank_that_a_script_exports_keeps_slurms_node(self, variables):
        found = variables(**self.step(RANK="3", WORLD_SIZE="4"))
        assert (found.rank, found.ranks, found.node, found.nodes) == (3, 4, 1, 2)

    def test_one_that_is_alone_meets_nobody(self, variables):
        assert together(variables(MASTER_PORT="1")) == Processes()

    def test_those_of_a_step_meet_on_its_first_node(self, variables):
        met = {"MASTER_ADDR": "n1", "MASTER_PORT": "29501"}
        found = together(variables(**self.step(SLURM_LOCALID="1", **met)))
        assert found == Processes(rank=3, count=4, local_rank=1, rendezvous="tcp://n1:29501")

    def test_torchruns_word_on_the_local_rank_counts_more(self, variables):
        found = together(variables(**self.torchrun(LOCAL_RANK="1", SLURM_LOCALID="0", MASTER_ADDR="::1")))
        assert (found.local_rank, found.rendezvous) == (1, "tcp://[::1]:29500")

    @pytest.mark.parametrize("missing", ["MASTER_ADDR", "MASTER_PORT"])
    def test_several_that_do_not_know_where_to_meet_are_refused(self, variables, missing):
        met = {"MASTER_ADDR": "n1", "MASTER_PORT": "29501"} | {missing: ""}
        with pytest.raises(InputError, match=f"process 3 of 4 that train together, and {missing} is not set"):
            together(variables(**self.step(**met)))

    @pytest.mark.parametrize("port", ["here", "0", "65536"])
    def test_a_port_that_is_none_is_refused(self, variables, port):
        with pytest.raises(InputError, match=f"MASTER_PORT is '{port}'"):
            together(variables(**self.step(MASTER_ADDR="n1", MASTER_PORT=port)))

    def test_a_place_that_cannot_be_is_refused(self, variables):
        with pytest.raises(MeterError, match="process 3 of 1 on node 0 of 1, counted from 0; correct or unset RANK"):
            variables(RANK="3")

    def test_a_place_that_is_no_number_is_named(self, variables):
        with pytest.raises(InputError, match="environment variable SLURM_PROCID"):
            variables(SLURM_PROCID="first")


PROGRAM = Path(__file__).with_name("resumable.py")
TESTS = Path(__file__).parents[1]


class TestTheStage:
    """`train` itself, in processes of its own that are really killed."""

    def attempt(self, fatal: str = "0", **variables: str) -> "subprocess.Popen[str]":
        command = [sys.executable, str(PROGRAM), fatal]
        environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | variables
        environment["PYTHONPATH"] = os.pathsep.join((str(TESTS.parent / "src"), str(TESTS)))
        pipe = subprocess.PIPE
        return subprocess.Popen(command, env=environment, stdout=pipe, stderr=pipe, text=True)

    def test_one_that_is_killed_twice_and_resumed_is_the_sum_of_three_attempts(self, project):
        left: list[list[Part]] = []
        reported: list[str] = []
        for fatal in ("1", "2", "0"):
            process = self.attempt(fatal)
            said, errors = process.communicate(timeout=120)
            assert process.returncode == (0 if fatal == "0" else -signal.SIGKILL), errors
            reported += said.splitlines()
            if fatal != "0":
                (folder,) = Path(".wattline/checkpoints").glob("*/energy")
                left.append(parts.read(folder))
        assert reported == ["epoch 1", "epoch 2", "epoch 3", "logged"], "each attempt went on where the former one died"
        found = files.read_report("train_energy", TrainingEnergy)
        assert [(a.number, a.rank, a.finished) for a in found.attempts] == [(1, 0, False), (2, 0, False), (3, 0, True)]
        assert [len(one) for one in left] == [1, 2]
        for attempt, part in zip(found.attempts, left[1], strict=False):
            assert part.energy is not None
            assert attempt.energy.joules == part.energy.joules > 0
            assert attempt.energy.interval[1] > part.energy.interval[1], "what it took after that is not known"
        assert found.total.joules == pytest.approx(sum(a.energy.joules for a in found.attempts))
        assert found.total.provenance == "estimated"
        assert list(Path(".wattline/checkpoints").iterdir()) == []

    def test_processes_that_train_together_make_one_candidate_and_one_sum(self, project):
        together = {"WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "a", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
        processes = [self.attempt(RANK=str(rank), **together) for rank in range(2)]
        said = [process.communicate(timeout=120) for process in processes]
        assert [process.returncode for process in processes] == [0, 0], said
        assert [out.count("logged") for out, _ in said] == [1, 0]
        found = files.read_report("train_energy", TrainingEnergy)
        assert [(a.number, a.rank, a.finished) for a in found.attempts] == [(1, 0, True), (1, 1, True)]
        assert all(attempt.energy.joules > 0 for attempt in found.attempts)

    def test_reading_rows_and_the_parity_check_count(self, project, fit, logged, monkeypatch):
        """From the first row to the finished candidate, and not the fit alone."""
        meter = Steady(1, name="estimate", scope="processes")
        monkeypatch.setattr("wattline.energy.meters.choose", lambda *_, **__: meter)
        from wattline.stages import train

        def during(name: str, module: Any, seconds: float) -> None:
            original = getattr(module, name)

            def passing(*arguments: Any, **named: Any) -> Any:
                meter.passes(seconds)
                return original(*arguments, **named)

            monkeypatch.setattr(module, name, passing)

        during("read_training_data", train.splits, 1)
        during("_fit", train, 10)
        during("canonical", train.graph, 100)
        during("check_parity", train, 1000)
        fit()
        assert files.read_report("train_energy", TrainingEnergy).total.joules == 1111
        assert logged[0]["energy"].total.joules == 1111

    def test_a_training_whose_run_could_not_be_logged_counts_when_it_is_repeated(self, project, fit, monkeypatch):
        from wattline.stages import train

        def refuse(*_: object, **__: object) -> None:
            raise InputError("no answer")

        with monkeypatch.context() as patch:
            patch.setattr(train.tracking, "log_training", refuse)
            with pytest.raises(InputError, match="no answer"):
                fit()
        fit()
        found = files.read_report("train_energy", TrainingEnergy)
        assert [attempt.finished for attempt in found.attempts] == [False, True]


def test_an_attempt_on_a_node_whose_clock_is_behind_comes_after_the_former_one(begun, folder):
    begun(Steady(), LAUNCHES[1]).close()
    (path,) = folder.iterdir()
    ahead = parts.read(folder)[0]
    files.write_text(path, ahead.model_copy(update={"began": ahead.began + timedelta(hours=1)}).to_json())
    begun(Steady(), LAUNCHES[0])
    assert [part.place.launch for part in parts.read(folder)] == [LAUNCHES[1], LAUNCHES[0]]


def test_the_order_of_attempts_is_that_of_their_beginning(begun, folder):
    for launch in ("f" * 16, "0" * 16, "7" * 16):
        begun(Steady(), launch).close()
    found = parts.read(folder)
    assert [part.place.launch[0] for part in found] == ["f", "0", "7"]
    assert all(one.began <= other.began for one, other in pairwise(found))


def test_a_default_lap_is_seconds_long():
    assert 1 <= training.LAP_SECONDS <= 10
