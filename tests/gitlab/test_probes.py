"""What the doctor asks, asked of real servers: dead and silent ones, ones that refuse, and ones that do their work."""

import os
import socket
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from backends.postgres import USER as OWNER
from backends.postgres import Cluster
from backends.processes import free_port
from backends.s3 import BUCKET, Store
from backends.tracking import Tracking

from gitlab import registries, standin
from gitlab.authority import tls
from gitlab.jobs import MERGE_REQUEST, Job
from gitlab.registries import PASSWORD, USER
from gitlab.standin import API, JOB, MAINTAINER, PROJECT, READER
from gitlab.standin.state import runner
from wattline.gitlab import asking
from wattline.gitlab.asking import Answer, ask
from wattline.gitlab.doctor.facts import Outcome
from wattline.gitlab.doctor.gathering import at_once
from wattline.gitlab.doctor.probes import api, database, machine, registry, remote, tracking
from wattline.settings import Settings
from wattline.signing import keys as pairs

WRONG = "not the " + "right one"


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def web(handler: type[BaseHTTPRequestHandler], **more: object) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, standin.serving(server):
        server.daemon_threads = True
        yield f"http://127.0.0.1:{server.server_port}"


class Plain(BaseHTTPRequestHandler):
    """A web server that is none of those that are looked for."""

    def do_any(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"<html>")

    do_GET = do_POST = do_any  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class Dripping(Plain):
    """Sends a byte again and again, for ever."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b" ")
                threading.Event().wait(0.05)
        except OSError:
            return


class TestAQuestion:
    def test_to_a_dead_port(self):
        assert ask(f"http://127.0.0.1:{free_port()}").trouble == "refused"

    def test_to_a_server_that_says_nothing(self):
        with silent() as url:
            assert ask(url, seconds=0.2).trouble == "silent"

    def test_to_a_server_that_never_ends(self):
        with web(Dripping) as url:
            assert ask(url, seconds=0.2).trouble == "silent"

    def test_to_a_name_that_nobody_has(self):
        assert ask("https://gitlab.invalid").trouble == "name"

    def test_to_a_server_without_tls(self):
        with web(Plain) as url:
            assert ask(url.replace("http:", "https:")).trouble == "tls"

    def test_to_a_server_that_nobody_vouches_for(self, tmp_path):
        context, authority = tls(tmp_path)
        with standin.running(tls=context) as server:
            assert ask(server.root).trouble == "certificate"
            assert ask(server.root, authority=authority).status == 401
            assert ask(server.root, authority=tmp_path / "none.pem").trouble == "authority"
            assert ask(server.root, authority=tmp_path / "key.pem").trouble == "authority"

    @pytest.mark.parametrize("url", ["", "mlflow", "ftp://host", "https://", "https://[", "https://a b"])
    def test_to_what_is_no_address(self, url):
        assert ask(url).trouble in ("address", "name")

    def test_takes_no_more_than_it_can_hold(self, monkeypatch):
        monkeypatch.setattr(asking, "LARGEST", 3)
        with web(Plain) as url:
            assert ask(url) == Answer(200, "<html>", ask(url).headers)


class TestGitLab:
    @pytest.fixture
    def server(self) -> Iterator[standin.Server]:
        with standin.running() as found:
            yield found

    @pytest.fixture
    def asked(self, job: Job, server: standin.Server) -> Callable[..., dict[str, Answer]]:
        def answers(**variables: str) -> dict[str, Answer]:
            place = {"CI_API_V4_URL": server.root, "CI_PROJECT_ID": PROJECT, "CI_JOB_TOKEN": JOB}
            known = job(MERGE_REQUEST | place | variables)
            return {name: one() for name, one in {**api.questions(known), **api.runner_questions(known)}.items()}

        return answers

    def test_is_asked_everything_with_the_token_of_a_maintainer(self, asked, server):
        server.state.variables = [{"key": "WATTLINE_SIGNING_KEY", "value": "a-private-key"}]
        server.state.protected_environments = [{"name": "production"}]
        server.state.runners = [runner(5, "hpc"), runner(6, "hpc", status="offline")]
        found = asked(WATTLINE_GITLAB_TOKEN=MAINTAINER, WATTLINE_HPC_TAG="hpc")
        assert {name: one.status for name, one in found.items()} == dict.fromkeys(found, 200)
        assert found["token"].get("scopes") == ["api"]
        assert [row["id"] for row in found["WATTLINE_HPC_TAG"].body] == [5]
        assert found["WATTLINE_HPC_TAG"].body[0]["access_level"] == "not_protected"
        assert "a-private-key" not in str(found), "the values of variables are looked at by nobody"
        assert server.state.writes == []

    def test_shows_a_developer_less(self, asked):
        found = asked(WATTLINE_GITLAB_TOKEN=API, WATTLINE_HPC_TAG="hpc")
        refused = {name for name, one in found.items() if one.status == 403}
        assert refused == {"variables", "environments", "WATTLINE_HPC_TAG"}

    def test_refuses_a_token_of_another_scope_or_none(self, asked):
        assert asked(WATTLINE_GITLAB_TOKEN=READER)["token"].get("scopes") == ["read_api"]
        assert asked(WATTLINE_GITLAB_TOKEN=WRONG)["token"].status == 401
        assert asked(WATTLINE_GITLAB_TOKEN="ä\n")["token"].status == 401
        assert asked(WATTLINE_GITLAB_TOKEN=API, CI_JOB_TOKEN=WRONG)["job"].status == 401
        assert asked().keys() == {"job"}

    def test_with_more_variables_than_a_page(self, asked, server):
        server.state.variables = [{"key": f"V{number}", "value": "x"} for number in range(150)]
        assert len(asked(WATTLINE_GITLAB_TOKEN=MAINTAINER)["variables"].body) == 150

    def test_is_sent_no_token_in_clear(self, asked):
        assert asked(WATTLINE_GITLAB_TOKEN=API, CI_API_V4_URL="http://gitlab.example.org/api/v4") == {}


class TestMLflow:
    def asked(self, known: Settings) -> Answer:
        return tracking.questions(known)["tracking"]()

    def test_with_a_password_is_told_from_one_without(self, job, auth_server: Tracking):
        place, user = {"MLFLOW_TRACKING_URI": auth_server.url}, {"MLFLOW_TRACKING_USERNAME": auth_server.user}
        right = {"MLFLOW_TRACKING_PASSWORD": auth_server.password}
        assert self.asked(job(place | user | right)).done
        assert isinstance(self.asked(job(place | user | right)).body, dict)
        assert self.asked(job(place | user | {"MLFLOW_TRACKING_PASSWORD": WRONG})).status == 401
        assert self.asked(job(place | {"MLFLOW_TRACKING_TOKEN": WRONG})).status == 401
        assert self.asked(job(place)).status == 401
        host = auth_server.url.removeprefix("http://")
        assert self.asked(
            job(MLFLOW_TRACKING_URI="".join(("http://", auth_server.user, ":", auth_server.password, "@", host, "/")))
        ).done
        assert tracking.questions(job(place))["health"]().status in (200, 401)

    def test_that_is_dead_or_something_else(self, job):
        assert self.asked(job(MLFLOW_TRACKING_URI=f"http://127.0.0.1:{free_port()}")).trouble == "refused"
        with web(Plain) as url:
            assert not isinstance(self.asked(job(MLFLOW_TRACKING_URI=url)).body, dict)

    def test_is_trusted_as_its_own_client_trusts_it(self, job, tmp_path):
        context, authority = tls(tmp_path)
        with standin.running(tls=context) as server:
            place = {"MLFLOW_TRACKING_URI": server.root}
            assert self.asked(job(place)).trouble == "certificate"
            for name in ("MLFLOW_TRACKING_SERVER_CERT_PATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
                assert self.asked(job(place | {name: str(authority)})).status == 401

    def test_in_a_file_is_not_asked(self, job):
        assert tracking.questions(job()) == {}


class TestADatabase:
    def test_that_lets_us_in(self, postgres: Cluster, database: str):
        assert database_outcome(database) == Outcome()
        assert database_outcome(database.replace("+psycopg", "")) == Outcome()

    def test_that_does_not(self, postgres: Cluster, database: str):
        assert database_outcome(database.replace(postgres.password, WRONG.replace(" ", ""))).code == "password"
        assert database_outcome(f"{database}_of_another_name").code == "absent"
        address = database.replace(f":{postgres.port}/", f":{free_port()}/")
        assert database_outcome(address).code == "refused"
        assert database_outcome(database.replace("127.0.0.1", "db.invalid")).code == "name"

    def test_that_may_be_read_only(self, postgres: Cluster, database: str):
        name = database.rpartition("/")[2]
        with postgres.connect(name) as connection:
            connection.execute("CREATE TABLE wattline_audit (sequence integer)")
            connection.execute("CREATE ROLE reader LOGIN PASSWORD 'r'")
            connection.execute("GRANT SELECT ON wattline_audit TO reader")
        try:
            address = database.replace(f"{OWNER}:{postgres.password}", "reader:r")
            assert database_outcome(address) == Outcome("write", code="privilege")
        finally:
            with postgres.connect(name) as connection:
                connection.execute("DROP OWNED BY reader")
                connection.execute("DROP ROLE reader")

    def test_in_a_file(self, tmp_path):
        assert database_outcome(f"sqlite:///{tmp_path}/new.db") == Outcome()
        (tmp_path / "text.db").write_text("this is no database, and longer than its header")
        assert database_outcome(f"sqlite:///{tmp_path}/text.db").code == "damaged"

    def test_of_another_kind(self):
        assert database_outcome("mysql://host/x").code == "kind"

    def test_that_says_nothing(self, monkeypatch):
        monkeypatch.setattr(database_module, "SECONDS", 2)
        with silent() as url:
            assert database_outcome(f"postgresql://u@{url.removeprefix('http://')}/x").code == "silent"


database_module, database_outcome = database, database.try_out


class TestARemote:
    def test_in_a_folder(self, tmp_path):
        assert remote.try_out(str(tmp_path)) == Outcome()
        assert remote.try_out(f"file://{tmp_path}") == Outcome()
        assert list(tmp_path.iterdir()) == [], "what was tried out is taken away"
        assert remote.try_out(str(tmp_path / "none")) == Outcome("connect", code="absent")
        assert remote.try_out("/proc") == Outcome("write", code="denied")

    def test_in_a_bucket(self, job, s3: Store, monkeypatch):
        job(s3.environment, AWS_ENDPOINT_URL=s3.url)
        before = sorted(s3.folder.rglob("*"))
        assert remote.try_out(f"s3://{BUCKET}/wattline") == Outcome()
        assert [one for one in sorted(s3.folder.rglob("*")) if one.is_file() and one not in before] == []
        assert remote.try_out("s3://another-bucket") == Outcome("read", code="NoSuchBucket")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", WRONG.replace(" ", ""))
        assert remote.try_out(f"s3://{BUCKET}") == Outcome("read", code="SignatureDoesNotMatch")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
        assert remote.try_out(f"s3://{BUCKET}").code in ("InvalidAccessKeyId", "AccessDenied")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
        assert remote.try_out(f"s3://{BUCKET}") == Outcome("connect", trouble="refused")

    def test_that_nobody_vouches_for_or_that_says_nothing(self, job, s3: Store, tmp_path, monkeypatch):
        context, _ = tls(tmp_path)
        with standin.running(tls=context) as server:
            job(s3.environment, AWS_ENDPOINT_URL=server.root)
            assert remote.try_out("s3://x") == Outcome("connect", trouble="certificate")
        monkeypatch.setattr(remote, "SECONDS", 0.3)
        with silent() as url:
            job(s3.environment, AWS_ENDPOINT_URL=url)
            assert remote.try_out("s3://x") == Outcome("connect", trouble="silent")

    def test_without_credentials(self, job, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        job(AWS_EC2_METADATA_DISABLED="true")
        assert remote.try_out("s3://x") == Outcome("connect", code="NoCredentials")

    def test_of_a_kind_that_only_dvc_knows(self):
        assert remote.try_out("ssh://host/folder") is None


class TestARegistry:
    def tried(self, job: Job, host: str, **changed: str) -> Outcome | None:
        user = {"CI_REGISTRY": host, "CI_REGISTRY_USER": USER, "CI_REGISTRY_PASSWORD": PASSWORD}
        return registry.try_out(job(user | {"CI_REGISTRY_IMAGE": f"{host}/energy/models"} | changed))

    def test_that_asks_for_a_password(self, job, cache: Path, tmp_path):
        with registries.basic(cache, tmp_path / "registry") as host:
            assert self.tried(job, host) == Outcome()
            assert self.tried(job, host, CI_REGISTRY_PASSWORD=WRONG) == Outcome("read", code="401")
            assert self.tried(job, host, CI_REGISTRY_USER="") == Outcome("connect", code="no login")
            begun = list((tmp_path / "registry").rglob("startedat"))
            assert begun == [], "an upload is left open"

    def test_that_sends_us_for_a_token(self, job, cache: Path, tmp_path):
        with registries.bearer(cache, tmp_path / "registry") as host:
            assert self.tried(job, host) == Outcome()
            assert self.tried(job, host, CI_REGISTRY_PASSWORD=WRONG) == Outcome("read", code="401")

    def test_whose_token_does_not_let_us_push(self, job, cache: Path, tmp_path):
        with registries.bearer(cache, tmp_path / "registry", actions=("pull",)) as host:
            assert self.tried(job, host) in (Outcome("write", code="401"), Outcome("write", code="403"))

    def test_that_is_none_or_dead(self, job):
        with web(Plain) as url:
            assert self.tried(job, url.removeprefix("http://")) == Outcome("connect", code="no registry")
        assert self.tried(job, f"127.0.0.1:{free_port()}") == Outcome("connect", trouble="refused")
        assert self.tried(job, "registry.invalid") == Outcome("connect", trouble="name")

    def test_of_somebody_else_is_not_told_the_password_of_gitlab(self, job, cache: Path, tmp_path):
        with registries.basic(cache, tmp_path / "registry") as host:
            assert self.tried(job, host, CI_REGISTRY="registry.example.org") == Outcome("connect", code="no login")
            own = {"WATTLINE_REGISTRY_USER": USER, "WATTLINE_REGISTRY_PASSWORD": PASSWORD}
            assert self.tried(job, host, CI_REGISTRY="registry.example.org", **own) == Outcome()

    def test_that_would_have_the_password_sent_in_clear(self, job):
        class Elsewhere(Plain):
            def do_GET(self) -> None:
                self.send_response(401)
                self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
                self.send_header("WWW-Authenticate", 'Bearer realm="http://tokens.example.org/auth",service="x"')
                self.send_header("Content-Length", "0")
                self.end_headers()

        with web(Elsewhere) as url:
            assert self.tried(job, url.removeprefix("http://")) == Outcome("connect", code="realm")

    def test_is_where_the_variables_say(self, job):
        assert registry.repository(job()) is None
        assert registry.repository(job(WATTLINE_IMAGE_REPOSITORY="/server")) is None
        assert registry.repository(job(CI_REGISTRY_IMAGE="host/a")) == "host/a/server"
        assert registry.repository(job(CI_REGISTRY_IMAGE="host/a", WATTLINE_IMAGE_REPOSITORY="b/c")) == "b/c"
        assert registry.try_out(job(WATTLINE_IMAGE_REPOSITORY="https://host/x")) == Outcome("connect", code="address")


class TestAMachine:
    def test_with_a_key_that_others_may_read(self, job, tmp_path):
        job()
        pairs.new(tmp_path)
        job(WATTLINE_SIGNING_KEY=str(tmp_path / "private.pem"))
        found = machine.keys((str(tmp_path / "public.pem"),))
        assert found.id in found.trusted
        (tmp_path / "private.pem").chmod(0o666)  # as GitLab's runner in Docker leaves it
        assert "chmod 600" in machine.keys(()).trouble

    def test_with_an_encrypted_key(self, job, tmp_path):
        job(WATTLINE_SIGNING_PASSPHRASE="of this " + "test")
        pairs.new(tmp_path)
        job(WATTLINE_SIGNING_KEY=str(tmp_path / "private.pem"))
        assert machine.keys(()).trouble.endswith("is encrypted; set WATTLINE_SIGNING_PASSPHRASE")
        job(WATTLINE_SIGNING_KEY=str(tmp_path / "private.pem"), WATTLINE_SIGNING_PASSPHRASE="another")
        assert "WATTLINE_SIGNING_PASSPHRASE is wrong" in machine.keys(()).trouble
        assert "cannot be read" in machine.keys(("none.pem",)).trusted_trouble

    def test_with_a_shallow_clone(self, job, tmp_path, monkeypatch):
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        commit = "-C whole -c user.name=a -c user.email=a@b commit -q --allow-empty -m x"
        clone = f"clone -q --depth 1 file://{tmp_path}/whole shallow"
        for command in ("init -q whole", commit, commit, clone):
            subprocess.run(["git", *command.split()], cwd=tmp_path, check=True, capture_output=True)
        for name, shallow in (("whole", False), ("shallow", True)):
            monkeypatch.chdir(tmp_path / name)
            assert machine.place(job()).shallow is shallow
        monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
        (tmp_path / "none").mkdir()
        monkeypatch.chdir(tmp_path / "none")
        assert machine.place(job()).shallow is None

    def test_with_outputs_of_a_known_size(self, job, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert machine.place(job()).outputs_bytes is None
        Path("dvc.lock").write_text("stages: {a: {outs: [{size: 2}, {path: x}]}, b: {outs: [{size: 3}]}, c: {}}\n")
        found = machine.place(job(WATTLINE_DVC_CACHE=str(tmp_path / "not" / "there")))
        assert found.outputs_bytes == 5
        assert found.free_bytes
        Path("dvc.lock").write_text("- [")
        assert machine.place(job()).outputs_bytes is None


class TestManyQuestions:
    def test_that_nobody_answers_hold_nobody_up(self):
        never, done = threading.Event(), {"b": lambda: 2}
        assert at_once({"a": never.wait, **done}, seconds=1.0) == {"b": 2}
        never.set()

    def test_raise_what_is_a_fault_of_ours(self):
        with pytest.raises(ZeroDivisionError):
            at_once({"a": lambda: 1 // 0}, seconds=30)


def test_the_file_of_a_secret_is_for_its_owner(tmp_path):
    from wattline.gitlab.vault import folder

    old = os.umask(0)
    try:
        folder.write_file(tmp_path / "x", "y")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o600
