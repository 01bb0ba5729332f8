"""A lineage as an SVG picture: effects at the left, causes at the right, one box a node.

The file stands alone: no script, no network, no font but the viewer's. A box shows its full facts when pointed at.
"""

from collections.abc import Iterator
from html import escape

from wattline.supply.lineage.drawing import arrows, boxes, lettering
from wattline.supply.lineage.drawing.canvas import FAMILIES, Canvas, text
from wattline.supply.lineage.graph import Lineage

MARGIN, NARROWEST, LEGEND_TOP, LEGEND_LINE = 28.0, 980.0, 76.0, 20.0
TITLE, SMALL, LEGEND = 19.0, 11.0, 10.0


def render(lineage: Lineage, root: str) -> str:
    """What `root` rests on, as SVG text: equal lineages, equal text. Raises ValueError when there is no such node."""
    subject = lineage.node(root)
    canvas = Canvas.of(lineage, {node.id: boxes.height(node) for node in lineage.nodes})
    wide = max(canvas.width + 2 * MARGIN, NARROWEST)
    entries = list(_entries(lineage, wide - MARGIN))
    top = LEGEND_TOP + LEGEND_LINE * (1 + max(line for line, *_ in entries)) + MARGIN
    high = top + canvas.height + MARGIN
    title = lettering.fit(f"What {subject.kind} {subject.label} rests on", TITLE, wide - 2 * MARGIN, bold=True)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide:.0f}" height="{high:.0f}" '
        f'viewBox="0 0 {wide:.0f} {high:.0f}" font-family="{lettering.FONT}" role="img" aria-labelledby="title">',
        f'<title id="title">{escape(title)}</title>',
        f"<defs>{arrows.TIP}</defs>",
        f'<rect width="{wide:.0f}" height="{high:.0f}" fill="#fff"/>',
        text(title, MARGIN, 38, TITLE, font_weight="bold"),
        text(_subtitle(lineage), MARGIN, 58, SMALL, fill="#555"),
        *(_swatch(*entry) for entry in entries),
        f'<g transform="translate({MARGIN:.0f} {top:.0f})">',
        *arrows.draw(canvas),
        *(boxes.draw(node, canvas, marked=node.id == root) for node in lineage.nodes),
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _subtitle(lineage: Lineage) -> str:
    return (
        f"{len(lineage.nodes)} nodes, {len(lineage.edges)} relations. Arrows lead from an effect to its cause. "
        "Round corners: something done; dashed: who or where; the thick frame: where the question starts."
    )


def _entries(lineage: Lineage, room: float) -> Iterator[tuple[int, float, str, str]]:
    """Line, left side, colour and text of each entry of the legend: families of kinds that are in the picture."""
    present = {node.kind for node in lineage.nodes}
    line, left = 0, MARGIN
    for family, (colour, kinds) in FAMILIES.items():
        found = [kind for kind in kinds if kind in present]
        if not found:
            continue
        content = f"{family}: {', '.join(found)}"
        needed = 17 + lettering.width(content, LEGEND)
        if left > MARGIN and left + needed > room:
            line, left = line + 1, MARGIN
        yield line, left, colour, content
        left += needed + 16


def _swatch(line: int, left: float, colour: str, content: str) -> str:
    top = LEGEND_TOP + LEGEND_LINE * line
    square = f'<rect x="{left:.1f}" y="{top:.1f}" width="12" height="12" rx="2" fill="{colour}"/>'
    return square + text(content, left + 17, top + 10, LEGEND)
