"""Snapshots on the command line, in DVC and as a source: the rows that were stored, or an error that names them."""

import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from snapshots.conftest import FILE, SOURCE, hours, newest, sample, steady, take, write
from wattline import cli, files, partitions
from wattline.cli import snapshot as verbs
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.params import IngestParams
from wattline.settings import settings
from wattline.snapshots import difference
from wattline.sources import open_source
from wattline.sources.registry import MODULES
from wattline.stages import ingest
from wattline.stages.ingest import Ingestion

ROOT = Path(__file__).parents[2]
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def settled(project: Path) -> Path:
    """A project with the params.yaml of this one, and the options of the source of tests."""
    tree = yaml.safe_load((ROOT / "params.yaml").read_text())
    tree[tree["task"]["name"]]["ingest"]["options"][SOURCE] = {"file": FILE}
    Path("params.yaml").write_text(yaml.safe_dump(tree))
    return project


@pytest.fixture
def command(settled: Path) -> Command:
    """Runs programs there."""
    environment = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT / 'tests'}", "DVC_NO_ANALYTICS": "1"}

    def run(*words: str, program: str = "wattline") -> subprocess.CompletedProcess[str]:
        start = ["git"] if program == "git" else [sys.executable, "-m", program]
        answer = subprocess.run(
            [*start, *words],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            env={"PATH": "/usr/bin:/bin", "HOME": str(settled), "GIT_CONFIG_GLOBAL": "/dev/null", **environment},
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert "Traceback" not in answer.stderr
        return answer

    return run


def test_the_command_lines_of_the_issue(command: Command, project: Path):
    """Take, list, show, diff, with DVC from the first snapshot to a clone that pulls it."""
    command("init", "-q", program="git")
    command("init", "-q", program="dvc")
    shutil.copy(ROOT / ".gitignore", ".gitignore")
    write(steady(until=40))
    span = ("--from", "2026-03-01T00:00:00Z", "--to")
    said = command("snapshot", SOURCE, *span, "2026-03-02T12:00:00Z").stdout
    first = newest().id
    assert f"snapshot     {first}\n" in said
    assert f"data/snapshots/{first}.dvc" in said
    again = command("snapshot", "take", SOURCE, *span, "2026-03-02T12:00:00Z").stdout
    assert f"{first}  unchanged" in again
    command("snapshot", SOURCE, *span, "2026-03-03T00:00:00Z")
    second = newest().id
    listed = command("snapshot", "list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == [first[:12], second[:12]]
    assert listed[1].endswith("newest")
    shown = command("snapshot", "show", second[:8]).stdout
    assert "CC0-1.0" in shown
    assert "unit         n0 of rack-1: 240 rows, 2026-03-01 00:00:00 to 2026-03-02 15:50:00 UTC, 0 missing" in shown
    changed = command("snapshot", "diff", first[:8], "telemetry").stdout
    assert "n1 2026-03-02: 24 added, 0 changed, 0 removed" in changed
    seen = command("status", "--porcelain", "--untracked-files=all", program="git").stdout
    assert f"data/snapshots/{first}.dvc" in seen
    assert "newest.json" in seen
    assert ".parquet" not in seen, "rows belong to DVC, not to git"
    same = Path("data/snapshots") / first / "day=2026-03-01/n0.parquet"
    assert same.samefile(Path("data/snapshots") / second / "day=2026-03-01/n0.parquet"), "DVC broke the hard links"
    before = files.digests(Path("data/snapshots") / second)
    shutil.rmtree(Path("data/snapshots") / second)
    assert f"{second[:12]}  not here; `dvc pull" in command("snapshot", "list").stdout
    command("checkout", "-q", program="dvc")
    assert files.digests(Path("data/snapshots") / second) == before
    assert command("data", "verify").stdout.startswith("verified: 2 outputs, ")


def within(*words: str) -> None:
    """The same in this process."""
    cli.app(["snapshot", *words], standalone_mode=False)


def test_without_dvc_it_says_so_and_with_a_broken_one_the_rows_stay(settled: Path, capfd: pytest.CaptureFixture[str]):
    write(steady(until=10))
    span = ("--from", "2026-03-01T00:00:00Z", "--to", "2026-03-01T10:00:00Z")
    within(SOURCE, *span, "--no-dvc")
    within(SOURCE, *span)
    said = capfd.readouterr().out
    assert "not asked, with --no-dvc" in said
    assert "there is no .dvc folder here" in said
    Path(".dvc").mkdir()
    Path(".dvc/config").write_text("nonsense [")
    with pytest.raises(WattlineError, match=r"is stored in .*, but DVC did not take it.*then run `dvc add") as caught:
        within(SOURCE, *span)
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    assert newest().rows == 120


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("lst",), "'lst' is neither a verb of `wattline snapshot`"),
        (("snapshot",), "name the source of the rows"),
        (("simulator", "--from", "2026-03-01"), "has no offset from UTC"),
        (("simulator", "--page-hours", "0"), "--page-hours must be > 0, got 0"),
        (("show", "abc"), "there is no snapshot 'abc'"),
    ],
)
def test_bad_words_are_one_sentence(settled: Path, words: tuple[str, ...], message: str):
    with pytest.raises(InputError, match=message) as caught:
        within(*words)
    assert "\n" not in str(caught.value)


