"""A lineage as an indented tree of text, for a terminal or a log."""

from collections.abc import Iterable, Iterator

from rich.cells import cell_len, chop_cells

from wattline.supply.lineage.graph import Edge, Lineage, Node
from wattline.supply.lineage.kinds import WORDS

WIDTH = 120
DEEPEST = 18
"""Deeper branches start anew at the left, so that text keeps room beside its lines."""


def render(lineage: Lineage, root: str) -> str:
    """The tree from the node `root`: below a node its causes, then what rests on that node alone.

    Every node stands once with its facts, elsewhere only by name. What `root` does not lead to has its own tree below.
    Equal lineages give equal text, no line is wider than 120 columns. Raises ValueError when there is no such node.
    """
    drawing = _Drawing(lineage, root)
    for name in (root, *lineage.effects_first):
        drawing.start(name)
        drawing.start_cut_branches()
    return "\n".join(drawing.lines) + "\n"


class _Drawing:
    """What was drawn so far."""

    def __init__(self, lineage: Lineage, root: str) -> None:
        self.lines: list[str] = []
        self._lineage = lineage
        self._below = lineage.causes(root) | {root}
        self._shown: set[str] = set()
        self._cut: list[str] = []

    def start(self, name: str) -> None:
        """Draw the tree of a node that was not shown yet, from the left."""
        if name not in self._shown:
            self.lines += [""] if self.lines else []
            self._branch(self._lineage.node(name), came=None, head="", rest="", depth=0)

    def start_cut_branches(self) -> None:
        while self._cut:
            self.start(self._cut.pop(0))

    def _branch(self, node: Node, *, came: Edge | None, head: str, rest: str, depth: int) -> None:
        """Draw a node and what is below it.

        came: the edge that led here
        head, rest: what stands left of the first line, and of the others
        """
        mention = _mention(node, came)
        if node.id in self._shown:
            self._write([f"{mention} (above)"], head, rest)
            return
        if depth > DEEPEST:
            self._cut.append(node.id)
            self._write([f"{mention} (below)"], head, rest)
            return
        self._shown.add(node.id)
        children = list(self._children(node.id, came))
        inner = rest + ("│  " if children else "   ")
        self._write([mention], head, inner)
        self._write(_facts(node), inner, inner)
        for place, (edge, other) in enumerate(children):
            bend, line = ("└─ ", "   ") if place == len(children) - 1 else ("├─ ", "│  ")
            child = self._lineage.node(other)
            self._branch(child, came=edge, head=rest + bend, rest=rest + line, depth=depth + 1)

    def _children(self, name: str, came: Edge | None) -> Iterator[tuple[Edge, str]]:
        for edge in self._lineage.leaving(name):
            if edge != came:
                yield edge, edge.target
        for edge in self._lineage.arriving(name):
            # What is below the root is, or will be, drawn on its own way from there.
            alone = len(self._lineage.leaving(edge.origin)) == 1
            if alone and edge.origin not in self._below | self._shown:
                yield edge, edge.origin

    def _write(self, texts: Iterable[str], head: str, rest: str) -> None:
        for text in texts:
            for place, line in enumerate(wrap(text, WIDTH - max(cell_len(head), cell_len(rest)))):
                self.lines.append(((rest if place else head) + line).rstrip())


def _mention(node: Node, came: Edge | None) -> str:
    text = f"{node.kind}: {node.label}"
    return text if came is None else f"{WORDS[came.relation][came.target != node.id]} {text}"


def _facts(node: Node) -> list[str]:
    times = {"began": node.began, "ended": node.ended}
    lines = [f"{name}: {text}" for name, text in node.facts.items()]
    lines += [f"{name}: {time.isoformat()}" for name, time in times.items() if time is not None]
    if node.sha256 and node.sha256 not in node.id:
        lines.append(f"sha256: {node.sha256}")
    return [*lines, f"id: {node.id}"]


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns, broken at spaces where there are some."""
    lines = [""]
    for word in text.split():
        for part in chop_cells(word, width):
            joined = f"{lines[-1]} {part}".lstrip()
            if cell_len(joined) <= width:
                lines[-1] = joined
            else:
                lines.append(part)
    return lines
