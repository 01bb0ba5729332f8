"""A lineage in the making: nodes are added where they come up, each once, and none with a password in it."""

import re
from collections.abc import Mapping
from datetime import datetime

from wattline.supply.lineage.graph import Edge, Lineage, Node, address
from wattline.supply.lineage.kinds import Kind, Relation

USER = re.compile(r"(?<=://)[^/\s@]+@")
QUERY = re.compile(r"(://[^\s?#]+)\?\S+")
"""Where addresses carry tokens: a lineage is handed on to people who must not have them."""


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

        label: what it is called among its kind, whose name stands before it wherever people read
        facts: those that are None are left out
        """
        node = Node(
            id=address(kind, public(name)),
            kind=kind,
            label=public(label),
            facts={key: public(str(value)) for key, value in (facts or {}).items() if value not in (None, "")},
            sha256=sha256,
            began=began,
            ended=ended,
        )
        return self._nodes.setdefault(node.id, node)

    def find(self, kind: Kind, name: str) -> Node | None:
        """The node of this kind and name; None where it was not added."""
        return self._nodes.get(address(kind, name))

    def link(self, origin: Node, relation: Relation, *targets: Node) -> None:
        """Say that `origin` is related to each of `targets`: from effect to cause."""
        for target in targets:
            self._edges[Edge(origin=origin.id, relation=relation, target=target.id)] = None

    def finish(self) -> Lineage:
        """All of it. Raises ValueError when it is no sound lineage."""
        return Lineage(nodes=tuple(self._nodes.values()), edges=tuple(self._edges))


def public(text: str) -> str:
    """`text` without the passwords and tokens of addresses in it; a mark where there is none at all."""
    return QUERY.sub(r"\1?...", USER.sub("", text)).strip() or "unnamed"