def test_no_source_is_called_like_a_verb():
    names = {one.name or one.callback.__name__.rstrip("_") for one in verbs.app.registered_commands if one.callback}
    assert names == {"take", "list", "show", "diff"}
    assert not names & set(MODULES)


def raw() -> dict[str, str]:
    """Digests of the rows that `ingest` wrote."""
    return {name: digest for name, digest in files.digests(files.RAW).items() if name.endswith(".parquet")}


def run(**options: object) -> Ingestion:
    ingest.run(ingest=IngestParams(source="snapshot", options={"snapshot": options}), seed=7)
    return files.read_report("ingest", Ingestion)


@pytest.mark.usefixtures("project")
class TestSource:
    def test_ingest_gives_the_rows_of_the_source_itself(self):
        write(steady(3))
        direct = {"file": FILE, "start": hours(0), "end": hours(60)}
        ingest.run(ingest=IngestParams(source=SOURCE, options={SOURCE: direct}), seed=7)
        assert files.read_report("ingest", Ingestion).quarantined == {"in the future": 3}
        expected = raw()
        folder = take()
        for options in ({"newest": "telemetry"}, {"id": folder.name}, {"id": folder.name[:6]}):
            report = run(**options)
            assert {
                name: one for name, one in files.digests(files.RAW).items() if name.endswith(".parquet")
            } == expected
            assert report.dataset == "telemetry"
            assert report.quarantined == {}

    def test_workers_read_it_to_the_same_bytes(self, monkeypatch: pytest.MonkeyPatch):
        write(steady(3))
        take()
        run(newest="telemetry")
        alone = files.digests(Path("data/raw")) | files.digests(Path("reports"))
        profile = {"description": "a test", "scheduler": "local", "dask": {"workers": 2}}
        files.write_text(Path("deploy/sites/here.yaml"), yaml.safe_dump(profile))
        monkeypatch.setenv("WATTLINE_SITE", "here")
        settings.cache_clear()
        run(newest="telemetry")
        assert files.digests(Path("data/raw")) | files.digests(Path("reports")) == alone

    def test_units_and_span_choose(self):
        write(steady(3))
        take()
        source = open_source(
            "snapshot", {"newest": "telemetry", "units": ["n2"], "start": hours(10), "end": hours(30)}, seed=7
        )
        (unit,) = source.units
        assert unit.series.unit == "n2"
        assert unit.series.timestamps[[0, -1]].astype("datetime64[s]").tolist() == [
            hours(10).replace(tzinfo=None),
            hours(30 - 1 / 6).replace(tzinfo=None),
        ]

    def test_its_readers_can_be_sent_away(self):
        write(steady(1))
        take()
        source = open_source("snapshot", {"newest": "telemetry"}, seed=7)
        (read,) = pickle.loads(pickle.dumps(source.units)).reads.values()
        assert len(read().series.timestamps) == 360

    def test_a_unit_with_one_row_is_left_out_and_named(self):
        write(steady(1) | {"n9": {"power": [sample(3, 1.0)]}})
        take()
        source = open_source("snapshot", {"newest": "telemetry"}, seed=7)
        assert source.unit_count == 1
        assert any("1 units with a single row" in note for note in source.notes)

    def test_a_changed_partition_is_named_before_any_row_is_used(self):
        write(steady(2))
        folder = take()
        run(newest="telemetry")
        before = files.digests(files.RAW)
        path = folder / "day=2026-03-02/n1.parquet"
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[:-20])
        with pytest.raises(IntegrityError, match=rf"{path} has SHA-256"):
            run(newest="telemetry")
        assert files.digests(files.RAW) == before

    def test_rows_and_record_changed_together_do_not_get_the_old_id(self):
        write(steady(1))
        folder = take()
        snapshot = newest()
        unit, partition = snapshot.units[0], snapshot.units[0].partitions[0]
        series = partitions.read(folder, unit, partition, snapshot.column_names)
        series.values[3] += np.float32(1)
        path = partitions.path_of(folder, unit.name, partition.day)
        path.unlink()
        forged = partitions.write(folder, series, snapshot.column_names, day=partition.day)
        record = folder / partitions.RECORD
        record.chmod(0o644)
        record.write_text(record.read_text().replace(partition.sha256, forged.sha256))
        with pytest.raises(IntegrityError, match="other rows than those that gave the snapshot its id"):
            run(newest="telemetry")
        record.write_text(record.read_text().replace(partition.rows_digest, forged.rows_digest))
        with pytest.raises(IntegrityError, match="describes other rows than id"):
            run(newest="telemetry")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({}, "either `id` of a snapshot or `newest`"),
            ({"id": "0000", "newest": "telemetry"}, "either `id` of a snapshot or `newest`"),
            ({"newest": "nobody"}, "newest is 'nobody', of which there is no snapshot; there are some of: telemetry"),
            ({"id": "zzzz"}, "there is no snapshot 'zzzz'"),
            ({"newest": "telemetry", "units": ["n8"]}, "units names 'n8', which snapshot"),
        ],
    )
    def test_what_there_is_not_is_said(self, options: dict[str, object], words: str):
        write(steady(1))
        take()
        with pytest.raises(InputError, match=words):
            run(**options)


