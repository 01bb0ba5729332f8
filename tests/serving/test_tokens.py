"""Only tokens that the issuer signed for this server, with a key that it still has, say who somebody is."""

import asyncio
import contextlib
import gzip
import hashlib
import hmac
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.issuers import (
    ISSUER,
    KINDS,
    NOW,
    Clock,
    FakeIssuer,
    claims,
    encoded,
    issuer,
    jwk,
    params,
    private_key,
    public_pem,
    token,
)
from wattline.errors import InputError
from wattline.serving.access import issuer as issuer_module
from wattline.serving.access import tokens as tokens_module
from wattline.serving.access.issuer import ALGORITHMS, REST_SECONDS, STALE_SECONDS, parse
from wattline.serving.access.tokens import Tokens
from wattline.serving.call import Principal
from wattline.serving.refusal import RefusedError

MINUTE = 60.0


@pytest.fixture
def server() -> Iterator[FakeIssuer]:
    with issuer() as running:
        yield running


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(issuer_module, "FETCH_SECONDS", 120.0)


@contextlib.asynccontextmanager
async def started(url: str, **changed: Any) -> AsyncIterator[tuple[Tokens, Clock]]:
    """Tokens of the issuer at `url`, and the clock by which they are judged."""
    clock = Clock()
    tokens = Tokens(params(jwks_url=url, **changed), now=clock, clock=clock)
    await tokens.issuer.start()
    try:
        yield tokens, clock
    finally:
        await tokens.issuer.stop()


def outcome(tokens: Tokens, one: str) -> Principal | tuple[int, str]:
    try:
        return tokens.principal(one)
    except RefusedError as error:
        return error.status, str(error)


def ask(server: FakeIssuer, *asked: str, **changed: Any) -> list[Any]:
    """What becomes of each token, asked in this order."""

    async def body() -> list[Any]:
        async with started(server.url, **changed) as (tokens, _):
            return [outcome(tokens, one) for one in asked]

    return asyncio.run(body())


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within 4 minutes"
        await asyncio.sleep(0.005)


def reached(server: FakeIssuer, hits: int) -> bool:
    return server.hits == hits


def accepted(one: Any) -> bool:
    return isinstance(one, Principal)


# What is accepted


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_good_token_says_who_and_what_they_may(server: FakeIssuer, algorithm: str):
    assert ask(server, token(algorithm)) == [Principal("alice", frozenset({"predict"}))]


def test_an_audience_may_stand_among_others_and_a_key_may_name_its_algorithm(server: FakeIssuer):
    server.keys = [jwk("rsa", "rsa", alg="PS256", use="sig", key_ops=["verify"])]
    found = ask(server, token("PS256", aud=["account", "wattline"]), token("RS256"))
    assert accepted(found[0])
    assert found[1][0] == 401  # the same key, but not for this algorithm


@pytest.mark.parametrize(
    ("path", "given_claims", "roles"),
    [
        ("roles", {"roles": ["predict", "audit"]}, {"predict", "audit"}),
        ("roles", {"roles": "predict  feedback"}, {"predict", "feedback"}),
        ("scope", {"scope": "openid predict"}, {"predict"}),
        ("realm_access.roles", {"realm_access": {"roles": ["operate", "offline_access"]}}, {"operate"}),
        ("resource_access.wattline.roles", {"resource_access": {"wattline": {"roles": ["audit"]}}}, {"audit"}),
        ("https://site.example/roles", {"https://site.example/roles": ["predict"]}, {"predict"}),
        ("realm_access.roles", {"realm_access": ["predict"]}, set()),
        ("realm_access.roles", {"realm_access": {"roles": {"predict": True}}}, set()),
        ("roles", {"roles": ["Predict", "predict ", "predict,operate", 7, ["operate"], None]}, set()),
        ("roles", {"roles": True}, set()),
        ("nothing.at.all", {}, set()),
    ],
)
def test_roles_are_read_where_they_are_said_to_be_and_unknown_ones_give_nothing(
    server: FakeIssuer, path: str, given_claims: dict[str, Any], roles: set[str]
):
    found = ask(server, token(**{"roles": None, **given_claims}), roles_claim=path)
    assert found == [Principal("alice", frozenset(roles))]


