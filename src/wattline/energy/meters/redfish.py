"""Redfish: power of the machine as its board management controller reads it, over HTTPS."""

import time
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from wattline.energy.meters.integration import step
from wattline.energy.meters.meter import MeterError
from wattline.energy.meters.polled import Polled
from wattline.energy.meters.remote import Remote
from wattline.params import RedfishParams
from wattline.records import Energy
from wattline.records.energy import JOULES_PER_KWH
from wattline.settings import Settings
from wattline.trust import Credentials

# DSP2046 says nothing on how often a controller renews a reading; many do so every second, and are polled less often.
REFRESH_SECONDS = 1.0
STEPS_FOR_ONE_PERCENT = 200
"""A counter of energy may be one step short at either end: together 1 % of so many steps."""
LARGEST_DISAGREEMENT = 0.2
"""Between the controller's counter and the integral of its power readings, as a share of the greater."""


class Redfish(Polled):
    """Power of a chassis: `EnvironmentMetrics` where the controller has it, or else the older `Power` resource.

    The controller's own counter of energy is taken where it counted enough steps, and power was integrated then to
    check it. Properties are those of DMTF's schemas EnvironmentMetrics 1.0 and Power 1.0 (DSP8010).

    Raises MeterError where the controller cannot be asked, or does not measure power.
    """

    def __init__(self, params: RedfishParams, settings: Settings) -> None:
        self._remote = Remote(
            params.url,
            field="energy.redfish.url",
            credentials=Credentials(
                "WATTLINE_REDFISH_USER and WATTLINE_REDFISH_PASSWORD", settings.redfish_user, settings.redfish_password
            ),
            authority=settings.energy_ca_file,
        )
        self._chassis = f"/redfish/v1/Chassis/{quote(params.chassis, safe='')}"
        self._resource = self._found()
        self._asked, self._counted = 0.0, self._kwh()
        super().__init__(
            lambda: float(self._watts(self._ask(self._resource))),
            name="redfish",
            sensor=f"redfish:{params.chassis}/{self._resource} at {self._remote.place}",
            boundary=f"chassis {params.chassis}: everything that it feeds, fans and idle power included",
            interval_seconds=params.interval_seconds,
            resolution_watts=step([self._watts(self._ask(self._resource))]),
            refresh_seconds=REFRESH_SECONDS,
            parameters={"refresh": f"{REFRESH_SECONDS:g} s, assumed"},
        )

    def start(self) -> None:
        self._asked, self._counted = time.monotonic(), self._kwh()
        super().start()

    def stop(self) -> Energy:
        energy, before, after = super().stop(), self._counted, self._kwh()
        if before is None or after is None:
            return energy
        seconds = time.monotonic() - self._asked
        return counted(energy, before, after, seconds=seconds, sensor=f"{self._sensor}: EnergykWh")

    def _found(self) -> str:
        """The resource that holds power. Raises MeterError naming what was looked for."""
        for resource in ("EnvironmentMetrics", "Power"):
            content = self._ask(resource, absent=True)
            if content is not None and _reading(resource, content) is not None:
                self._watts(content, resource)
                return resource
        raise MeterError(
            f"{self._remote.place}{self._chassis} has neither EnvironmentMetrics with PowerWatts.Reading nor Power "
            "with PowerControl[0].PowerConsumedWatts; check energy.redfish.chassis, or use another meter"
        )

    def _ask(self, resource: str, *, absent: bool = False) -> Any:
        path = f"{self._chassis}/{resource}"
        status, content = self._remote.get(path)
        if status == 404 and absent:
            return None
        if status >= 300:
            raise MeterError(f"{self._remote.place}{path} answers HTTP {status}; check the controller")
        return content

    def _watts(self, content: Any, resource: str | None = None) -> Decimal:
        """Raises MeterError unless there is a reading above zero and the sensor is in order."""
        value = _reading(resource or self._resource, content)
        if value is None:
            raise MeterError(f"{self._remote.place} gave no reading of power this time; check the controller's sensors")
        number = _number(value)
        if number is None or number <= 0:
            raise MeterError(
                f"{self._remote.place} reads {value!r} W of a machine that runs; its sensor does not measure"
            )
        return number

    def _kwh(self) -> Decimal | None:
        """The controller's counter, where it has one [kWh]."""
        if self._resource != "EnvironmentMetrics":
            return None
        content = self._ask(self._resource)
        counter = content.get("EnergykWh") if isinstance(content, dict) else None
        return _number(counter.get("Reading")) if isinstance(counter, dict) else None


def counted(energy: Energy, before: Decimal, after: Decimal, *, seconds: float, sensor: str) -> Energy:
    """`energy` from the controller's counter where that is fine enough, and as it was integrated where it is not.

    before, after: readings of the counter [kWh]
    seconds: time between both, which is a little longer than the window [s]

    Raises MeterError for a counter that runs backwards, or that disagrees with the power of the same controller.
    """
    if after < before:
        raise MeterError(f"the counter EnergykWh went back from {before} to {after} kWh; it was reset, measure again")
    resolution = step([before, after]) * JOULES_PER_KWH
    joules = float(after - before) * JOULES_PER_KWH
    if joules < (STEPS_FOR_ONE_PERCENT - 0.5) * resolution:
        return energy
    if abs(joules - energy.joules) > LARGEST_DISAGREEMENT * max(joules, energy.joules):
        raise MeterError(
            f"the controller counted {joules:.4g} J while its power readings make {energy.joules:.4g} J; "
            "one of its sensors is wrong"
        )
    outside = joules * max(0.0, 1 - energy.seconds / seconds)
    return energy.model_copy(
        update={
            "joules": joules,
            "interval": (joules - 2 * resolution - outside, joules + 2 * resolution),
            "sensor": sensor,
            "resolution_joules": resolution,
            "parameters": {**energy.parameters, "integrated power": f"{energy.joules:.6g} J"},
        }
    )


def _reading(resource: str, content: Any) -> Any:
    """What stands where the reading has to be; None where nothing does."""
    try:
        if resource == "EnvironmentMetrics":
            return content["PowerWatts"]["Reading"]
        return content["PowerControl"][0]["PowerConsumedWatts"]
    except (KeyError, IndexError, TypeError):
        return None


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    return number if number.is_finite() else None
