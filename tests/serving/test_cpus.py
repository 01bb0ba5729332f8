"""CPUs are counted as the kernel hands them out, not as the machine has them."""

import os
from pathlib import Path

import pytest

from wattline.params.serving import BatchingParams
from wattline.serving.inference import cpus

SIXTEEN = frozenset(range(16))


@pytest.fixture(autouse=True)
def sixteen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: SIXTEEN)


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def version_2(group: str, **limits: str) -> dict[str, str]:
    """A tree of cgroup v2. limits: a group's path with _ for / -> its cpu.max"""
    files = {f"sys/fs/cgroup{name.replace('_', '/')}/cpu.max": content for name, content in limits.items()}
    return {"proc/self/cgroup": f"0::{group}\n"} | files


def version_1(folder: str, quota: str, period: str = "100000\n", *, group: str = "/") -> dict[str, str]:
    """A tree of cgroup v1 with a quota in one folder."""
    return {
        "proc/self/cgroup": f"12:memory:/elsewhere\n4:cpu,cpuacct:{group}\n1:name=systemd:/\n",
        f"sys/fs/cgroup/{folder}/cpu.cfs_quota_us": quota,
        f"sys/fs/cgroup/{folder}/cpu.cfs_period_us": period,
    }


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param({}, 16, id="no cgroup at all"),
        pytest.param(version_2("/", _="max 100000\n"), 16, id="v2 without a limit"),
        pytest.param(version_2("/", _="200000 100000\n"), 2, id="v2 in a container"),
        pytest.param(version_2("/", _="150000 100000\n"), 2, id="v2 rounds up"),
        pytest.param(version_2("/", _="10000 100000\n"), 1, id="v2 at least one"),
        pytest.param(version_2("/", _="6400000 100000\n"), 16, id="v2 more than there are"),
        pytest.param(version_2("/a/b", _a_b="max 100000\n", _a="300000 100000\n"), 3, id="v2 of the group around"),
        pytest.param(version_2("/a/b", _a_b="400000 100000\n", _a="300000 100000\n"), 3, id="v2 the smallest"),
        pytest.param(version_2("/host/only", _="500000 100000\n"), 5, id="v2 with the path of the host"),
        pytest.param(version_2("/", _=""), 16, id="v2 empty"),
        pytest.param(version_2("/", _="many 100000\n"), 16, id="v2 rubbish"),
        pytest.param(version_2("/", _="100000 0\n"), 16, id="v2 without a period"),
        pytest.param(version_1("cpu,cpuacct", "250000\n"), 3, id="v1"),
        pytest.param(version_1("cpu", "250000\n"), 3, id="v1 mounted as cpu"),
        pytest.param(version_1("cpu", "-1\n"), 16, id="v1 without a limit"),
        pytest.param(version_1("cpu,cpuacct/docker/1", "400000\n", group="/docker/1"), 4, id="v1 in a group"),
        pytest.param(version_1("cpu,cpuacct", "400000\n", group="/docker/1"), 4, id="v1 with the path of the host"),
        pytest.param(version_1("cpu", "200000\n", ""), 16, id="v1 without a period"),
    ],
)
def test_the_smallest_quota_counts(tmp_path: Path, files: dict[str, str], expected: int):
    assert cpus.usable(tree(tmp_path, files)) == expected


def test_the_affinity_counts_where_it_is_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 7})
    assert cpus.usable(tree(tmp_path, version_2("/", _="800000 100000\n"))) == 2


def test_this_machine_has_at_least_one():
    assert 1 <= cpus.usable() <= 16


@pytest.mark.parametrize(
    ("configured", "usable", "workers", "expected"),
    [(0, 16, 1, 16), (0, 16, 3, 5), (0, 2, 4, 1), (4, 2, 1, 4), (1, 16, 1, 1)],
)
def test_workers_share_what_is_usable_unless_params_say_how_many_threads(
    monkeypatch: pytest.MonkeyPatch, configured: int, usable: int, workers: int, expected: int
):
    monkeypatch.setattr(cpus, "usable", lambda: usable)
    batching = BatchingParams(maximum_windows=1, maximum_delay_ms=0, threads=configured, device="cpu")
    assert cpus.threads(batching, workers) == expected
