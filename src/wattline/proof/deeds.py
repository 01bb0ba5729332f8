"""What people and jobs did with a version, as part of a lineage: approvals, overrides, promotions, rollbacks."""

from collections.abc import Sequence
from datetime import datetime

from wattline.proof.draft import Draft
from wattline.signing.entry import MOVES, Actor, Entry
from wattline.supply.lineage.graph import Node
from wattline.supply.lineage.kinds import Kind


def describe(draft: Draft, entries: Sequence[Entry], *, version: Node, statement: Node, candidate: str) -> None:
    """Add what the audit log says of `version`, and who did it.

    entries: about this version, in the order of the log
    statement: the one that it has now
    """
    told = _Told(draft, version, statement, candidate)
    for entry in entries:
        told.tell(entry)


def standing(moves: Sequence[Entry], number: str) -> str:
    """Whether version `number` is champion, or when and how it ceased to be. moves: of its model, in order"""
    places = [place for place, move in enumerate(moves) if move.version == number]
    if not places:
        return "never champion"
    if places[-1] == len(moves) - 1:
        return f"champion since {minute(moves[-1].at)}"
    after = moves[places[-1] + 1]
    how = "promoted" if after.action == "promote" else "gone back to"
    why = f": {after.reason}" if after.reason and after.action == "rollback" else ""
    return f"champion until {minute(after.at)}, when version {after.version} was {how} by {after.actor.name}{why}"


def minute(instant: datetime) -> str:
    """A time as people read it; its zone is UTC."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"


class _Told:
    """What was told so far of one version."""

    def __init__(self, draft: Draft, version: Node, statement: Node, candidate: str) -> None:
        self._draft, self._version, self._current, self._candidate = draft, version, statement, candidate
        self._approvals: list[tuple[str | None, Node]] = []
        """Each with the statement that it is about; None for an override, which no new signature ends."""

    def tell(self, entry: Entry) -> None:
        who = _who(self._draft, entry.actor)
        if entry.action in ("register", "import"):
            self._draft.link(self._version, "wasAttributedTo", who)
        elif entry.action == "sign":
            self._draft.link(self._statement(entry), "wasAttributedTo", who)
        elif entry.action == "approve":
            node = self._deed(entry, who, label=f"by {entry.actor.name}", reason=entry.reason)
            self._draft.link(node, "used", self._statement(entry))
            self._approvals.append((entry.evidence.get("statement"), node))
        elif entry.action == "override":
            self._override(entry, who)
        elif entry.action in MOVES:
            self._move(entry, who)

    def _override(self, entry: Entry, who: Node) -> None:
        gate, _, reason = entry.reason.partition(": ")
        node = self._deed(entry, who, label=f"gate {gate} overridden by {entry.actor.name}", reason=reason)
        verdict = self._draft.find("verdict", f"{gate}/{self._candidate}")
        self._draft.link(node, "used", verdict or self._version)
        self._approvals.append((None, node))

    def _move(self, entry: Entry, who: Node) -> None:
        label = "to champion" if entry.action == "promote" else "to champion again, by rollback"
        label += f", in place of version {entry.former}" if entry.former else ""
        # Whom a promotion was approved by stands in the approvals.
        node = self._deed(entry, who, label=label, reason=entry.reason if entry.action == "rollback" else "")
        self._draft.link(node, "used", self._version, self._statement(entry))
        if entry.action == "promote":
            wanted = (entry.evidence.get("statement"), None)
            self._draft.link(node, "wasInformedBy", *(one for about, one in self._approvals if about in wanted))

    def _deed(self, entry: Entry, who: Node, *, label: str, reason: str) -> Node:
        facts = {"reason": reason or None, "audit entry": entry.sequence, "CI job": entry.actor.job}
        kind: Kind = "promotion" if entry.action in MOVES else "approval"
        node = self._draft.add(kind, str(entry.sequence), label, facts, ended=entry.at.replace(microsecond=0))
        self._draft.link(node, "wasAssociatedWith", who)
        return node

    def _statement(self, entry: Entry) -> Node:
        """The statement that an entry is about, which may have been signed anew since."""
        signed = entry.evidence.get("statement")
        if signed is None or signed == self._current.sha256:
            return self._current
        former = self._draft.add("statement", signed, "former one, signed anew since", sha256=signed)
        self._draft.link(former, "wasDerivedFrom", self._version)
        return former


def _who(draft: Draft, actor: Actor) -> Node:
    """A person; or a pipeline that nobody started by hand, which is not the person whose push began it."""
    if actor.kind == "person":
        return draft.add("person", actor.name, actor.name)
    return draft.add("person", f"job/{actor.name}", f"a CI job of {actor.name}")