# Forged signatures


def forged(header: dict[str, Any], secret: bytes) -> str:
    """A token signed with HMAC, as somebody who knows only public things can make it."""
    signed = f"{encoded(header)}.{encoded(claims())}"
    return f"{signed}.{encoded(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def test_no_signature_is_no_token(server: FakeIssuer):
    good = token()
    header, body, signature = good.split(".")
    bare = [
        f"{encoded({'alg': alg, 'kid': 'ed'})}.{body}.{tail}"
        for alg in ("none", "None", "NONE", "", None, ["EdDSA"], {"EdDSA": 1})
        for tail in ("", signature)
    ]
    stripped = [
        f"{header}.{body}.",
        f"{header}.{body}",
        f"{header}..{signature}",
        f".{body}.{signature}",
        header,
        "",
        "..",
        ".",
    ]
    assert {found[0] for found in ask(server, *bare, *stripped)} == {401}


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed"])
def test_a_public_key_is_no_shared_secret(server: FakeIssuer, kind: str):
    secrets = [public_pem(kind), public_pem(kind).strip(), json.dumps(jwk(kind, kind)).encode(), server.document(), b""]
    asked = [forged({"alg": alg, "kid": kind}, secret) for alg in ("HS256", *ALGORITHMS) for secret in secrets]
    assert {found[0] for found in ask(server, *asked)} == {401}


def test_even_a_secret_that_the_issuer_publishes_signs_nothing(server: FakeIssuer):
    server.keys.append({"kty": "oct", "kid": "shared", "k": encoded(b"s" * 32), "alg": "HS256"})
    assert ask(server, forged({"alg": "HS256", "kid": "shared"}, b"s" * 32))[0][0] == 401


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS384"])
def test_an_algorithm_that_is_not_listed_is_refused_though_the_signature_is_right(server: FakeIssuer, algorithm: str):
    one = jwt.encode(claims(), private_key("rsa"), algorithm=algorithm, headers={"kid": "rsa"})
    assert ask(server, one)[0] == (401, "a token must be signed with one of RS256, PS256, ES256, EdDSA; send another")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("kid", ["rsa", "ec", "ed"])
def test_a_kid_that_names_another_kind_of_key_is_refused(server: FakeIssuer, algorithm: str, kid: str):
    expected = kid == KINDS[algorithm]
    assert accepted(ask(server, token(algorithm, kid=kid))[0]) is expected


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_of_the_right_kind_that_is_not_the_issuers_signs_nothing(server: FakeIssuer, algorithm: str):
    assert ask(server, token(algorithm, number=1)) == [(401, "the token's signature is wrong; send another")]


@pytest.mark.parametrize(
    "kid",
    ["../../dev/null", "ed' OR '1'='1", "ed\x00", "ED", " ed", "e" * 3000, "\ud800", 7, None, ["ed"], {"ed": 1}, True],
)
def test_a_strange_kid_finds_no_key(server: FakeIssuer, kid: Any):
    _, body, signature = token().split(".")
    header = encoded({"alg": "EdDSA", "kid": kid})
    assert ask(server, f"{header}.{body}.{signature}")[0][0] in (401, 503)
    header = encoded({"alg": "EdDSA"})
    assert ask(server, f"{header}.{body}.{signature}")[0][0] == 401


@pytest.mark.parametrize("member", ["jku", "x5u", "jwk", "x5c"])
def test_keys_that_a_token_brings_along_are_never_looked_at(server: FakeIssuer, member: str):
    with issuer() as attacker:
        attacker.keys = [jwk("ed", "ed", number=1)]
        brought = {"jku": attacker.url, "x5u": attacker.url, "jwk": attacker.keys[0], "x5c": [encoded(b"x" * 99)]}[
            member
        ]
        for kid in ("ed", "theirs"):
            assert ask(server, token(kid=kid, number=1, header={member: brought}))[0][0] in (401, 503)
        assert attacker.hits == 0


