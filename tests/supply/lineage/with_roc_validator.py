"""Runs in the environment of roc-validator: what is wrong with crates, as JSON, found without any network.

with_roc_validator.py CONTEXT FOLDER CRATE...
CONTEXT: JSON-LD that is served where the crates' metadata name https://w3id.org/ro/crate/1.1/context
FOLDER: for the validator's cache
Prints crate -> what it lacks, each with the severity REQUIRED or RECOMMENDED first.
"""

import io
import json
import socket
import sys
from pathlib import Path
from typing import Any

import requests
import requests_cache
from requests.adapters import BaseAdapter
from rocrate_validator import services
from rocrate_validator.models import ValidationSettings

ADDRESS = "https://w3id.org/ro/crate/1.1/context"


class FromFile(BaseAdapter):
    """Answers everything with one file."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        from urllib3 import HTTPResponse

        raw = HTTPResponse(
            io.BytesIO(self._path.read_bytes()),
            headers={"Content-Type": "application/ld+json"},
            status=200,
            preload_content=False,
            request_url=request.url,
        )
        return requests.adapters.HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        pass


def refuse(*arguments: object) -> None:
    raise OSError(f"a connection was tried: {arguments}")


def issues(crate: str, cache: Path) -> list[str]:
    result = services.validate(
        ValidationSettings(
            rocrate_uri=crate,
            profile_identifier="ro-crate-1.1",
            requirement_severity="RECOMMENDED",
            offline=True,
            cache_path=cache,
        )
    )
    return [f"{issue.severity.name} {issue.check.identifier}: {issue.message}" for issue in result.get_issues()]


def main(context: str, folder: str, *crates: str) -> None:
    cache = Path(folder) / "cache"
    with requests_cache.CachedSession(str(cache), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", FromFile(Path(context)))
        session.get(ADDRESS).raise_for_status()
    socket.socket.connect = refuse  # type: ignore[method-assign, assignment]
    print(json.dumps({crate: issues(crate, cache) for crate in crates}))


main(*sys.argv[1:])
