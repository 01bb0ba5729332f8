"""`wattline push`: verified, sent, and looked for where it should have arrived."""

from collections.abc import Mapping, Sequence
from typing import Any

from wattline.errors import IntegrityError, WattlineError
from wattline.gitlab import dvc_remote
from wattline.interruption import Say, ended_by_sigterm
from wattline.objects import FOLDER
from wattline.remotes import known
from wattline.settings import Settings
from wattline.verification import elsewhere, here, stored, tracked
from wattline.verification.hashes import Hashes
from wattline.verification.places import Local, Remote
from wattline.verification.tracked import Output


def push(targets: Sequence[str], settings: Settings, *, remote: str | None, say: Say) -> None:
    """Send what DVC has on record to a remote.

    First every byte here is hashed, as `wattline data verify` does. Afterwards each object is looked for in the
    remote: DVC does not look for files of a folder whose listing is there, nor at the length of what is there.

    Raises IntegrityError when something here is damaged, and nothing is sent; InputError when the remote is none, or
    DVC would not verify what it gives; WattlineError when not everything arrived.
    """
    reached = dvc_remote.configure(settings) if settings.dvc_remote is not None else None
    with ended_by_sigterm(), tracked.opened() as repo:
        name = known.name(repo, remote)
        known.check_verified(repo, name)
        outputs = elsewhere.belonging(tracked.chosen(tracked.outputs(repo), targets), name)
        _check(outputs, repo, say=say)
        if name != reached:
            dvc_remote.reach(name, {}, told_by=f"the remote {name!r}")
        with known.answering(name):
            repo.push(targets=list(dict.fromkeys(one.by for one in outputs)), remote=name)
            _arrived(repo, outputs, name, say=say)


def _check(outputs: Sequence[Output], repo: Any, *, say: Say) -> None:
    """What is not here may be in the remote; what is here has to be right."""
    found = here.verify(outputs, tracked.cache(repo)).damaged
    if not found:
        return
    for problem in found:
        say(str(problem))
    raise IntegrityError(f"{found[0].place} is not what is on record, so nothing was sent; see above for what to do")


def _arrived(repo: Any, outputs: Sequence[Output], name: str, *, say: Say) -> None:
    remote, cache = elsewhere.place(repo, name), tracked.cache(repo)
    expected = _objects(remote, Local(cache, Hashes()), [one.md5 for one in outputs])
    wrong = _wrong(remote, expected)
    for md5 in wrong:
        if expected[md5] is not None:
            # Whole here, as was seen before: it takes the place of what DVC believed to be there.
            remote.store.fs.makedirs(remote.store.fs.parent(remote.store.oid_to_path(md5)), exist_ok=True)
            remote.store.add(str(cache.object(md5)), repo.cache.local.fs, md5, check_exists=False)
            say(f"push: {remote.where(md5)} was lost or cut short, and is sent again")
    lost = _wrong(remote, expected) if wrong else []
    if lost:
        raise WattlineError(
            f"{len(lost)} objects are neither here nor in remote {name!r}, such as {remote.where(lost[0])}; run this "
            "again where they are, or run `dvc repro` to make them anew"
        )
    say(f"push: all {len(expected)} objects of {len(outputs)} outputs are in remote {name!r}")


def _objects(remote: Remote, local: Local, names: Sequence[str]) -> dict[str, int | None]:
    """Every object of these outputs, with its bytes where it is here."""
    expected = {md5: _size(local, md5) for md5 in names}
    for md5 in names:
        if md5.endswith(FOLDER):
            source = local if expected[md5] is not None else remote
            if source is remote and remote.digests([md5]).get(md5) != md5:
                continue  # it is missing there as well, which is found in a moment
            expected |= {one: _size(local, one) for one in stored.entries(source.content(md5)).values()}
    return expected


def _size(local: Local, md5: str) -> int | None:
    path = local.cache.object(md5)
    return path.stat().st_size if path.is_file() else None


def _wrong(remote: Remote, expected: Mapping[str, int | None]) -> list[str]:
    there = remote.sizes(list(expected))
    return [md5 for md5, size in expected.items() if md5 not in there or size not in (None, there[md5])]