def test_a_changed_token_is_refused(server: FakeIssuer):
    header, body, signature = token().split(".")
    richer = encoded(claims(roles=["operate"]))
    flipped = ("A" if signature[10] != "A" else "B").join([signature[:10], signature[11:]])
    other = token(sub="bob").split(".")
    asked = [
        f"{header}.{richer}.{signature}",
        f"{header}.{body}.{flipped}",
        f"{header}.{other[1]}.{signature}",
        f"{header}.{body}.{signature}.{signature}",
        f"{header}.{body}.{signature} ",
        f"{header}.{body}.{signature}\n",
        f"{header}.{body}.{signature}!",
    ]
    good, *bad = ask(server, f"{header}.{body}.{signature}", *asked)
    assert accepted(good)
    assert {found[0] for found in bad} == {401}


def test_a_critical_header_that_nobody_here_knows_is_refused(server: FakeIssuer):
    header = {"crit": ["b64"], "b64": False}
    assert ask(server, token(header={"crit": ["exp2"], "exp2": 1}))[0][0] == 401
    body = f"{encoded({'alg': 'EdDSA', 'kid': 'ed', **header})}..{token().split('.')[2]}"
    assert ask(server, body)[0][0] == 401


# Wrong claims under a right signature


def signed(payload: bytes) -> str:
    """Any bytes, as a token of the issuer."""
    return jwt.PyJWS().encode(payload, private_key("ed"), algorithm="EdDSA", headers={"kid": "ed"})


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": None},
        {"iss": ISSUER + "/"},
        {"iss": ISSUER.upper()},
        {"iss": [ISSUER]},
        {"aud": None},
        {"aud": "wattline2"},
        {"aud": ""},
        {"aud": []},
        {"aud": {"wattline": 1}},
        {"aud": ["wattline", 7]},
        {"exp": None},
        {"exp": str(int(NOW + 600))},
        {"exp": True},
        {"exp": [NOW + 600]},
        {"exp": math.inf},
        {"exp": math.nan},
        {"exp": 10**400},
        {"nbf": "soon"},
        {"nbf": -math.inf},
        {"iat": "2027-01-01T00:00:00Z"},
        {"iat": math.nan},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "a" * 513},
        {"sub": "key:grafana"},
        {"sub": "alice\nforged line"},
        {"sub": "alice\x1b[2J"},
        {"sub": "\u202ealice"},
        {"sub": "\ud800"},
    ],
    ids=repr,
)
def test_a_signed_token_with_a_wrong_claim_is_refused(server: FakeIssuer, changed: dict[str, Any]):
    good, bad = ask(server, signed(json.dumps(claims()).encode()), signed(json.dumps(claims(**changed)).encode()))
    assert accepted(good)
    assert bad[0] == 401
    assert "signature" not in bad[1]


@pytest.mark.parametrize(
    "payload", [b"[]", b"7", b"null", b"", b"{", b"\xff\xfe", b"[" * 5000, b'{"exp": 1' + b"0" * 5000 + b"}"]
)
def test_a_signed_token_that_holds_no_claims_is_refused(server: FakeIssuer, payload: bytes):
    assert ask(server, signed(payload)) == [(401, "the token is malformed; send another")]


# Times


@pytest.mark.parametrize("remembered", [False, True])
@pytest.mark.parametrize(("offset", "expected"), [(-1, True), (29.99, True), (30, False), (30.01, False), (1e6, False)])
def test_a_token_ends_with_its_leeway_whether_it_was_seen_before_or_not(
    server: FakeIssuer, offset: float, expected: bool, remembered: bool
):
    async def body() -> None:
        async with started(server.url, leeway_seconds=30) as (tokens, clock):
            one = token(exp=NOW + MINUTE)
            if remembered:
                assert accepted(outcome(tokens, one))
            clock.value = NOW + MINUTE + offset
            assert accepted(outcome(tokens, one)) is expected

    asyncio.run(body())


