"""A version is pushed to GitLab whole and once, whatever interrupts it, and never over something else."""

import contextlib
import io
import logging
import os
import signal
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from builders import signing_key, statement, write_candidate, write_reports
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gitlab import standin
from gitlab.standin import API, GUEST, JOB, READER, Fault, Server
from pydantic import SecretStr

from wattline import files, signing
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.gitlab import project as client
from wattline.registry import mirror
from wattline.registry.mirror import MirrorResult, contents
from wattline.settings import settings

FILES = {
    "candidate/candidate.json",
    "candidate/model.onnx",
    "candidate/signature.json",
    "candidate/weights.safetensors",
    "cards/anomaly.md",
    "reports/decide.json",
    "reports/evaluate.json",
    "reports/measure.json",
    "statement.dsse.json",
}
PARAMS = {"steps": "4", "ridge": "0.1"}


class Version:
    """A version as `push` takes it, in a folder of its own."""

    def __init__(self, folder: Path, *, weights: bytes = b"weights") -> None:
        self.folder = folder
        self.candidate = write_candidate(folder / "candidate", weights=weights)
        write_reports(folder / "reports", self.candidate)
        (folder / "cards").mkdir()
        (folder / "cards" / "anomaly.md").write_text("# anomaly\n")
        self.statement = signing.sign(statement(self.candidate), signing_key())
        self.tags = {"wattline.candidate": self.candidate.digest, "wattline.commit": "c" * 40}

    def push(self, server: Server, **changed: Any) -> MirrorResult:
        given = {
            "name": "anomaly",
            "version": "1",
            "tags": self.tags,
            "address": server.address,
            "token": SecretStr(API),
            "params": PARAMS,
            "metrics": {"loss": 0.25},
        }
        return mirror.push(self.folder, self.statement, **(given | changed))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "BACKOFF_SECONDS", 0.0)


@pytest.fixture
def version(tmp_path: Path) -> Version:
    return Version(tmp_path / "version")


@pytest.fixture
def server() -> Iterator[Server]:
    """A GitLab of which nothing was asked that it does not have."""
    with standin.running() as running:
        yield running
        assert running.state.unmounted == []


def check_complete(server: Server, version: Version) -> None:
    """All of a version is there, and each thing once."""
    state = server.state
    assert list(state.models) == ["anomaly"]
    assert [(one["name"], one["aliases"]) for one in state.versions] == [("anomaly", ["1.0.0"])]
    expected = {path: (version.folder / path).read_bytes() for path in FILES - {"statement.dsse.json"}}
    assert state.contents() == expected | {"statement.dsse.json": version.statement}
    run = state.runs["run-1"]
    assert run["info"]["status"] == "FINISHED"
    assert {row["key"]: row["value"] for row in run["data"]["params"]} == PARAMS
    keys = [row["key"] for row in run["data"]["metrics"]]
    assert sorted(keys) == ["energy_per_1000_joules", "latency_p99_ms", "loss", "parameters", "vus_pr"]


class TestAPush:
    def test_brings_files_tags_params_and_metrics(self, server: Server, version: Version):
        result = version.push(server)
        check_complete(server, version)
        tags = {tag["key"]: tag["value"] for tag in server.state.versions[0]["tags"]}
        assert tags["gitlab.version"] == result.semver == "1.0.0"
        assert tags["wattline.candidate"] == version.candidate.digest
        assert set(result.changes) > FILES
        assert result.changed
        assert "version 1 of anomaly is in" in str(result)

    def test_again_changes_nothing_and_says_so(self, server: Server, version: Version):
        version.push(server, champion="1")
        server.state.calls.clear()
        result = version.push(server, champion="1")
        assert server.state.writes == []
        assert not result.changed
        assert str(result).endswith("as 1.0.0 already; nothing was changed")
        check_complete(server, version)

    def test_of_another_version_stands_beside_the_first(self, server: Server, version: Version, tmp_path: Path):
        version.push(server)
        Version(tmp_path / "other", weights=b"other").push(server, version="12")
        assert [one["aliases"] for one in server.state.versions] == [["1.0.0"], ["12.0.0"]]
        assert set(server.state.contents("2")) == FILES

    def test_says_in_words_which_version_is_champion_as_gitlab_has_no_aliases(self, server: Server, version: Version):
        assert server.state.models == {}
        version.push(server)
        assert server.state.models["anomaly"]["description"] == "", "what was not told is not claimed"
        version.push(server, champion="3")
        assert "the champion was version 3 (3.0.0)" in server.state.models["anomaly"]["description"]
        assert version.push(server, champion="4").changes == ("champion 4.0.0 in the description",)

    def test_leaves_out_what_gitlab_cannot_hold(self, server: Server, version: Version):
        tags = version.tags | {"wattline.empty": "", "gitlab.version": "9.9.9"}
        metrics = {"loss": 0.25, "nothing": float("nan"), "endless": float("inf")}
        version.push(server, tags=tags, metrics=metrics, params={"units": "n" * 300, "none": ""})
        sent = {tag["key"]: tag["value"] for tag in server.state.versions[0]["tags"]}
        assert "wattline.empty" not in sent
        assert sent["gitlab.version"] == "1.0.0"
        data = server.state.runs["run-1"]["data"]
        assert {row["key"] for row in data["metrics"]}.isdisjoint({"nothing", "endless"})
        assert data["params"] == [{"key": "units", "value": "n" * 247 + "..."}]

    def test_reads_through_object_storage_without_giving_it_the_token(self, server: Server, version: Version):
        server.state.object_storage = True
        version.push(server)
        check_complete(server, version)
        assert server.state.seen_by_storage == [None] * len(FILES)


