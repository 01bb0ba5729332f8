"""What the fields of a profile may hold: they end up in a script, which is a file that others may read."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import SecretStr

from wattline.errors import InputError
from wattline.settings import Settings

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.,@+-]*")
MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./+=@-]*")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FLAG = re.compile(r"--([a-z][a-z0-9-]*)(=[A-Za-z0-9_@%+=:,./\[\]()*&|!-]+)?")
PROXY = re.compile(r"https?://[A-Za-z0-9.-]+(:\d+)?/?")

OWN_FLAGS = frozenset(
    (
        "account", "array", "chdir", "cpus-per-task", "error", "exclusive", "export", "export-file",
        "gpus-per-node", "job-name", "mem", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output", "parsable",
        "partition", "qos", "requeue", "signal", "test-only", "time", "wait", "wrap", "bank", "cores-per-slot",
        "cwd", "dir", "env", "env-file", "gpus-per-slot", "nslots", "queue", "slots-per-node", "time-limit",
        "cluster", "clusters", "help", "hold", "no-requeue", "urgency", "usage", "version",
    )
)  # fmt: skip
"""Options that the script sets from other keys of the profile or of `hpc.stages`, and those with which a job would not
be found again, not begin, or not begin again."""

OWN_VARIABLES = re.compile(
    r"(SLURM|SLURMD|SBATCH|SRUN|FLUX)_\w+|RANK|LOCAL_RANK|WORLD_SIZE|GROUP_RANK|GROUP_WORLD_SIZE|WATTLINE_SITE"
    r"|WATTLINE_OFFLINE|BASH_ENV|BASHOPTS|SHELLOPTS|IFS|UID|EUID|PPID"
    r"|exit_code|copy|told|again|private|code|environment|image|mount|hook|notice|pause"
)
"""Variables that the scheduler, bash or the script itself sets."""

SECRET_NAME = re.compile(
    r"passw|passphrase|secret|credential|token(?!izer)|(api|access|private|signing|account)_?key", re.IGNORECASE
)
SECRET_VALUE = re.compile(
    r"://[^/\s]*:[^/\s]*@|-----BEGIN|\b(glpat|ghp|gho|github_pat|hf|sk|xox[abp])[-_]\w{16,}|\bAKIA[0-9A-Z]{16}\b"
)


def name(value: str) -> str:
    return _matching(NAME, value, "letters, digits and _ . , @ + -") if value else value


def module(value: str) -> str:
    return _matching(MODULE, value, "the name of one module, such as Python/3.11")


def variable(value: str) -> str:
    _matching(VARIABLE, value, "letters, digits and _")
    if OWN_VARIABLES.fullmatch(value):
        raise ValueError("is set by the scheduler, by bash or by the script, and must not be set here")
    return value


def flag(value: str) -> str:
    """An option whose value needs no quotes, and that no other key sets."""
    _matching(FLAG, value, "one option such as --constraint=gpu, without blanks and quotes")
    given = value.removeprefix("--").partition("=")[0]
    # Slurm takes any unambiguous beginning of an option for the option.
    clashes = [own for own in sorted(OWN_FLAGS) if own.startswith(given)]
    if clashes:
        raise ValueError(
            f"is or may be read as --{clashes[0]}, which has a key of its own here or is set by the script"
        )
    return value


def proxy(value: str) -> str:
    return _matching(PROXY, value, "http://HOST:PORT without a password") if value else value


def printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must be one line without control characters")
    return value


def _matching(pattern: re.Pattern[str], value: str, rule: str) -> str:
    if not pattern.fullmatch(value):
        raise ValueError(f"must be {rule}")
    return value


def secret(address: str) -> bool:
    """Whether an address may hold one: before an @, or as a parameter such as ?password=..."""
    return "@" in address or bool(SECRET_VALUE.search(address) or SECRET_NAME.search(address))


def refuse_secrets(tree: Any, *, where: str) -> None:
    """Raise InputError for a variable or a text that looks like a secret, without showing it."""
    for key, value in _leaves(tree):
        last = key.rpartition(".")[2]
        if last in _secret_settings() or SECRET_NAME.search(last) or SECRET_VALUE.search(value):
            raise InputError(
                f"{where}: {key} looks like a secret, and a job's script is a file that others may read; export it in "
                "the shell profile of your account there, or keep the site offline and run `wattline sync` afterwards"
            )


def _leaves(tree: Any, prefix: str = "") -> Iterable[tuple[str, str]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _leaves(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from _leaves(value, f"{prefix}.{number}")
    else:
        yield prefix, str(tree)


def _secret_settings() -> frozenset[str]:
    """Names of the environment variables that hold Wattline's secrets."""
    return frozenset(
        str(field.validation_alias)
        for field in Settings.model_fields.values()
        if field.annotation in (SecretStr, SecretStr | None)
    )
