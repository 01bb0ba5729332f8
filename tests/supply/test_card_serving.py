"""The card says what requests to the real server cost, of this candidate, and never without what was read."""

from typing import Any

import pytest

from tests.builders import energy, measurement, write_candidate
from wattline.errors import InputError
from wattline.records import Energy, Measurement, ServingEnergy
from wattline.supply.card.serving import serving


@pytest.fixture
def measured(tmp_path) -> Measurement:
    return measurement(write_candidate(tmp_path))


def with_serving(found: Measurement, **changes: Any) -> Measurement:
    per = energy(5.25)
    record = ServingEnergy(
        per_1000_requests=changes.pop("energy", per),
        per_million_samples=energy(497.0),
        requests_per_second=1044.9,
        samples_per_second=18148.5,
        **{"digest": found.candidate.digest, "connections": 8} | changes,
    )
    return found.model_copy(update={"serving": record})


def test_both_figures_stand_with_interval_provenance_sensor_and_boundary(measured: Measurement):
    text = "\n".join(serving(with_serving(measured)))
    assert "| 1,000 requests to `/predict`, one window each | 5.25 | 4.73 to 5.78 | estimated | 1,045 |" in text
    assert "| 497 | 447 to 547 | estimated | 18,148 |" in text
    assert "Sensor: CPU time x 12.5 W/core. Boundary: one core." in text
    assert "by 8 connections" in text


def test_a_card_without_the_figure_says_so(measured: Measurement):
    assert serving(measured) == ["It was not measured: `measure.serving` in params.yaml says whether it is, and how."]


def test_the_figure_of_another_candidate_is_refused(measured: Measurement):
    with pytest.raises(InputError, match=r"was measured with candidate 000000000000, not .*dvc repro measure"):
        serving(with_serving(measured, digest="0" * 64))


@pytest.mark.parametrize("field", ["sensor", "boundary"])
def test_a_figure_without_what_was_read_is_refused(measured: Measurement, field: str):
    bare: Energy = energy().model_copy(update={field: ""})
    with pytest.raises(InputError, match=f"required field serving.{field} is empty"):
        serving(with_serving(measured, energy=bare))
