"""No verb of a job shows a secret: not in an argument of what it starts, not in the log, not in a file that stays."""

import os
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from gitlab import standin, vault
from gitlab.jobs import BRANCH, MERGE_REQUEST, Job
from gitlab.standin import API, JOB, MAINTAINER, PROJECT
from gitlab.vault import id_token
from wattline.cli.ci import app
from wattline.settings import Settings
from wattline.signing import keys as pairs

ROOT = Path(__file__).resolve().parents[2]
WATTLINE = Path(sys.executable).with_name("wattline")
STARTED = ("git", "dvc", "podman", "buildah", "skopeo", "docker", "curl", "make", "ssh", "srun", "sbatch")
RECORDER = """#!/bin/sh
tr '\\0' ' ' < /proc/$$/cmdline >> "$RECORDED"
PATH=$REAL_PATH exec {name} "$@"
"""
ARGUMENTS = {"release": ["v1.0.0"], "site": ["public"]}
"""Of verbs that need some; all others run without."""
LAST = "logout"
PLACE = "kv/data/wattline/ci"


def named(command: object) -> str:
    return command.name or command.callback.__name__.replace("_", "-")  # type: ignore[attr-defined]


VERBS = sorted((named(one) for one in app.registered_commands), key=lambda name: (name == LAST, name))


class Scene:
    """A project and everything that verbs may write to.

    recorded: arguments of the programs that were started
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.recorded = folder, folder / "recorded"
        self.checkout = folder / "builds" / "models"
        for one in (self.checkout, folder / "home", folder / "tmp", folder / "bin"):
            one.mkdir(parents=True)
        for name in STARTED:
            (folder / "bin" / name).write_text(RECORDER.format(name=name))
            (folder / "bin" / name).chmod(0o755)
        shutil.copy(ROOT / "params.yaml", self.checkout)
        subprocess.run(
            ["git", "init", "-q", self.checkout], check=True, env=os.environ | {"GIT_CONFIG_GLOBAL": "/dev/null"}
        )

    def run(self, verb: str) -> str:
        """What a verb printed. Whether it did its work is no concern here."""
        more = {"RECORDED": str(self.recorded), "REAL_PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null"}
        more |= {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "HOME": str(self.folder / "home")}
        process = subprocess.Popen(
            [WATTLINE, "ci", verb, *ARGUMENTS.get(verb, [])],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.checkout,
            env=os.environ | more | {"TMPDIR": str(self.folder / "tmp")}, start_new_session=True,
        )  # fmt: skip
        with watched(process.pid, self.recorded):
            told, _ = process.communicate(timeout=300)
        return told

    def kept(self) -> dict[Path, bytes]:
        """Every file that is there, but those of Vault, which only their owner may read."""
        found = {}
        for path in self.folder.rglob("*"):
            if path.is_file() and not any(part.startswith("wattline-secrets-") for part in path.parts):
                found[path] = path.read_bytes()
        return found


@contextmanager
def watched(session: int, recorded: Path) -> Iterator[None]:
    """Write down the arguments of every process of a session, as often as the machine lets us look."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            with recorded.open("ab") as stream:
                for process in Path("/proc").glob("[0-9]*"):
                    try:
                        fields = (process / "stat").read_text().rpartition(")")[2].split()
                        if int(fields[3]) == session:
                            stream.write((process / "cmdline").read_bytes().replace(b"\0", b" "))
                    except (OSError, IndexError):
                        continue

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def planted(store: vault.Server) -> dict[str, str]:
    """A value for every secret that Wattline knows, and for those that its libraries read."""
    fields = {str(one.validation_alias): one.annotation for one in Settings.model_fields.values()}
    names = [name for name, kind in fields.items() if kind in (SecretStr, SecretStr | None)]
    assert len(names) > 10
    made = {name: f"planted-{secrets.token_hex(16)}" for name in [*names, "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"]}
    made |= {"WATTLINE_GITLAB_TOKEN": API, "CI_JOB_TOKEN": JOB, "VAULT_ID_TOKEN": id_token()}
    made["CI_REPOSITORY_URL"] = f"http://u:{made['CI_REPOSITORY_URL']}@127.0.0.1:1/x.git"
    made["WATTLINE_LEDGER_URI"] = f"postgresql://u:{made['WATTLINE_LEDGER_URI']}@127.0.0.1:1/x"
    store.state.secrets[PLACE] = {"MLFLOW_TRACKING_PASSWORD": f"planted-{secrets.token_hex(16)}"}
    return made


