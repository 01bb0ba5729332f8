"""The server's counters of energy and answers, as its /metrics tells them."""

import re
from collections.abc import Iterator
from pathlib import Path

from wattline.errors import InputError
from wattline.monitoring.records import Counters
from wattline.settings import Settings

LINE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([0-9.eE+-]+)(?: [0-9.eE+-]+)?")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
INFERENCE, SERVER = "wattline_inference_energy_joules_total", "wattline_energy_joules_total"
ANSWERS = "wattline_answers_total"
TIMEOUT_SECONDS = 30.0


def read(place: str, known: Settings) -> Counters:
    """The counters at an http(s) address or in a file.

    Raises InputError when they cannot be had: a place that was named and says nothing is a fault.
    """
    text = _fetched(place, known) if re.match(r"https?://", place) else _file(Path(place))
    try:
        return parse(text)
    except (ValueError, KeyError) as error:
        raise InputError(f"monitoring.energy.metrics: {place} has no counters of a Wattline server: {error}") from None


def parse(text: str) -> Counters:
    """Counters in Prometheus' text format. Raises ValueError naming a series that is not there."""
    samples = list(_samples(text))

    def total(name: str, **wanted: str) -> float:
        found = [value for sample, labels, value in samples if sample == name and wanted.items() <= labels.items()]
        if not any(sample == name for sample, _, _ in samples):
            raise ValueError(f"{name} is not there")
        return sum(found)

    sources = {labels.get("provenance") for name, labels, _ in samples if name in (INFERENCE, SERVER)}
    return Counters(
        inference_joules=total(INFERENCE),
        server_joules=total(SERVER),
        predictions=total(ANSWERS, outcome="answered"),
        provenance="measured" if sources == {"measured"} else "estimated",
    )


def _samples(text: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for line in text.splitlines():
        found = LINE.fullmatch(line.strip())
        if found:
            yield found[1], dict(LABEL.findall(found[2] or "")), float(found[3])


def _file(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"monitoring.energy.metrics: {path} cannot be read: {error}") from None


def _fetched(address: str, known: Settings) -> str:
    import httpx

    token = known.metrics_token
    headers = {"Authorization": f"Bearer {token.get_secret_value().strip()}"} if token is not None else {}
    try:
        answer = httpx.get(address, headers=headers, timeout=TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise InputError(f"monitoring.energy.metrics: {address} does not answer: {type(error).__name__}") from None
    if answer.status_code in (401, 403):
        raise InputError(
            f"monitoring.energy.metrics: {address} answered {answer.status_code}; WATTLINE_METRICS_TOKEN must hold a "
            "key or token with the role audit"
        )
    if answer.status_code != 200:
        raise InputError(f"monitoring.energy.metrics: {address} answered {answer.status_code}; correct the address")
    return answer.text
