"""One box a node: its kind, its label, and the facts that a person reads first."""

from collections.abc import Mapping
from datetime import UTC
from html import escape

from wattline.supply.lineage.drawing import lettering
from wattline.supply.lineage.drawing.canvas import BOX, FAMILIES, Canvas, text
from wattline.supply.lineage.graph import Node
from wattline.supply.lineage.kinds import Nature

COLOURS = {kind: colour for colour, kinds in FAMILIES.values() for kind in kinds}
CORNERS: Mapping[Nature, int] = {"entity": 3, "activity": 16, "agent": 3}
DASHES: Mapping[Nature, str] = {"entity": "none", "activity": "none", "agent": "5 3"}
PADDING, MOST_FACTS = 11.0, 4
KIND, LABEL, FACT = 9.5, 12.0, 10.0
"""Sizes of text [px]."""


def height(node: Node) -> float:
    """Height of the box of `node` [px]."""
    return 30 + 15 * len(_labels(node)) + 14 * len(_rows(node))


def draw(node: Node, canvas: Canvas, *, marked: bool) -> str:
    """The box as SVG. marked: whether it is the node that the picture is about"""
    left, colour = canvas.left(node.id), COLOURS[node.kind]
    top = canvas.middle(node.id) - canvas.heights[node.id] / 2
    parts = [
        f"<g><title>{escape(everything(node))}</title>",
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{BOX:.0f}" height="{canvas.heights[node.id]:.0f}" '
        f'rx="{CORNERS[node.nature]}" fill="#fff" stroke="{colour}" stroke-width="{3.5 if marked else 1.5}" '
        f'stroke-dasharray="{DASHES[node.nature]}"/>',
        f'<rect x="{left + PADDING:.1f}" y="{top + 10:.1f}" width="9" height="9" rx="2" fill="{colour}"/>',
        text(node.kind, left + PADDING + 14, top + 18, KIND, fill="#444"),
    ]
    base = top + 33
    for line in _labels(node):
        parts.append(text(line, left + PADDING, base, LABEL, font_weight="bold"))
        base += 15
    for row in _rows(node):
        parts.append(text(row, left + PADDING, base, FACT, fill="#333"))
        base += 14
    return "".join([*parts, "</g>"])


def everything(node: Node) -> str:
    """All that is known of a node, shown when it is pointed at."""
    facts = [f"{name}: {fact}" for name, fact in node.facts.items()]
    return "\n".join([f"{node.kind}: {node.label}", *facts, f"id: {node.id}"])


def _labels(node: Node) -> list[str]:
    return lettering.lines(node.label, LABEL, BOX - 2 * PADDING, most=2, bold=True)


def _rows(node: Node) -> list[str]:
    facts = [f"{name}: {fact}" for name, fact in list(node.facts.items())[:MOST_FACTS]]
    facts += [f"… and {len(node.facts) - MOST_FACTS} more"] if len(node.facts) > MOST_FACTS else []
    facts += [f"ended: {node.ended.astimezone(UTC):%Y-%m-%d %H:%MZ}"] if node.ended else []
    facts += [f"sha256: {node.sha256[:12]}"] if node.sha256 else []
    return [row for fact in facts for row in lettering.lines(fact, FACT, BOX - 2 * PADDING, most=2)]
