"""Loading one version: verified, held against its signature, asked the golden windows, and warm."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from wattline import signing
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.params.serving import ModelParams
from wattline.records import Champion
from wattline.serving.inference import contents, golden
from wattline.serving.inference.contents import GOLDEN, Contents, MissingError
from wattline.serving.inference.engine import Engine
from wattline.signing import entry as entries
from wattline.signing.entry import Entry

LOG = logging.getLogger("wattline.serving")
CHAMPION = "champion.json"
UNSIGNED_VERSION_DIGITS = 12
Reason = Literal[
    "missing",
    "digest",
    "unsigned",
    "untrusted",
    "mismatch",
    "stale",
    "graph",
    "golden",
    "copy",
    "unreachable",
    "unchanged",
]
SHOWN = {"sequence", "action", "at", "former"}
"""What is told of the entry that made a version champion: who did it is the log's affair."""


class LoadError(WattlineError):
    """A version that cannot be served.

    reason: one word for the metrics. missing: a file is not there; digest: bytes are not those of the record; unsigned:
        there is no readable statement; untrusted: no trusted key signed it; mismatch: it is about something else;
        stale: it may not follow the champion that was accepted last; graph: the graph cannot be run; golden: it answers
        otherwise here than where it was made; copy: this server has no place for it; unreachable: its origin does not
        answer; unchanged: nothing was loaded, because it is what was tried before
    """

    exit_code = 2

    def __init__(self, message: str, *, reason: Reason) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Loaded:
    """A version that can answer.

    name, version: of the signed statement; without one, the task and the first digits of the digest
    promotion: the verified entry of the audit log that made it champion; None where there is none or none is needed
    seconds: how long loading took [s]
    seconds_per_window: in a full run of the warm graph [s]
    """

    engine: Engine
    name: str
    version: str
    digest: str
    statement: signing.Statement | None
    promotion: Entry | None
    seconds: float
    seconds_per_window: float

    def said(self) -> dict[str, Any]:
        """What was signed about it, as JSON: its statement, and since when it is champion; None where nothing was."""
        statement, promotion = self.statement, self.promotion
        return {
            "statement": None if statement is None else statement.model_dump(mode="json", by_alias=True),
            "promotion": None if promotion is None else promotion.model_dump(mode="json", include=SHOWN),
        }


def load(
    folder: Path,
    *,
    model: ModelParams,
    trusted: Sequence[signing.PublicKey],
    threads: int,
    device: str,
    maximum_windows: int,
    champion: bool = False,
) -> Loaded:
    """Load the version in `folder`, which nobody else changes.

    trusted: public keys of those who may promote
    maximum_windows: of one run
    champion: whether it is to be one, so that the entry that made it one is verified where there is one
    Raises LoadError; nothing of a version that fails in any step is ever run on a caller's windows.
    """
    began = time.perf_counter()
    found = read(folder)
    statement = _statement(folder, found, model=model, trusted=trusted)
    is_dated = champion and model.signature == "required"
    promotion = _promotion(folder, statement, trusted=trusted) if is_dated and statement is not None else None
    with _failing("graph", InputError):
        engine = Engine.loaded(found, threads=threads, device=device)
    _check_golden(engine, found)
    seconds_per_window = warm_up(engine, maximum_windows)
    digest = found.candidate.digest
    return Loaded(
        engine=engine,
        name=found.candidate.task if statement is None else statement.predicate.name,
        version=digest[:UNSIGNED_VERSION_DIGITS] if statement is None else statement.predicate.version,
        digest=digest,
        statement=statement,
        promotion=promotion,
        seconds=time.perf_counter() - began,
        seconds_per_window=seconds_per_window,
    )


