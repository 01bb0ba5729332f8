"""No secret in the tree: all that git has or would take is read, offline. Prints place and kind, never a value."""

import hashlib
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import secret_kinds
import yaml

ALLOWED = Path(__file__).with_name("secrets.yaml")
FINGERPRINT = 8
"""Hexadecimal digits that are enough to know a value again, and too few to find it."""


class Finding(NamedTuple):
    """A secret, without its value."""

    path: str
    line: int
    kind: str
    fingerprint: str


def tree() -> list[str]:
    """Paths that git tracks, and those that it neither tracks nor ignores."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return sorted({name for name in listed if name and Path(name).is_file() and not Path(name).is_symlink()})


def scan(name: str) -> list[Finding]:
    """What is found in one file, whatever its kind."""
    content = Path(name).read_bytes()
    encoding = "utf-16" if content[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8"
    text = content.decode(encoding, errors="replace")
    found: dict[tuple[int, str], Finding] = {}
    for position, kind, value in secret_kinds.find(text, name):
        line = text.count("\n", 0, position) + 1
        digest = hashlib.sha256(value.encode()).hexdigest()[:FINGERPRINT]
        found.setdefault((line, kind), Finding(name, line, kind, digest))
    return list(found.values())


def complaints(findings: list[Finding], allowed: list[dict[str, str]]) -> Iterator[str]:
    """A line for each finding that nobody allowed, and for each permission that nothing needs."""
    unused = {(entry["path"], entry["fingerprint"]): entry for entry in allowed if entry["reason"]}
    known = set(unused)
    for one in findings:
        if (one.path, one.fingerprint) in known:
            unused.pop((one.path, one.fingerprint), None)
        else:
            yield f"{one.path}:{one.line}: {one.kind} ({one.fingerprint})"
    for path, fingerprint in unused:
        yield f"{ALLOWED.name}: {path} holds no {fingerprint} any more; remove the entry"


def main() -> int:
    """Scan the tree below the current folder; 1 when there is something to say."""
    with multiprocessing.Pool() as pool:
        findings = [one for found in pool.imap(scan, tree(), chunksize=16) for one in found]
    said = list(complaints(findings, yaml.safe_load(ALLOWED.read_text(encoding="utf-8")) or []))
    if said:
        said.append(
            f"remove the secret and revoke it; what is none gets its fingerprint and a reason in {ALLOWED.name}"
        )
        sys.stdout.write("\n".join(said) + "\n")
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
