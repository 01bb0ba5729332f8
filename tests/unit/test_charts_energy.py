"""Pictures of energy: drawn whatever the figures are, equal for equal figures, and with the answer in words."""

import math

import pytest
from gates.samples import DOWN, LIMITS, SESSION, UP, energy_test

from unit.test_charts import drawn
from wattline import charts
from wattline.energy import pareto
from wattline.energy.paired import picture
from wattline.energy.paired.judgement import judge
from wattline.records import Judgement, Point

SESSIONS = {
    "PASS: the candidate takes 25": energy_test(0.75),
    "FAIL: the candidate takes 49": energy_test(1.5),
    "FAIL: the candidate takes 8": energy_test(8.0, cost=16.0),
    "REFUSE: the margin 1.1000 lies within": energy_test(1.1),
    "REFUSE: the session broke off: the meter vanished": energy_test(0.75, problem="the meter vanished", blocks=()),
    "REFUSE: idle power after": energy_test(0.75, idle_after=None),
    "No champion yet": energy_test(None),
}


def judged(test) -> Judgement:
    return judge(test, LIMITS.energy, tolerance=0.125, maximum_blocks=12, session=SESSION)


@pytest.fixture
def said(monkeypatch) -> list[str]:
    """Everything that is written into pictures."""
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    found: list[str] = []
    for kind, name in ((Figure, "suptitle"), (Figure, "supxlabel"), (Axes, "set_title"), (Axes, "set_xlabel")):
        original = getattr(kind, name)

        def keeping(self, text, *arguments, original=original, **options):
            found.append(" ".join(text.split()))
            return original(self, text, *arguments, **options)

        monkeypatch.setattr(kind, name, keeping)
    return found


@pytest.mark.parametrize("title", SESSIONS)
def test_the_title_is_the_answer_in_words(title, said):
    test = SESSIONS[title]
    found = picture.draw(test, judged(test), margin=0.1)
    drawn(found)
    assert any(text.startswith(title) for text in said), said
    assert "J per 1,000 predictions, measured" in said
    assert any(text.startswith("measured by rapl:package-0") for text in said)
    assert picture.draw(test, judged(test), margin=0.1) == found


def test_idle_power_is_told_only_where_some_was_read(said):
    test = energy_test(0.75)
    picture.draw(test, judged(test), margin=0.1)
    assert any("idle power of that time" in text for text in said)
    said.clear()
    charts.energy_test(test, judged(test), margin=0.1, ratios={}, costs={"candidate": charts.Cost(1.0, 0.0)})
    assert not any("idle power of that time" in text for text in said)


@pytest.mark.parametrize("ratio", [math.nan, math.inf, 0.0, 1e300, -1.0])
def test_garbage_is_drawn_without_a_crash(ratio):
    found = judged(energy_test(0.75)).model_copy(
        update={"ratio": ratio, "interval": (ratio, math.nan), "control_ratio": ratio, "outcome": "REFUSE"}
    )
    costs = {"candidate": charts.Cost(ratio, math.nan), "champion": charts.Cost(-1.0, 0.0)}
    ratios = {"pair": [ratio, 1.0], "control": [ratio]}
    drawn(charts.energy_test(energy_test(0.75), found, margin=0.1, ratios=ratios, costs=costs))


def point(name: str, value: float, joules: float, **changes) -> Point:
    good = {"name": name, "kind": "version", "score": value, "joules_per_1000": joules, "provenance": "estimated"}
    return Point.model_validate(good | {"interval": (joules * 0.9, joules * 1.1)} | changes)


MODELS = (
    point("candidate", 0.6, 1.2, kind="candidate"),
    point("version 1", 0.5, 0.5, provenance="measured"),
    point("random (Python)", 0.1, 0.01, kind="baseline"),
    point("version 2", 0.7, 3.0, comparable=False),
)


@pytest.mark.parametrize("headline", [UP, DOWN])
@pytest.mark.parametrize("points", [MODELS, MODELS[:1], MODELS[:2], MODELS * 12, ()])
def test_any_number_of_models_can_be_drawn(points, headline, said):
    front = pareto.front(points, headline)
    found = charts.pareto(points, front, headline, title="it is so")
    drawn(found)
    assert found == charts.pareto(points, front, headline, title="it is so")
    assert "it is so" in said


def test_energy_says_whether_it_was_measured(said):
    charts.pareto(MODELS, (), UP, title="it is so")
    assert "energy [J per 1,000 predictions], estimated and measured, lower is better" in said


@pytest.mark.parametrize("spoilt", [{"score": math.nan}, {"joules_per_1000": math.nan}, {"joules_per_1000": 0.0},
                                    {"interval": (math.nan, math.nan)}, {"interval": (-1.0, 2.0)}])  # fmt: skip
def test_undefined_figures_are_left_out_or_drawn_without_a_crash(spoilt):
    drawn(charts.pareto((*MODELS, MODELS[1].model_copy(update=spoilt)), MODELS[:2], UP, title="it is so"))