def read(folder: Path) -> Contents:
    """Read and verify the files in `folder`. Raises LoadError: missing, digest or mismatch."""
    with _failing("digest", InputError, IntegrityError), _failing("missing", MissingError, OSError):
        found = contents.read(folder)
        if GOLDEN not in found.files:
            raise MissingError(
                f"{folder} holds no {GOLDEN} that its record names; run `dvc repro`, register and promote again"
            )
        champion = _champion(folder)
    if champion is not None and champion.digest != found.candidate.digest:
        raise LoadError(
            f"{folder / CHAMPION} is about candidate {(champion.digest or 'none')[:12]}, the files are "
            f"{found.candidate.digest[:12]}; run `wattline champion`",
            reason="mismatch",
        )
    return found


def warm_up(engine: Engine, maximum_windows: int) -> float:
    """Run batches of one and of `maximum_windows`: first runs allocate what later ones use.

    returns: seconds per window of a full batch [s]
    """
    shape = (engine.signature.steps, len(engine.signature.columns))
    windows = np.zeros((maximum_windows, *shape), dtype=np.float32)
    units = np.full(maximum_windows, -1, dtype=np.int64)
    with _failing("graph", WattlineError):
        engine.run(windows[:1], units[:1])
        engine.run(windows, units)
        began = time.perf_counter()
        engine.run(windows, units)
    return (time.perf_counter() - began) / maximum_windows


def _statement(
    folder: Path, found: Contents, *, model: ModelParams, trusted: Sequence[signing.PublicKey]
) -> signing.Statement | None:
    """The verified statement. Where it is optional, only one that nobody could verify may be absent or is ignored."""
    path = folder / signing.FILE
    if model.signature == "optional" and not (trusted and path.exists()):
        LOG.warning("candidate %s is served without a verified statement", found.candidate.digest[:12])
        return None
    if not path.is_file():
        raise LoadError(
            f"{folder} holds no {signing.FILE}; run `wattline promote` and fetch it again", reason="unsigned"
        )
    with _failing("unsigned", InputError), _failing("untrusted", IntegrityError):
        signing.verify(contents.read_bounded(path), trusted)
    with _failing("mismatch", InputError, IntegrityError):
        return signing.verify_folder(folder, trusted, candidate=found.candidate)


def _promotion(folder: Path, statement: signing.Statement, *, trusted: Sequence[signing.PublicKey]) -> Entry | None:
    """The verified entry that made the version of `statement` champion; None where none lies there."""
    path, said = folder / entries.FILE, statement.predicate
    if not path.exists():
        return None
    with _failing("unsigned", InputError, OSError, at=path), _failing("untrusted", IntegrityError, at=path):
        entry = entries.unseal(contents.read_bounded(path), trusted)
    if (entry.model, entry.version, entry.digest) != (said.name, said.version, said.digest):
        raise LoadError(
            f"{path} is about version {entry.version} of {entry.model} ({(entry.digest or 'no candidate')[:12]}), the "
            f"statement about version {said.version} of {said.name} ({said.digest[:12]}); run `wattline champion`",
            reason="mismatch",
        )
    if entry.action not in entries.MOVES:
        raise LoadError(
            f"{path} holds the entry of a {entry.action}, which makes no champion; run `wattline champion`",
            reason="mismatch",
        )
    return entry


def _check_golden(engine: Engine, found: Contents) -> None:
    with _failing("golden", WattlineError):
        record = contents.parse(found.files[GOLDEN], golden.Golden, place=found.folder / GOLDEN)
        golden.check(engine, record)


def _champion(folder: Path) -> Champion | None:
    path = folder / CHAMPION
    return contents.parse(contents.read_bounded(path), Champion, place=path) if path.is_file() else None


@contextmanager
def _failing(reason: Reason, *kinds: type[Exception], at: Path | None = None) -> Iterator[None]:
    """Turn errors of these kinds into a LoadError. at: what its sentence begins with, where the error does not say"""
    try:
        yield
    except LoadError:
        raise
    except kinds as error:
        raise LoadError(f"{at}: {error}" if at else str(error), reason=reason) from None