@pytest.mark.parametrize("claim", ["nbf", "iat"])
@pytest.mark.parametrize(("offset", "expected"), [(-30.01, False), (-30, True), (0, True), (60, True)])
def test_a_token_begins_with_its_leeway(server: FakeIssuer, claim: str, offset: float, expected: bool):
    async def body() -> None:
        async with started(server.url, leeway_seconds=30) as (tokens, clock):
            clock.value = NOW + offset
            assert accepted(outcome(tokens, token(**{claim: NOW}))) is expected

    asyncio.run(body())


def test_without_leeway_the_second_counts(server: FakeIssuer):
    found = ask(server, token(exp=NOW), token(exp=NOW + 1), token(nbf=NOW), token(nbf=NOW + 1), leeway_seconds=0)
    assert [accepted(one) for one in found] == [False, True, True, False]


# Cost


def test_a_token_is_verified_once_and_the_oldest_ones_are_forgotten(
    server: FakeIssuer, monkeypatch: pytest.MonkeyPatch
):
    seen: list[str] = []
    decode = jwt.decode
    monkeypatch.setattr(jwt, "decode", lambda one, *rest, **named: (seen.append(one), decode(one, *rest, **named))[1])
    monkeypatch.setattr(tokens_module, "REMEMBERED", 2)
    a, b, c = (token(sub=name) for name in "abc")
    assert all(map(accepted, ask(server, a, a, b, a, c, a, b)))
    assert seen == [a, b, c, b]  # a stayed because it was asked for; b had to go


def test_a_refused_token_is_never_remembered(server: FakeIssuer):
    one = token(number=1)
    assert [found[0] for found in ask(server, one, one)] == [401, 401]


def test_an_overlong_token_is_refused_before_it_is_read(server: FakeIssuer, monkeypatch: pytest.MonkeyPatch):
    long = token(padding="x" * 6200)
    assert len(long) > 8192
    assert accepted(ask(server, token(padding="x" * 5500))[0])

    def read(*_: object) -> None:
        raise AssertionError("an overlong token was read")

    monkeypatch.setattr(tokens_module, "_part", read)
    monkeypatch.setattr(jwt, "decode", read)
    assert (
        ask(server, long, "x" * 100_000, "\u00e9" * 10)
        == [(401, "a token has at most 8192 ASCII characters; send another")] * 3
    )


# The issuer's keys


@pytest.mark.parametrize("remembered", [False, True])
def test_a_key_that_was_rotated_away_stops_being_accepted(server: FakeIssuer, remembered: bool):
    async def body() -> None:
        async with started(server.url, refresh_seconds=0.02) as (tokens, _):
            one = token()
            assert accepted(outcome(tokens, one))
            server.keys = [jwk("rsa", "rsa")]
            if remembered:  # by those that were verified before, too
                await until(lambda: not accepted(outcome(tokens, one)))
            else:
                await until(lambda: not accepted(outcome(tokens, token(jti=str(time.monotonic())))))
            assert accepted(outcome(tokens, token("RS256")))

    asyncio.run(body())


def test_another_key_under_the_same_kid_invalidates_what_the_former_one_signed(server: FakeIssuer):
    async def body() -> None:
        async with started(server.url, refresh_seconds=0.02) as (tokens, _):
            former, new = token(), token(number=1)
            assert accepted(outcome(tokens, former))
            server.keys = [jwk("ed", "ed", number=1)]
            await until(lambda: accepted(outcome(tokens, new)))
            assert not accepted(outcome(tokens, former))

    asyncio.run(body())


def test_a_new_key_is_fetched_when_the_first_token_names_it(server: FakeIssuer):
    async def body() -> None:
        async with started(server.url) as (tokens, clock):
            server.keys.append(jwk("ed", "new", number=1))
            one = token(kid="new", number=1)
            clock.value += REST_SECONDS
            with pytest.raises(RefusedError) as refused:
                tokens.principal(one)
            assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
            await until(lambda: accepted(outcome(tokens, one)))
            assert server.hits == 2

    asyncio.run(body())


