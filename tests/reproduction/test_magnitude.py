"""By how much: what is said of two files that differ is true, and never nothing."""

import json

import numpy as np
import onnx
import pyarrow
import pytest
from builders import scorer
from onnx import numpy_helper
from pyarrow import parquet
from safetensors.numpy import save

from wattline.reproduction.magnitude import describe, difference, json_differences, tensors


@pytest.fixture
def pair(tmp_path):
    return tmp_path / "registered", tmp_path / "found"


class TestTensors:
    """Largest differences, in all of the ways in which arrays differ."""

    def test_the_largest_absolute_and_relative_difference_are_named_each_with_its_tensor(self):
        registered = {"wide": np.array([100.0, 1.0]), "narrow": np.array([0.001, 2.0]), "same": np.array([1.0])}
        found = {"wide": np.array([103.0, 1.0]), "narrow": np.array([0.002, 2.0]), "same": np.array([1.0])}
        (said,) = tensors(registered, found)
        assert said == (
            "2 of 3 tensors differ: largest absolute difference 3 in wide, largest relative difference 1 in narrow"
        )

    def test_an_absent_tensor_and_another_shape_are_named(self):
        said = tensors({"a": np.zeros(2), "b": np.zeros(2)}, {"b": np.zeros(3), "c": np.zeros(1, np.float32)})
        assert said == (
            "tensor a is absent, registered was float64 (2,)",
            "tensor b is float64 (3,), registered was float64 (2,)",
            "tensor c is float32 (1,), registered was absent",
        )

    @pytest.mark.parametrize(
        ("registered", "found", "expected"),
        [
            ([1.0, np.nan], [1.0, np.nan], (0, 0.0, 0.0)),
            ([1.0, np.nan], [1.0, 2.0], (1, np.inf, np.inf)),
            ([0.0, 1.0], [0.5, 1.0], (1, 0.5, np.inf)),
            ([np.inf], [np.inf], (0, 0.0, 0.0)),
            ([True, False], [True, True], (1, 1.0, np.inf)),
            (["a", "b"], ["a", "c"], (1, np.inf, np.inf)),
        ],
    )
    def test_undefined_infinite_and_other_values_count(self, registered, found, expected):
        assert difference(np.array(registered), np.array(found)) == expected

    def test_integers_beyond_what_a_double_holds_are_told_apart(self):
        count, absolute, _ = difference(np.array([2**60]), np.array([2**60 + 1]))
        assert (count, absolute) == (1, 1.0)

    def test_timestamps_differ_in_their_own_unit(self):
        times = np.array(["2026-01-01T00:00:00"], "datetime64[us]")
        assert difference(times, times + np.timedelta64(7, "us"))[:2] == (1, 7.0)


def test_weights_are_compared(pair):
    pair[0].write_bytes(save({"center": np.array([1.0, 2.0])}))
    pair[1].write_bytes(save({"center": np.array([1.0, 2.5])}))
    (said,) = describe(*pair, kind=".safetensors")
    assert "1 of 1 tensors differ: largest absolute difference 0.5 in center" in said


def test_constants_of_a_graph_are_compared_and_its_operations(pair):
    onnx.save(scorer(), pair[0])
    changed = scorer()
    centers = next(one for one in changed.graph.initializer if one.name == "centers")
    centers.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(centers) + np.float32(0.25), "centers"))
    onnx.save(changed, pair[1])
    (said,) = describe(*pair, kind=".onnx")
    assert "1 of 7 tensors differ: largest absolute difference 0.25 in centers" in said
    onnx.save(scorer(optional=False), pair[1])
    assert any("operations, registered were" in one for one in describe(*pair, kind=".onnx"))


class TestTables:
    """Rows and columns of Parquet files."""

    def write(self, path, **columns):
        parquet.write_table(pyarrow.table(columns), path)

    def test_the_column_that_differs_most_comes_first(self, pair):
        self.write(pair[0], power=[1.0, 2.0, None], load=[1, 2, 3], name=["a", "b", "c"])
        self.write(pair[1], power=[1.0, 2.5, None], load=[1, 9, 9], name=["a", "b", "c"])
        assert describe(*pair, kind=".parquet") == (
            "column load: 2 of 3 rows differ, at most by 7",
            "column power: 1 of 3 rows differ, at most by 0.5",
        )

    def test_other_rows_and_columns_are_counted_and_named(self, pair):
        self.write(pair[0], power=[1.0, 2.0])
        self.write(pair[1], power=[1.0])
        assert describe(*pair, kind=".parquet") == ("1 rows, registered were 2",)
        self.write(pair[1], watts=[1.0, 2.0])
        assert describe(*pair, kind=".parquet") == ("columns are watts, registered were power",)


class TestReports:
    """The first paths that differ, with both values."""

    def test_paths_come_in_the_order_of_the_file(self):
        registered = {"b": {"x": [1, 2]}, "a": None, "gone": 1}
        found = {"b": {"x": [1, 3]}, "a": 0, "new": True}
        assert list(json_differences(registered, found)) == [
            ("b.x.1", "2", "3"),
            ("a", "null", "0"),
            ("gone", "1", "absent"),
            ("new", "absent", "true"),
        ]

    @pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), ([1], [1, 2]), ({}, []), ("", None)])
    def test_what_python_takes_for_equal_is_told_apart(self, one, other):
        assert len(list(json_differences(one, other))) == 1

    def test_a_verdict_that_turned_is_said_before_any_figure(self, pair):
        pair[0].write_text(json.dumps({str(number): number for number in range(9)} | {"passed": True}))
        pair[1].write_text(json.dumps({str(number): -1 - number for number in range(9)} | {"passed": False}))
        said = describe(*pair, kind=".json")
        assert said[0] == "passed is false, registered was true"
        assert said[-1] == "5 more values differ"


@pytest.mark.parametrize("kind", [".json", ".onnx", ".parquet", ".safetensors"])
def test_a_file_that_is_not_what_its_name_says_is_compared_in_size(pair, kind):
    pair[0].write_bytes(b"\xff" * 9)
    pair[1].write_bytes(b"\xff" * 7)
    said = describe(*pair, kind=kind)
    assert said[0].startswith(f"it cannot be read as {kind}: ")
    assert said[1] == "7 bytes, registered were 9"


@pytest.mark.parametrize("kind", [".png", ".md", ""])
def test_of_other_files_the_sizes_are_said(pair, kind):
    pair[0].write_bytes(b"one")
    pair[1].write_bytes(b"another")
    assert describe(*pair, kind=kind) == ("7 bytes, registered were 3",)


def test_equal_values_in_other_bytes_are_said_to_be_that(pair):
    pair[0].write_text('{"a": 1}')
    pair[1].write_text('{"a":1}')
    assert describe(*pair, kind=".json") == ("equal values, written differently",)
