"""charts: pictures that are equal for equal figures, and that can be drawn whatever the figures are."""

import math
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from builders import series

from wattline import charts
from wattline.records import Champion, Evaluation, Metric, Score, Slice
from wattline.task import Series

SIGNATURE = b"\x89PNG\r\n\x1a\n"
METRIC = Metric(name="f1", unit="1", higher_is_better=True, description="F1")
DELAY = Metric(name="delay_seconds", unit="s", higher_is_better=False, description="delay")


def evaluation(*values: float, metric: Metric = METRIC, units: int = 3) -> Evaluation:
    """A candidate and baselines with these scores, and as many units."""
    names = ("candidate", *(f"baseline-{index}" for index in range(len(values) - 1)))
    slices = [
        Slice(kind="unit", name=f"n{index}", rows=10, scores={metric.name: values[0] + index}) for index in range(units)
    ]
    return Evaluation(
        candidate="aa",
        champion=Champion(),
        data="bb",
        rows=1000,
        rows_sha256="cc",
        headline=metric,
        contenders={
            name: {metric.name: Score(value=value, low=value - 0.1, high=value + 0.1, units=units)}
            for name, value in zip(names, values, strict=True)
        },
        slices=tuple(slices),
    )


def part(name: str, value: float, metric: Metric = METRIC) -> Slice:
    return Slice(kind="unit", name=name, rows=10, scores={metric.name: value})


def labelled(kind: str = "anomalies") -> tuple[Series, dict[str, np.ndarray]]:
    """Rows with what they are judged against, and answers."""
    rows = series(200)
    target = {
        "anomalies": (np.arange(200) > 150).astype(float),
        "quantity": np.linspace(200, 400, 200),
        "unknown": np.full(200, np.nan),
        "partly known": np.where(np.arange(200) % 2, np.nan, 0.0),
    }[kind]
    answers = {"score": np.linspace(0, 5, 200), "threshold": np.full(200, 4.0)}
    return Series(rows.unit, rows.group, rows.timestamps, rows.values, target), answers


def drawn(picture: bytes) -> tuple[int, int]:
    """Width and height in pixels of a PNG."""
    assert picture.startswith(SIGNATURE)
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


PICTURES = {
    "contenders": lambda: charts.contenders(evaluation(0.5, 0.3)),
    "slices": lambda: charts.slices(evaluation(0.5, 0.3)),
    "timeline": lambda: charts.timeline(*labelled(), part("n0", 0.5), METRIC, unit="1"),
    "latency": lambda: charts.latency({"candidate": [1.0, 2.0, 3.0], "champion": [2.0, 4.0]}, unit="ms"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_equal_figures_give_equal_bytes(name):
    picture = PICTURES[name]()
    drawn(picture)
    assert PICTURES[name]() == picture


def test_another_process_draws_the_same_bytes(tmp_path):
    program = (
        "import sys; from pathlib import Path; from wattline import charts\n"
        "picture = charts.latency({'candidate': [1.0, 2.0, 3.0], 'champion': [2.0, 4.0]}, unit='ms')\n"
        "Path(sys.argv[1]).write_bytes(picture)"
    )
    path = tmp_path / "latency.png"
    subprocess.run([sys.executable, "-c", program, str(path)], check=True, cwd=tmp_path)
    assert path.read_bytes() == PICTURES["latency"]()


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_names_no_library_and_no_time(name):
    picture = PICTURES[name]()
    for text in (b"matplotlib", b"Software", b"tIME", b"Creation"):
        assert text not in picture


@pytest.mark.parametrize("metric", [METRIC, DELAY])
@pytest.mark.parametrize("values", [(0.5,), (0.5, math.nan), (math.nan, 0.3), (math.nan, math.nan), (0.0, 0.0)])
def test_contenders_can_be_drawn_whatever_is_undefined(metric, values):
    drawn(charts.contenders(evaluation(*values, metric=metric)))


class TestTitles:
    """A title states what the picture shows."""

    @pytest.fixture
    def titles(self, monkeypatch):
        from matplotlib.axes import Axes

        seen: list[str] = []
        monkeypatch.setattr(Axes, "set_title", lambda self, text, **_: seen.append(text))
        return seen

    @pytest.mark.parametrize(
        ("metric", "values", "best"),
        [
            (METRIC, (0.5, 0.3), "candidate"),
            (METRIC, (0.3, 0.5), "baseline-0"),
            (DELAY, (0.5, 0.3), "baseline-0"),
            (METRIC, (math.nan, 0.3), "baseline-0"),
            (DELAY, (math.nan, 0.3), "baseline-0"),
        ],
    )
    def test_the_best_contender(self, titles, metric, values, best):
        charts.contenders(evaluation(*values, metric=metric))
        assert titles == [f"Best of 2 on 1,000 test rows: {best}"]

    def test_no_contender_with_a_defined_score(self, titles):
        charts.contenders(evaluation(math.nan, math.nan))
        assert titles == ["No contender has a defined score on 1,000 test rows"]

    @pytest.mark.parametrize(("metric", "worst"), [(METRIC, "n0"), (DELAY, "n2")])
    def test_the_worst_unit(self, titles, metric, worst):
        charts.slices(evaluation(0.5, 0.3, metric=metric))
        assert titles == [f"Worst unit: {worst}"]

    def test_no_unit_with_a_defined_score(self, titles):
        charts.slices(evaluation(math.nan, 0.3))
        assert titles == ["No unit has a defined score"]


def test_very_many_units_do_not_make_a_picture_without_end():
    _, many = drawn(charts.slices(evaluation(0.5, units=1000)))
    _, most = drawn(charts.slices(evaluation(0.5, units=charts.MAXIMUM_BARS)))
    assert many == most


@pytest.mark.parametrize("kind", ["anomalies", "quantity", "unknown", "partly known"])
def test_a_timeline_can_be_drawn_of_any_target(kind):
    drawn(charts.timeline(*labelled(kind), part("n0", 0.5), METRIC, unit="1"))


@pytest.mark.parametrize("score", [0.0, 1e-30, -1.0])
def test_a_timeline_can_be_drawn_of_a_constant_score(score):
    rows, answers = labelled()
    drawn(charts.timeline(rows, {"score": np.full_like(answers["score"], score)}, part("n0", 0.5), METRIC, unit="1"))


class TestExtremes:
    def test_they_are_the_worst_and_the_best_unit_that_have_a_score(self):
        units = [part("a", 0.4), part("b", math.nan), part("c", 0.1), part("d", 0.9)]
        found = charts.extremes(units, METRIC)
        assert {name: one.name for name, one in found.items()} == {"worst_unit": "c", "best_unit": "d"}

    def test_lower_can_be_better(self):
        found = charts.extremes([part("a", 1, DELAY), part("b", 9, DELAY)], DELAY)
        assert {name: one.name for name, one in found.items()} == {"worst_unit": "b", "best_unit": "a"}

    def test_without_a_defined_score_there_are_none(self):
        assert charts.extremes([part("a", math.nan)], METRIC) == {}


def test_no_display_is_needed(tmp_path):
    program = "from wattline import charts; charts.latency({'candidate': [1.0, 2.0]}, unit='ms')"
    environment = {"PATH": "", "MPLBACKEND": "tkagg", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment, cwd=Path(tmp_path))