def test_however_many_unknown_kids_cause_one_fetch(server: FakeIssuer):
    async def body() -> None:
        async with started(server.url) as (tokens, clock):
            flood = [token(kid=f"unknown {number}") for number in range(100)]
            assert {outcome(tokens, one)[0] for one in flood} == {401}  # the issuer was asked a moment ago
            for hits in (2, 3):
                clock.value += REST_SECONDS
                server.hold.clear()
                assert {outcome(tokens, one)[0] for one in flood} == {503}
                await until(partial(reached, server, hits))
                assert {outcome(tokens, one)[0] for one in flood} == {503}
                server.hold.set()
                await until(lambda: outcome(tokens, flood[0])[0] == 401)
                assert {outcome(tokens, one)[0] for one in flood} == {401}
                await asyncio.sleep(0.05)
                assert server.hits == hits
            assert accepted(outcome(tokens, token()))

    asyncio.run(body())


def test_a_server_starts_without_its_issuer_and_finds_it_later(server: FakeIssuer, caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        server.status = 500
        async with started(server.url) as (tokens, clock):
            assert "issuer" in caplog.text
            assert outcome(tokens, token())[0] == 503
            server.status = 200
            clock.value += REST_SECONDS
            await until(lambda: accepted(outcome(tokens, token())))

    asyncio.run(body())


def test_an_issuer_that_nobody_answers_for_is_no_fatal_error(server: FakeIssuer, caplog: pytest.LogCaptureFixture):
    server.url = "http://127.0.0.1:1/certs"
    assert ask(server, token())[0][0] == 503
    assert "ConnectError" in caplog.text


def test_an_issuer_that_never_ends_its_answer_is_given_up(
    server: FakeIssuer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(issuer_module, "FETCH_SECONDS", 0.2)
    server.headers = {"Content-Length": "100000"}
    assert ask(server, token())[0][0] == 503
    assert "TimeoutError" in caplog.text or "RemoteProtocolError" in caplog.text
    server.hold.clear()
    caplog.clear()
    assert ask(server, token())[0][0] == 503
    assert "TimeoutError" in caplog.text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_keys_behind_a_redirect_are_not_trusted(server: FakeIssuer, status: int):
    with issuer() as attacker:
        attacker.keys = [jwk("ed", "ed", number=1)]
        server.status, server.headers = status, {"Location": attacker.url}
        assert ask(server, token(number=1), token())[0][0] == 503
        assert attacker.hits == 0


@pytest.mark.parametrize("status", [204, 206, 400, 404, 500])
def test_only_a_complete_answer_is_read(server: FakeIssuer, status: int):
    server.status = status
    if status == 204:
        server.content = b""
    assert ask(server, token())[0][0] == 503


def test_a_huge_document_is_refused_and_one_just_small_enough_is_not(server: FakeIssuer):
    padding = " " * (issuer_module.LARGEST_DOCUMENT - len(server.document()))
    server.content = server.document() + padding.encode()
    assert accepted(ask(server, token())[0])
    server.content += b" "
    assert ask(server, token())[0][0] == 503


def test_a_document_that_inflates_is_refused(server: FakeIssuer):
    server.content, server.headers = gzip.compress(server.document()), {"Content-Encoding": "gzip"}
    assert ask(server, token())[0][0] == 503


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"7", b"null", b"{}", b'{"keys": 7}', b'{"keys": null}', b"\xff", b"<html>", b"[" * 100_000],
)
def test_an_answer_that_is_no_key_set_leaves_the_former_keys(
    server: FakeIssuer, content: bytes, caplog: pytest.LogCaptureFixture
):
    async def body() -> None:
        async with started(server.url, refresh_seconds=0.02) as (tokens, _):
            server.content = content
            await until(lambda: "JWK Set" in caplog.text)
            assert accepted(outcome(tokens, token()))
            server.content = None
            server.keys = [jwk("ed", "ed", number=1)]
            await until(lambda: accepted(outcome(tokens, token(number=1))))

    asyncio.run(body())


