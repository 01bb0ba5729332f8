"""Section of the card about what requests to the real server cost."""

from wattline.errors import InputError
from wattline.records import Measurement, ServingEnergy
from wattline.supply.card.markdown import required, table


def serving(measurement: Measurement) -> list[str]:
    """Energy of the serving path, with what was read and what is inside; a line that says so where there is none.

    Raises InputError when it is about another candidate than the measurement.
    """
    found = measurement.serving
    if found is None:
        return ["It was not measured: `measure.serving` in params.yaml says whether it is, and how."]
    if found.digest and found.digest != measurement.candidate.digest:
        raise InputError(
            f"model card: the serving path was measured with candidate {found.digest[:12]}, not "
            f"{measurement.candidate.digest[:12]}; run `dvc repro measure`"
        )
    energy = found.per_1000_requests
    sensor, inside = required("serving.sensor", energy.sensor), required("serving.boundary", energy.boundary)
    machine = required("measurement.machine", measurement.machine)
    return [
        f"The server of this project on {machine}, asked over HTTP on loopback"
        + (f" by {found.connections} connections." if found.connections else "."),
        "",
        *table(["activity", "energy [J]", "95 % interval [J]", "provenance", "rate of the client [1/s]"], _rows(found)),
        "",
        f"Sensor: {sensor}. Boundary: {inside}.",
    ]


def _rows(found: ServingEnergy) -> list[list[str]]:
    figures = {
        "1,000 requests to `/predict`, one window each": (found.per_1000_requests, found.requests_per_second),
        "1,000,000 samples to `/observe`, one row in a request": (found.per_million_samples, found.samples_per_second),
    }
    return [
        [
            what,
            f"{energy.joules:.3g}",
            "{:.3g} to {:.3g}".format(*energy.interval),
            energy.provenance,
            f"{rate:,.0f}",
        ]
        for what, (energy, rate) in figures.items()
    ]
