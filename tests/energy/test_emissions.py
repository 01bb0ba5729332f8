"""Emissions: never a gram without the energy, the factor, its date and its source."""

from datetime import date
from typing import Any

import pytest
import yaml
from builders import energy, training_energy

from wattline.energy.emissions import emissions, machine_seconds, of_model
from wattline.params import EmissionsParams, typed
from wattline.records import Attempt, Energy, TrainingEnergy

SITE: dict[str, Any] = {
    "grams_per_kwh": 250.0,
    "source": "the operator's statement of 2026",
    "as_of": "2026-06-30",
    "embodied_grams_per_hour": 36.0,
    "embodied_source": "the vendor's sheet, 5 years",
}


def site(**changes: Any) -> EmissionsParams:
    return EmissionsParams.model_validate(SITE | changes)


def spent(joules: float, seconds: float, provenance: str = "measured") -> Energy:
    return Energy.model_validate(
        energy(joules).model_dump() | {"seconds": seconds, "provenance": provenance, "interval": (joules, joules)}
    )


def test_a_site_that_says_nothing_of_its_electricity_has_no_grams():
    assert of_model(energy(), training_energy(), None) == ()


def test_software_carbon_intensity_is_energy_times_intensity_plus_embodied_share():
    found = emissions(spent(7.2e6, 1800), site(), unit="1,000 predictions")
    assert found.kwh == 2
    assert found.grams == 500
    assert found.embodied_grams == 18, "half an hour of 36 g/h"
    assert found.total_grams == 518


def test_the_figures_carry_all_that_they_rest_on():
    found = emissions(spent(1, 1, "estimated"), site(), unit="training")
    assert (found.grid.grams_per_kwh, found.grid.source, found.grid.as_of) == (
        250,
        "the operator's statement of 2026",
        date(2026, 6, 30),
    )
    assert (found.provenance, found.unit, found.embodied_source) == (
        "estimated",
        "training",
        "the vendor's sheet, 5 years",
    )


def test_both_units_are_given_for_a_model():
    predictions, training = of_model(energy(36), training_energy(3600), site())
    assert (predictions.unit, predictions.kwh) == ("1,000 predictions", 1e-5)
    assert (training.unit, training.kwh) == ("training", 1e-3)


def attempt(number: int, node: int, rank: int, seconds: float) -> Attempt:
    return Attempt(number=number, rank=rank, node=node, finished=True, energy=spent(1, seconds))


def test_machines_count_once_for_each_attempt_however_many_processes_they_run():
    attempts = (attempt(1, 0, 0, 100), attempt(1, 0, 1, 90), attempt(1, 1, 2, 80), attempt(2, 0, 0, 20))
    training = TrainingEnergy(total=spent(4, 120), attempts=attempts)
    assert machine_seconds(training) == 100 + 80 + 20
    assert of_model(energy(), training, site())[1].embodied_grams == pytest.approx(2)


def test_a_grid_without_emissions_is_stated_as_one():
    (found, _) = of_model(energy(), training_energy(), site(grams_per_kwh=0, embodied_grams_per_hour=0))
    assert (found.grams, found.total_grams) == (0, 0)


class TestParams:
    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"grams_per_kwh": -1}, "grams_per_kwh"),
            ({"grams_per_kwh": float("nan")}, "grams_per_kwh"),
            ({"grams_per_kwh": "250"}, "grams_per_kwh"),
            ({"source": ""}, "source"),
            ({"as_of": 2026}, "as_of must be a day in quotes"),
            ({"as_of": date(2026, 6, 30)}, "as_of must be a day in quotes"),
            ({"as_of": "0"}, "as_of must be a day in quotes"),
            ({"as_of": "last year"}, "as_of"),
            ({"embodied_grams_per_hour": -1}, "embodied_grams_per_hour"),
            ({"embodied_source": " "}, "embodied_source must say where embodied_grams_per_hour comes from"),
            ({"grams_per_ton": 1}, "grams_per_ton is not a known key"),
        ],
    )
    def test_what_is_wrong_is_named(self, change, said):
        with pytest.raises(Exception, match=rf"params\.yaml: anomaly\.emissions\.{said}"):
            typed(EmissionsParams, SITE | change, where="params.yaml: anomaly.emissions")

    @pytest.mark.parametrize("missing", ["grams_per_kwh", "source", "as_of"])
    def test_a_factor_without_its_date_or_source_is_none(self, missing):
        left = {name: value for name, value in SITE.items() if name != missing}
        with pytest.raises(Exception, match=missing):
            typed(EmissionsParams, left, where="params.yaml: anomaly.emissions")

    def test_without_an_embodied_share_no_source_is_asked_for(self):
        left = {name: value for name, value in SITE.items() if not name.startswith("embodied")}
        found = typed(EmissionsParams, left, where="x")
        assert (found.embodied_grams_per_hour, found.embodied_source) == (0, "")

    def test_the_example_in_params_yaml_is_valid(self):
        from pathlib import Path

        text = (Path(__file__).parents[2] / "params.yaml").read_text()
        (example,) = [line for line in text.splitlines() if line.strip().startswith("# emissions: {")]
        section = yaml.safe_load(example.strip().removeprefix("# "))["emissions"]
        found = typed(EmissionsParams, section, where="x")
        assert found.as_of == date(2018, 12, 31)
        assert yaml.safe_load(text)["node_anomaly"]["emissions"] is None