def test_no_verb_shows_a_secret(job: Job, tmp_path: Path):
    scene = Scene(tmp_path)
    with standin.running() as server, vault.running() as store:
        made = planted(store)
        job(
            MERGE_REQUEST | made,
            CI_API_V4_URL=server.root,
            CI_PROJECT_ID=PROJECT,
            CI_PROJECT_DIR=str(scene.checkout),
            CI_REGISTRY_IMAGE="127.0.0.1:1/x",
            CI_REGISTRY_USER="u",
            AWS_ACCESS_KEY_ID="AKIA",
            AWS_ENDPOINT_URL="http://127.0.0.1:1",
            WATTLINE_DVC_REMOTE="s3://x",
            MLFLOW_TRACKING_URI=f"http://u:{made['MLFLOW_TRACKING_PASSWORD']}@127.0.0.1:1",
            VAULT_ADDR=store.address,
            WATTLINE_VAULT_ROLE="wattline",
            WATTLINE_VAULT_PATH="wattline/ci@kv",
        )
        told = {verb: scene.run(verb) for verb in VERBS}
    hidden = {name: text.rpartition(":")[2].partition("@")[0] if "://" in text else text for name, text in made.items()}
    hidden |= {"Vault's secret": store.state.secrets[PLACE]["MLFLOW_TRACKING_PASSWORD"]}
    hidden |= {f"Vault's token {at}": token for at, token in enumerate(store.state.issued)}
    assert VERBS[-1] == LAST
    assert "doctor: " in told["doctor"]
    assert "token revoked" in told[LAST], "the login did its work"
    started = scene.recorded.read_text(errors="replace")
    assert "rev-parse --is-shallow-repository" in started, "what a verb starts is recorded"
    files = scene.kept()
    for name, text in hidden.items():
        assert text not in started, f"{name} is in an argument"
        assert [verb for verb, lines in told.items() if text in lines] == [], f"{name} is told"
        assert [path for path, content in files.items() if text.encode() in content] == [], f"{name} is in a file"
    assert list(tmp_path.rglob("wattline-secrets-*")) == [], "what Vault gave is left"


def test_a_secret_in_an_argument_is_found(tmp_path: Path):
    """The test above must be able to fail."""
    recorded = tmp_path / "recorded"
    process = subprocess.Popen(
        ["sh", "-c", "read -r _", "a-planted-secret"], stdin=subprocess.PIPE, start_new_session=True
    )
    with watched(process.pid, recorded):
        while not recorded.exists() or b"a-planted-secret" not in recorded.read_bytes():
            threading.Event().wait(0.02)
    process.communicate(b"\n")


def test_a_key_that_is_a_text_is_never_shown(job: Job, tmp_path: Path, monkeypatch):
    from wattline.gitlab.doctor import examine

    monkeypatch.chdir(tmp_path)
    job()
    pairs.new(tmp_path / "keys")
    text = (tmp_path / "keys" / "private.pem").read_text()
    for value in (text, text.replace("BEGIN", "BEGUN"), text[:-40], "x" * 300):
        report = examine(job(BRANCH, WATTLINE_SIGNING_KEY=value, WATTLINE_GITLAB_TOKEN=MAINTAINER))
        told = "\n".join(report.lines())
        assert not any(line in told for line in value.splitlines() if len(line) > 20 and "-----" not in line)
