"""Nobody passes the gate whom the operator did not let in, and what is refused is logged without a secret."""

import asyncio
import hashlib
import json
import logging
import os
import string
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.issuers import Clock, FakeIssuer, bearer, encoded, issuer, jwk, params, token
from wattline.errors import InputError
from wattline.serving.access import issuer as issuer_module
from wattline.serving.access import keyring as keyring_module
from wattline.serving.access.gate import Gatekeeper, check_exposure
from wattline.serving.access.keyring import claimed_identifier
from wattline.serving.access.keys import Entry, add_key, new_key
from wattline.serving.access.log import LINES_PER_SECOND
from wattline.serving.call import ANYONE, Principal
from wattline.serving.refusal import RefusedError

ROLES = ("predict", "feedback", "operate", "audit")


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_module, "FETCH_SECONDS", 120.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "api.yaml"


@pytest.fixture
def server() -> Iterator[FakeIssuer]:
    with issuer() as running:
        yield running


def made(path: Path, name: str = "grafana", *roles: str) -> str:
    """A new key, which the file at `path` knows."""
    key, entry = new_key(name, roles or ["predict"])
    add_key(path, entry)
    return key


def gate(path: Path, mode: str = "keys", **changed: Any) -> Gatekeeper:
    clock = Clock()
    return Gatekeeper(params(mode=mode, keys_file=str(path), **changed), now=clock, clock=clock)


def refusal(one: Gatekeeper, headers: Mapping[str, str]) -> RefusedError:
    with pytest.raises(RefusedError) as refused:
        one.principal(headers, what="POST /predict", peer="10.0.0.7")
    return refused.value


@asynccontextmanager
async def running(one: Gatekeeper) -> AsyncIterator[Gatekeeper]:
    await one.start()
    try:
        yield one
    finally:
        await one.stop()


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 4 minutes"
        await asyncio.sleep(0.01)


def lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(record.getMessage()) for record in caplog.records]


# Without authentication


def test_without_authentication_everyone_is_anyone_and_may_everything():
    one = Gatekeeper(params(mode="none"))
    assert one.principal({}) is ANYONE
    assert one.principal(bearer("nonsense")) is ANYONE
    for role in ROLES:
        one.demand(ANYONE, role, what="", peer="")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "10.0.0.1", "8.8.8.8", "fe80::1", "::ffff:10.0.0.1", "0"])
def test_without_authentication_nobody_else_can_reach_the_server(host: str):
    with pytest.raises(InputError, match=r"mode is none"):
        check_exposure(params(mode="none"), host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "localhost", "::1", "::ffff:127.0.0.1"])
def test_on_loopback_the_missing_authentication_is_warned_of(host: str):
    assert "everyone on this machine" in check_exposure(params(mode="none"), host)


