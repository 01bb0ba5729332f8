"""One answer and what was said about it are found in a log of any shape, also while that is merged."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from unit.test_predictions import DAY, NOON, answer, put, remark
from wattline import predictions
from wattline.errors import InputError


def test_it_is_found_whatever_day_and_file_it_is_in(tmp_path):
    for place in range(3):
        put(tmp_path, f"{place}-1", answer(f"a{place}", NOON + place * DAY, score=float(place)))
    assert predictions.find(tmp_path, "a2")["score"] == 2.0


@pytest.mark.parametrize("made", [True, False])
@pytest.mark.parametrize("name", ["", "b", "a'", "a\0", "A"])
def test_one_that_is_not_there_is_none(tmp_path, name, made):
    folder = tmp_path / "log"
    if made:
        put(folder, "0-1", answer("a"))
    assert predictions.find(folder, name) is None
    assert predictions.feedback_on(folder, name) == []


def test_what_the_caller_got_is_found_and_not_its_shadow(tmp_path):
    put(tmp_path, "0-1", answer("a", role="shadow", score=9.0), answer("a", score=1.0))
    assert predictions.find(tmp_path, "a")["role"] == "stable"


def test_a_shadow_alone_is_found(tmp_path):
    put(tmp_path, "0-1", answer("a", role="shadow"))
    assert predictions.find(tmp_path, "a")["role"] == "shadow"


def test_one_of_several_windows_has_its_own_name(tmp_path):
    put(tmp_path, "0-1", answer("a.0", score=1.0), answer("a.1", score=2.0))
    assert predictions.find(tmp_path, "a.1")["score"] == 2.0
    assert predictions.find(tmp_path, "a") is None


def test_all_feedback_is_given_once_and_by_time(tmp_path):
    late, early = remark("a", NOON + timedelta(hours=2), label=0), remark("a", NOON + timedelta(hours=1))
    put(tmp_path, "0-1", late, remark("b", NOON))
    put(tmp_path, "0-2", early, late)
    assert [row["label"] for row in predictions.feedback_on(tmp_path, "a")] == [1, 0]


def test_unfinished_work_of_others_is_not_looked_at(tmp_path):
    path = put(tmp_path, "0-1", answer("a"))
    path.rename(path.with_name(".0-1.parquet"))
    assert predictions.find(tmp_path, "a") is None


def test_a_stranger_is_named(tmp_path):
    path = put(tmp_path, "0-1", answer("a"))
    path.with_name("notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"notes\.txt is no file of the log of answers; move it elsewhere"):
        predictions.find(tmp_path, "a")


def test_one_that_is_merged_into_another_file_meanwhile_is_found(tmp_path, monkeypatch):
    path = put(tmp_path, "0-1", answer("a"))
    load = predictions._load

    def merging(asked: Path, wanted: Any) -> Any:
        if path.exists():
            path.rename(path.with_name("0-merged.parquet"))
        return load(asked, wanted)

    monkeypatch.setattr(predictions, "_load", merging)
    assert predictions.find(tmp_path, "a") is not None


def test_one_that_a_single_look_at_the_folder_misses_is_found(tmp_path, monkeypatch):
    put(tmp_path, "0-1", answer("a"))
    listing, looks = predictions._listing, []

    def blind_at_first(*arguments: Any) -> Any:
        looks.append(arguments)
        return iter(()) if len(looks) == 1 else listing(*arguments)

    monkeypatch.setattr(predictions, "_listing", blind_at_first)
    assert predictions.find(tmp_path, "a") is not None
