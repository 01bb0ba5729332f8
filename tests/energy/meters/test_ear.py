"""EAR: what its database says of a step is summed over the nodes, and what it does not say is not made up."""

import os
from pathlib import Path

import pytest

from wattline.energy.meters import MeterError
from wattline.energy.meters.ear import energy, parse, step_energy

HEADER = (
    "NODENAME;JOBID;STEPID;APPID;USERID;GROUPID;JOBNAME;USER_ACC;ENERGY_TAG;POLICY;POLICY_TH;START_TIME;END_TIME;"
    "AVG_CPUFREQ_KHZ;DEF_FREQ_KHZ;TIME_SEC;CPI;DC_NODE_POWER_W;DRAM_POWER_W;PCK_POWER_W;GPU0_POWER_W"
)
# Answers about jobs as scontrol and sacct print them: 7 is alone on its nodes, 8 is not.
SCONTROL = """case "$*" in
    "show job --oneliner 7") echo "JobId=7 NumCPUs=256 NodeList=n[1-2] Partition=thin OverSubscribe=NO" ;;
    "show job --oneliner 8") echo "JobId=8 NumCPUs=4 NodeList=n1 Partition=thin OverSubscribe=OK" ;;
    "show node --oneliner n1") echo "NodeName=n1 CPUAlloc=8 CPUEfctv=128 CPUTot=128" ;;
    *) echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1 ;;
esac
"""
# The table appears at the second call: a node's daemon is late.
EACCT = """echo "$*" >> "{folder}/calls"
[ "$1 $3 $4" = "-j -l -c" ] || exit 2
if [ $(wc -l < "{folder}/calls") -ge {call} ]; then cp "{folder}/table" "$5"; else echo "No jobs found."; fi
"""


def line(node="n1", step="0", *, job="7", seconds="327.000000", watts="337.767578"):
    return (
        f"{node};{job};{step};3574071;reader;group;training;account; ;monitoring;0.000000;1754636620;1754636947;"
        f"2758546;2451000;{seconds};0.330448;{watts};0.000000;106.878319;0.000000"
    )


def table(*lines):
    return "\n".join((HEADER, *lines)) + "\n"


BOTH = table(line("n1"), line("n2", watts="300.0"), line("n1", "4294967291"), line("n1", "1"), line("n3", job="70"))
JOULES = 327 * (337.767578 + 300)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Fake `eacct` and `scontrol` on PATH; gives a function that says what the table is, and from which call on."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr("wattline.energy.meters.ear.POLL_SECONDS", 0.05)

    def put(name, body):
        path = tmp_path / "bin" / name
        path.write_text(f"#!/bin/bash\n{body}")
        path.chmod(0o755)

    def says(text, *, call=1):
        (tmp_path / "table").write_text(text)
        put("scontrol", SCONTROL)
        put("eacct", EACCT.format(folder=tmp_path, call=call))

    says.put = put
    says.calls = tmp_path / "calls"
    return says


def test_a_step_is_the_sum_of_its_nodes(site):
    site(BOTH)
    found = step_energy("7", "0", nodes=2)
    assert found.joules == pytest.approx(JOULES)
    assert found.interval == pytest.approx((JOULES * (1 - 2 / 327), JOULES * (1 + 2 / 327)))
    assert found.provenance == "measured"
    assert found.scope == "machine"
    assert found.seconds == 327
    assert found.sensor == "ear:DC_NODE_POWER_W (eacct:7.0)"
    assert found.boundary.startswith("n1, n2 at the node's DC power sensor")
    assert found.parameters == {"node n1": "110450 J", "node n2": "98100 J"}
    assert site.calls.read_text().startswith("-j 7 -l -c ")


def test_the_node_manager_speaks_for_the_whole_step():
    newest = f"{HEADER};NODEMGR_DC_NODE_POWER_W;NODEMGR_TIME_SEC\n{line(watts='0.0', seconds='0.0')};200.0;10.0\n"
    found = energy(parse(newest), step="7.0", nodes=1)
    assert found.joules == 2000
    assert found.seconds == 10
    assert found.sensor == "ear:NODEMGR_DC_NODE_POWER_W (eacct:7.0)"


def test_a_batch_script_is_found_by_its_number(site):
    site(BOTH)
    assert step_energy("7", "batch", nodes=1).joules == pytest.approx(327 * 337.767578)


def test_a_node_that_is_late_is_waited_for(site):
    site(BOTH, call=3)
    assert step_energy("7", "0", nodes=2, timeout_seconds=60).joules == pytest.approx(JOULES)
    assert len(site.calls.read_text().splitlines()) == 3


