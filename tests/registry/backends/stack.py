"""The whole stack as a test sees it: a tracking server behind a proxy, and the audit log in PostgreSQL."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from backends.proxy import Faults

from tests.registry.project import PARAMS, TRUSTED, another, opened
from wattline import files
from wattline.records import Champion
from wattline.registry import audit, fetching
from wattline.registry.ledger import Ledger
from wattline.registry.model import Model
from wattline.signing import entry as entries
from wattline.signing.entry import Entry

USER, PASSWORD = "somebody", "letmein"
"""In the address of the tracking server, which asks for neither: no message may repeat them."""


@dataclass(frozen=True)
class State:
    """What is known of a model from outside.

    moves: the entries that made versions champion
    registered: candidate -> version, as the log says
    versions: version -> candidate, as MLflow says
    """

    moves: tuple[Entry, ...]
    registered: dict[str, str]
    versions: dict[str, str]
    champion: str | None
    challenger: str | None

    @property
    def said(self) -> str | None:
        """The champion by the log."""
        return self.moves[-1].version if self.moves else None


@dataclass(frozen=True)
class Stack:
    """proxy: what the verbs go through; server: MLflow's client past the proxy; ledger: the audit log"""

    proxy: Faults
    server: Any
    ledger: Ledger

    def state(self, name: str) -> State:
        """How things stand, past the proxy."""
        from mlflow.exceptions import MlflowException

        found = [entries.peek(envelope) for envelope in self.ledger.registrations(name)]
        versions = self.server.search_model_versions(f"name = '{name}'")
        try:
            aliases = self.server.get_registered_model(name).aliases
        except MlflowException:
            aliases = {}
        return State(
            moves=tuple(entries.peek(envelope) for envelope in self.ledger.moves(name)),
            registered={str(one.digest): str(one.version) for one in found},
            versions={str(one.version): one.tags["wattline.candidate"] for one in versions},
            champion=aliases.get("champion"),
            challenger=aliases.get("challenger"),
        )

    def check(self, name: str) -> State:
        """Whatever should hold when nobody is at work: one version a candidate, alias = log = what is fetched."""
        found = self.state(name)
        assert found.versions == {version: digest for digest, version in found.registered.items()}
        assert found.champion == found.said
        assert fetch(name).version == found.said
        audit.verify(self.ledger.envelopes(), TRUSTED)
        audit.check_rows(self.ledger.rows())
        return found


def new_name() -> str:
    """Of a registered model that nobody has."""
    return f"anomaly-{secrets.token_hex(4)}"


def new_candidate(**reports: Any) -> str:
    """Make the project's candidate one that nobody has registered; returns its digest."""
    return another(secrets.token_bytes(8), **reports).digest


def fetch(name: str) -> Champion:
    return fetching.fetch_champion(files.CHAMPION, name=name, params=PARAMS)


@contextmanager
def changed(name: str, **params: Any) -> Iterator[Model]:
    with opened(name=name, **params) as found:
        yield found
