"""What a release says of itself: what it is for, what gates said, what it costs, and where it comes from."""

import math
from collections.abc import Iterator, Sequence

from wattline.records import Energy
from wattline.registry.evidence import energy_text, kwh_text
from wattline.release.choosing import Chosen
from wattline.signing.statement import Judgement

Row = tuple[str, ...]
SHOWN = {"&": "&amp;", "<": "&lt;", "@": "&#64;", "|": r"\|", "`": r"\`", "*": r"\*", "[": r"\["}
"""What Markdown would take for more than a sign, `&` first."""


def describe(chosen: Chosen, digests: dict[str, str], notes: Sequence[str]) -> str:
    """The description as Markdown.

    digests: name -> SHA-256 of the files of the release
    notes: sentences that a reader should know
    """
    return "\n\n".join(part for part in _parts(chosen, digests, notes) if part) + "\n"


def _parts(chosen: Chosen, digests: dict[str, str], notes: Sequence[str]) -> Iterator[str]:
    said = chosen.statement.predicate
    yield f"**{cell(chosen.label)}**, the champion, released as {chosen.tag}."
    yield "\n".join(f"- {cell(note)}" for note in notes)
    yield _table(("card", ""), [(name, text) for name, text in said.card.model_dump().items() if text])
    yield "### Gates"
    yield _table(("gate", "answer", "value", "limit", "provenance", "why"), [_gate(one) for one in said.verdicts])
    yield "### Scores"
    yield f"On the test rows, with 95 % intervals; the headline is {cell(said.headline.name)}."
    yield _table(("metric", "value"), [(name, str(one)) for name, one in said.metrics.items()])
    yield "### Energy"
    yield _table(("activity", "energy"), list(_energies(said.energy_per_1000, said.training_energy)))
    yield "### Where it comes from"
    yield _table(
        ("", ""),
        [
            ("made from commit", said.commit),
            ("tagged commit", chosen.commit),
            ("candidate (SHA-256)", said.digest),
            ("dataset", f"{said.dataset}, id {said.data}"),
            ("registered", f"{said.registered:%Y-%m-%d %H:%M} UTC"),
        ],
    )
    yield "### Files (SHA-256)"
    yield _table(("file", "digest"), list(digests.items()))


def _gate(said: Judgement) -> Row:
    name = f"{said.name} (advisory)" if said.advisory else said.name
    return (
        name,
        said.outcome,
        _figure(said.value, said.unit),
        _figure(said.limit, said.unit),
        said.provenance,
        said.reason,
    )


def _figure(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "none"
    return f"{value:.6g}" if unit == "1" else f"{value:.6g} {unit}"


def _energies(inference: Energy, training: Energy | None) -> Iterator[Row]:
    yield "1,000 predictions", energy_text(inference)
    yield "training, lost attempts included", kwh_text(training) if training is not None else "not measured"


def _table(heads: Row, rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    lines = [heads, ("---",) * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(cell, line)) + " |" for line in lines)


def cell(text: str) -> str:
    """Text in one line that GitLab shows as it is: no HTML, no mention of anybody, no reference, no emphasis."""
    line = " ".join(text.split())
    for sign, shown in SHOWN.items():
        line = line.replace(sign, shown)
    return line