def test_a_name_counts_for_all_the_addresses_it_has(monkeypatch: pytest.MonkeyPatch):
    import socket

    both = [(2, 1, 6, "", ("127.0.0.1", 0)), (2, 1, 6, "", ("10.0.0.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(InputError, match="mode is none"):
        check_exposure(params(mode="none"), "twofaced.example")


@pytest.mark.parametrize("host", ["no.such.name.invalid", "a" * 70, "a\x00b", "999.1.1.1"])
def test_a_host_that_cannot_be_resolved_is_an_error_of_one_sentence(host: str):
    with pytest.raises(InputError, match="cannot be resolved"):
        check_exposure(params(mode="none"), host)


def test_with_authentication_only_clear_text_is_warned_of():
    assert "TLS" in check_exposure(params(mode="keys"), "0.0.0.0")
    assert check_exposure(params(mode="keys"), "127.0.0.1") == ""


# API keys


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_key_is_accepted_in_either_header(path: Path, scheme: str):
    key = made(path, "grafana", "predict", "audit")
    expected = Principal("key:grafana", frozenset({"predict", "audit"}))
    assert gate(path).principal({"authorization": f"{scheme} {key}"}) == expected
    assert gate(path).principal({"x-api-key": key, "host": "x"}) == expected


def test_a_key_has_the_documented_form_and_256_fresh_bits():
    keys = [new_key("n1.rack-2", ["predict"])[0] for _ in range(100)]
    assert all(len(key) == len("wl_n1.rack-2_") + 43 and key.startswith("wl_n1.rack-2_") for key in keys)
    assert len({key[-43:] for key in keys}) == 100
    assert set("".join(key[-43:] for key in keys)) <= set(string.ascii_letters + string.digits + "-_")


def test_a_wrong_secret_and_an_unknown_name_look_the_same(path: Path, monkeypatch: pytest.MonkeyPatch):
    key, other = made(path), new_key("grafana", ["predict"])[0]
    one = gate(path)
    compared: list[int] = []
    compare = keyring_module.compare_digest
    monkeypatch.setattr(
        keyring_module, "compare_digest", lambda a, b: (compared.append(len(a) + len(b)), compare(a, b))[1]
    )
    wrong = [refusal(one, bearer(bad)) for bad in (other, key.replace("grafana", "nobody"), "wl_", "wl_x_y")]
    assert len({(str(error), error.status, error.reason, *error.headers.items()) for error in wrong}) == 1
    assert compared == [64] * 4  # an unknown name costs a comparison too


@pytest.mark.parametrize("position", [0, 3, 10, 11, 30, -1])
def test_a_key_with_one_wrong_character_is_nobodys(path: Path, position: int):
    key = made(path)
    characters = list(key)
    characters[position] = "x" if characters[position] != "x" else "y"
    for header in (bearer("".join(characters)), {"x-api-key": "".join(characters)}):
        assert refusal(gate(path), header).status == 401


def test_neither_parts_of_a_key_nor_its_digest_open_the_gate(path: Path):
    key = made(path)
    digest = hashlib.sha256(key.encode()).hexdigest()
    shown = [
        key[:-1],
        key + "A",
        key[1:],
        key.upper(),
        key * 2,
        f"{key} ",
        f" {key}",
        digest,
        f"wl_grafana_{digest}",
        key[-43:],
    ]
    for bad in shown:
        assert refusal(gate(path), {"x-api-key": bad}).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": "Basic Z3JhZmFuYTpwdw=="},
        {"authorization": "Digest x"},
        {"x-api-key": ""},
        {"cookie": "key=1"},
    ],
    ids=repr,
)
def test_who_shows_nothing_is_told_what_to_show(path: Path, headers: dict[str, str]):
    made(path)
    error = refusal(gate(path), headers)
    assert (error.status, error.reason) == (401, "unauthenticated")
    assert error.headers == {"WWW-Authenticate": 'Bearer realm="wattline"'}
    assert refusal(gate(path), bearer("wrong")).headers["WWW-Authenticate"].endswith('error="invalid_token"')


def test_two_credentials_are_one_too_many(path: Path):
    key = made(path)
    assert refusal(gate(path), {**bearer(key), "x-api-key": key}).status == 401


def test_each_mode_takes_only_its_own_credentials(path: Path, server: FakeIssuer):
    key = made(path)

    async def body(mode: str) -> list[str]:
        names = []
        async with running(gate(path, mode, jwks_url=server.url)) as one:
            for headers in (bearer(key), {"x-api-key": key}, bearer(token())):
                try:
                    names.append(one.principal(headers).name)
                except RefusedError as error:
                    names.append(str(error.status))
        return names

    assert asyncio.run(body("keys")) == ["key:grafana", "key:grafana", "401"]
    assert asyncio.run(body("jwt")) == ["401", "401", "alice"]
    assert asyncio.run(body("both")) == ["key:grafana", "key:grafana", "alice"]


# The file of keys


def test_the_file_holds_no_key_and_only_its_owner_reads_it(path: Path):
    old = os.umask(0)
    try:
        keys = [made(path, name) for name in ("a", "b", "c")]
    finally:
        os.umask(old)
    text = path.read_text()
    assert [one["id"] for one in yaml.safe_load(text)] == ["a", "b", "c"]
    assert not any(key[-43:] in text for key in keys)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == ["api.yaml"]


def test_comments_stay_when_a_key_is_added(path: Path):
    made(path)
    path.write_text("# who to ask: the shift\n" + path.read_text() + "# end\n\n")
    key = made(path, "second")
    assert "# who to ask: the shift" in path.read_text()
    assert "# end" in path.read_text()
    assert gate(path).principal(bearer(key)).name == "key:second"


@pytest.mark.parametrize(
    "former", ["[]", "[]\n", "  - {id: a, sha256: '%s', roles: [audit]}", "[{id: a, sha256: '%s', roles: [audit]}]"]
)
def test_a_key_is_added_however_the_list_is_written(path: Path, former: str):
    path.parent.mkdir()
    path.write_text(former % ("0" * 64) if "%" in former else former)
    path.chmod(0o600)
    key = made(path)
    assert gate(path).principal(bearer(key)).name == "key:grafana"
    assert len(yaml.safe_load(path.read_text())) == 1 + ("id" in former)


@pytest.mark.parametrize("name", ["on", "1.5", "123", "null", "2024-01-01", "0x10", "a", "z" * 63])
def test_names_that_yaml_takes_for_something_else_survive(path: Path, name: str):
    key = made(path, name)
    assert gate(path).principal(bearer(key)).name == f"key:{name}"


@pytest.mark.parametrize("name", ["", "A", "a_b", "-a", ".a", "a b", "a/b", "z" * 64, "\u00e4", "a\n"])
def test_a_name_that_could_be_misread_is_refused(name: str):
    with pytest.raises(InputError, match="the id must be"):
        new_key(name, ["predict"])


@pytest.mark.parametrize("roles", [[], ["admin"], ["predict", "root"], [""]])
def test_a_key_needs_roles_that_exist(roles: list[str]):
    with pytest.raises(InputError, match="roles must be some of"):
        new_key("grafana", roles)


def test_a_name_is_given_once(path: Path):
    key = made(path)
    before = path.read_bytes()
    with pytest.raises(InputError, match="'grafana' already"):
        made(path)
    assert path.read_bytes() == before
    assert gate(path).principal(bearer(key)).name == "key:grafana"
    assert [one.name for one in path.parent.iterdir()] == ["api.yaml"]


def test_of_many_who_add_keys_at_once_none_loses_another(path: Path):
    added: list[str] = []

    def add(number: int) -> None:
        try:
            made(path, f"n{number}")
        except InputError as error:
            assert "is being added" in str(error)  # noqa: PT017
        else:
            added.append(f"n{number}")

    threads = [threading.Thread(target=add, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert added
    assert {one["id"] for one in yaml.safe_load(path.read_text())} == set(added)


def test_a_file_that_cannot_be_written_is_an_error_of_one_sentence(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another"):
        made(tmp_path / "file" / "api.yaml")


GOOD = "{id: a, sha256: '" + "0" * 64 + "', roles: [predict]}"
KEY = "wl_pasted_" + "S3cretS3cretS3cretS3cretS3cretS3cretS3cret123"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must hold a list"),
        ("keys: []", "must hold a list"),
        ("7", "must hold a list"),
        (f"- {KEY}", "entry 1 must have"),
        ("- [a]", "entry 1 must have"),
        ("- {id: a}", "entry 1 must have"),
        (f"- {GOOD[:-1]}, key: {KEY}}}", "entry 1 must have"),
        (f"- {GOOD}\n- {GOOD}", "has the id 'a' twice"),
        ("- " + GOOD.replace("predict", "admin"), "roles must be"),
        ("- " + GOOD.replace("[predict]", "predict"), "a list of roles"),
        ("- " + GOOD.replace("[predict]", "[]"), "roles must be"),
        ("- " + GOOD.replace("[predict]", "[[predict]]"), "roles must be"),
        ("- " + GOOD.replace("0" * 64, KEY), "sha256 must be 64"),
        ("- " + GOOD.replace("0" * 64, "0" * 63), "sha256 must be 64"),
        ("- " + GOOD.replace("0" * 64, "G" * 64), "sha256 must be 64"),
        ("- " + GOOD.replace("'", ""), "sha256 must be 64"),
        ("- " + GOOD.replace("id: a", "id: 7"), "id must be"),
        ("- " + GOOD.replace("id: a", f"id: {KEY}"), "id must be"),
        (f"- {{id: a, sha256: {KEY}", "not valid YAML"),
        (f"'{KEY}", "not valid YAML"),
        ("- !!python/object/apply:os.system [true]", "not valid YAML"),
        ("\x00", "not valid YAML"),
        ("[" * 1500, "not valid YAML"),
        ("#" * 300_000, "larger than"),
    ],
)
def test_a_file_that_says_something_else_is_refused_without_repeating_it(path: Path, text: str, said: str):
    path.parent.mkdir()
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(InputError, match=said) as refused:
        gate(path)
    assert "\n" not in str(refused.value)
    assert not shares(str(refused.value), "S3cretS3cretS3cret")


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666, 0o601])
def test_a_file_that_is_open_to_everyone_is_refused(path: Path, mode: int):
    made(path)
    path.chmod(mode)
    with pytest.raises(InputError, match="open to everyone"):
        gate(path)
    path.chmod(0o640)
    gate(path)


