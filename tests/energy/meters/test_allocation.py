"""Whether a job's nodes were its own, from what Slurm prints; in doubt they were not. tests/hpc asks a real Slurm."""

import pytest

from wattline.energy.meters import MeterError
from wattline.energy.meters.allocation import check_exclusive, energy_plugin

NODES = "NodeName=n1 CPUAlloc=4 CPUEfctv=126 CPUTot=128\nNodeName=n2 CPUAlloc=4 CPUEfctv=126 CPUTot=128"
OLD_NODES = NODES.replace("CPUEfctv=126 ", "")
PARTITION = "PartitionName=thin OverTimeLimit=NONE OverSubscribe=NO PreemptMode=OFF"
FORGOTTEN = "!slurm_load_jobs error: Invalid job id specified"


def job(shared, processors=252):
    return (
        f"JobId=7 NumNodes=2 NumCPUs={processors} Partition=thin NodeList=n[1-2] OverSubscribe={shared} Command=/a b=c"
    )


@pytest.fixture
def says(tmp_path, monkeypatch):
    """What scontrol and sacct print, by the words they are asked with; `!` goes to the errors, with code 1."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def put(**answers):
        for number, name in enumerate(("scontrol", "sacct")):
            cases = []
            for words, text in answers.items():
                (tmp_path / f"{number}-{words}").write_text(text.removeprefix("!") + "\n")
                ending = ">&2; exit 1" if text.startswith("!") else ""
                cases.append(f'*"{words.replace("_", " ")}"*) cat "{tmp_path}/{number}-{words}" {ending};;')
            (tmp_path / name).write_text('#!/bin/bash\ncase "$0 $*" in\n' + "\n".join(cases) + "\n*) exit 3;;\nesac\n")
            (tmp_path / name).chmod(0o755)

    return put


def test_a_job_that_asked_to_be_alone_is(says):
    says(show_job=job("NO", processors=2))
    check_exclusive("7")


@pytest.mark.parametrize("shared", ["OK", "YES", "USER", "MCS", ""])
def test_a_job_with_every_processor_is_alone(says, shared):
    says(show_job=job(shared), show_node=NODES, show_partition=PARTITION)
    check_exclusive("7")


@pytest.mark.parametrize("shared", ["OK", "YES", "USER", "MCS", ""])
def test_a_job_without_every_processor_is_not(says, shared):
    says(show_job=job(shared, processors=251), show_node=NODES, show_partition=PARTITION)
    with pytest.raises(MeterError, match=r"shared node: it has 251 of 252 CPUs of n\[1-2\].*submit with --exclusive"):
        check_exclusive("7")


def test_before_slurm_counted_usable_processors_all_count(says):
    says(show_job=job("OK"), show_node=OLD_NODES, show_partition=PARTITION)
    with pytest.raises(MeterError, match="252 of 256 CPUs"):
        check_exclusive("7")


@pytest.mark.parametrize("shares", ["FORCE:4", "YES:4", ""])
def test_a_partition_that_shares_processors_is_not_trusted(says, shares):
    says(show_job=job("OK"), show_node=NODES, show_partition=PARTITION.replace("=NO", f"={shares}"))
    with pytest.raises(MeterError, match="shared node: partition thin has OverSubscribe="):
        check_exclusive("7")


def test_a_job_that_slurmctld_forgot_is_judged_by_its_processors(says):
    says(show_job=FORGOTTEN, sacct="n[1-2]|252|thin", show_node=NODES, show_partition=PARTITION)
    check_exclusive("7")
    says(show_job=FORGOTTEN, sacct="n[1-2]|250|thin", show_node=NODES, show_partition=PARTITION)
    with pytest.raises(MeterError, match="250 of 252 CPUs"):
        check_exclusive("7")


@pytest.mark.parametrize("rows", ["", "n1|1|thin\nn1|1|thin", "n1|1"])
def test_a_job_that_nobody_knows_is_an_error(says, rows):
    says(show_job=FORGOTTEN, sacct=rows)
    with pytest.raises(MeterError, match="Slurm does not know job 7"):
        check_exclusive("7")


def test_a_controller_that_does_not_answer_is_no_forgotten_job(says):
    says(show_job="!Unable to contact slurm controller (connect failure)", sacct="n1|252|thin")
    with pytest.raises(MeterError, match="Unable to contact slurm controller"):
        check_exclusive("7")


@pytest.mark.parametrize(("nodes", "said"), [("NodeName=n1", "how many CPUs n1 has"), ("", "does not know the nodes")])
def test_nodes_without_processors_are_an_error(says, nodes, said):
    says(show_job=job("OK"), show_node=nodes, show_partition=PARTITION)
    with pytest.raises(MeterError, match=said):
        check_exclusive("7")


def configuration(kind, seconds):
    return f"AcctGatherEnergyType    = {kind}\nAcctGatherNodeFreq      = {seconds}\nOther = x"


def test_the_plugin_and_how_often_it_reads_are_found(says):
    says(show_config=configuration("acct_gather_energy/ipmi", "30 sec"))
    assert energy_plugin() == ("ipmi", 30.0)


@pytest.mark.parametrize("kind", ["acct_gather_energy/none", "(null)", ""])
def test_a_slurm_without_a_sensor_is_refused(says, kind):
    says(show_config=configuration(kind, "30 sec"))
    with pytest.raises(MeterError, match="Slurm measures no energy here"):
        energy_plugin()


@pytest.mark.parametrize("seconds", ["0 sec", "", "never"])
def test_a_sensor_that_is_never_read_is_refused(says, seconds):
    says(show_config=configuration("acct_gather_energy/rapl", seconds))
    with pytest.raises(MeterError, match="reads its energy sensor rapl never"):
        energy_plugin()