class TestSomethingElseThere:
    @pytest.fixture
    def mirrored(self, server: Server, version: Version) -> Server:
        version.push(server)
        server.state.calls.clear()
        return server

    def test_under_the_same_version_is_refused_by_name(self, mirrored: Server, tmp_path: Path):
        with pytest.raises(IntegrityError, match=r"version 1\.0\.0 of anomaly in GitLab holds content .*delete it"):
            Version(tmp_path / "other", weights=b"other").push(mirrored)
        assert mirrored.state.writes == []

    def test_such_as_a_version_that_a_person_made_is_refused(self, mirrored: Server, version: Version):
        mirrored.state.versions[0]["tags"] = []
        with pytest.raises(IntegrityError, match="holds content unknown"):
            version.push(mirrored)
        assert mirrored.state.writes == []

    def test_such_as_an_altered_file_is_refused_by_name(self, mirrored: Server, version: Version):
        stored = mirrored.state.files
        at = next(index for index, (_, name, _) in enumerate(stored) if name.endswith("model.onnx"))
        stored[at] = (*stored[at][:2], stored[at][2][:-1] + b"?")
        with pytest.raises(IntegrityError, match=r"holds candidate/model\.onnx with SHA-256"):
            version.push(mirrored)
        assert mirrored.state.writes == []

    def test_such_as_a_file_too_many_is_refused_by_name(self, mirrored: Server, version: Version):
        mirrored.state.files.append(("1", "extra.pkl", b"?"))
        with pytest.raises(IntegrityError, match=r"the file extra\.pkl"):
            version.push(mirrored)

    def test_such_as_another_signature_is_refused(self, mirrored: Server, version: Version):
        version.statement = signing.sign(statement(version.candidate), signing_key(1))
        with pytest.raises(IntegrityError, match="holds content"):
            version.push(mirrored)


class TestAnInterruptedPush:
    def test_is_completed_and_nothing_is_there_twice_wherever_it_was_killed(self, version: Version):
        calls = 0
        while True:
            with standin.running() as server:
                ended = killed_at(calls, lambda server=server: version.push(server))
                if ended:
                    break
                version.push(server)
                check_complete(server, version)
                assert not version.push(server).changed
                calls += 1
        assert calls > 4 * len(FILES), "killed before and after each of its calls"

    def test_is_completed_when_it_was_killed_within_a_file(self, server: Server, version: Version):
        class Deadly(io.BytesIO):
            def read(self, size: int | None = -1, /) -> bytes:
                os.kill(os.getpid(), signal.SIGKILL)
                return b""

            def __iter__(self) -> Iterator[bytes]:
                yield b"{"
                os.kill(os.getpid(), signal.SIGKILL)

        def push() -> None:
            contents._open = lambda path: Deadly(path.read_bytes())  # type: ignore[assignment]
            version.push(server)

        assert not in_child(push)
        assert server.state.contents() == {}
        version.push(server)
        check_complete(server, version)

    @pytest.mark.parametrize("status", [429, 502, 503, None])
    @pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize(
        "route",
        [
            "registered-models/get",
            "registered-models/create",
            "registered-models/alias",
            "model-versions/create",
            r"files/candidate/model\.onnx",
            "artifacts$",
            "runs/get",
            "runs/log-batch",
            "runs/update",
        ],
    )
    def test_by_a_server_that_stumbles_goes_on(
        self, server: Server, version: Version, status: int | None, late: bool, route: str
    ):
        server.state.faults.append(Fault(route, status, times=2, late=late))
        version.push(server)
        check_complete(server, version)
        assert server.state.faults[0].times < 2, "the server did stumble"

    def test_waits_as_long_as_the_server_says(self, server: Server, version: Version, monkeypatch: pytest.MonkeyPatch):
        waits: list[float] = []
        monkeypatch.setattr(client.time, "sleep", waits.append)
        server.state.faults += [
            Fault("runs/update", 429, headers={"Retry-After": "7"}),
            Fault("runs/update", 503, headers={"Retry-After": "86400"}),
        ]
        version.push(server)
        assert [wait for wait in waits if wait] == [7.0, client.LONGEST_WAIT_SECONDS]

    def test_by_a_server_that_stays_down_is_one_sentence(self, server: Server, version: Version):
        server.state.faults.append(Fault("weights", 503, times=99))
        with pytest.raises(WattlineError, match=r"did not do its work: status 503; try again later"):
            version.push(server)
        assert server.state.runs["run-1"]["info"]["status"] == "RUNNING", "what is not complete does not say so"


