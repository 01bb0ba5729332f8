"""API keys and the YAML file that keeps their digests."""

import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import yaml

from wattline.errors import InputError
from wattline.serving.call import ANYONE

PREFIX = "wl_"
TAIL = 44
"""Characters of a key after its identifier: an underscore, and 256 random bits in URL-safe Base64."""

IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")
DIGEST = re.compile(r"[0-9a-f]{64}")
ROLES = ANYONE.roles
LARGEST_FILE = 262144


@dataclass(frozen=True, slots=True)
class Entry:
    """What the file says of one key.

    id: names the key in the file, in logs, and its caller as `key:<id>`
    sha256: of the whole key. A slow hash protects passwords that people choose; against 256 random bits nobody can
        guess, so it would only make every request slow
    roles: what the caller may do: predict, feedback, operate, audit
    """

    id: str
    sha256: str
    roles: tuple[str, ...]

    def __str__(self) -> str:
        """The entry as one line of YAML."""
        values = asdict(self) | {"roles": list(self.roles)}
        return "- " + yaml.safe_dump(values, default_flow_style=True, sort_keys=False, width=1000)


def new_key(identifier: str, roles: Iterable[str]) -> tuple[str, Entry]:
    """Make a key: what is shown once to its owner, and what the file keeps of it.

    Raises InputError for an identifier that cannot be one, and for unknown roles or none.
    """
    key = f"{PREFIX}{identifier}_{secrets.token_urlsafe(32)}"
    entry = Entry(identifier, sha256(key.encode()).hexdigest(), tuple(sorted(set(roles))))
    _check(entry, f"API key {identifier!r}")
    return key, entry


def add_key(path: Path, entry: Entry) -> None:
    """Append `entry` to the file in one step, for its owner's eyes only (mode 0600). Comments in the file stay.

    Raises InputError when the identifier is taken, the file cannot be read or written, or somebody else is writing it.
    """
    path = path.resolve()
    fresh = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _exclusive(fresh) as stream:
            stream.write(_with(path, entry))
            stream.flush()
            os.fsync(stream.fileno())
            fresh.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; choose another serving.auth.keys_file") from None


@contextmanager
def _exclusive(fresh: Path) -> Iterator[BinaryIO]:
    """A new file to write, which is gone when the block fails.

    It is made before the keys are read: of two who add a key at once, one is told so and neither loses the other's.
    """
    try:
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise InputError(f"{fresh} exists: a key is being added; delete it if nobody is") from None
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _with(path: Path, entry: Entry) -> bytes:
    """The content of the file at `path`, if there is one, with `entry` at its end."""
    content = read(path) if path.exists() else b"[]"
    known = entries(content, path)
    if entry.id in {one.id for one in known}:
        raise InputError(f"keys file {path} has a key {entry.id!r} already; choose another name, or remove that entry")
    appended = b"\n".join([content.rstrip(), str(entry).encode()])
    try:
        if entries(appended, path) == [*known, entry]:
            return appended
    except InputError:
        pass  # a list in brackets, or an indented one, does not go on with a new line
    return "".join(str(one) for one in (*known, entry)).encode()


def read(path: Path) -> bytes:
    """The file's bytes. Raises InputError when it cannot be read, is open to everyone or is far too large."""
    remedy = "`wattline apikey NAME --role predict` makes it"
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"keys file {path} cannot be read: {error.strerror}; {remedy}") from None
    if mode & 0o007:
        raise InputError(f"keys file {path} is open to everyone (mode {mode & 0o777:o}); run `chmod o= {path}`")
    if len(content) > LARGEST_FILE:
        raise InputError(
            f"keys file {path} is larger than {LARGEST_FILE} bytes; use an OIDC issuer for so many callers"
        )
    return content


def entries(content: bytes, path: Path) -> list[Entry]:
    """What the file holds. Raises InputError, which repeats nothing of it: somebody may have pasted a key into it."""
    try:
        found = yaml.safe_load(content.decode())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark else ""
        raise InputError(f"keys file {path} is not valid YAML{place}; correct it") from None
    if not isinstance(found, list):
        raise InputError(f"keys file {path} must hold a list of {{id, sha256, roles}}; write [] for no keys")
    listed = [_entry(one, f"keys file {path}, entry {number}") for number, one in enumerate(found, 1)]
    identifiers = [one.id for one in listed]
    twice = [one for one in identifiers if identifiers.count(one) > 1]
    if twice:
        raise InputError(f"keys file {path} has the id {twice[0]!r} twice; rename or remove one")
    return listed


def _entry(found: Any, where: str) -> Entry:
    if not isinstance(found, dict) or set(found) != {"id", "sha256", "roles"} or not isinstance(found["roles"], list):
        raise InputError(f"{where} must have id, sha256 and a list of roles, and nothing else; correct it")
    entry = Entry(found["id"], found["sha256"], tuple(found["roles"]))
    _check(entry, where)
    return entry


def _check(entry: Entry, where: str) -> None:
    if not isinstance(entry.id, str) or not IDENTIFIER.fullmatch(entry.id):
        raise InputError(
            f"{where}: the id must be 1 to 63 of a-z, 0-9, dot and hyphen, and begin with a letter or digit"
        )
    if not isinstance(entry.sha256, str) or not DIGEST.fullmatch(entry.sha256):
        raise InputError(f"{where}: sha256 must be 64 hexadecimal digits; `wattline apikey` writes them")
    if not entry.roles or not all(isinstance(role, str) and role in ROLES for role in entry.roles):
        raise InputError(f"{where}: roles must be some of {', '.join(sorted(ROLES))}; correct them")
