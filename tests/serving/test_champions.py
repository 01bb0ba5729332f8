"""A real server follows the audit log: who moves the folder or the alias back, and signs nothing, moves nothing."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.builders import promotion, signing_key, write_candidate, write_keys, write_served
from tests.serving import fake_registry
from tests.serving.fake_registry import Registry
from tests.serving.running import NO_DRAIN, QUESTION, client, running, start, write_params
from wattline import params
from wattline.records import Candidate
from wattline.signing import dsse
from wattline.signing import entry as entries
from wattline.signing.keys import PrivateKey

KEY = signing_key()
MEMORY = Path(".wattline/served/accepted.json")


class Place:
    """Where a server finds its champion: a folder, or a registry that anybody may write to."""

    def __init__(self, folder: Path, registry: Registry | None) -> None:
        self.folder, self._registry = folder, registry
        write_keys(folder / "keys")
        origin = "registry" if registry else "folder"
        write_params(folder, {**NO_DRAIN, "model": {"poll_seconds": 0, "origin": origin}})
        with contextlib.chdir(folder):
            self.name = params.load().model

    def champion(self, version: int, sequence: int | None, *, entry: bytes | None = None, **fields: Any) -> None:
        """Make `version` champion by an entry with these fields, or by what is no such entry."""
        target = self.folder / ("published" if self._registry else "champion")
        said = None if sequence is None else {"sequence": sequence, **fields}
        write_served(target, KEY, version=str(version), name=self.name, entry=said, weights=b"%d" % version)
        if self._registry is not None:
            self._registry.publish(target, str(version))
        if entry is not None:
            self._overwrite(version, entry)

    def _overwrite(self, version: int, entry: bytes) -> None:
        if self._registry is not None:
            path = f"1/run{version}/artifacts/statements/{version}/{entries.FILE}"
            self._registry.artifacts[path] = entry
        else:
            (self.folder / "champion" / entries.FILE).write_bytes(entry)


class Asked:
    """Somebody who asks a running server."""

    def __init__(self, caller: httpx.Client) -> None:
        self._caller = caller

    def version(self) -> str:
        return str(self._caller.post("/predict", json=QUESTION).json()["model"]["version"])

    def takes(self, version: int) -> None:
        answer = self._caller.post("/admin/reload")
        assert (answer.status_code, answer.json()["stable"]) == (200, str(version)), answer.text
        assert self.version() == str(version)

    def refuses(self, reason: str, *, still: int) -> str:
        """The sentence, after a refusal that was counted under its own word."""
        before = self._failures(reason)
        answer = self._caller.post("/admin/reload")
        assert answer.status_code == 409
        assert self._failures(reason) == before + 1
        assert self.version() == str(still)
        return str(answer.json()["error"])

    def promotion(self) -> Any:
        return self._caller.get("/model").json()["promotion"]

    def _failures(self, reason: str) -> float:
        start = f'wattline_model_load_failures_total{{reason="{reason}"}} '
        lines = self._caller.get("/metrics").text.splitlines()
        return sum(float(line.removeprefix(start)) for line in lines if line.startswith(start))


@pytest.fixture(params=["folder", "registry"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    if request.param == "folder":
        yield Place(tmp_path, None)
        return
    with fake_registry.running() as registry:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", registry.uri)
        yield Place(tmp_path, registry)


@contextmanager
def served(place: Place) -> Iterator[Asked]:
    with running(place.folder) as server, client(server.address) as caller:
        yield Asked(caller)


def test_a_champion_put_back_is_refused_a_rollback_is_followed_and_a_restart_remembers(place: Place):
    place.champion(1, 1)
    with served(place) as asked:
        place.champion(2, 5, former="1")
        asked.takes(2)
        assert asked.promotion() == {"sequence": 5, "at": "2026-01-02T00:00:00Z", "action": "promote", "former": "1"}
        place.champion(1, 1)
        said = asked.refuses("stale", still=2)
        assert f"version 1 (entry 1) of {place.name} may not follow version 2 (entry 5)" in said
        assert "wattline rollback" in said
    with served(place) as asked:
        assert asked.version() == "2", "what served last goes on, although the older version lies there"
        asked.refuses("stale", still=2)
        place.champion(1, 6, action="rollback", former="2")
        asked.takes(1)
        assert asked.promotion()["action"] == "rollback"
        place.champion(3, 9, former="1")
        asked.takes(3)
        place.champion(1, 6, action="rollback", former="2")
        asked.refuses("stale", still=3)
    with served(place) as asked:
        assert asked.version() == "3"


def test_an_older_version_is_refused_where_its_newer_entry_is_no_rollback(place: Place):
    place.champion(2, 5)
    with served(place) as asked:
        place.champion(1, 6)
        assert "no rollback is on record" in asked.refuses("stale", still=2)
        place.champion(3, None)
        assert "without the audit entry" in asked.refuses("stale", still=2)
        place.champion(2, 7)
        asked.takes(2)
        assert asked.promotion()["sequence"] == 7
        place.champion(1, 6, action="rollback")
        asked.refuses("stale", still=2)


def test_an_entry_that_is_not_about_this_version_by_a_trusted_key_is_refused(place: Place):
    place.champion(1, 1)
    other = write_candidate(place.folder / "other", weights=b"other")
    two = write_candidate(place.folder / "two", golden=True, weights=b"2")

    def sealed(sequence: int, candidate: Candidate = two, key: PrivateKey = KEY, **fields: Any) -> bytes:
        said = {"name": place.name, "version": "2", "sequence": sequence, **fields}
        return entries.seal(promotion(candidate, **said), key)

    with served(place) as asked:
        for sequence, (reason, entry) in enumerate(
            (
                ("untrusted", sealed(2, key=signing_key(1))),
                ("mismatch", sealed(3, version="3")),
                ("mismatch", sealed(4, name="another")),
                ("mismatch", sealed(5, other)),
                ("mismatch", sealed(6, action="register")),
                ("unsigned", b"damaged"),
                ("unsigned", sealed(8)[:-20]),
                ("unsigned", b" " * (dsse.LARGEST + 1)),
            ),
            start=2,
        ):
            place.champion(2, sequence, entry=entry)
            assert entries.FILE in asked.refuses(reason, still=1)
        place.champion(2, 10)
        asked.takes(2)


def test_a_damaged_memory_keeps_a_new_champion_out_and_the_remedy_works(place: Place):
    place.champion(1, 1)
    with served(place) as asked:
        (place.folder / MEMORY).write_bytes(b"{")
        place.champion(2, 2)
        said = asked.refuses("stale", still=1)
        assert "wattline audit show" in said
        assert f"remove {MEMORY}" in said
    process = start(place.folder)
    output, errors = process.communicate(timeout=240)
    assert (process.returncode, output) == (2, "")
    assert f"remove {MEMORY}" in errors
    (place.folder / MEMORY).unlink()
    with served(place) as asked:
        assert asked.version() == "2"


def test_versions_without_an_entry_are_followed_upwards_until_there_is_one(place: Place):
    place.champion(1, None)
    with served(place) as asked:
        assert asked.promotion() is None
        place.champion(2, None)
        asked.takes(2)
        place.champion(1, None)
        asked.refuses("stale", still=2)
        place.champion(2, 3)
        asked.takes(2)
        place.champion(3, None)
        asked.refuses("stale", still=2)


def test_where_a_signature_is_optional_no_entry_is_looked_at(tmp_path: Path):
    place = Place(tmp_path, None)
    write_params(tmp_path, {**NO_DRAIN, "model": {"poll_seconds": 0, "signature": "optional"}})
    place.champion(2, 5)
    with served(place) as asked:
        place.champion(1, 1, entry=b"damaged")
        asked.takes(1)
        assert asked.promotion() is None
    assert not (tmp_path / MEMORY).exists()