def test_a_missing_file_is_refused_with_the_command_that_makes_it(path: Path):
    with pytest.raises(InputError, match="wattline apikey"):
        gate(path)
    path.mkdir(parents=True)
    with pytest.raises(InputError, match="cannot be read"):
        gate(path)


def test_a_running_server_takes_new_keys_and_drops_revoked_ones(path: Path):
    first = made(path)

    async def body() -> None:
        async with running(gate(path)) as one:
            assert one.principal(bearer(first)).name == "key:grafana"
            second = made(path, "second")
            await until(lambda: _admitted(one, second))
            assert _admitted(one, first)
            kept = [line for line in path.read_text().splitlines() if "second" in line]
            path.write_text("\n".join(kept))
            await until(lambda: not _admitted(one, first))
            assert _admitted(one, second)
            path.write_text("[]")
            await until(lambda: not _admitted(one, second))

    asyncio.run(body())


def _admitted(one: Gatekeeper, key: str) -> bool:
    try:
        return bool(one.principal(bearer(key)))
    except RefusedError:
        return False


def test_a_file_that_breaks_while_running_is_said_once_and_leaves_the_former_keys(
    path: Path, caplog: pytest.LogCaptureFixture
):
    key = made(path)
    ring = keyring_module.Keyring(path)
    good = path.read_text()

    def said() -> int:
        for _ in range(3):
            ring.reread()
            assert ring.principal(key) is not None
        found = len([one for one in caplog.records if one.levelno == logging.ERROR])
        caplog.clear()
        return found

    assert said() == 0
    path.write_text(good + "- {id")
    assert said() == 1
    path.write_text(good)
    assert said() == 0
    path.chmod(0o644)
    assert said() == 1
    path.chmod(0o600)
    assert said() == 0
    path.chmod(0o644)
    assert said() == 1
    path.unlink()
    assert said() == 1


