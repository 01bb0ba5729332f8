"""Secrets as files outside of the checkout that only their owner reads, and a script that exports them."""

import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wattline.errors import InputError
from wattline.settings import Settings

PREFIX = "wattline-secrets-"
SCRIPT, TOKEN = "exports.sh", "vault-token"
NAME = re.compile(r"(WATTLINE|MLFLOW|AWS|PG|CI_REGISTRY)[A-Z0-9_]*")
"""Variables that Vault may set. PATH, LD_PRELOAD and the like would run what somebody else wrote."""
FILES = re.compile(r"WATTLINE_(MODEL_)?SIGNING_KEY|[A-Z0-9_]*(_CA_FILE|_CA_BUNDLE|_CERT_PATH|PGPASSFILE|PGSSL[A-Z]*)")
"""Variables that hold the path of a file, as GitLab's of type File do."""
LARGEST = 65536
HEAD = """# Sourced by the job. It holds no secret, only where they are; `set -x` would show them.
case $- in *x*) wattline_trace=yes; set +x ;; *) wattline_trace= ;; esac
"""
TAIL = 'if [ -n "$wattline_trace" ]; then set -x; fi\nunset wattline_trace\n'


def place(known: Settings) -> Path:
    """The folder of this job. GitLab keeps files of variables beside the checkout, in a folder of that name, too."""
    job = re.sub(r"[^0-9A-Za-z]", "", known.ci_job_id or "") or "local"
    if known.ci_project_dir is not None:
        return known.ci_project_dir.with_name(known.ci_project_dir.name + ".tmp") / f"{PREFIX}{job}"
    return Path(tempfile.gettempdir()) / f"{PREFIX}{os.getuid()}-{job}"


def checked(values: Mapping[str, Any], *, where: str) -> dict[str, str]:
    """The variables that a secret holds. Raises InputError naming one that cannot be set; no value is in a message."""
    found = {}
    for name, value in values.items():
        if not NAME.fullmatch(name):
            raise InputError(f"{where} holds {name!r}, which is no variable that Vault may set; take it out there")
        text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
        if text is None or "\0" in text or not 0 < len(text) <= LARGEST:
            raise InputError(f"{where}: {name} must be a text of 1 to {LARGEST} characters; correct it there")
        found[name] = text
    return found


def create(folder: Path) -> None:
    """Make the folder of this job, and remove those that killed jobs have left in the same checkout's place."""
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if folder.parent.name.endswith(".tmp"):
        for old in folder.parent.glob(f"{PREFIX}*"):
            shutil.rmtree(old)
    elif folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(mode=0o700)  # fails where somebody else was faster
    folder.chmod(0o700)


def write_file(path: Path, text: str) -> None:
    """Write a file that only its owner reads, from its first byte on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        os.fchmod(descriptor, 0o600)
        stream.write(text)


def write(folder: Path, values: Mapping[str, str]) -> Path:
    """Write each value to a file, and the script that exports them; returns the script."""
    lines = [f"export WATTLINE_SECRETS={shlex.quote(str(folder))}\n"]
    for name, text in sorted(values.items()):
        write_file(folder / name, text)
        lines.append(_export(name, folder / name))
    write_file(folder / SCRIPT, HEAD + "".join(lines) + TAIL)
    return folder / SCRIPT


def _export(name: str, path: Path) -> str:
    quoted = shlex.quote(str(path))
    if FILES.fullmatch(name):
        return f"export {name}={quoted}\n"
    return f'{name}="$(cat {quoted})"; export {name}\n'