def counted(first: Path, second: Path) -> list[tuple[str, int, int, int, int]]:
    """Unit, day of the month, and rows added, changed and removed."""
    return [(one.unit, one.day.day, one.added, one.changed, one.removed) for one in difference.changes(first, second)]


@pytest.mark.usefixtures("project")
class TestDifference:
    def test_it_is_that_of_two_dictionaries(self):
        samples = steady(2, until=30)
        write(samples)
        first = take(0, 30)
        samples["n0"]["power"][3] = sample(3 / 6, -1.0)
        samples["n0"]["power"].append(sample(25.05, 7.0))
        del samples["n1"]["power"][150], samples["n1"]["load"][150]
        write(samples)
        second = take(0, 30, fresh=True)
        assert counted(first, second) == [("n0", 1, 0, 1, 0), ("n0", 2, 1, 0, 0), ("n1", 2, 0, 0, 1)]
        assert counted(second, first) == [("n0", 1, 0, 1, 0), ("n0", 2, 0, 0, 1), ("n1", 2, 1, 0, 0)]
        assert counted(first, first) == []

    def test_it_says_which_units_came_went_or_fell_silent_and_which_columns(self):
        write(steady(2))
        first = take(0, 30)
        write({"n1": steady(2)["n1"], "n5": steady(6)["n5"]})
        second = take(30, 60)
        text = "\n".join(difference.lines(first, second))
        assert "unit         n0 gave nothing new: its last row is still of 2026-03-02T05:50" in text
        assert "unit         n5 appeared at 2026-03-02T06:00" in text
        third = take(30, 60, fresh=True, column_units={"power": "kW", "heat": "W"})
        text = "\n".join(difference.lines(second, third))
        assert "unit         n0 vanished" in text
        assert "column       load vanished" in text
        assert "column       heat appeared, in 'W'" in text
        assert "column       power was in 'W' and is in 'kW': not compared" in text


def test_gaps_are_shown_within_days_and_across_them(project: Path):
    from wattline.snapshots.showing import longest_gap, shown

    at = [0, 1, 2, 9, 20, 30]
    write(
        {"n0": {"power": [sample(hour, 1.0) for hour in at]}, "n1": {"power": [sample(hour, 1.0) for hour in (0, 71)]}}
    )
    folder = take(0, 80)
    first, second = newest().units
    assert longest_gap(first)[0] == 11 * 3600
    assert longest_gap(second) == (71 * 3600, hours(0))
    text = "\n".join(shown(folder))
    assert "175 missing at its cadence (96.7%), longest gap 11:00:00 h" in text
