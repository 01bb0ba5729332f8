"""The requests are fixed, the same for all contenders, and worth being judged."""

from dataclasses import replace

import numpy as np
import pytest
from builders import COLUMNS, UNITS, series, signature
from stages.conftest import Scorer

from wattline.errors import InputError
from wattline.measuring import requests
from wattline.task import Series

NAMES = [column.name for column in COLUMNS]


def labelled(rows: int, ones: slice, *, unit: str = "node-01", history: int = 0) -> Series:
    target = np.zeros(rows)
    target[ones] = 1
    return replace(series(rows, unit=unit, history=history), target=target)


def span(chosen: Series) -> tuple[int, int]:
    """Judged rows, counted from the beginning of the series."""
    return chosen.history, len(chosen.timestamps)


def test_every_unit_is_asked_about_a_contiguous_stretch():
    test = {unit: series(300, unit=unit, history=20) for unit in UNITS}
    chosen = requests.choose(test, 100)
    assert list(chosen) == list(UNITS)
    assert [len(one) for one in chosen.values()] == [34, 34, 34]
    for unit, one in chosen.items():
        assert np.array_equal(one.timestamps, test[unit].timestamps[: len(one.timestamps)])
        assert one.history >= 20


def test_the_stretch_is_where_labels_vary_most():
    chosen = requests.choose({"node-01": labelled(300, slice(150, 160))}, 20)["node-01"]
    assert chosen.judged().target.mean() == 0.5


def test_the_stretch_is_where_a_measured_target_varies_most():
    target = np.sin(np.arange(300.0))
    target[200:230] *= 100
    chosen = requests.choose({"node-01": replace(series(300), target=1e6 + target)}, 30)["node-01"]
    begin, end = span(chosen)
    assert (begin, end) == (200, 230)


def test_of_equal_stretches_the_last_is_taken():
    first = labelled(300, slice(50, 60))
    both = replace(first, target=first.target + labelled(300, slice(200, 210)).target)
    assert span(requests.choose({"node-01": both}, 20)["node-01"])[0] >= 190
    assert span(requests.choose({"node-01": series(300)}, 20)["node-01"]) == (280, 300)


def test_unknown_targets_count_for_nothing():
    target = np.full(300, np.nan)
    target[100:120] = np.arange(20) % 2
    begin, end = span(requests.choose({"node-01": replace(series(300), target=target)}, 30)["node-01"])
    assert begin <= 100
    assert end >= 120


def test_of_too_many_units_those_that_vary_most_are_taken():
    test = {f"node-{place:02}": labelled(100, slice(0, place % 7), unit=f"node-{place:02}") for place in range(40)}
    chosen = requests.choose(test, 100)
    assert len(chosen) == 4
    assert all(int(unit[-2:]) % 7 == 6 for unit in chosen)


def test_a_unit_with_few_rows_gives_what_it_has():
    assert len(requests.choose({"node-01": series(12)}, 100)["node-01"]) == 12


def test_nothing_to_ask_is_an_error():
    for test in ({}, {"node-01": series(20, history=20)}):
        with pytest.raises(InputError, match="nothing to ask"):
            requests.choose(test, 100)


def test_models_with_other_steps_and_columns_get_windows_that_end_at_the_same_rows():
    chosen = requests.choose({unit: series(300, unit=unit) for unit in UNITS}, 100)
    short, units = requests.windows_of(chosen, signature(COLUMNS[2::-2], steps=2), NAMES)
    long, others = requests.windows_of(chosen, signature(steps=50), NAMES)
    assert short.shape == (102, 2, 2)
    assert long.shape == (102, 50, 3)
    np.testing.assert_array_equal(short, long[:, -2:, [2, 0]])
    np.testing.assert_array_equal(units, others)
    assert short.flags.c_contiguous
    assert short.dtype == np.float32


def test_a_model_that_needs_another_column_is_an_error():
    chosen = requests.choose({"node-01": series(100)}, 100)
    with pytest.raises(InputError, match="needs column 'load'"):
        requests.windows_of(chosen, signature(), ["power", "temperature", "other"])


class TestDigest:
    @pytest.fixture
    def chosen(self) -> dict[str, Series]:
        return {unit: series(50, unit=unit, history=5) for unit in UNITS}

    def test_it_is_the_same_every_time(self, chosen):
        again = {unit: series(50, unit=unit, history=5) for unit in UNITS}
        assert requests.sha256(chosen) == requests.sha256(again)

    @pytest.mark.parametrize("field", ["values", "target", "timestamps", "history"])
    def test_any_difference_makes_another_one(self, chosen, field):
        one = chosen["node-02"]
        value = getattr(one, field)
        if field == "history":
            changed = replace(one, history=6)
        else:
            other = value.copy()
            other.flat[-1] = other.flat[0] + np.timedelta64(1, "ns") if field == "timestamps" else 17
            changed = replace(one, **{field: other})
        assert requests.sha256(chosen | {"node-02": changed}) != requests.sha256(chosen)

    def test_names_and_order_of_units_count(self, chosen):
        renamed = {("node-09" if unit == "node-02" else unit): one for unit, one in chosen.items()}
        assert len({requests.sha256(one) for one in (chosen, renamed, dict(reversed(chosen.items())))}) == 3


class TestScore:
    def test_it_is_the_mean_over_units_where_it_is_defined(self):
        chosen = {"a": labelled(10, slice(5, 10)), "b": labelled(10, slice(0, 0)), "c": labelled(10, slice(0, 5))}
        outputs = {"score": np.concatenate([np.repeat([0.0, 1.0], 5), np.ones(10), np.repeat([3.0, 0.0], 5)])}
        assert requests.score(chosen, outputs, Scorer(), cadence_seconds=60) == 2.0

    def test_it_is_undefined_where_it_is_in_no_unit(self):
        chosen = {"b": labelled(10, slice(0, 0))}
        assert np.isnan(requests.score(chosen, {"score": np.ones(10)}, Scorer(), cadence_seconds=60))
