"""Where boxes and lines of a lineage go: columns from effect to cause, few crossings, no overlaps.

The layered drawing of Sugiyama, Tagawa and Toda (IEEE Trans. SMC 11, 1981): columns by longest path, order by
barycentres, heights by means of neighbours, held apart with the pool-adjacent-violators method.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from wattline.supply.lineage.graph import Edge, Lineage

SWEEPS = 24
SPACE = 22.0
BEND_HEIGHT = 4.0

Item = str | tuple[Edge, int]
"""A node by its id, or the place where an edge passes a column."""


@dataclass(frozen=True)
class Layout:
    """columns: items from top to bottom, by column from left to right; middles: height of the middle of each item."""

    columns: tuple[tuple[Item, ...], ...]
    middles: Mapping[Item, float]
    routes: Mapping[Edge, tuple[Item, ...]]


def arrange(lineage: Lineage, heights: Mapping[str, float]) -> Layout:
    """Places of all nodes and of all edges where they pass other columns; the topmost box begins at height 0."""
    column = _columns(lineage)
    routes = {edge: _route(edge, column) for edge in lineage.edges}
    columns: list[list[Item]] = [[] for _ in range(max(column.values()) + 1)]
    for name in lineage.effects_first:
        columns[column[name]].append(name)
    for edge, route in routes.items():
        for item in route[1:-1]:
            columns[column[edge.origin] + route.index(item)].append(item)
    links = [pair for route in routes.values() for pair in pairwise(route)]
    ordered = _order(columns, links)
    middles = _middles(ordered, links, {item: _height(item, heights) for part in ordered for item in part})
    return Layout(tuple(map(tuple, ordered)), middles, routes)


def _columns(lineage: Lineage) -> dict[str, int]:
    """Causes right of all their effects; what nothing rests on stands directly beside its causes."""
    column: dict[str, int] = {}
    for name in lineage.effects_first:
        column[name] = max((column[edge.origin] + 1 for edge in lineage.arriving(name)), default=0)
    for name in lineage.effects_first:
        if lineage.leaving(name) and not lineage.arriving(name):
            column[name] = min(column[edge.target] for edge in lineage.leaving(name)) - 1
    return column


def _route(edge: Edge, column: Mapping[str, int]) -> tuple[Item, ...]:
    between = range(column[edge.origin] + 1, column[edge.target])
    return (edge.origin, *((edge, place) for place in between), edge.target)


def _height(item: Item, heights: Mapping[str, float]) -> float:
    return heights[item] if isinstance(item, str) else BEND_HEIGHT


def _order(columns: list[list[Item]], links: Sequence[tuple[Item, Item]]) -> list[list[Item]]:
    """The best order that sweeps over the columns, back and forth, have found."""
    left, right = _neighbours(links)
    best, fewest = [list(part) for part in columns], _crossings(columns, links)
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        for part in columns if forth else reversed(columns):
            rank = {item: place for other in columns for place, item in enumerate(other)}
            near = left if forth else right
            here = {item: fmean(rank[one] for one in near[item]) if near.get(item) else rank[item] for item in part}
            part.sort(key=here.__getitem__)
        found = _crossings(columns, links)
        if found < fewest:
            best, fewest = [list(part) for part in columns], found
    return best


def _neighbours(links: Sequence[tuple[Item, Item]]) -> tuple[dict[Item, list[Item]], dict[Item, list[Item]]]:
    """Neighbours of every item in the column left of it, and right of it."""
    left: dict[Item, list[Item]] = {}
    right: dict[Item, list[Item]] = {}
    for one, other in links:
        right.setdefault(one, []).append(other)
        left.setdefault(other, []).append(one)
    return left, right


def _crossings(columns: Sequence[Sequence[Item]], links: Sequence[tuple[Item, Item]]) -> int:
    places = {item: (number, rank) for number, part in enumerate(columns) for rank, item in enumerate(part)}
    gaps: dict[int, list[tuple[int, int]]] = {}
    for one, other in links:
        gaps.setdefault(places[one][0], []).append((places[one][1], places[other][1]))
    return sum(_inversions([right for _, right in sorted(lines)]) for lines in gaps.values())


def _inversions(ranks: Sequence[int]) -> int:
    """How many pairs stand in the wrong order."""
    found, seen = 0, list[int]()
    for rank in ranks:
        found += len(seen) - bisect_right(seen, rank)
        insort(seen, rank)
    return found


def _middles(
    columns: Sequence[Sequence[Item]], links: Sequence[tuple[Item, Item]], heights: Mapping[Item, float]
) -> dict[Item, float]:
    left, right = _neighbours(links)
    middles: dict[Item, float] = {}
    for part in columns:
        middles |= _apart(part, dict.fromkeys(part, 0.0), heights)
    for sweep in range(SWEEPS):
        forth = sweep % 2 == 0
        for part in columns if forth else reversed(columns):
            near = {item: (left if forth else right).get(item) or [item] for item in part}
            wanted = {item: fmean(middles[one] for one in near[item]) for item in part}
            middles |= _apart(part, wanted, heights)
    top = min(middles[item] - heights[item] / 2 for item in middles)
    return {item: middle - top for item, middle in middles.items()}


def _apart(part: Sequence[Item], wanted: Mapping[Item, float], heights: Mapping[Item, float]) -> dict[Item, float]:
    """The middles closest to the wanted ones (least squares) at which items keep their order and do not touch."""
    offsets = [0.0]
    for above, below in pairwise(part):
        offsets.append(offsets[-1] + (heights[above] + heights[below]) / 2 + SPACE)
    blocks: list[list[float]] = []
    for item, offset in zip(part, offsets, strict=False):
        blocks.append([wanted[item] - offset])
        while len(blocks) > 1 and fmean(blocks[-2]) > fmean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    shifts = [fmean(block) for block in blocks for _ in block]
    return {item: offset + shift for item, offset, shift in zip(part, offsets, shifts, strict=False)}