def test_a_node_that_does_not_come_is_not_left_out(site):
    site(table(line("n1")))
    with pytest.raises(
        MeterError, match=r"knows 1 of 2 nodes of step 7.0 after 0.3 s; was the job submitted with EAR on"
    ):
        step_energy("7", "0", nodes=2, timeout_seconds=0.3)


def test_no_table_at_all_is_an_error(site):
    site(BOTH, call=1000)
    with pytest.raises(MeterError, match=r"knows 0 of 1 nodes"):
        step_energy("7", "0", nodes=1, timeout_seconds=0.2)


def test_a_shared_node_is_refused_before_anything_is_read(site):
    site(BOTH)
    with pytest.raises(MeterError, match=r"job 8 is on a shared node: it has 4 of 128 CPUs of n1"):
        step_energy("8", "0", nodes=1)
    assert not site.calls.exists()


def test_without_ear_its_module_is_named(site, tmp_path):
    site.put("scontrol", SCONTROL)
    with pytest.raises(MeterError, match=r"eacct is not installed here or not on PATH; load EAR's module"):
        step_energy("7", "0", nodes=1)


def test_without_slurm_nobody_knows_whether_the_node_is_shared(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MeterError, match="scontrol is not installed here"):
        step_energy("7", "0", nodes=1)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("echo 'Error getting ear.conf path' >&2; exit 1", "failed with code 1 and said: Error getting ear.conf path"),
        ('echo "no table" > "$5"', "lacks the column NODENAME"),
        ('touch "$5"', "eacct wrote an empty file"),
    ],
)
def test_an_eacct_with_troubles_is_an_error(site, body, said):
    site(BOTH)
    site.put("eacct", body)
    with pytest.raises(MeterError, match=said):
        step_energy("7", "0", nodes=1, timeout_seconds=0.2)


def test_an_eacct_that_hangs_is_ended(site, monkeypatch, tmp_path):
    site(BOTH)
    monkeypatch.setattr("wattline.energy.meters.ear.TIMEOUT_SECONDS", 0.3)
    site.put("eacct", f"echo $$ > {tmp_path}/pid; exec sleep 600")
    with pytest.raises(MeterError, match=r"did not end within 0.3 s"):
        step_energy("7", "0", nodes=1)
    assert not (Path("/proc") / (tmp_path / "pid").read_text().strip()).exists()


def test_no_file_is_left_behind(site, tmp_path, monkeypatch):
    site(BOTH)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    step_energy("7", "0", nodes=2)
    assert os.listdir(tmp_path / "temporary") == []  # noqa: PTH208


@pytest.mark.parametrize("column", ["NODENAME", "JOBID", "STEPID", "TIME_SEC", "DC_NODE_POWER_W"])
def test_a_column_that_is_missing_is_named(column):
    with pytest.raises(MeterError, match=f"lacks the column {column}; is this its long form"):
        parse(table(line()).replace(column, "OTHER"))


def test_the_short_form_is_refused():
    short = "JOB-STEP;USER;APPLICATION;POLICY;NODES;AVG/DEF/IMC(GHz);TIME(s);POWER(W);GBS;CPI;ENERGY(J)\n"
    with pytest.raises(MeterError, match="is this its long form"):
        parse(short)


@pytest.mark.parametrize("torn", [line()[:-20], f"{line()};1;2", "n1"])
def test_a_torn_line_is_refused(torn):
    with pytest.raises(MeterError, match=r"line 3 of the table of eacct has \d+ cells, its header has 21"):
        parse(table(line(), torn))


@pytest.mark.parametrize("watts", ["0.000000", "-1", "nan", "inf", "", "many", "---"])
def test_a_node_that_was_not_measured_is_refused(watts):
    with pytest.raises(MeterError, match=r"DC_NODE_POWER_W of step 7.0 on n2 is .* at eacct: it did not measure"):
        energy(parse(table(line(), line("n2", watts=watts))), step="7.0", nodes=2)


@pytest.mark.parametrize("seconds", ["0", "-5", "nan", ""])
def test_a_step_without_length_is_refused(seconds):
    with pytest.raises(MeterError, match=r"TIME_SEC of step 7.0 on n1 is .* at eacct: it did not measure"):
        energy(parse(table(line(seconds=seconds))), step="7.0", nodes=1)


def test_power_that_no_node_draws_is_refused():
    with pytest.raises(MeterError, match="its sensor does not measure"):
        energy(parse(table(line(watts="4294967295.0"))), step="7.0", nodes=1)


@pytest.mark.parametrize(
    ("second", "nodes"), [("n1", 1), ("n1", 2), ("n2", 1)], ids=["twice", "twice and one missing", "one too many"]
)
def test_nodes_that_are_too_many_are_refused(second, nodes):
    with pytest.raises(MeterError, match=f"has 2 lines of step 7.0 for {nodes} nodes"):
        energy(parse(table(line(), line(second))), step="7.0", nodes=nodes)
