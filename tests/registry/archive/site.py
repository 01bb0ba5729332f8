"""A site with a version to export, and the tools of somebody who forges archives."""

import hashlib
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from builders import COLUMNS, decision, evaluation, measurement, signing_key, write_candidate, write_reports
from safetensors.numpy import save

from wattline import files, signing
from wattline.records import Axis, Candidate, Dataset, Manifest, Part, UnitRows
from wattline.registry.archive import ArchivedFile, ArchiveManifest, blocks, entries, manifest, pack
from wattline.signing.entry import Actor, Entry, seal
from wattline.signing.keys import PrivateKey
from wattline.signing.statement import CardSummary, Statement, compose

KEY, OTHER = signing_key(0), signing_key(1)
TRUSTED = (KEY.public,)
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SEQUENCES = (3, 4, 9)
"""Places of the version's entries in the log: others lie between the last two."""


@dataclass(frozen=True)
class Version:
    """What `pack` is given."""

    folder: Path
    statement: bytes
    history: Sequence[bytes]

    def exported(self, destination: Path, *, key: PrivateKey = KEY, site: str = "site A", now: datetime = NOW) -> Path:
        return pack(self.folder, self.statement, self.history, destination=destination, key=key, site=site, now=now)


def version(folder: Path) -> Version:
    """Write a version as it is downloaded from the registry."""
    candidate = write_candidate(folder / "candidate", golden=True, weights=save({"center": np.zeros(3, np.float32)}))
    dataset, splits = described_data()
    candidate = candidate.model_copy(update={"data": dataset.id})
    files.write_text(folder / "candidate" / "candidate.json", candidate.to_json())
    write_reports(folder / "reports", candidate)
    files.write_text(folder / "cards" / "anomaly.md", "# anomaly\n")
    files.write_text(folder / "cards" / "anomaly.cdx.json", "{}\n")
    for name, text in {
        "dataset.json": dataset.to_json(),
        "manifest.json": splits.to_json(),
        "dvc.lock": "schema: '2.0'\n",
        "params.yaml": "task:\n  name: anomaly\n",
        "environment.json": "{}\n",
    }.items():
        files.write_text(folder / "provenance" / name, text)
    return Version(folder, signed(stated(folder)), history())


def described_data() -> tuple[Dataset, Manifest]:
    start, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    dataset = Dataset(
        name="simulator",
        source="simulator",
        home="here",
        licence="CC0-1.0",
        citation="none",
        cadence_seconds=60,
        columns=COLUMNS,
        units=(UnitRows(name="node-01", group="rack-1", rows=2, start=start, end=end, sha256="a" * 64),),
        labelled=True,
    )
    part = Part(unit="node-01", group="rack-1", split="train", rows=2, start=start, end=end)
    splits = Manifest(
        data=dataset.id,
        dataset="simulator",
        cadence_seconds=60,
        axis=Axis(origin=datetime(2026, 1, 1, tzinfo=UTC)),
        columns=COLUMNS,
        parts=(part,),
        files={},
    )
    return dataset, splits


def stated(folder: Path, **changes: Any) -> Statement:
    """What is said of the version in `folder`."""
    candidate = files.read_record(folder / "candidate" / "candidate.json", Candidate)
    said: dict[str, Any] = {
        "name": "anomaly",
        "version": "7",
        "commit": "c" * 40,
        "dirty": False,
        "registered": datetime(2026, 1, 1, tzinfo=UTC),
        "decision": decision(candidate),
        "evaluation": evaluation(candidate),
        "measurement": measurement(candidate),
        "card": CardSummary(),
        "evidence": {
            f"{part}/{name}": digest
            for part in ("reports", "cards", "provenance")
            for name, digest in files.digests(folder / part).items()
        },
    }
    return compose(candidate, **(said | changes))


def signed(statement: Statement, key: PrivateKey = KEY) -> bytes:
    return signing.sign(statement, key)