def test_two_keys_of_one_name_are_refused_as_a_whole(server: FakeIssuer):
    server.keys = [jwk("ed", "ed"), jwk("ed", "ed", number=1)]
    assert [found[0] for found in ask(server, token(), token(number=1))] == [503, 503]


@pytest.mark.parametrize(
    "member",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"alg": "RSA-OAEP"},
        {"alg": "HS256"},
        {"alg": ["RS256"]},
        {"kid": 7},
        {"kid": None},
        {"kty": "EC"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kty": ["RSA"]},
        {"crv": "P-256"},
        {"n": "!!"},
        {"n": 7},
        {"n": None},
        {"e": ""},
    ],
    ids=repr,
)
def test_a_key_that_is_not_for_tokens_verifies_none_and_harms_no_other(server: FakeIssuer, member: dict[str, Any]):
    server.keys = [jwk("rsa", "rsa") | member, jwk("ed", "ed")]
    found = ask(server, token("RS256"), token())
    assert found[0][0] in (401, 503)
    assert accepted(found[1])


def test_a_short_rsa_key_verifies_nothing(server: FakeIssuer):
    server.keys = [jwk("weak", "weak")]
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        one = jwt.encode(claims(), private_key("weak"), algorithm="RS256", headers={"kid": "weak"})
    assert ask(server, one)[0][0] == 401


def test_an_issuer_that_publishes_private_members_still_only_verifies(server: FakeIssuer):
    private = json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(private_key("rsa")))
    private.pop("key_ops")
    server.keys = [private | {"kid": "rsa"}]
    assert accepted(ask(server, token("RS256"))[0])


def test_keys_of_an_issuer_that_was_silent_for_a_day_are_dropped(server: FakeIssuer, caplog: pytest.LogCaptureFixture):
    async def body() -> None:
        async with started(server.url, refresh_seconds=0.02) as (tokens, clock):
            one = token(exp=NOW + 10 * STALE_SECONDS)
            assert accepted(outcome(tokens, one))
            server.status = 500
            await until(lambda: "500" in caplog.text)
            assert accepted(outcome(tokens, one))
            clock.value += STALE_SECONDS + MINUTE
            await until(lambda: not accepted(outcome(tokens, one)))

    asyncio.run(body())


@given(
    st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none()
            | st.booleans()
            | st.floats()
            | st.text(max_size=5)
            | st.sampled_from(["RSA", "EC", "OKP", "sig", "kid"]),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(["keys", "kty", "kid", "n", "e", "x", "y", "crv", "use", "alg", "key_ops"]), inner
                )
            ),
            max_leaves=12,
        ),
    )
)
def test_no_document_yields_a_key_by_accident_or_another_error_than_that_it_is_none(document: Any):
    content = document if isinstance(document, bytes) else json.dumps({"keys": [document]}).encode()
    with contextlib.suppress(InputError, TypeError, ValueError):  # each of them leaves the former keys in place
        assert parse(content) == {}


# Configuration


@pytest.mark.parametrize("name", ["issuer", "audience", "jwks_url", "roles_claim"])
def test_tokens_need_a_complete_configuration(name: str):
    with pytest.raises(InputError, match=f"serving.auth.{name} is empty"):
        Tokens(params(**{name: ""}), now=Clock(), clock=Clock())


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/certs",
        "http://10.0.0.1/certs",
        "http:///certs",
        "ftp://127.0.0.1/certs",
        "file:///etc/passwd",
        "issuer.example/certs",
        "https:///certs",
        "https://issuer.example:port/certs",
        "https://[::1/certs",
        "https://user:hunter2@issuer.example/certs",
    ],
)
def test_keys_are_only_fetched_where_nobody_can_exchange_them(url: str):
    with pytest.raises(InputError, match="jwks_url must be https") as refused:
        Tokens(params(jwks_url=url), now=Clock(), clock=Clock())
    assert "hunter2" not in str(refused.value)
