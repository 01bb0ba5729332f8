"""The log of answers as its readers see it: once each, pruned by day, joined with the newest feedback."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from wattline import predictions
from wattline.errors import InputError

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def answer(name: str, at: datetime = NOON, *, role: str = "stable", score: float | None = 1.0) -> dict[str, Any]:
    texts = {column.name: "x" for column in predictions.ANSWERS if column.kind == "text"}
    return {**texts, "id": name, "answered_at": at, "role": role, "score": score, "threshold": 2.0, "alarm": False}


def remark(
    about: str, received: datetime, *, label: int | None = 1, at: datetime | None = None, by: str = "operator"
) -> dict[str, Any]:
    name = f"{about}-{received.isoformat()}"
    row = {"id": name, "prediction": about, "received_at": received, "label": label, "comment": None, "at": at}
    return {**row, "by": by}


def put(folder: Path, name: str, *rows: dict[str, Any]) -> Path:
    """Write rows of one day as a worker would."""
    about_answers = "answered_at" in rows[0]
    columns = predictions.ANSWERS if about_answers else predictions.FEEDBACK
    day = rows[0]["answered_at" if about_answers else "received_at"].date()
    home = folder if about_answers else folder / predictions.FEEDBACK_FOLDER
    path = home / f"{predictions.PREFIX}{day}" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=predictions.schema(columns)), path)
    return path


def ids(table: pyarrow.Table) -> list[str]:
    return table["id"].to_pylist()


@pytest.mark.parametrize("made", [True, False])
def test_a_log_without_anything_in_it_has_columns_and_no_rows(tmp_path, made):
    folder = tmp_path / "log"
    if made:
        folder.mkdir()
    found = predictions.joined(folder)
    names = [column.name for column in predictions.ANSWERS]
    assert found.answers.column_names == [*names, "label", "label_by", "label_at"]
    assert (found.answers.num_rows, found.unmatched.num_rows) == (0, 0)
    assert predictions.read(folder).schema.equals(predictions.schema(predictions.ANSWERS))


def test_a_row_that_is_in_two_files_counts_once_and_a_shadow_of_it_stays(tmp_path):
    put(tmp_path, "0-1", answer("a"), answer("b"))
    put(tmp_path, "0-2", answer("b"), answer("a"), answer("a", role="shadow"))
    table = predictions.read(tmp_path)
    assert [(row["id"], row["role"]) for row in table.to_pylist()] == [
        ("a", "shadow"),
        ("a", "stable"),
        ("b", "stable"),
    ]


def test_rows_come_by_time_whatever_file_they_are_in(tmp_path):
    put(tmp_path, "0-1", answer("c", NOON + timedelta(seconds=3)), answer("a", NOON))
    put(tmp_path, "1-1", answer("b", NOON + timedelta(seconds=1)))
    assert ids(predictions.read(tmp_path)) == ["a", "b", "c"]


def test_bounds_are_half_open_and_days_outside_of_them_are_not_opened(tmp_path):
    for place in range(4):
        put(tmp_path, "0-1", answer(f"{place}", NOON + place * DAY))
    put(tmp_path, "0-2", answer("midnight", datetime(2026, 3, 12, tzinfo=UTC)))
    for broken in (NOON, NOON + 3 * DAY):
        (tmp_path / f"date={broken.date()}" / "0-1.parquet").write_bytes(b"broken")
    assert ids(predictions.read(tmp_path, start=NOON + DAY, end=NOON + 2 * DAY)) == ["1", "midnight"]
    assert ids(predictions.read(tmp_path, start=NOON + DAY, end=datetime(2026, 3, 12, tzinfo=UTC))) == ["1"]
    with pytest.raises(InputError, match="date=2026-03-10"):
        predictions.read(tmp_path, end=NOON + DAY)


def test_bounds_may_be_in_any_zone_but_must_have_one(tmp_path):
    from zoneinfo import ZoneInfo

    put(tmp_path, "0-1", answer("a"))
    local = NOON.astimezone(ZoneInfo("Pacific/Kiritimati"))
    assert ids(predictions.read(tmp_path, start=local, end=local + timedelta(microseconds=1))) == ["a"]
    with pytest.raises(InputError, match="start is 2026-03-10T12:00:00, without a time zone"):
        predictions.read(tmp_path, start=NOON.replace(tzinfo=None))


def foreign_text(partition: Path) -> Path:
    (partition / "notes.txt").write_text("hello")
    return partition / "notes.txt"


def foreign_table(partition: Path) -> Path:
    parquet.write_table(pyarrow.table({"id": ["a"], "other": [1]}), partition / "other.parquet")
    return partition / "other.parquet"


def foreign_folder(partition: Path) -> Path:
    (partition / "folder").mkdir()
    return partition / "folder"


def dangling_link(partition: Path) -> Path:
    (partition / "link.parquet").symlink_to(partition / "nowhere")
    return partition / "link.parquet"


def no_day(partition: Path) -> Path:
    path = partition.with_name("date=yesterday")
    path.mkdir()
    return path


def a_file_for_a_day(partition: Path) -> Path:
    path = partition.with_name("date=2026-01-01")
    path.write_text("")
    return path


@pytest.mark.parametrize("make", [foreign_text, foreign_table, foreign_folder, dangling_link, no_day, a_file_for_a_day])
def test_what_does_not_belong_there_is_named(tmp_path, make):
    stranger = make(put(tmp_path, "0-1", answer("a")).parent)
    with pytest.raises(InputError) as error:
        predictions.read(tmp_path)
    assert str(stranger) in str(error.value)
    assert "move it elsewhere" in str(error.value)


def test_half_a_file_is_never_read_while_it_has_its_first_name(tmp_path):
    path = put(tmp_path, "0-1", answer("a"))
    (path.parent / ".0-2.parquet.77").write_bytes(path.read_bytes()[:100])
    assert ids(predictions.read(tmp_path)) == ["a"]


def test_a_file_that_is_merged_away_while_it_is_read_is_found_in_its_successor(tmp_path, monkeypatch):
    first = put(tmp_path, "0-1", answer("a"))
    put(tmp_path, "0-2", answer("b"))
    load = predictions._load

    def merged_meanwhile(path: Path, wanted: pyarrow.Schema) -> pyarrow.Table:
        if first.exists():
            put(tmp_path, "0-3", answer("a"), answer("b"))
            for name in ("0-1", "0-2"):
                first.with_stem(name).unlink()
        return load(path, wanted)

    monkeypatch.setattr(predictions, "_load", merged_meanwhile)
    assert ids(predictions.read(tmp_path)) == ["a", "b"]


def test_a_file_that_one_look_at_the_folder_misses_is_found_by_the_next(tmp_path, monkeypatch):
    put(tmp_path, "0-1", answer("a"))
    listing, looks = predictions._listing, []

    def blind_at_first(*arguments: Any) -> Any:
        looks.append(1)
        return listing(*arguments) if len(looks) > 1 else iter(())

    monkeypatch.setattr(predictions, "_listing", blind_at_first)
    assert ids(predictions.read(tmp_path)) == ["a"]


def test_of_several_remarks_what_came_last_counts_whatever_its_own_clock_says(tmp_path):
    put(tmp_path, "0-1", answer("a"))
    future = NOON + 9 * DAY
    put(tmp_path, "0-1", remark("a", NOON + timedelta(hours=1), label=1, at=future, by="first"))
    put(tmp_path, "1-1", remark("a", NOON + 2 * DAY, label=0, by="second"))
    (row,) = predictions.joined(tmp_path).answers.to_pylist()
    assert (row["label"], row["label_by"], row["label_at"]) == (0, "second", NOON + 2 * DAY)
    assert predictions.read_feedback(tmp_path).num_rows == 2


def test_a_label_can_be_taken_back_and_says_when_it_was_found_out(tmp_path):
    put(tmp_path, "0-1", answer("a"), answer("b"))
    put(tmp_path, "0-1", remark("a", NOON + DAY, label=1, at=NOON), remark("b", NOON + DAY + timedelta(seconds=1)))
    put(tmp_path, "0-2", remark("b", NOON + DAY + timedelta(seconds=2), label=None, by="third"))
    a, b = predictions.joined(tmp_path).answers.to_pylist()
    assert (a["label"], a["label_at"]) == (1, NOON)
    assert (b["label"], b["label_by"]) == (None, "third")


def test_feedback_long_after_the_period_still_reaches_its_answers(tmp_path):
    put(tmp_path, "0-1", answer("a"), answer("b"))
    put(tmp_path, "0-1", remark("a", NOON + 300 * DAY))
    found = predictions.joined(tmp_path, start=NOON, end=NOON + timedelta(seconds=1))
    assert [row["label"] for row in found.answers.to_pylist()] == [1, None]


def test_feedback_on_an_answer_that_nobody_gave_is_reported_and_invents_no_row(tmp_path):
    put(tmp_path, "0-1", answer("a"))
    put(
        tmp_path, "0-1", remark("ghost", NOON), remark("ghost", NOON + timedelta(seconds=1), label=0), remark("a", NOON)
    )
    found = predictions.joined(tmp_path)
    assert ids(found.answers) == ["a"]
    assert [(row["prediction"], row["label"]) for row in found.unmatched.to_pylist()] == [("ghost", 0)]


def test_a_label_reaches_the_shadow_of_its_answer(tmp_path):
    put(tmp_path, "0-1", answer("a"), answer("a", role="shadow", score=None))
    put(tmp_path, "0-1", remark("a", NOON, label=0))
    assert predictions.joined(tmp_path).answers["label"].to_pylist() == [0, 0]


def test_every_column_says_what_it_means_and_in_which_unit():
    for column in (*predictions.ANSWERS, *predictions.FEEDBACK):
        assert column.unit
        assert column.meaning