def entry(sequence: int, previous: str, *, key: PrivateKey = KEY, version: str = "7") -> bytes:
    """An entry of the audit log."""
    found = Entry(
        sequence=sequence,
        previous=previous,
        at=NOW,
        actor=Actor(name="somebody", kind="person"),
        action="promote",
        model="anomaly",
        version=version,
        token=1,
    )
    return seal(found, key)


def history(sequences: Iterable[int] = SEQUENCES, *, key: PrivateKey = KEY) -> tuple[bytes, ...]:
    """Entries that follow each other, where their places do."""
    found: list[bytes] = []
    for sequence in sequences:
        previous = hashlib.sha256(entries.unopened(found)[-1]).hexdigest() if found else "0" * 64
        found.append(entry(sequence, previous, key=key))
    return tuple(found)


def content(archive: bytes) -> dict[str, bytes]:
    """Name -> bytes, as any reader of tars sees them."""
    with tarfile.open(fileobj=BytesIO(archive), mode="r:") as opened:
        return {member.name: opened.extractfile(member).read() for member in opened}


def members(archive: bytes) -> list[bytes]:
    """Each file with its header and padding."""
    return [file(name, inside) for name, inside in content(archive).items()]


def file(name: str, inside: bytes) -> bytes:
    return blocks.header(name, len(inside)) + inside + blocks.padding(len(inside))


def whole(parts: Sequence[bytes]) -> bytes:
    """A tar of these members."""
    joined = b"".join(parts)
    return joined + blocks.ending(len(joined))


def odd(name: str, inside: bytes = b"", *, form: int = tarfile.USTAR_FORMAT, **fields: Any) -> bytes:
    """A member with a header of somebody else's making."""
    info = tarfile.TarInfo(name)
    info.size = len(inside)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(form, "utf-8", "surrogateescape") + inside + blocks.padding(len(inside))


def forged(inside: Mapping[str, bytes], **changes: Any) -> bytes:
    """An archive of these files by somebody who has a key that is trusted.

    inside: name -> bytes
    changes: of the manifest that fits them
    """
    lines = [line for line in inside["history.jsonl"].splitlines() if line]
    payloads = entries.unopened(lines)
    candidate = Candidate.from_json(inside["candidate/candidate.json"])
    said = {
        "format": 1,
        "name": "anomaly",
        "version": "7",
        "candidate": candidate.digest,
        "data": candidate.data,
        "exported": NOW,
        "key": KEY.public.id,
        "site": "site A",
        "entries": len(payloads),
        "last": entries.last(payloads),
        "files": {
            name: ArchivedFile(sha256=hashlib.sha256(one).hexdigest(), size_bytes=len(one))
            for name, one in inside.items()
        },
    }
    described = ArchiveManifest.model_construct(**(said | changes))
    first = file("manifest.dsse.json", manifest.sealed(described, KEY))
    return whole([first, *(named(name, one) for name, one in sorted(inside.items()))])


def named(name: str, inside: bytes) -> bytes:
    """A member as `pack` would write it, whatever its name."""
    block = bytearray(blocks.header("x", len(inside)))
    encoded = name.encode("utf-8", "surrogateescape")[:100]
    block[:100] = encoded.ljust(100, b"\0")
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + inside + blocks.padding(len(inside))


def replaced(good: bytes, name: str, inside: bytes) -> bytes:
    """The archive with other bytes in one file."""
    return whole([file(one, inside if one == name else was) for one, was in content(good).items()])


def envelope(good: bytes) -> dict[str, Any]:
    """The signed manifest of an archive, as JSON says it."""
    return json.loads(content(good)["manifest.dsse.json"])


def zipped() -> bytes:
    """A zip, as torch.save makes one."""
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("data.pkl", b"x")
    return stream.getvalue()


def without(inside: Mapping[str, bytes], name: str) -> dict[str, bytes]:
    """All these files but one."""
    return {one: content for one, content in inside.items() if one != name}


def inner(good: bytes) -> dict[str, bytes]:
    """All files of an archive but its manifest."""
    return without(content(good), "manifest.dsse.json")