class TestAToken:
    @pytest.mark.parametrize(
        ("token", "message"),
        [
            (JOB, r"did not accept the token \(401"),
            ("glpat-wrong", r"did not accept the token \(401"),
            (GUEST, r"did not accept the token \(401"),
            (READER, r"forbids this to the token \(403 insufficient_scope"),
        ],
    )
    def test_that_is_not_enough_is_told_what_it_needs(
        self, server: Server, version: Version, token: str, message: str, caplog: pytest.LogCaptureFixture
    ):
        caplog.set_level(logging.DEBUG)
        with pytest.raises(InputError, match=message) as caught:
            version.push(server, token=SecretStr(token))
        assert "scope `api` and role Developer" in str(caught.value)
        assert "CI_JOB_TOKEN is not enough" in str(caught.value)
        assert token not in str(caught.value)
        assert token not in caplog.text
        assert server.state.models == {}

    def test_is_in_no_log_address_or_error_even_when_the_server_repeats_it(
        self, server: Server, version: Version, caplog: pytest.LogCaptureFixture
    ):
        caplog.set_level(logging.DEBUG)
        version.push(server)
        server.state.faults.append(Fault("runs/get", 400, body={"message": f"Bearer {API} is unknown\nmore"}))
        with pytest.raises(WattlineError, match=r"answered 400 Bearer .* is unknown;") as caught:
            version.push(server)
        assert API not in str(caught.value)
        assert API not in caplog.text
        assert all(API not in route for _, route in server.state.calls)

    @pytest.mark.parametrize("token", ["", " ", "glpat-a\nX-Other: b", "glpat-ä"])
    def test_that_can_be_none_is_refused_unread(self, server: Server, version: Version, token: str):
        with pytest.raises(InputError, match="WATTLINE_GITLAB_TOKEN") as caught:
            version.push(server, token=SecretStr(token))
        assert "glpat" not in str(caught.value)
        assert server.state.calls == []

    def test_with_a_line_break_at_its_end_is_taken(self, server: Server, version: Version):
        assert version.push(server, token=SecretStr(f"{API}\n")).changed


class TestBadInput:
    @pytest.mark.parametrize("number", ["0", "01", "-1", "1.0.0", "champion", "", "1\n"])
    def test_a_version_that_is_no_number_is_named(self, server: Server, version: Version, number: str):
        with pytest.raises(InputError, match="is no version of the registry"):
            version.push(server, version=number)
        assert server.state.calls == []

    @pytest.mark.parametrize(
        "address", ["http://gitlab.example.org/api/v4/projects/1", "gitlab.example.org", "", "ftp://h/x", "https://[1"]
    )
    def test_an_address_that_would_show_the_token_is_refused(self, server: Server, version: Version, address: str):
        with pytest.raises(InputError, match="CI_API_V4_URL"):
            version.push(server, address=address)

    @pytest.mark.parametrize("address", ["me:hunter2@gitlab.example.org/x", "gitlab.example.org/x?token=hunter2"])
    def test_an_address_with_a_secret_is_refused_without_showing_it(
        self, server: Server, version: Version, address: str
    ):
        for scheme in ("https", "http"):
            with pytest.raises(InputError, match=r"gitlab\.example\.org holds more than a place") as caught:
                version.push(server, address=f"{scheme}://{address}")
            assert "hunter2" not in str(caught.value)

    def test_a_project_that_is_not_there_is_told_from_a_version_that_is_not(self, server: Server, version: Version):
        with pytest.raises(InputError, match=r"is not there, has no such thing.*CI_PROJECT_ID"):
            version.push(server, address=server.address.removesuffix("42") + "43")

    def test_a_page_that_is_no_answer_of_gitlab_is_named(self, server: Server, version: Version):
        server.state.faults.append(Fault("registered-models/get", 200, body=b"<html>"))  # type: ignore[arg-type]
        with pytest.raises(WattlineError, match="not GitLab's"):
            version.push(server)

    def test_a_name_that_gitlab_does_not_take_is_named(self, server: Server, version: Version):
        with pytest.raises(WattlineError, match="made no model 'two words'"):
            version.push(server, name="two words")

    def test_a_tag_longer_than_gitlab_takes_is_named(self, server: Server, version: Version):
        with pytest.raises(InputError, match=r"tag wattline\.note has 5001 characters"):
            version.push(server, tags=version.tags | {"wattline.note": "n" * 5001})

    def test_a_folder_that_is_not_the_version_is_refused(self, server: Server, version: Version):
        with pytest.raises(IntegrityError, match="the version's tag says 0000"):
            version.push(server, tags={"wattline.candidate": "0" * 64})
        (version.folder / "candidate" / "weights.safetensors").write_bytes(b"other")
        with pytest.raises(IntegrityError, match=r"weights\.safetensors has SHA-256"):
            version.push(server)
        (version.folder / "candidate" / "weights.pkl").write_bytes(b"pickle")
        with pytest.raises(InputError, match=r"weights\.pkl"):
            version.push(server)
        assert server.state.calls == []

    def test_a_file_of_a_name_that_gitlab_does_not_take_or_a_link_is_refused(self, server: Server, version: Version):
        (version.folder / "cards" / "anomaly.ä.md").write_text("")
        with pytest.raises(InputError, match="is no name of a file that GitLab takes"):
            version.push(server)
        (version.folder / "cards" / "anomaly.ä.md").unlink()
        (version.folder / "cards" / "link.md").symlink_to("/etc/hostname")
        with pytest.raises(InputError, match=r"cards/link\.md is a link"):
            version.push(server)
        assert server.state.calls == []


