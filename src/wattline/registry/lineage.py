"""What a candidate was made of, by dvc.lock: each stage read what the one before it wrote, and that lies here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wattline import files
from wattline.errors import IntegrityError
from wattline.verification import lock, workspace
from wattline.verification.hashes import Hashes
from wattline.verification.lock import Recorded


def check() -> None:
    """Hold candidate, data and reports against dvc.lock, and the entries of dvc.lock against each other.

    A project without dvc.lock has no such lineage, which a version tells: it cannot be made again.
    Raises IntegrityError naming the first output that is not what its stage has on record, or that another stage read
    as something else; InputError when dvc.lock cannot be read.
    """
    entries = lock.stages()
    outputs = lock.outputs(entries)
    judged = [files.RAW, files.PREPARED, files.CANDIDATE, *sorted(files.REPORTS.glob("*.json"))]
    hashes = Hashes()
    for path in judged:
        found = outputs.get(path)
        if found is not None and not workspace.intact(path, found.md5, hashes=hashes):
            raise IntegrityError(
                f"{path} is not what dvc.lock says that {found.by} made (MD5 {found.md5}); run `wattline data verify "
                f"{found.by}`, and `dvc repro` where it was made without DVC"
            )
    _check_chain(entries, outputs, [path for path in judged if path in outputs])


def _check_chain(entries: Mapping[str, Any], outputs: Mapping[Path, Recorded], judged: list[Path]) -> None:
    """Follow what was read, from the candidate and the reports back to the first stage."""
    waiting, seen = [outputs[path].by for path in judged], set[str]()
    while waiting:
        stage = waiting.pop()
        if stage in seen:
            continue
        seen.add(stage)
        for read in lock.inputs(entries, stage):
            wrote = outputs.get(read.path)
            if wrote is None:
                continue
            if wrote.md5 != read.md5:
                raise IntegrityError(
                    f"dvc.lock does not fit together: {stage} read {read.path} with MD5 {read.md5}, {wrote.by} wrote "
                    f"{wrote.md5}; run `dvc repro`"
                )
            waiting.append(wrote.by)
