"""The lines between boxes, from an effect to its cause, with the relation in words."""

from collections.abc import Iterator
from itertools import pairwise

from wattline.supply.lineage.drawing.canvas import BEND, BOX, WORD, Canvas, text
from wattline.supply.lineage.graph import Edge
from wattline.supply.lineage.kinds import WORDS

TIP = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path d="M0 0.5 L8 4 L0 7.5 Z" fill="#555"/></marker>'
)
APART = 14.0
"""Distance of two arrows that end at one box [px]."""


def draw(canvas: Canvas) -> Iterator[str]:
    """All lines as SVG, then the words, which no line may cover."""
    words: list[str] = []
    ends = {edge: height for node in canvas.lineage.nodes for edge, height in _ends(node.id, canvas)}
    for node in canvas.lineage.nodes:
        groups = _departures(node.id, canvas)
        top, height = canvas.middle(node.id) - canvas.heights[node.id] / 2, canvas.heights[node.id]
        for place, edges in enumerate(groups, start=1):
            start = top + height * place / (len(groups) + 1)
            yield from (_line(edge, start, ends[edge], canvas) for edge in edges)
            words.append(_word(edges[0], start, canvas))
    yield from words


def _departures(name: str, canvas: Canvas) -> list[list[Edge]]:
    """Edges that leave a box, from top to bottom; those of one relation leave together and share its word."""
    groups: dict[str, list[Edge]] = {}
    leaving = canvas.lineage.leaving(name)
    for edge in sorted(leaving, key=lambda edge: canvas.middle(canvas.placed.routes[edge][1])):
        groups.setdefault(edge.relation, []).append(edge)
    return list(groups.values())


def _ends(name: str, canvas: Canvas) -> Iterator[tuple[Edge, float]]:
    """Every edge that reaches a box, and at which height."""
    arriving = canvas.lineage.arriving(name)
    edges = sorted(arriving, key=lambda edge: canvas.middle(canvas.placed.routes[edge][-2]))
    step = min(APART, (canvas.heights[name] - 20) / max(len(edges), 1))
    first = canvas.middle(name) - step * (len(edges) - 1) / 2
    return ((edge, first + step * place) for place, edge in enumerate(edges))


def _line(edge: Edge, start: float, end: float, canvas: Canvas) -> str:
    *bends, target = canvas.placed.routes[edge][1:]
    path = [f"M{canvas.left(edge.origin) + BOX:.1f} {start:.1f}", f"H{canvas.stub_end(edge.origin):.1f}"]
    heights = [start, *(canvas.middle(bend) for bend in bends), end]
    for (before, after), item in zip(pairwise(heights), [*bends, target], strict=True):
        at = canvas.left(item)
        path.append(f"C{at - BEND / 2:.1f} {before:.1f} {at - BEND / 2:.1f} {after:.1f} {at:.1f} {after:.1f}")
        if item != target:
            path.append(f"H{canvas.stub_end(item):.1f}")
    return f'<path d="{" ".join(path)}" fill="none" stroke="#777" stroke-width="1.1" marker-end="url(#tip)"/>'


def _word(edge: Edge, start: float, canvas: Canvas) -> str:
    left = canvas.left(edge.origin) + BOX + 4
    halo = {"stroke": "#fff", "stroke_width": "3", "paint_order": "stroke"}
    return text(WORDS[edge.relation][0], left, start - 4, WORD, fill="#555", **halo)