class TestAPrivateAuthority:
    @pytest.fixture
    def certificate(self, tmp_path: Path) -> Path:
        return write_certificate(tmp_path / "tls")

    @pytest.fixture
    def encrypted(self, certificate: Path) -> Iterator[Server]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, certificate.with_name("key.pem"))
        with standin.running(tls=context) as server:
            yield server

    def test_that_is_named_is_trusted(self, encrypted: Server, version: Version, certificate: Path):
        version.push(encrypted, authority=certificate)
        check_complete(encrypted, version)

    def test_may_be_named_by_the_variable_of_openssl(
        self, encrypted: Server, version: Version, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        version.push(encrypted)
        check_complete(encrypted, version)

    def test_that_is_not_named_is_not_trusted(self, encrypted: Server, version: Version):
        with pytest.raises(WattlineError, match=r"CERTIFICATE_VERIFY_FAILED.*CI_SERVER_TLS_CA_FILE"):
            version.push(encrypted)
        assert encrypted.state.calls == []

    def test_without_certificates_is_named(self, encrypted: Server, version: Version, tmp_path: Path):
        (tmp_path / "ca.pem").write_text("none\n")
        for path in (tmp_path / "ca.pem", tmp_path / "absent.pem"):
            with pytest.raises(InputError, match=r"holds no certificates; correct CI_SERVER_TLS_CA_FILE"):
                version.push(encrypted, authority=path)


def test_the_environment_of_a_job_says_where_to_push(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CI_API_V4_URL", "https://gitlab.example.org/api/v4/")
    monkeypatch.setenv("CI_PROJECT_ID", "42")
    monkeypatch.setenv("WATTLINE_GITLAB_TOKEN", API)
    settings.cache_clear()
    try:
        assert settings().gitlab_address == "https://gitlab.example.org/api/v4/projects/42"
        assert API not in repr(settings())
        monkeypatch.delenv("CI_PROJECT_ID")
        settings.cache_clear()
        assert settings().gitlab_address is None
    finally:
        settings.cache_clear()


def killed_at(place: int, work: Callable[[], object]) -> bool:
    """Do `work` in a child that dies before (even) or after (odd) its call number place // 2; whether it lived."""

    def counted() -> None:
        real, count = httpx.Client.send, 0

        def send(self: httpx.Client, *arguments: Any, **options: Any) -> httpx.Response:
            nonlocal count
            if count == place:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = real(self, *arguments, **options)
            if count + 1 == place:
                os.kill(os.getpid(), signal.SIGKILL)
            count += 2
            return answer

        httpx.Client.send = send  # type: ignore[method-assign,assignment]
        work()

    return in_child(counted)


def in_child(work: Callable[[], object]) -> bool:
    """Do `work` in a forked child; whether it came to its end. Being killed is the one other end."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    assert os.WEXITSTATUS(status) == 0
    return True


def write_certificate(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1 that vouches for itself, and key.pem beside it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a private GitLab")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files.write_bytes(folder / "ca.pem", built.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    files.write_bytes(folder / "key.pem", key.private_bytes(serialization.Encoding.PEM, form, plain))
    return folder / "ca.pem"