def test_looking_at_the_file_goes_on_after_an_unforeseen_error(path: Path, monkeypatch: pytest.MonkeyPatch):
    key = made(path)
    calls: list[int] = []

    def broken(_: object) -> bytes:
        calls.append(1)
        raise MemoryError if len(calls) == 1 else OSError

    async def body() -> None:
        monkeypatch.setattr("wattline.serving.access.gate.POLL_SECONDS", 0.01)
        async with running(gate(path)) as one:
            monkeypatch.setattr(keyring_module, "read", broken)
            await until(lambda: len(calls) > 2)
            assert _admitted(one, key)

    asyncio.run(body())


# Roles and rates


@pytest.mark.parametrize("role", ROLES)
def test_a_role_opens_its_own_door_and_no_other(role: str, path: Path):
    made(path)
    one = gate(path)
    principal = Principal("key:grafana", frozenset({role}))
    one.demand(principal, role, what="GET /", peer="p")
    for other in set(ROLES) - {role}:
        with pytest.raises(RefusedError) as refused:
            one.demand(principal, other, what="GET /", peer="p")
        assert (refused.value.status, refused.value.reason) == (403, "forbidden")


def test_who_asks_too_often_is_told_when_to_come_back():
    clock = Clock()
    one = Gatekeeper(params(mode="none", rate_per_second=0.4, burst=2), clock=clock)
    alice, bob = Principal("alice", frozenset()), Principal("bob", frozenset())
    one.spend(alice)
    one.spend(alice)
    with pytest.raises(RefusedError) as refused:
        one.spend(alice, what="POST /predict", peer="p")
    assert (refused.value.status, refused.value.reason) == (429, "rate")
    assert refused.value.headers == {"Retry-After": "3"}
    one.spend(bob)
    clock.value += 3
    one.spend(alice)


