"""Downloads: whole, checked against a recorded digest, and kept."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.records import SourceFile
from wattline.settings import settings
from wattline.sources import checksums

ATTEMPTS = 4
BACKOFF_SECONDS = 1.0
TIMEOUT_SECONDS = 30.0
TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

log = logging.getLogger(__name__)


class TransientError(Exception):
    """A download failed in a way that may pass."""


def fetch(path: str, *, dataset: str, home: str, check: Callable[[Path], object]) -> tuple[Path, SourceFile]:
    """Download `home`/`path` unless it is already there, and hold it against its recorded digest.

    check: reads a file whose digest is not recorded yet and raises InputError when it is not what it should be; only
        then is the digest recorded, so that an error page can never become the truth
    Raises InputError when it cannot be had, IntegrityError when its digest is another; nothing is left behind then.
    """
    target = settings().state / "downloads" / dataset / path
    if target.exists():
        digest = _accept(target, path, dataset=dataset, check=check)
        return target, _describe(target, path, digest)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        _download(f"{home.rstrip('/')}/{path}", temporary)
        digest = _accept(temporary, path, dataset=dataset, check=check)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return target, _describe(target, path, digest)


def _describe(target: Path, path: str, digest: str) -> SourceFile:
    return SourceFile(path=path, sha256=digest, size_bytes=target.stat().st_size, origin="download")


def _accept(file: Path, path: str, *, dataset: str, check: Callable[[Path], object]) -> str:
    found = files.sha256(file)
    expected = checksums.pinned(dataset, path)
    if expected is None:
        check(file)
        checksums.pin(dataset, path, found)
        log.warning("%s: %s had no recorded checksum; pinned SHA-256 %s", dataset, path, found)
    elif found != expected:
        raise IntegrityError(
            f"{dataset}: {path} has SHA-256 {found}, {checksums.FILE} expects {expected}; delete "
            f"{settings().state / 'downloads' / dataset / path} if it exists and try again, "
            "or remove the entry if the publisher changed the file"
        )
    return found


def _download(url: str, target: Path) -> None:
    for attempt in range(ATTEMPTS):
        try:
            _stream(url, target)
        except TransientError as error:
            if attempt == ATTEMPTS - 1:
                raise InputError(f"{url} could not be downloaded in {ATTEMPTS} attempts: {error}; try later") from None
            log.info("%s: %s; attempt %d of %d follows", url, error, attempt + 2, ATTEMPTS)
            time.sleep(BACKOFF_SECONDS * 2**attempt)
        else:
            return


def _stream(url: str, target: Path) -> None:
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=TIMEOUT_SECONDS) as response:
            _check_status(response, url)
            with target.open("wb") as stream:
                for chunk in response.iter_bytes():
                    stream.write(chunk)
    except httpx.TransportError as error:
        # A body shorter than its Content-Length is one of these, too.
        raise TransientError(str(error) or type(error).__name__) from None
    except (httpx.InvalidURL, httpx.TooManyRedirects, httpx.DecodingError) as error:
        raise InputError(f"{url} cannot be downloaded: {error}; correct `home` in params.yaml") from None


def _check_status(response: httpx.Response, url: str) -> None:
    if response.status_code in TRANSIENT_STATUS:
        raise TransientError(f"status {response.status_code}")
    if response.status_code != httpx.codes.OK:
        raise InputError(
            f"{url} answered {response.status_code} {response.reason_phrase}; check `home` in params.yaml, "
            "or set WATTLINE_DATA_MIRROR to a folder with a copy"
        )
