"""A lineage in the making: nodes are added where they come up, each once."""

from collections.abc import Mapping
from datetime import datetime

from wattline.supply.lineage.graph import Edge, Lineage, Node, address
from wattline.supply.lineage.kinds import Kind, Relation


class Draft:
    """Nodes and edges so far."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._edges: dict[Edge, None] = {}

    def add(
        self,
        kind: Kind,
        name: str,
        label: str,
        facts: Mapping[str, object] | None = None,
        *,
        sha256: str | None = None,
        began: datetime | None = None,
        ended: datetime | None = None,
    ) -> Node:
        """The node of this kind and name; one that is there already stays as it is.

        facts: those that are None are left out
        """
        said = {key: str(value) for key, value in (facts or {}).items() if value is not None}
        node = Node(id=address(kind, name), kind=kind, label=label, facts=said, sha256=sha256, began=began, ended=ended)
        return self._nodes.setdefault(node.id, node)

    def link(self, origin: Node, relation: Relation, *targets: Node) -> None:
        """Say that `origin` is related to each of `targets`: from effect to cause."""
        for target in targets:
            self._edges[Edge(origin=origin.id, relation=relation, target=target.id)] = None

    def finish(self) -> Lineage:
        """All of it. Raises ValueError when it is no sound lineage."""
        return Lineage(nodes=tuple(self._nodes.values()), edges=tuple(self._edges))
