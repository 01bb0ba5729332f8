"""The database of the audit log is down, or goes away at any step: nothing is half done, and the reason is named."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from backends.postgres import Cluster
from backends.tracking import Tracking
from psycopg import sql

from tests.registry.backends.stack import changed, fetch, new_candidate
from tests.registry.project import NAME, TRUSTED
from tests.registry.schedules import LEDGER_STEPS
from wattline.errors import InputError, WattlineError
from wattline.registry import audit, lookup, promotion, registration, store
from wattline.registry.ledger import Ledger
from wattline.registry.ledger import ledger as ledger_module
from wattline.settings import settings
from wattline.signing import entry as entries

QUICK = {"lock_seconds": 0.5, "overridable": ("champion",)}


@dataclass
class Database:
    """The audit log's. A step is a call of the ledger.

    at: before which step it goes away; steps: how many there were
    """

    cluster: Cluster
    name: str
    at: int | None = None
    stays_down: bool = False
    steps: int = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            if self.stays_down:
                self.allow(False)  # first: what renews the lock would connect again in between, and be let stay
            self.cut()

    def cut(self) -> None:
        """End every connection."""
        query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        with self.cluster.connect() as connection:
            connection.execute(query, [self.name])

    def allow(self, allowed: bool) -> None:
        """Whether anybody may connect."""
        statement = "ALTER DATABASE {} ALLOW_CONNECTIONS " + str(allowed).lower()
        with self.cluster.connect() as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(self.name)))


@pytest.fixture
def log(project: None, postgres: Cluster, ledger_uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The audit log is in PostgreSQL; MLflow's store is local and always there."""
    monkeypatch.setenv("WATTLINE_LEDGER_URI", ledger_uri)
    settings.cache_clear()
    found = Database(postgres, ledger_uri.rsplit("/", 1)[1])
    for name in LEDGER_STEPS:
        monkeypatch.setattr(Ledger, name, stepped(getattr(Ledger, name), found))
    yield found
    found.allow(True)


def stepped(method: Callable[..., Any], database: Database) -> Callable[..., Any]:
    def run(*arguments: Any, **options: Any) -> Any:
        database.step()
        return method(*arguments, **options)

    return run


def register() -> str:
    with changed(NAME, **QUICK) as found:
        return registration.register(found)


def promote() -> str:
    with changed(NAME, **QUICK) as found:
        return promotion.promote(found)


def rollback() -> str:
    with changed(NAME, **QUICK) as found:
        return promotion.rollback(found)


def recover() -> None:
    with changed(NAME, **QUICK) as found:
        promotion.recover(found)


def champions() -> tuple[str | None, str | None]:
    """By the alias, and by the log."""
    with changed(NAME) as found:
        envelope = found.ledger.champion(NAME)
        alias = lookup.by_alias(found.client, NAME, "champion")
    said = entries.peek(envelope).version if envelope is not None else None
    return (str(alias.version) if alias is not None else None), said


def check() -> None:
    """What should hold when nobody is at work."""
    alias, said = champions()
    assert alias == said
    assert fetch(NAME).version == said
    with changed(NAME) as found:
        audit.verify(found.ledger.envelopes(), TRUSTED)
        registered = found.registrations()
        versions = found.client.search_model_versions(f"name = '{NAME}'")
        assert {one.tags["wattline.candidate"]: str(one.version) for one in versions} == registered
        assert len(versions) == len(registered)


def prepared(verb: Callable[[], Any]) -> None:
    """Bring the model where `verb` has something to do, without a fault."""
    alias, _ = champions()
    if verb is register:
        new_candidate()
    elif (alias == "2") == (verb is promote):
        rollback() if verb is promote else promote()


def two_versions() -> None:
    new_candidate()
    register()
    promote()
    new_candidate(champion=fetch(NAME))
    register()
    promote()


@pytest.mark.parametrize("verb", [register, promote, rollback])
def test_a_database_that_goes_away_at_any_step_leaves_nothing_half_done(log: Database, verb: Callable[[], Any]):
    two_versions()
    prepared(verb)
    log.steps = 0
    verb()
    last = log.steps
    for place in range(1, last + 1):
        prepared(verb)
        before = champions()
        log.at, log.steps, log.stays_down = place, 0, True
        if place == last:
            verb()  # all is done but giving the lock back, and that ends by itself
        else:
            with pytest.raises(WattlineError) as caught:
                verb()
            check_message(str(caught.value), log)
        log.at = None
        log.allow(True)
        alias, said = champions()
        assert alias in {before[0], said}
        recover()
        if not (verb is rollback and said == "1"):
            verb()
        check()


