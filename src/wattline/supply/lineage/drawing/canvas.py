"""The page that boxes and arrows are drawn on: where columns begin, and how text is set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from wattline.supply.lineage.drawing import layout, lettering
from wattline.supply.lineage.drawing.layout import Item, Layout
from wattline.supply.lineage.graph import Lineage
from wattline.supply.lineage.kinds import WORDS, Kind

# Okabe and Ito's colours, which people who see colours differently can tell apart, and two neutral ones.
FAMILIES: Mapping[str, tuple[str, tuple[Kind, ...]]] = {
    "what was answered": ("#d55e00", ("prediction", "feedback")),
    "model": ("#0072b2", ("version", "candidate", "statement")),
    "work": ("#56b4e9", ("run", "stage")),
    "code and settings": ("#5f6b7a", ("commit", "params", "lock", "environment")),
    "data": ("#009e73", ("prepared data", "dataset", "source file")),
    "evidence": ("#e69f00", ("energy", "verdict")),
    "decision": ("#cc79a7", ("approval", "promotion")),
    "who and where": ("#7a5c2e", ("person", "site")),
}
BOX, BEND, WORD = 178.0, 40.0, 9.5
"""Width of a box, width in which a line changes its height, and size of the words at lines [px]."""


@dataclass(frozen=True)
class Canvas:
    """What is known before anything is drawn; all lengths in px.

    heights: of the boxes, by id
    lefts: left side of each column
    stubs: room for words right of each column
    """

    lineage: Lineage
    placed: Layout
    heights: Mapping[str, float]
    lefts: Sequence[float]
    stubs: Sequence[float]
    column: Mapping[Item, int]

    @classmethod
    def of(cls, lineage: Lineage, heights: Mapping[str, float]) -> "Canvas":
        placed = layout.arrange(lineage, heights)
        column = {item: number for number, part in enumerate(placed.columns) for item in part}
        stubs = [0.0] * len(placed.columns)
        for edge in lineage.edges:
            room = lettering.width(WORDS[edge.relation][0], WORD) + 8
            stubs[column[edge.origin]] = max(stubs[column[edge.origin]], room)
        lefts = [0.0]
        for stub in stubs[:-1]:
            lefts.append(lefts[-1] + BOX + stub + BEND)
        return cls(lineage, placed, heights, lefts, stubs, column)

    @property
    def width(self) -> float:
        return self.lefts[-1] + BOX

    @property
    def height(self) -> float:
        return max(self.middle(name) + height / 2 for name, height in self.heights.items())

    def left(self, item: Item) -> float:
        return self.lefts[self.column[item]]

    def stub_end(self, item: Item) -> float:
        """Where lines that leave the column of this item begin to bend."""
        return self.left(item) + BOX + self.stubs[self.column[item]]

    def middle(self, item: Item) -> float:
        return self.placed.middles[item]


def text(content: str, left: float, base: float, size: float, **style: str) -> str:
    """An SVG text that begins at `left` and stands on `base` [px]. style: SVG attributes, with _ for -"""
    rest = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in style.items())
    return f'<text x="{left:.1f}" y="{base:.1f}" font-size="{size}"{rest}>{escape(content)}</text>'
