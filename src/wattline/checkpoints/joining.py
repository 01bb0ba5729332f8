"""How processes that train together agree on the attempt: each leaves a token, and the first one names them all."""

import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from wattline import files
from wattline.checkpoints import attempt
from wattline.checkpoints.attempt import Began
from wattline.errors import WattlineError

POLL_SECONDS = 0.1

Answer = TypeVar("Answer")


def clear(training: Path, launch: str) -> None:
    """Remove tokens of a launch of the same name that came before. Those of this one are left again."""
    for path in _folder(training).glob(f"{launch}.*"):
        path.unlink(missing_ok=True)


def gather(training: Path, launch: str, *, count: int, seconds: float) -> Mapping[int, str]:
    """Rank -> token of all processes but the first. Raises WattlineError naming one that did not come."""
    tokens: dict[int, str] = {}

    def all_came() -> bool | None:
        for rank in range(1, count):
            if rank not in tokens and (token := _token(_path(training, launch, rank))):
                tokens[rank] = token
        return True if len(tokens) == count - 1 else None

    if _waited(all_came, seconds) is None:
        missing = min(set(range(1, count)) - tokens.keys())
        raise WattlineError(
            f"process {missing} of {count} that train together did not ask for a checkpoint within {seconds:g} s; look "
            f"into its output, whether its node sees {training.resolve()}, or raise hpc.peer_seconds"
        )
    return tokens


def join(training: Path, launch: str, *, rank: int, seconds: float) -> Began:
    """What the first process says of the attempt that this one belongs to. Raises WattlineError where there is none."""
    path, token = _path(training, launch, rank), secrets.token_hex(8)

    def admitted() -> Began | None:
        if _token(path) != token:
            files.write_text(path, token)
        for number in reversed(attempt.numbers(training)):
            said = attempt.began(attempt.folder_of(training, number))
            if said is not None and said.members.get(rank) == token:
                return said
        return None

    said = _waited(admitted, seconds)
    if said is None:
        raise WattlineError(
            f"process 0 said nothing within {seconds:g} s of where process {rank} is to go on from; look into its "
            f"output, whether its node sees {training.resolve()}, or raise hpc.peer_seconds"
        )
    path.unlink(missing_ok=True)
    return said


def _waited(ask: Callable[[], Answer | None], seconds: float) -> Answer | None:
    until = time.monotonic() + seconds
    while (answer := ask()) is None and time.monotonic() < until:
        time.sleep(POLL_SECONDS)
    return answer


def _token(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _folder(training: Path) -> Path:
    return training / "joining"


def _path(training: Path, launch: str, rank: int) -> Path:
    return _folder(training) / f"{launch}.{rank}"