@pytest.mark.parametrize(
    ("per_second", "seconds"), [(1000, "1"), (1, "1"), (0.9, "2"), (1e-12, "86400"), (5e-324, "86400")]
)
def test_retry_after_is_a_whole_number_of_seconds(per_second: float, seconds: str):
    one = Gatekeeper(params(mode="none", rate_per_second=per_second, burst=1), clock=Clock())
    one.spend(ANYONE)
    with pytest.raises(RefusedError) as refused:
        one.spend(ANYONE)
    assert refused.value.headers == {"Retry-After": seconds}


# The log


def test_a_refusal_says_who_what_where_from_and_why(path: Path, caplog: pytest.LogCaptureFixture):
    key = made(path)
    one = gate(path, rate_per_second=1, burst=1)
    principal = one.principal(bearer(key))
    one.spend(principal)
    with pytest.raises(RefusedError):
        one.demand(principal, "operate", what="POST /admin/reload", peer="10.0.0.7")
    with pytest.raises(RefusedError):
        one.spend(principal, what="POST /predict", peer="10.0.0.7")
    refusal(one, bearer(new_key("grafana", ["audit"])[0]))
    refusal(one, {})
    forbidden, rate, wrong, none = lines(caplog)
    common = {"event": "refused", "peer": "10.0.0.7"}
    assert forbidden == common | {
        "who": "key:grafana",
        "what": "POST /admin/reload",
        "role": "operate",
        "reason": "forbidden",
    }
    assert rate == common | {"who": "key:grafana", "what": "POST /predict", "reason": "rate"}
    assert wrong.pop("why")
    expected = common | {"who": "unknown", "what": "POST /predict", "reason": "unauthenticated"}
    assert wrong == expected | {"unverified": "key grafana"}
    assert none.pop("why")
    assert none == expected
    assert {record.name for record in caplog.records} == {"wattline.serving.access"}


def test_what_an_accepted_caller_does_is_not_logged(path: Path, caplog: pytest.LogCaptureFixture):
    key = made(path)
    one = gate(path)
    one.spend(one.principal(bearer(key)))
    assert caplog.records == []


def test_the_subject_of_a_refused_token_is_marked_as_unverified(caplog: pytest.LogCaptureFixture, server: FakeIssuer):
    async def body() -> None:
        async with running(gate(Path(), "jwt", jwks_url=server.url)) as one:
            refusal(one, bearer(token(number=1, sub='mallory", "who": "root')))

    asyncio.run(body())
    (said,) = lines(caplog)
    assert (said["who"], said["unverified"]) == ("unknown", 'token subject mallory", "who": "root')


