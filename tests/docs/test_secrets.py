"""A secret planted anywhere in the tree fails the check, which names file and line and never the secret."""

import json
import random
import re
import shutil
import string
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SCAN = (sys.executable, ".ci/scan_secrets.py")
FORMS = ("py", "yaml", "md", "ipynb", "env")
LINE = 3
"""Where the secret stands in each planted file."""


def some(length: int, alphabet: str = string.ascii_letters + string.digits, *, seed: int = 7) -> str:
    """Random characters, the same in every run: written out, they would be found in this file."""
    return "".join(random.Random(seed).choices(alphabet, k=length))


HEX = "0123456789abcdef"
BASE64 = string.ascii_letters + string.digits + "+/"
SECRETS: dict[str, str] = {
    "GITLAB": "glpat-" + some(20),
    "GITLAB_ROUTABLE": "glpat-" + some(27) + ".01." + some(9, string.ascii_lowercase),
    "GITLAB_RUNNER": "glrt-t1_" + some(20),
    "GITLAB_DEPLOY": "gldt-" + some(20),
    "GITLAB_TRIGGER": "glptt-" + some(40, HEX),
    "GITLAB_JOB": "glcbt-64_" + some(20),
    "GITLAB_REGISTRATION": "GR1348941" + some(20),
    "AWS_ID": "AKIA" + some(16, string.ascii_uppercase + string.digits),
    "aws_secret_access_key": some(40, BASE64),
    "JWT": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiJvcGVyYXRvciIsInJvbGUiOiJhZG1pbiJ9." + some(43),
    "SLACK": "xoxb-" + some(12, string.digits) + "-" + some(24),
    "GITHUB": "ghp_" + some(36),
    "GITHUB_FINE": "github_pat_" + some(22) + "_" + some(59),
    "DATABASE_URL": "postgresql://mlflow:" + some(12) + "@db.example.org/mlflow",
    "NPM": "npm_" + some(36),
    "PYPI": "pypi-AgEIcHlwaS5vcmc" + some(70),
    "HUGGING_FACE": "hf_" + some(34),
    "WATTLINE": "wl_operator-1_" + some(43),
    "admin_password": some(24),
    "API_TOKEN": some(40, HEX),
    "KEY": "-----BEGIN PRIVATE " + "KEY-----\nMC4CAQAwBQYDK2VwBCIEIA" + some(42) + "\n-----END PRIVATE " + "KEY-----",
    "ENCRYPTED": "-----BEGIN ENCRYPTED PRIVATE " + "KEY-----\nMIGbMFcGCSqGSIb3DQEFDT" + some(42),
    "SSH": "-----BEGIN OPENSSH PRIVATE " + "KEY-----\nb3BlbnNzaC1rZXktdjEAAAAA" + some(46),
}


def written(name: str, value: str, form: str) -> str:
    """A file of that form with the secret in its third line."""
    text = f'{name} = "{value}"'
    indented = value.replace("\n", "\n    ")
    return {
        "py": f'"""Settings."""\n\n{name} = """{value}"""\n' if "\n" in value else f'"""Settings."""\n\n{text}\n',
        "yaml": f"# settings\nserver:\n  {name}: " + (f"|\n    {indented}\n" if "\n" in value else f"{value}\n"),
        "md": f"# Settings\n\nUse `{name}={value}`.\n",
        "ipynb": '{"cells": [{"cell_type": "code", "source": [\n"# settings",\n' + json.dumps(text) + "\n]}]}\n",
        "env": f"# settings\nUSER=me\n{name}={value}\n",
    }[form]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def repository(folder: Path) -> Path:
    """An empty repository with nothing but the scanner and no permissions."""
    shutil.copytree(ROOT / ".ci", folder / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".ci" / "secrets.yaml").write_text("[]\n")
    git(folder, "init", "--quiet")
    return folder


