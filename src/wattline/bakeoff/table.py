"""The bake-off as a person reads it: on a terminal, and as a page."""

import math
from collections.abc import Iterator, Sequence

import yaml

from wattline.bakeoff import choosing
from wattline.bakeoff.record import Bakeoff, Entrant
from wattline.records import Energy, Metric
from wattline.records.energy import JOULES_PER_KWH

NOTHING = "-"
EXPLANATION = """\
Energy is that of 1,000 predictions in batches, all models in turns in one session; latency that of one window on one
thread. Intervals are 95 %. A bound is met by the worse end of an interval, the ranking is by values; equal values are
ranked by the other one of score and energy, then by p99 latency, then by name. On the front: no other model is as good
in score and energy, and better in one. `wattline bakeoff --check` chooses again from `bakeoff.json` alone."""


def lines(found: Bakeoff) -> Iterator[str]:
    """Table and choice for a terminal."""
    rows = [_head(found.headline), *(_cells(entrant, found) for entrant in found.entrants)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    yield f"\nchosen       {found.choice.reason}"
    yield from (f"versus       {line}" for line in _versus(found))


def page(found: Bakeoff) -> str:
    """Everything as Markdown, best first."""
    return "\n".join(_page(found)) + "\n"


def title(found: Bakeoff) -> str:
    """What came out, in one line."""
    name = found.choice.name
    rule = choosing.sentence(found.rule, headline=found.headline)
    return f"{name} is chosen: {rule}" if name else f"Nothing is chosen: {found.choice.reason}"


def _page(found: Bakeoff) -> Iterator[str]:
    choice = found.choice
    yield f"# Bake-off of {found.task}\n"
    yield f"Rule: {choosing.sentence(found.rule, headline=found.headline)}.\n"
    yield f"**Chosen: {choice.name}.**" if choice.name else f"**Nothing was chosen: {choice.reason}.**"
    yield ""
    yield from _rows(found)
    yield from (f"- {line}" for line in _versus(found))
    for name, why in choice.obstacles.items():
        yield f"- {name} does not meet the rule: {why}"
    yield f"\n![energy against {found.headline.name}](pareto.png)\n"
    yield EXPLANATION + "\n"
    yield from _origin(found)


def _versus(found: Bakeoff) -> Iterator[str]:
    """How the chosen one stands to the next one that meets the rule, and whether that is more than chance."""
    versus, chosen = found.versus, found.choice.name
    if versus is None:
        if chosen is not None:
            yield f"no other model meets the rule, so that {chosen} has no competitor"
        return
    gap, unit = versus.difference, "" if found.headline.unit == "1" else f" {found.headline.unit}"
    sure = gap.low > 0 or gap.high < 0
    yield (
        f"{found.headline.name} of {chosen} minus that of {versus.name}: {gap}{unit}, "
        + ("more than chance" if sure else "which may be chance")
        + f" over {gap.units} units in pairs"
    )
    if versus.comparison is None:
        yield f"paired energy test of {chosen} against {versus.name}: REFUSE: {versus.problem}"
        return
    said, test = versus.comparison.judgement, versus.comparison.test
    low, high = said.interval
    sure = high < 1 or low > 1
    yield (
        f"energy of {chosen} / that of {versus.name}: {said.ratio:.4g} [{low:.4g}, {high:.4g}] "
        f"{test.sensor.provenance}, from {said.blocks} pairs, "
        + ("more than chance" if sure else "which may be chance")
        + f"; paired test, margin {versus.comparison.limits.margin:.0%}: {said.outcome}: {said.reason}"
    )


def _rows(found: Bakeoff) -> Iterator[str]:
    head = _head(found.headline)
    yield _row(head)
    yield _row(["---"] * len(head))
    for entrant in found.entrants:
        name, *rest = _cells(entrant, found)
        yield _row([f"**{name}**" if entrant.name == found.choice.name else name, *rest])
    yield ""


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _head(headline: Metric) -> list[str]:
    way = "higher" if headline.higher_is_better else "lower"
    return [
        "model",
        f"{headline.name} [{headline.unit}], {way} is better",
        "energy of 1,000 [J]",
        "p50 [ms]",
        "p99 [ms]",
        "windows/s",
        "training [kWh]",
        "parameters",
        "front",
        "meets the rule",
    ]


def _cells(entrant: Entrant, found: Bakeoff) -> list[str]:
    cost = entrant.performance
    return [
        entrant.name,
        str(entrant.headline) if entrant.headline else NOTHING,
        _energy(cost.energy_per_1000) if cost else NOTHING,
        f"{cost.latency_p50_ms:.3g}" if cost else NOTHING,
        f"{cost.latency_p99_ms:.3g}" if cost else NOTHING,
        f"{cost.throughput_per_second:,.0f}" if cost else NOTHING,
        _training(entrant.training) if entrant.training else NOTHING,
        f"{entrant.parameters:,}" if entrant.parameters is not None else NOTHING,
        "yes" if entrant.name in found.choice.front else "no",
        "failed" if entrant.failure else "yes" if entrant.name in found.choice.ranked else "no",
    ]


def _energy(energy: Energy) -> str:
    low, high = energy.interval
    return f"{energy.joules:.3g} [{low:.3g}, {high:.3g}] {energy.provenance}"


def _training(energy: Energy) -> str:
    return f"{energy.joules / JOULES_PER_KWH:.3g} {energy.provenance}"


def _origin(found: Bakeoff) -> Iterator[str]:
    """What the figures rest on."""
    costs = [entrant.performance.energy_per_1000 for entrant in found.entrants if entrant.performance]
    sensor = costs[0] if costs else None
    yield "| what all have in common | |"
    yield "|---|---|"
    if sensor is not None:
        yield _row(["energy", f"{sensor.provenance}: {sensor.sensor}"])
        yield _row(["boundary", sensor.boundary])
    yield _row(["machine", found.machine])
    yield _row(["seed", str(found.seed)])
    yield _row(["dataset", f"`{found.inputs.data[:12]}`"])
    yield _row(["prepared rows", f"`{found.inputs.prepared_sha256[:12]}`"])
    yield _row(["test rows", f"`{found.inputs.rows_sha256[:12]}`" if found.inputs.rows_sha256 else NOTHING])
    yield _row(["code of platform and task", f"`{found.inputs.code_sha256[:12]}`"])
    for entrant in found.entrants:
        made = f"candidate `{entrant.digest[:12]}`" if entrant.digest else "no candidate"
        yield _row([entrant.name, f"{made} of `train` with `{_options(entrant)}`"])


def _options(entrant: Entrant) -> str:
    if not entrant.options:
        return "nothing changed"
    return yaml.safe_dump(dict(entrant.options), default_flow_style=True, sort_keys=False, width=math.inf).strip()
