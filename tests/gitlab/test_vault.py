"""Secrets of Vault reach a job on a protected ref and nothing else: not the log, not argv, not a file that stays."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from backends.processes import free_port
from pydantic import SecretStr

from gitlab import vault as standin
from gitlab.authority import tls
from gitlab.jobs import BRANCH, FORK, Job
from gitlab.vault import Role, Server, id_token
from wattline.errors import InputError, WattlineError
from wattline.gitlab import vault
from wattline.gitlab.vault import claims, folder, paths, server
from wattline.settings import Settings

TEXT = "a text with 'quotes' and $(dollars)"
KEY = "-----BEGIN " + "PRIVATE KEY-----\nAAAA\n-----END " + "PRIVATE KEY-----\n"
PLACE = "kv/data/wattline/ci"


@pytest.fixture
def running() -> Iterator[Server]:
    with standin.running() as found:
        found.state.secrets[PLACE] = {"MLFLOW_TRACKING_PASSWORD": TEXT, "WATTLINE_SIGNING_KEY": KEY}
        yield found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BACKOFF_SECONDS", 0.01)


@pytest.fixture
def given(job: Job, running: Server, tmp_path: Path) -> Callable[..., Settings]:
    """A job on the protected default branch; what is changed to nothing is not set."""
    (tmp_path / "checkout").mkdir()

    def variables(**changed: str) -> Settings:
        said = {
            "VAULT_ADDR": running.address,
            "WATTLINE_VAULT_ROLE": "wattline",
            "WATTLINE_VAULT_PATH": "wattline/ci@kv",
            "VAULT_ID_TOKEN": id_token(),
            "CI_PROJECT_DIR": str(tmp_path / "checkout"),
        }
        return job(BRANCH | said | changed)

    return variables


def failure(known: Settings, kind: type[WattlineError] = InputError) -> str:
    """What `login` says when it fails, in one line without a secret; nothing is left behind."""
    with pytest.raises(kind) as caught:
        vault.login(known)
    said = str(caught.value)
    assert "\n" not in said
    assert not any(one.get_secret_value() in said for one in known.given.values())
    assert not folder.place(known).exists()
    return said


class TestAJobThatMay:
    def test_gets_values_as_files_that_only_its_owner_reads(self, given, running, tmp_path):
        known = given()
        done = vault.login(known)
        place = done.script.parent
        assert not place.is_relative_to(tmp_path / "checkout")
        assert place.stat().st_mode & 0o777 == 0o700
        assert {one.name: one.stat().st_mode & 0o777 for one in place.iterdir()} == {
            "MLFLOW_TRACKING_PASSWORD": 0o600, "WATTLINE_SIGNING_KEY": 0o600, "exports.sh": 0o600, "vault-token": 0o600
        }  # fmt: skip
        assert done.names == ("MLFLOW_TRACKING_PASSWORD", "WATTLINE_SIGNING_KEY")
        assert done.seconds == Role().seconds
        script = done.script.read_text()
        assert TEXT not in script
        assert running.state.issued[0] not in script

    def test_gives_the_token_back_and_leaves_no_file(self, given, running):
        known = given()
        done = vault.login(known)
        assert vault.logout(known)
        assert running.state.revoked == running.state.issued
        assert not done.script.parent.exists()
        assert not vault.logout(known), "a second time there is nothing to do"

    def test_logs_out_also_where_the_lease_has_ended(self, given, running):
        known = given()
        vault.login(known)
        running.state.tokens.clear()
        assert vault.logout(known)

    def test_removes_its_files_also_where_vault_is_gone(self, given):
        known = given()
        place = vault.login(known).script.parent
        later = given(VAULT_ADDR=f"http://127.0.0.1:{free_port()}")
        with pytest.raises(InputError, match="refuses the connection"):
            vault.logout(later)
        assert not place.exists()

    def test_removes_what_a_killed_job_has_left_there(self, given):
        old = vault.login(given(CI_JOB_ID="1")).script.parent
        new = vault.login(given(CI_JOB_ID="2")).script.parent
        assert not old.exists()
        assert new.exists()

    def test_may_read_more_than_one_secret(self, given, running):
        running.state.secrets["kv/data/wattline/s3"] = dict.fromkeys(["AWS_SECRET_ACCESS_KEY"], "aws")
        done = vault.login(given(WATTLINE_VAULT_PATH=f"wattline/s3@kv {PLACE}"))
        assert done.names == ("AWS_SECRET_ACCESS_KEY", "MLFLOW_TRACKING_PASSWORD", "WATTLINE_SIGNING_KEY")

    def test_waits_for_a_vault_that_is_busy(self, given, running):
        running.state.faults = [429, 502]
        assert vault.login(given()).names

    def test_of_a_namespace_says_so(self, given, running):
        running.state.namespace = "site"
        assert "VAULT_NAMESPACE" in failure(given())
        assert vault.login(given(VAULT_NAMESPACE="site")).names

    def test_without_a_role_uses_no_vault(self, given, running):
        assert vault.login(given(WATTLINE_VAULT_ROLE="")).script == vault.NOTHING
        assert running.state.calls == []


class TestAShell:
    """The lines of ci/base.yml, in the shells that GitLab's runners use."""

    @pytest.mark.parametrize("shell", [("bash", "-eo", "pipefail"), ("sh", "-e")])
    def test_gets_the_variables_and_its_log_shows_none(self, given, running, shell, tmp_path):
        given()
        program = Path(sys.executable).with_name("wattline")
        script = (
            f'set -x\nsecrets=$({program} ci login)\n. "$secrets"\necho done\n'
            '{ set +x; printf "%s|%s" "$MLFLOW_TRACKING_PASSWORD" "$(cat "$WATTLINE_SIGNING_KEY")" > copy; } 2>&-\n'
            f"{program} ci logout"
        )
        done = subprocess.run([*shell, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=True)
        assert (tmp_path / "copy").read_text() == f"{TEXT}|{KEY.strip()}"
        log = done.stdout + done.stderr
        assert "done" in log
        assert "token revoked" in log
        for secret in (TEXT, "AAAA", running.state.issued[0], os.environ["VAULT_ID_TOKEN"]):
            assert secret not in log

    def test_ends_with_the_exit_code_of_a_login_that_failed(self, given, tmp_path):
        given(VAULT_ID_TOKEN=id_token(ref_protected="false"))
        program = Path(sys.executable).with_name("wattline")
        script = f'secrets=$({program} ci login)\n. "$secrets"\necho went on'
        done = subprocess.run(["bash", "-e", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert "not protected" in done.stderr


class TestAJobThatMayNot:
    def test_because_its_ref_is_not_protected_asks_nobody(self, given, running):
        said = failure(given(VAULT_ID_TOKEN=id_token(ref_protected="false", ref="topic")))
        assert "'topic' is not protected" in said
        assert running.state.calls == []

    def test_because_it_belongs_to_a_fork_asks_nobody(self, given, running):
        said = failure(given(**FORK))
        assert "stranger/models comes from a fork" in said
        assert running.state.calls == []

    def test_because_the_log_would_show_everything_asks_nobody(self, given, running):
        assert "CI_DEBUG_TRACE" in failure(given(CI_DEBUG_TRACE="true"))
        assert running.state.calls == []

    @pytest.mark.parametrize("name", ["VAULT_ADDR", "WATTLINE_VAULT_PATH", "VAULT_ID_TOKEN"])
    def test_because_a_variable_is_missing_names_it(self, given, name):
        said = failure(given(**{name: ""}))
        assert said.startswith(f"with WATTLINE_VAULT_ROLE goes {name};")

    @pytest.mark.parametrize(
        ("token", "said"),
        [
            ({"exp": int(time.time()) - 3600}, "has expired at 20"),
            ({"nbf": int(time.time()) + 3600}, "clock of this machine is behind"),
            ({"aud": None}, "names no audience"),
            ({"exp": None}, "no time when it expires"),
            ({"aud": "https://vault.example.org"}, "bound_audiences of the role"),
            ({"signer": "somebody else"}, "jwks_url"),
            ({"project_path": "energy/other"}, r"bound_claims of role 'wattline'"),
        ],
        ids=["expired", "from the future", "no audience", "no end", "audience", "signature", "claims"],
    )
    def test_because_of_its_jwt_hears_what_is_wrong_with_it(self, given, token, said):
        assert said in failure(given(VAULT_ID_TOKEN=id_token(**token)))

    def test_because_its_jwt_lies_about_the_ref_is_refused_by_the_role(self, given, running):
        running.state.roles["wattline"] = Role(claims={"ref": "release"})
        assert "bound_claims" in failure(given())

    def test_because_the_role_is_not_there(self, given):
        assert "correct WATTLINE_VAULT_ROLE" in failure(given(WATTLINE_VAULT_ROLE="other"))

    def test_because_the_policy_does_not_let_it_read(self, given, running):
        running.state.roles["wattline"] = Role(reads=("kv/data/other/",))
        assert "policy of the role must allow `read` on kv/data/wattline/ci" in failure(given())
        assert running.state.revoked == running.state.issued, "the token was not given back"

    def test_because_there_is_no_such_secret(self, given, running):
        assert "vault kv put -mount=kv wattline/none" in failure(given(WATTLINE_VAULT_PATH="wattline/none@kv"))
        assert running.state.tokens == {}

    @pytest.mark.parametrize(
        ("secret", "said"),
        [
            ({"LD_PRELOAD": "/tmp/x.so"}, "'LD_PRELOAD', which is no variable that Vault may set"),
            ({"WATTLINE_X; rm": "x"}, "no variable that Vault may set"),
            ({"AWS_SECRET_ACCESS_KEY": {"a": 1}}, "AWS_SECRET_ACCESS_KEY must be a text"),
            ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY must be a text"),
        ],
    )
    def test_because_a_secret_sets_what_it_must_not(self, given, running, secret, said):
        running.state.secrets[PLACE] = secret
        assert said in failure(given())
        assert running.state.tokens == {}

    def test_because_two_secrets_contradict_each_other(self, given, running):
        running.state.secrets["kv/data/wattline/more"] = dict.fromkeys(["MLFLOW_TRACKING_PASSWORD"], "x")
        assert "both hold MLFLOW_TRACKING_PASSWORD" in failure(given(WATTLINE_VAULT_PATH=f"{PLACE} wattline/more@kv"))


class TestAVaultThatCannot:
    def test_since_it_is_sealed(self, given, running):
        running.state.sealed = True
        assert "is sealed or down for maintenance (503)" in failure(given(), WattlineError)

    def test_since_nobody_listens(self, given):
        assert "nothing listens there" in failure(given(VAULT_ADDR=f"http://127.0.0.1:{free_port()}"))

    def test_since_it_is_a_standby_that_sends_us_away(self, given, running):
        running.state.faults = [307]
        assert "sends us elsewhere (307); set VAULT_ADDR" in failure(given())

    def test_since_the_address_would_show_the_jwt(self, given):
        assert "no HTTPS address" in failure(given(VAULT_ADDR="http://vault.example.org"))

    def test_since_it_is_no_vault(self, given, running):
        assert "VAULT_AUTH_PATH" in failure(given(VAULT_AUTH_PATH="gitlab"))


class TestAPrivateAuthority:
    @pytest.fixture
    def encrypted(self, running: Server, tmp_path: Path) -> Iterator[tuple[Server, Path]]:
        context, authority = tls(tmp_path / "tls")
        with standin.running(tls=context, issuer=running.issuer) as found:
            found.state.secrets[PLACE] = {"MLFLOW_TRACKING_PASSWORD": TEXT}
            yield found, authority

    def test_that_is_named_is_trusted(self, given, encrypted):
        found, authority = encrypted
        assert vault.login(given(VAULT_ADDR=found.address, VAULT_CACERT=str(authority))).names

    def test_that_is_not_named_is_not_trusted(self, given, encrypted):
        found, _ = encrypted
        assert "nobody here vouches for; set VAULT_CACERT" in failure(given(VAULT_ADDR=found.address))
        assert found.state.calls == []

    def test_whose_file_holds_none_is_named(self, given, encrypted, tmp_path):
        found, _ = encrypted
        (tmp_path / "empty.pem").write_text("")
        said = failure(given(VAULT_ADDR=found.address, VAULT_CACERT=str(tmp_path / "empty.pem")))
        assert "the file with its certificates holds none" in said

    def test_is_not_asked_where_no_tls_is_spoken(self, given, running):
        said = failure(given(VAULT_ADDR=running.address.replace("http:", "https:")))
        assert "does not speak TLS" in said


@pytest.mark.parametrize("text", ["", "a.b", "a.b.c", "a.e30.c.d", "a.W10.c", "ä.ö.ü"])
def test_what_is_no_jwt_is_not_shown(text):
    with pytest.raises(InputError, match=r"^VAULT_ID_TOKEN is no JWT; ") as caught:
        claims.read(SecretStr(text))
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "found"),
    [("a", "a@kv-v2"), ("a/b@kv", "a/b@kv"), ("kv/data/a/b", "a/b@kv"), ("team/kv/data/a", "a@team/kv")],
)
def test_a_place_is_written_as_gitlab_and_vault_write_it(text, found):
    assert [str(one) for one in paths.places(text)] == [found]


@pytest.mark.parametrize("text", [" ", "../sys/raw@kv", "a?b", "a@b@c", "a/../../sys@kv"])
def test_what_is_no_place_is_refused(text):
    with pytest.raises(InputError, match="WATTLINE_VAULT_PATH"):
        paths.places(text)


def test_a_folder_of_somebody_else_is_not_written_to(given, tmp_path):
    known = given()
    place = folder.place(known)
    place.parent.mkdir()
    (tmp_path / "elsewhere").mkdir()
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"symbolic link|File exists"):
        vault.login(known)
    assert list((tmp_path / "elsewhere").iterdir()) == []