def scan(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(SCAN, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """What the check says of a tree with every secret in every form, half of it added to the index."""
    folder = repository(tmp_path_factory.mktemp("planted"))
    for name, value in SECRETS.items():
        for form in FORMS:
            (folder / f"{name}.{form}").write_text(written(name, value, form))
    git(folder, "add", "*.py", "*.yaml", ".ci")
    return scan(folder)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SECRETS)
def test_a_planted_secret_is_found_and_not_repeated(planted: subprocess.CompletedProcess[str], name: str, form: str):
    assert planted.returncode == 1, planted.stderr
    found = [line for line in planted.stdout.splitlines() if line.startswith(f"{name}.{form}:")]
    places = {int(line.split(":")[1]) for line in found}
    assert places & {LINE, LINE + 1}, f"{name}.{form} was overlooked"
    for part in SECRETS[name].split("\n"):
        assert part not in planted.stdout + planted.stderr


@pytest.mark.parametrize("name", ["GITLAB", "KEY", "admin_password"])
def test_one_secret_alone_fails_the_check(tmp_path: Path, name: str):
    folder = repository(tmp_path)
    assert scan(folder).returncode == 0
    (folder / "settings.py").write_text(written(name, SECRETS[name], "py"))
    done = scan(folder)
    assert done.returncode == 1
    assert done.stdout.startswith("settings.py:3: ")
    assert done.stdout.splitlines()[-1].startswith("remove the secret and revoke it")


@pytest.mark.parametrize(
    "path", ["poetry.lock", "swagger/api.json", "logo.svg", "data/blob.bin", ".hidden/x", "a b\nc"]
)
def test_no_place_is_safe_for_a_secret(tmp_path: Path, path: str):
    folder = repository(tmp_path)
    (folder / path).parent.mkdir(exist_ok=True)
    (folder / path).write_bytes(b"\x00\xff binary\n" + SECRETS["GITLAB"].encode() + b"\n\xfe")
    assert scan(folder).returncode == 1


@pytest.mark.parametrize("comment", ["# pragma: allowlist secret", "# noqa", "# nosec", "# gitleaks:allow"])
def test_no_comment_allows_a_secret(tmp_path: Path, comment: str):
    folder = repository(tmp_path)
    (folder / "settings.py").write_text(f'TOKEN = "{SECRETS["GITLAB"]}"  {comment}\n')
    assert scan(folder).returncode == 1


def test_what_git_ignores_is_left_alone_unless_it_is_tracked(tmp_path: Path):
    folder = repository(tmp_path)
    (folder / ".gitignore").write_text(".env\n")
    (folder / ".env").write_text(f"TOKEN={SECRETS['GITLAB']}\n")
    assert scan(folder).returncode == 0
    git(folder, "add", "--force", ".env")
    assert scan(folder).stdout.startswith(".env:1: ")


def test_a_finding_is_allowed_by_fingerprint_and_reason_and_a_stale_permission_fails(tmp_path: Path):
    folder = repository(tmp_path)
    (folder / "settings.py").write_text(f'TOKEN = "{SECRETS["GITLAB"]}"\n')
    fingerprints = set(re.findall(r"\((\w{8})\)$", scan(folder).stdout, flags=re.MULTILINE))
    entries = [{"path": "settings.py", "fingerprint": one, "reason": "an example"} for one in fingerprints]
    (folder / ".ci" / "secrets.yaml").write_text(yaml.safe_dump(entries))
    assert scan(folder).returncode == 0
    (folder / "other.py").write_text(f'TOKEN = "{SECRETS["GITLAB"]}"\n')
    assert scan(folder).stdout.startswith("other.py:1: ")
    (folder / "other.py").unlink()
    (folder / "settings.py").unlink()
    assert "remove the entry" in scan(folder).stdout


def test_a_permission_without_a_reason_is_none(tmp_path: Path):
    folder = repository(tmp_path)
    (folder / "settings.py").write_text(f'TOKEN = "{SECRETS["GITLAB"]}"\n')
    fingerprints = set(re.findall(r"\((\w{8})\)$", scan(folder).stdout, flags=re.MULTILINE))
    entries = [{"path": "settings.py", "fingerprint": one, "reason": ""} for one in fingerprints]
    (folder / ".ci" / "secrets.yaml").write_text(yaml.safe_dump(entries))
    assert scan(folder).returncode == 1


HARMLESS = """
token_length_limit = 44
tokens = tokenizer.from_pretrained_configuration_file(path)
password_file: /run/secrets/postgres_password
secret = settings().mlflow_tracking_password
WATTLINE_SIGNING_KEY: ${WATTLINE_SIGNING_KEY_FROM_VAULT}
TOKEN=$CI_JOB_TOKEN_OF_THIS_PIPELINE
--hash=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
use glpat-... or wl_NAME_... as your token
"""


def test_what_only_speaks_of_secrets_is_let_through(tmp_path: Path):
    folder = repository(tmp_path)
    for form in FORMS:
        (folder / f"text.{form}").write_text(HARMLESS)
    done = scan(folder)
    assert done.returncode == 0, done.stdout


def test_this_tree_is_clean_and_a_token_in_a_copy_of_it_is_not(tmp_path: Path):
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, tmp_path / name)
    git(tmp_path, "init", "--quiet")
    assert scan(tmp_path).stdout == ""
    with (tmp_path / "docs" / "pipeline.md").open("a") as stream:
        stream.write(f"\n{SECRETS['WATTLINE']}\n")
    assert re.match(r"docs/pipeline\.md:\d+: Wattline API Key", scan(tmp_path).stdout)


def test_the_check_is_asked_by_make_and_before_a_commit():
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert recipe is not None
    assert "\tpython .ci/scan_secrets.py\n" in recipe[1]
    assert ".venv/bin/python .ci/scan_secrets.py" in (ROOT / ".pre-commit-config.yaml").read_text()


def test_every_permission_has_a_reason():
    entries = yaml.safe_load((ROOT / ".ci" / "secrets.yaml").read_text())
    assert len(entries) < 16
    assert all(len(entry["reason"]) > 10 for entry in entries)
