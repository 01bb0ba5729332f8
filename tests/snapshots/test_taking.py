"""A snapshot is immutable, known by its rows, taken once, and shares with others what did not change."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from snapshots.conftest import SOURCE, hours, newest, sample, steady, take, tree, write
from wattline import partitions
from wattline.errors import InputError
from wattline.settings import settings
from wattline.snapshots import pull, taking
from wattline.snapshots.building import Part
from wattline.snapshots.pull import Question
from wattline.sources import NoSamplesError, Readers, Source, UnitSeries

pytestmark = pytest.mark.usefixtures("project")


class TestIdentity:
    def test_an_unchanged_source_gives_the_same_id_and_nothing_new(self):
        write(steady())
        first = take()
        before = tree() | {"mtime": first.stat().st_mtime_ns}
        assert take() == first
        assert tree() | {"mtime": first.stat().st_mtime_ns} == before

    def test_pages_pulls_and_their_order_leave_no_trace_in_it(self):
        write(steady())
        once = take(page_hours=1000).name
        for begin, end, size in ((30, 60, 5.0), (0, 33, 1.5)):
            take(begin, end, page_hours=size, fresh=begin == 30)
        assert newest().id == once

    def test_one_value_less_or_another_licence_is_another_one(self):
        samples = steady()
        write(samples)
        ids = {take(fresh=True).name, take(fresh=True, licence="MIT").name}
        samples["n1"]["load"].pop()
        write(samples)
        ids.add(take(fresh=True).name)
        assert len(ids) == 3

    def test_a_column_may_be_called_as_a_folder(self):
        write({"n0": {"day": [sample(hour, hour) for hour in range(5)]}})
        for begin in (0, 2):
            take(begin, 5, column_units={"day": "d"})
        series = partitions.read_unit(partitions.FOLDER / newest().id, newest().units[0], ("day",))
        assert series is not None
        assert series.values[:, 0].tolist() == [0, 1, 2, 3, 4]

    def test_the_layout_is_by_day_and_unit(self):
        write(steady(until=30))
        folder = take()
        paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        days = ("day=2026-03-01", "day=2026-03-02")
        assert paths == {"snapshot.json", *(f"{day}/{unit}.parquet" for day in days for unit in ("n0", "n1"))}
        assert folder.name == newest().id


class TestMerging:
    def test_a_day_that_did_not_change_is_no_copy(self):
        write(steady())
        first = take(0, 40)
        second = take(36, 60)
        same, other = "day=2026-03-01/n0.parquet", "day=2026-03-02/n0.parquet"
        assert (first / same).samefile(second / same)
        assert not (first / other).samefile(second / other)
        assert newest().parent == first.name

    def test_a_day_that_was_pulled_again_and_did_not_change_is_no_copy(self):
        write(steady())
        first = take(0, 60)
        write(steady() | {"n7": {"power": [sample(3, 1.0), sample(4, 1.0)]}})
        second = take(0, 60, page_hours=7)
        assert first != second
        assert (first / "day=2026-03-01/n0.parquet").samefile(second / "day=2026-03-01/n0.parquet")

    def test_a_late_sample_finds_its_place(self):
        samples = steady(1, until=30)
        late = samples["n0"]["power"].pop(17)
        write(samples)
        first = take(0, 30)
        samples["n0"]["power"].append(late)
        write(samples)
        take(0, 30)
        assert newest().parent == first.name
        write(steady(1, until=30))
        assert take(0, 30, fresh=True).name == newest().id

    def test_units_that_vanish_are_kept_and_others_come(self):
        write(steady(2))
        take(0, 30)
        write({"n1": steady(2)["n1"], "n5": steady(6)["n5"]})
        take(30, 60)
        assert [(unit.name, unit.rows) for unit in newest().units] == [("n0", 180), ("n1", 360), ("n5", 180)]

    def test_what_was_not_taken_is_counted(self):
        write(steady())
        take(0, 30)
        assert newest().quarantined == {"in the future": 2 * 5}, "one of each unit in each page"

    def test_empty_pages_are_empty_and_nothing_at_all_is_told(self):
        write({"n0": {"power": [sample(1, 1.0), sample(50, 2.0)]}})
        take(0, 60)
        assert newest().rows == 2
        before = tree()
        with pytest.raises(
            NoSamplesError, match=r"has no sample from 2026-03-01T12.* until 2026-03-02T.*nothing was stored"
        ):
            take(12, 24)
        assert tree() == before
        assert not list((settings().state / "pulls").iterdir())


class Readable:
    """Units of a page as a source may hand them over, one of them without a sample."""

    @staticmethod
    def without_samples() -> UnitSeries:
        raise NoSamplesError("unit n1 has no sample")

    @staticmethod
    def broken_off(source: Source) -> Iterator[UnitSeries]:
        yield next(iter(source.units))
        raise NoSamplesError("no more")


class TestPages:
    def opened(self, monkeypatch: pytest.MonkeyPatch, change: Callable[[Source], object]) -> None:
        real = pull.open_source
        monkeypatch.setattr(
            pull, "open_source", lambda *words, **more: replace(source := real(*words, **more), units=change(source))
        )

    def test_one_unit_without_a_sample_does_not_hide_the_next(self, monkeypatch: pytest.MonkeyPatch):
        write(steady(3))

        def change(source: Source) -> Readers:
            reads = {unit.series.unit: partial(replace, unit) for unit in source.units}
            return Readers(reads | {"n1": Readable.without_samples})

        self.opened(monkeypatch, change)
        take(0, 6)
        assert [unit.name for unit in newest().units] == ["n0", "n2"]

    def test_a_source_that_breaks_off_leaves_no_page_that_would_pass_for_an_empty_one(
        self, monkeypatch: pytest.MonkeyPatch
    ):
        write(steady(3))
        self.opened(monkeypatch, Readable.broken_off)
        with pytest.raises(InputError, match="broke off after some units: no more"):
            take(0, 6)
        assert not list(Path(".wattline/pulls").rglob("000000"))


class TestColumns:
    """A history has the same columns throughout."""

    @pytest.mark.parametrize(
        ("column_units", "words"),
        [
            ({"power": "kW", "load": "1"}, "column 'power' is in 'W' in snapshot .* and in 'kW' now"),
            ({"power": "W"}, "column 'load' of snapshot .* is not in what source"),
            ({"power": "W", "load": "1", "heat": "W"}, "column 'heat' of source .* is not in snapshot"),
            ({"load": "1", "power": "W"}, "in another order"),
        ],
    )
    def test_one_that_changed_is_refused_by_name(self, column_units: dict[str, str], words: str):
        write(steady())
        take(0, 30)
        before = tree()
        with pytest.raises(InputError, match=f"{words}.*--fresh"):
            take(30, 60, column_units=column_units)
        assert tree() == before

    def test_a_fresh_history_may_have_others(self):
        write(steady())
        first = take(0, 30)
        take(0, 30, column_units={"power": "kW"}, fresh=True)
        assert newest().parent is None
        assert newest().column_names == ("power",)
        assert first.is_dir()

    def test_rows_of_another_source_under_the_same_name_are_merged_and_told(self):
        write(steady())
        parent = Part(take(0, 30), newest())
        assert not any("merged onto" in line for line in taking.told(newest(), parent, new=True))
        elsewhere = newest().model_copy(update={"source": "prometheus"})
        assert f"rows of source {SOURCE}" in taking.told(elsewhere, parent, new=True)[2]


class TestSpan:
    def test_a_source_without_a_span_is_read_once_and_cut_by_rows(self, monkeypatch: pytest.MonkeyPatch):
        opened: list[str] = []
        real = pull.open_source
        monkeypatch.setattr(
            pull, "open_source", lambda name, *words, **more: opened.append(name) or real(name, *words, **more)
        )
        options = {"nodes": 2, "nodes_per_rack": 1, "days": 2.0}
        start, end = datetime(2026, 1, 5, 6, tzinfo=UTC), datetime(2026, 1, 6, 6, tzinfo=UTC)
        question = Question("simulator", options, 7, start, end, page_hours=6)
        taking.take(question, dvc=False, say=lambda line: None)
        assert opened == ["simulator"]
        snapshot = partitions.read_record(partitions.FOLDER / partitions.newest()["simulated-cluster"])
        assert snapshot.labelled
        assert min(unit.start for unit in snapshot.units) >= start
        assert max(unit.end for unit in snapshot.units) < end
        assert all(unit.rows > 1300 for unit in snapshot.units)

    def test_a_pull_until_now_that_was_killed_ends_where_it_began(self, monkeypatch: pytest.MonkeyPatch):
        now = (datetime.now(UTC) - hours(0)).total_seconds() // 3600
        write(steady(since=now - 12, until=now + 3))
        question = Question(SOURCE, {"file": "samples.json", "minutes": 600.0}, 7, None, None, page_hours=2)
        said: list[str] = []
        with monkeypatch.context() as context:
            context.setattr(taking.building, "build", _interrupted)
            with pytest.raises(KeyboardInterrupt):
                taking.take(question, dvc=False, say=said.append)
        pages = len(list(question.folder.glob("0*")))
        assert pages in (5, 6)
        begun = json.loads((question.folder / "pull.json").read_text())
        taking.take(question, dvc=False, say=said.append)
        assert any(f"goes on with the pull of {begun['at'][:10]}" in line and f"{pages} pages" in line for line in said)
        assert newest().rows == 2 * 600 // 10

    @pytest.mark.parametrize(
        ("text", "words"),
        [("2026-03-01T00:00:00", "no offset"), ("yesterday", "no instant"), ("2026-13-01T00:00:00Z", "no instant")],
    )
    def test_an_instant_that_is_none_or_naive_is_refused(self, text: str, words: str):
        with pytest.raises(InputError, match=rf"--from '{text}' .*{words}.*2026-03-01T00:00:00Z"):
            taking.instant("--from", text)

    def test_an_offset_counts(self):
        assert taking.instant("--to", "2026-03-01T02:00:00+02:00") == hours(0)

    def test_a_span_backwards_is_refused(self):
        write(steady())
        with pytest.raises(InputError, match=r"--from .* must be before --to"):
            take(30, 10)


def _interrupted(*arguments: object, **more: object) -> None:
    raise KeyboardInterrupt


def test_units_that_differ_in_case_alone_are_refused():
    write(steady())
    take(0, 30)
    write({"N0": steady()["n0"]})
    with pytest.raises(InputError, match="'N0' and 'n0' differ in case alone"):
        take(30, 60)


def test_a_value_that_cannot_be_stored_is_named_and_stores_nothing():
    samples = steady()
    samples["n1"]["power"][100] = (samples["n1"]["power"][100][0], 1e300)
    write(samples)
    with pytest.raises(InputError, match=r"unit n1: column 'power' is inf at 2026-03-01T16:40"):
        take()
    assert partitions.known() == []


def test_a_store_that_is_not_readable_is_named():
    Path("data/snapshots").mkdir(parents=True)
    Path("data/snapshots/newest.json").write_text("[]")
    with pytest.raises(InputError, match=r"newest\.json is not a mapping"):
        partitions.find("telemetry")
