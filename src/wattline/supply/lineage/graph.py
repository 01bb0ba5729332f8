"""A lineage as data: typed nodes, PROV relations between them, and nothing that hangs in the air."""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Self
from urllib.parse import quote

from pydantic import AfterValidator, AwareDatetime, Field, model_validator

from wattline.records import Record
from wattline.supply.lineage.kinds import ENDS, Kind, Nature, Relation, nature


def one_line(text: str) -> str:
    """`text` on one line; what has no shape (control characters, changes of direction) becomes a visible mark.

    Facts hold what people typed. On a terminal, in XML and in JSON they must stay text.
    """
    return "".join(mark if mark.isprintable() else "\N{REPLACEMENT CHARACTER}" for mark in " ".join(text.split()))


Line = Annotated[str, AfterValidator(one_line)]


def address(kind: Kind, name: str) -> str:
    """The id of the node of this kind that is called `name`: a digest where the thing has one."""
    return f"{kind.replace(' ', '-')}:{quote(name, safe='/@+:')}"


class Node(Record):
    """One thing, deed or person.

    id: as `address` makes it; the same thing has the same id in every lineage
    facts: name -> what is known, with its unit, in the order in which a person reads it
    sha256: digest of its bytes, where it is a file
    began, ended: of a run, stage, approval or promotion, where they are known
    """

    id: str = Field(pattern=r"^[a-z]+(-[a-z]+)?:[A-Za-z0-9._~%/@+:-]+$")
    kind: Kind
    label: Annotated[Line, Field(min_length=1)]
    facts: Mapping[Line, Line] = {}
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    began: AwareDatetime | None = None
    ended: AwareDatetime | None = None

    @property
    def nature(self) -> Nature:
        return nature(self.kind)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        start = address(self.kind, "")
        if not self.id.startswith(start):
            raise ValueError(f"the id of a {self.kind} starts with {start!r}, got {self.id!r}; make it with address()")
        if self.nature != "activity" and (self.began or self.ended):
            raise ValueError(f"{self.id} is no activity and has no beginning and end; say its time as a fact")
        if self.began and self.ended and self.ended < self.began:
            raise ValueError(f"{self.id} ended at {self.ended}, before it began at {self.began}")
        return self


class Edge(Record):
    """`origin` relation `target`: it reads from effect to cause, as PROV does."""

    origin: str
    relation: Relation
    target: str


class Lineage(Record):
    """Nodes and what connects them. Raises ValueError for an unknown end, an id used twice, a misfit or a cycle."""

    nodes: tuple[Node, ...] = Field(min_length=1)
    edges: tuple[Edge, ...] = ()

    def node(self, name: str) -> Node:
        """The node with this id. Raises ValueError when there is none."""
        try:
            return self._by_id[name]
        except KeyError:
            raise ValueError(f"the lineage has no node {name!r}; it has {len(self.nodes)} others") from None

    def of_kind(self, *kinds: Kind) -> tuple[Node, ...]:
        """Nodes of these kinds, in the order of the lineage."""
        return tuple(one for one in self.nodes if one.kind in kinds)

    def leaving(self, name: str) -> tuple[Edge, ...]:
        """Edges towards causes of this node."""
        return tuple(self._leaving.get(name, ()))

    def arriving(self, name: str) -> tuple[Edge, ...]:
        """Edges from what rests on this node."""
        return tuple(self._arriving.get(name, ()))

    def causes(self, name: str) -> frozenset[str]:
        """Ids of everything that this node rests on, directly or not; itself not among them."""
        found: set[str] = set()
        waiting = [self.node(name).id]
        while waiting:
            new = {edge.target for edge in self.leaving(waiting.pop())} - found
            found |= new
            waiting += new
        return frozenset(found)

    @cached_property
    def effects_first(self) -> tuple[str, ...]:
        """Ids in an order in which everything stands before its causes."""
        sorter: TopologicalSorter[str] = TopologicalSorter({one.id: () for one in self.nodes})
        for edge in self.edges:
            sorter.add(edge.target, edge.origin)
        return tuple(sorter.static_order())

    @cached_property
    def _by_id(self) -> dict[str, Node]:
        return {one.id: one for one in self.nodes}

    @cached_property
    def _leaving(self) -> dict[str, list[Edge]]:
        return _grouped((edge.origin, edge) for edge in self.edges)

    @cached_property
    def _arriving(self) -> dict[str, list[Edge]]:
        return _grouped((edge.target, edge) for edge in self.edges)

    @model_validator(mode="after")
    def _sound(self) -> Self:
        for name, times in Counter(one.id for one in self.nodes).items():
            if times > 1:
                raise ValueError(f"{times} nodes have the id {name!r}; an id names one thing")
        for edge, times in Counter(self.edges).items():
            if times > 1:
                raise ValueError(f"{edge.origin} {edge.relation} {edge.target} is said {times} times; say it once")
            self._check(edge)
        try:
            _ = self.effects_first
        except CycleError as error:
            raise ValueError(f"nothing is its own cause, but here: {' -> '.join(error.args[1])}") from None
        return self

    def _check(self, edge: Edge) -> None:
        for name in (edge.origin, edge.target):
            if name not in self._by_id:
                raise ValueError(f"{edge.origin} {edge.relation} {edge.target}: there is no node {name!r}; add it")
        found = (self.node(edge.origin).nature, self.node(edge.target).nature)
        wanted = ENDS[edge.relation]
        if wanted is not None and found != wanted:
            raise ValueError(
                f"{edge.origin} {edge.relation} {edge.target}: it leads from {wanted[0]} to {wanted[1]}, "
                f"these are {found[0]} and {found[1]}"
            )


def _grouped(edges: Iterable[tuple[str, Edge]]) -> dict[str, list[Edge]]:
    groups: dict[str, list[Edge]] = {}
    for name, edge in edges:
        groups.setdefault(name, []).append(edge)
    return groups