@pytest.mark.parametrize("verb", [register, promote, rollback])
def test_connections_that_are_cut_between_steps_are_made_anew(log: Database, verb: Callable[[], Any]):
    two_versions()
    prepared(verb)
    log.steps = 0
    verb()
    for place in range(1, log.steps + 1):
        prepared(verb)
        log.at, log.steps, log.stays_down = place, 0, False
        verb()
        log.at = None
        check()


def check_message(text: str, log: Database) -> None:
    """It names the database and the variable, and no password."""
    assert "the database of the audit log, postgresql://127.0.0.1" in text
    assert "check WATTLINE_LEDGER_URI" in text
    assert "MLflow store" not in text
    assert log.cluster.password not in text
    assert "\n" not in text


def refusal(uri: str, monkeypatch: pytest.MonkeyPatch, kind: type[WattlineError] = WattlineError) -> str:
    """What is said of a ledger at `uri`, to who wants to promote and to who fetches."""
    monkeypatch.setenv("WATTLINE_LEDGER_URI", uri)
    settings.cache_clear()
    with pytest.raises(kind) as caught:
        promote()
    with store.connected() as client:
        client.search_registered_models()
    with pytest.raises(kind) as again:
        fetch(NAME)
    assert str(caught.value) == str(again.value)
    return str(caught.value)


def test_a_database_that_nobody_runs_is_named_without_its_password(project: None, monkeypatch: pytest.MonkeyPatch):
    text = refusal("postgresql://wattline:letmein@127.0.0.1:9/registry", monkeypatch)
    assert "postgresql://127.0.0.1:9/registry" in text
    assert "WATTLINE_LEDGER_URI" in text
    assert "refused" in text
    assert "letmein" not in text


def test_a_host_that_takes_the_call_and_says_nothing_is_given_up(project: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ledger_module, "SECONDS_TO_CONNECT", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        text = refusal(f"postgresql://wattline:letmein@127.0.0.1:{silent.getsockname()[1]}/registry", monkeypatch)
    assert "timeout" in text
    assert "letmein" not in text


def test_a_wrong_password_is_said_and_not_repeated(project: None, ledger_uri: str, monkeypatch: pytest.MonkeyPatch):
    text = refusal(f"postgresql://wattline:let%40me%2Fin@{ledger_uri.partition('@')[2]}", monkeypatch)
    assert "password authentication failed" in text
    assert "let%40me" not in text
    assert "let@me/in" not in text


def test_an_unknown_database_is_named(
    project: None, ledger_uri: str, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
):
    text = refusal(ledger_uri.rsplit("/", 1)[0] + "/nowhere", monkeypatch)
    assert 'database "nowhere" does not exist' in text
    assert postgres.password not in text


@pytest.mark.parametrize(
    "uri",
    [
        "mysql://somebody:letmein@127.0.0.1/registry",
        "oracle+cx_oracle://somebody:letmein@127.0.0.1/registry",
        "https://somebody:letmein@127.0.0.1",
        "letmein",
        "postgresql://somebody:letmein@127.0.0.1:99999/registry",
        "sqlite://",
    ],
)
def test_another_kind_of_address_is_refused_with_the_remedy(uri: str, project: None, monkeypatch: pytest.MonkeyPatch):
    text = refusal(uri, monkeypatch)
    assert "WATTLINE_LEDGER_URI" in text
    assert "letmein" not in text


@pytest.mark.parametrize("elsewhere", [False, True])
def test_mlflows_own_database_is_named_when_it_is_down(project: Path, elsewhere: bool, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql+psycopg://wattline:letmein@127.0.0.1:9/registry")
    if elsewhere:
        monkeypatch.setenv("WATTLINE_LEDGER_URI", f"sqlite:///{project / 'ledger.db'}")
    settings.cache_clear()
    before = time.monotonic()
    with pytest.raises(WattlineError, match=r"MLflow store .*127\.0\.0\.1:9/registry did not .*refused") as caught:
        promote()
    assert time.monotonic() - before < 60, "MLflow would try for 100 s"
    assert "check MLFLOW_TRACKING_URI" in str(caught.value)
    assert "letmein" not in str(caught.value)


def test_a_tracking_server_needs_to_know_where_the_log_is_and_who_only_fetches_does_not(
    project: None, tracking_server: Tracking, ledger_uri: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", tracking_server.url)
    monkeypatch.setenv("WATTLINE_LEDGER_URI", ledger_uri)
    settings.cache_clear()
    digest, name = new_candidate(), "anomaly-without-a-log"
    with changed(name) as found:
        registration.register(found)
        promotion.promote(found)
    monkeypatch.delenv("WATTLINE_LEDGER_URI")
    settings.cache_clear()
    for verb in (registration.register, promotion.promote, promotion.rollback, promotion.recover):
        with pytest.raises(InputError, match="set it to postgresql://USER@HOST/DATABASE"), changed(name) as it:
            verb(it)
    assert fetch(name).digest == digest