def test_a_flood_is_counted_and_said(path: Path, caplog: pytest.LogCaptureFixture):
    made(path)
    clock = Clock()
    one = Gatekeeper(params(mode="keys", keys_file=str(path)), clock=clock)
    for _ in range(500):
        refusal(one, {})
    assert len(lines(caplog)) == LINES_PER_SECOND
    clock.value += 1
    caplog.clear()
    refusal(one, {})
    said = lines(caplog)
    assert said[0] == {"event": "refused, not written", "count": 500 - LINES_PER_SECOND}
    assert len(said) == 2
    for _ in range(100):
        refusal(one, {})
    caplog.clear()
    asyncio.run(one.stop())
    assert [one["count"] for one in lines(caplog)] == [101 - LINES_PER_SECOND]


def test_a_flood_that_ends_is_said_though_nobody_else_is_refused(path: Path, caplog: pytest.LogCaptureFixture):
    made(path)

    async def body() -> None:
        async with running(gate(path)) as one:
            for _ in range(100):
                refusal(one, {})
            await until(lambda: "not written" in caplog.text)

    asyncio.run(body())


# Secrets

SHORTEST = 8
"""Characters in a row of a secret that count as a part of it."""


def shares(text: str, secret: str) -> bool:
    """Whether a part of `secret` is in `text`."""
    return any(secret[start : start + SHORTEST] in text for start in range(max(1, len(secret) - SHORTEST + 1)))


def everything(error: BaseException | None, caplog: pytest.LogCaptureFixture) -> str:
    """All that could be read of an error and the log: messages, arguments, headers, causes."""
    texts = [caplog.text, *(str(vars(record)) for record in caplog.records)]
    while error is not None:
        texts += [str(error), repr(error), str(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


@pytest.fixture(scope="module")
def gates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gatekeeper, str, asyncio.AbstractEventLoop]]:
    """A gate with one key and an issuer's keys, a key it knows, and the loop in which it is asked."""
    path = tmp_path_factory.mktemp("keys") / "api.yaml"
    key, loop = made(path), asyncio.new_event_loop()
    with pytest.MonkeyPatch.context() as patch, issuer() as server:
        patch.setattr(issuer_module, "FETCH_SECONDS", 120.0)
        one = gate(path, "both", jwks_url=server.url)
        loop.run_until_complete(one.start())
        yield one, key, loop
        loop.run_until_complete(one.stop())
    loop.close()


CONTROL = "\x00\r\n\t\x1b\x7f\u00e9\u20ac\u202e\ud800 \"'{}\\%s%(x)s"


