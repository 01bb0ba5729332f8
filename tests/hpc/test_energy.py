"""The meter slurm on a real Slurm: joules are watts times seconds, and what is not this job's own is refused."""

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hpc.cluster import Cluster, cluster, require_mounts
from hpc.conftest import SENSOR
from wattline.energy.meters import MeterError
from wattline.energy.meters.accounting import step_energies, step_energy
from wattline.energy.meters.allocation import check_exclusive
from wattline.energy.meters.slurm import Slurm
from wattline.records import Energy
from wattline.settings import Settings

SOURCE = Path(__file__).parents[2] / "src"
READ = """
import sys, time
from wattline.energy.meters import MeterError
from wattline.energy.meters.site import FACTORIES
try:
    meter = FACTORIES["slurm"](None)
    meter.start()
    time.sleep(float(sys.argv[1]))
    print(meter.stop().model_dump_json())
except MeterError as error:
    print("MeterError", error)
"""
ALONE = ("--exclusive", "--mem=0")
# Slurm's times are whole seconds, and the fake counter is renewed every 0.1 s.
TOLERANCE_SECONDS = 1.2


@pytest.fixture(autouse=True)
def slurm_here(metered: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slurm's programs are asked about the cluster of the tests."""
    use(metered, monkeypatch)


def use(found: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", found.environment["SLURM_CONF"])
    monkeypatch.setenv("PATH", found.environment["PATH"])


@pytest.fixture
def reader(tmp_path: Path) -> str:
    """A command that reads the meter around so many seconds of sleep, and prints energy or error."""
    path = tmp_path / "read.py"
    path.write_text(READ)
    return f"env PYTHONPATH={SOURCE} {sys.executable} {path}"


def energy_in(text: str) -> Energy:
    line = next(line for line in text.splitlines() if "MeterError" in line or line.startswith("{"))
    assert line.startswith("{"), line
    return Energy(**json.loads(line))


def near(energy: Energy, watts: float) -> bool:
    return abs(energy.joules - watts * energy.seconds) <= watts * TOLERANCE_SECONDS


def test_a_step_of_known_power_is_read_while_it_runs(metered: Cluster, reader: str):
    job = metered.submit(*ALONE, "-wn1", script=f"srun {reader} 5")
    metered.wait(job)
    energy = energy_in(metered.output(job))
    assert 5 <= energy.seconds < 8
    assert near(energy, 50)
    assert energy.interval[0] <= 50 * energy.seconds <= energy.interval[1]
    assert energy.provenance == "measured"
    assert energy.scope == "machine"
    assert energy.sensor == f"slurm:ibmaem (sstat:{job}.0)"
    assert energy.boundary == "n1 at the blade's power input: idle power included"
    assert energy.resolution_joules == 1.0


def test_a_batch_script_is_a_step_too(metered: Cluster, reader: str):
    job = metered.submit(*ALONE, "-wn2", script=f"{reader} 4")
    metered.wait(job)
    energy = energy_in(metered.output(job))
    assert near(energy, 25)
    assert energy.sensor.endswith(f"(sstat:{job}.batch)")


def test_a_step_of_known_power_is_read_after_it_has_ended(metered: Cluster):
    job = metered.submit(*ALONE, "-wn1", script="srun sleep 5")
    metered.wait(job, "RUNNING")
    energy = step_energy(job, "0")  # waits for the end by itself
    assert energy.seconds >= 5
    assert near(energy, 50)
    assert energy.interval[0] <= 50 * energy.seconds <= energy.interval[1]
    assert energy.sensor == f"slurm:ibmaem (sacct:{job}.0)"
    assert energy.parameters["node n1"] == f"{energy.joules:.0f} J"
    assert energy.parameters["state"] == "COMPLETED"


def test_two_nodes_are_added_up_while_they_run(metered: Cluster, reader: str):
    script = f"srun bash -c 'if [ $SLURM_PROCID = 0 ]; then {reader} 4; else sleep 12; fi'"
    job = metered.submit(*ALONE, "-N2", "--ntasks-per-node=1", script=script)
    metered.wait(job)
    assert near(energy_in(metered.output(job)), 75)
    # The count of each node ends with its last process.
    shares = step_energy(job, "0").parameters
    assert float(shares["node n2"].removesuffix(" J")) == pytest.approx(25 * 12, abs=25 * TOLERANCE_SECONDS)


def test_two_nodes_are_added_up_and_told_apart_afterwards(metered: Cluster):
    job = metered.submit(*ALONE, "-N2", "--ntasks-per-node=1", script="srun sleep 4")
    metered.wait(job)
    energy = step_energy(job, "0")
    assert near(energy, 75)
    assert energy.boundary.startswith("n1, n2 at")
    first, second = (float(energy.parameters[f"node {node}"].removesuffix(" J")) for node in ("n1", "n2"))
    assert first + second == energy.joules
    assert first == pytest.approx(2 * second, rel=0.1)


def test_a_second_process_does_not_count_again_and_one_that_ended_early_is_an_error(metered: Cluster, reader: str):
    job = metered.submit(*ALONE, "-N2", "--ntasks-per-node=1", script=f"srun --label {reader} 3")
    metered.wait(job)
    first, second = sorted(metered.output(job).splitlines())
    # Process 1 gave up at once; Slurm has no live figure of a step that has ended on one of its nodes.
    assert first.startswith("0: MeterError sstat has no figure for step"), first
    assert second.startswith("1: MeterError this is process 1 of a step"), second
    assert step_energy(job, "0").joules > 0


def test_a_batch_script_does_not_speak_for_nodes_that_it_does_not_see(metered: Cluster, reader: str):
    job = metered.submit(*ALONE, "-N2", script=f"{reader} 1")
    metered.wait(job)
    assert "sees the energy of n1 and not of its other nodes" in metered.output(job)


def test_what_was_done_before_a_requeue_counts(metered: Cluster):
    job = metered.submit(*ALONE, "--requeue", "-wn1", script="srun sleep 4")
    metered.wait(job, "RUNNING")
    time.sleep(2.5)
    metered.run("scontrol", "requeue", job)
    metered.wait(job, "COMPLETED")
    lost, last = step_energies(job, "0")
    assert lost.parameters["state"].startswith("CANCELLED")
    assert near(lost, 50)
    assert near(last, 50)
    assert step_energy(job, "0") == last


def test_an_attempt_whose_node_failed_is_not_passed_over(metered: Cluster):
    job = metered.submit(*ALONE, "--no-requeue", "-wn2", script="srun sleep 60")
    metered.wait(job, "RUNNING")
    time.sleep(1.5)
    metered.script("node-kill", "n2")
    metered.run("scontrol", "update", "nodename=n2", "state=down", "reason=test")
    with pytest.raises(MeterError, match=r"counted 0 J for step \d+\.0, attempt 1"):
        step_energy(job, "0")
    metered.script("energy-node", "n2", "25")


def test_a_job_that_left_room_for_others_is_refused(metered: Cluster, reader: str):
    job = metered.submit("-wn1", "-n1", script=f"srun {reader} 1")
    metered.wait(job)
    assert "is on a shared node: it has 1 of 2 CPUs of n1" in metered.output(job)
    with pytest.raises(MeterError, match=r"shared node.*--exclusive"):
        step_energy(job, "0")


def test_a_job_with_all_processors_is_alone_without_asking_for_it(metered: Cluster):
    job = metered.submit("-wn1", "-n2", script="srun -n1 sleep 3")
    metered.wait(job)
    assert metered.details(job)["OverSubscribe"] == "OK"
    assert near(step_energy(job, "0"), 50)


def test_a_partition_that_hands_out_processors_twice_is_not_trusted(metered: Cluster):
    job = metered.submit("-wn1", "-n2", script="true")
    metered.wait(job)
    metered.run("scontrol", "update", "partitionname=main", "oversubscribe=force:2")
    try:
        with pytest.raises(MeterError, match=r"partition main has OverSubscribe=FORCE:2"):
            check_exclusive(job)
    finally:
        metered.run("scontrol", "update", "partitionname=main", "oversubscribe=no")


def test_a_count_that_ran_backwards_is_refused(metered: Cluster):
    job = metered.submit(*ALONE, "-wn1", script="srun sleep 5")
    metered.wait(job, "RUNNING")
    time.sleep(2)
    metered.set_watts("n1", -50)
    metered.wait(job)
    try:
        with pytest.raises(MeterError, match="went backwards or wrapped"):
            step_energy(job, "0")
    finally:
        metered.energy_node("n1", 50)


def test_a_count_that_stands_still_is_refused(metered: Cluster, reader: str):
    metered.set_watts("n2", 0)
    time.sleep(0.3)
    job = metered.submit(*ALONE, "-wn2", script=f"srun {reader} 3")
    metered.wait(job)
    metered.set_watts("n2", 25)
    # Slurm rounds the joules of a counter that stands still, and falls short by 1 J now and then.
    assert re.search("stands still|went backwards or wrapped", metered.output(job))
    with pytest.raises(MeterError, match=r"counted 0 J|went backwards or wrapped"):
        step_energy(job, "0")


def test_outside_of_a_job_there_is_nothing_to_read():
    with pytest.raises(MeterError, match="this is no job of Slurm's"):
        Slurm(Settings(SLURM_JOB_ID=None))


def test_a_job_that_nobody_knows_is_an_error():
    with pytest.raises(MeterError, match="Slurm does not know job 999999"):
        step_energy("999999", "0")


def test_a_step_that_does_not_end_is_not_waited_for_for_ever(metered: Cluster):
    job = metered.submit(*ALONE, "-wn1", script="srun sleep 60")
    metered.wait(job, "RUNNING")
    with pytest.raises(MeterError, match=r"is (RUNNING|not known to sacct) after 1.5 s"):
        step_energy(job, "0", timeout_seconds=1.5)
    metered.run("scancel", job)


@pytest.fixture(params=["none", "rapl"])
def unmetered(request: pytest.FixtureRequest, slurm_programs: None, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster as it comes, and one with a plugin whose sensor this machine lacks."""
    extra = "" if request.param == "none" else "AcctGatherEnergyType=acct_gather_energy/rapl\nAcctGatherNodeFreq=1"
    with cluster(tmp_path, nodes=1, ACCOUNTING="1", EXTRA=extra) as found:
        yield found


def test_a_slurm_that_does_not_measure_is_refused(unmetered: Cluster, monkeypatch: pytest.MonkeyPatch, reader: str):
    use(unmetered, monkeypatch)
    job = unmetered.submit(*ALONE, script=f"srun {reader} 1")
    unmetered.wait(job)
    if Path("/dev/cpu/0/msr").exists():
        pytest.skip("this machine has the sensor that the test wants to be absent")
    refused = "measures no energy here|has no energy of step|counted 0 J|stands still"
    with pytest.raises(MeterError, match=refused):
        step_energy(job, "0")
    assert "MeterError" in unmetered.output(job), unmetered.output(job)


def test_a_cluster_leaves_no_process_behind(slurm_programs: None, tmp_path: Path):
    require_mounts()
    with cluster(tmp_path, nodes=1, EXTRA=SENSOR) as found:
        found.energy_node("n1", 50)
        found.energy_node("n1", 10)
        found.wait(found.submit(script="srun sleep 600"), "RUNNING")
        assert found.processes()
    assert found.processes() == []