def mutilated(draw: st.DrawFn, credential: str) -> str:
    """A credential after an accident: cut, doubled, moved, with characters in it that no header has."""
    cut = draw(st.integers(0, len(credential)))
    strange = draw(st.text(CONTROL, max_size=5))
    return draw(
        st.sampled_from(
            [
                credential[:cut],
                credential[cut:] + credential[:cut],
                credential[:cut] + strange + credential[cut:],
                credential + credential[cut:],
                credential.swapcase(),
                credential.replace("_", "."),
                credential.replace(".", "_"),
                f"wl_{credential}",
                f"eyJ{credential}",
                f"{credential} {credential}",
                credential * (20_000 // len(credential)),
                f"{strange}{credential}",
            ]
        )
    )


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_part_of_a_credential_reaches_the_log_or_an_exception(
    gates: tuple[Gatekeeper, str, asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture, data: st.DataObject
):
    one, key, _ = gates
    one._log._lines = 0  # no line may be left out of this test
    caplog.clear()
    genuine = data.draw(st.sampled_from([key, token(), token("ES256"), token("RS256", number=1)]))
    shown = mutilated(data.draw, genuine)
    prefix = data.draw(st.sampled_from(["Bearer ", "bearer  ", "", "Basic ", "Bearer\t", "Token "]))
    headers = data.draw(
        st.sampled_from(
            [{"authorization": prefix + shown}, {"x-api-key": shown}, {"authorization": shown, "x-api-key": shown}]
        )
    )
    try:
        principal = one.principal(headers, what=f"GET /predict/{genuine}", peer="10.0.0.7")
    except RefusedError as error:
        refused: RefusedError | None = error
    else:
        refused = None
        assert shown.strip() == genuine
        assert principal.name in ("key:grafana", "alice")
    text = everything(refused, caplog)
    assert refused is None or (refused.status in (401, 503) and "10.0.0.7" in text)
    secrets = genuine.split("_", 2)[2:] if genuine == key else genuine.split(".")
    for secret in secrets:
        assert not shares(text, secret)
        assert not shares(text.swapcase(), secret)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    headers=st.dictionaries(
        st.sampled_from(["authorization", "x-api-key"]),
        st.one_of(st.text(), st.text().map("Bearer ".__add__), st.text(".eyJ-_aA0=").map("Bearer eyJ".__add__)),
    ),
    what=st.text(),
    peer=st.text(),
)
def test_garbage_gets_a_refusal_and_one_printable_line(
    gates: tuple[Gatekeeper, str, asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture, headers, what, peer
):
    one, _, _ = gates
    one._log._lines = 0
    caplog.clear()
    with pytest.raises(RefusedError) as refused:
        one.principal(headers, what=what, peer=peer)
    assert refused.value.status in (401, 503)
    json.dumps(str(refused.value)).encode("ascii")
    (record,) = caplog.records
    said = record.getMessage()
    assert said.isascii()
    assert not any(ord(character) < 32 for character in said)
    assert json.loads(said)["event"] == "refused"


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["EdDSA", "RS256", "ES256", "HS256", "none", 7, None]),
        "kid": st.one_of(st.sampled_from(["rsa", "ec", "ed"]), st.text(max_size=5), st.none(), st.integers()),
        "crit": st.one_of(st.lists(st.text(max_size=3), max_size=2), st.integers()),
        "b64": st.booleans(),
    },
)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    header=HEADERS,
    body=st.one_of(st.binary(max_size=60), st.dictionaries(st.sampled_from(["sub", "exp"]), st.integers())),
    tail=st.binary(max_size=64),
)
def test_no_forged_token_is_accepted_or_breaks_the_gate(
    gates: tuple[Gatekeeper, str, asyncio.AbstractEventLoop], header: dict[str, Any], body: Any, tail: bytes
):
    one, _, _ = gates
    with pytest.raises(RefusedError) as refused:
        one.principal(bearer(f"{encoded(header)}.{encoded(body)}.{encoded(tail)}"))
    assert refused.value.status in (401, 503)


def test_the_identifier_in_the_log_ends_before_the_secret_begins():
    key, _ = new_key("grafana", ["predict"])
    assert claimed_identifier(key) == "grafana"
    for number in range(len(key)):
        for bad in (key[:number], key[number:], key[number:] + key[:number], key + key[:number]):
            assert claimed_identifier(bad) in ("", "grafana")


def test_an_entry_prints_as_what_the_file_takes():
    entry = Entry("grafana", "0" * 64, ("predict", "audit"))
    assert yaml.safe_load(str(entry)) == [{"id": "grafana", "sha256": "0" * 64, "roles": ["predict", "audit"]}]
    assert str(entry).count("\n") == 1


def test_stopping_twice_and_without_a_start_is_harmless(path: Path, server: FakeIssuer):
    made(path)

    async def body() -> None:
        one = gate(path, "both", jwks_url=server.url)
        await one.stop()
        await one.start()
        await one.stop()
        await one.stop()
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(body())


def test_a_token_may_not_take_the_name_of_a_keys_caller(path: Path, server: FakeIssuer):
    made(path)
    server.keys = [jwk("ed", "ed")]

    async def body() -> None:
        async with running(gate(path, "both", jwks_url=server.url)) as one:
            assert refusal(one, bearer(token(sub="key:grafana"))).status == 401
            assert one.principal(bearer(token(sub="grafana"))).name == "grafana"

    asyncio.run(body())
