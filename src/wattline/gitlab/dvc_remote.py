"""The DVC remote and the cache of a job: reached before anything runs, then written into .dvc/config.local."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wattline.errors import InputError
from wattline.settings import Settings

NAME = "wattline"
"""The remote that WATTLINE_DVC_REMOTE describes."""
FOLDER = Path(".dvc")
CONNECT_SECONDS, READ_SECONDS = 10, 60
VARIABLE = "WATTLINE_DVC_REMOTE"


def configure(known: Settings) -> str | None:
    """Name of the remote that jobs share, once it was reached; None where there is none.

    Credentials stay where the libraries of the remote look for them, AWS_* for S3: no file holds them.
    Raises InputError naming the variable when remote or cache cannot be used; nothing is written then.
    """
    from dvc.config import Config

    if not FOLDER.is_dir():
        raise InputError(f"{Path.cwd()} holds no DVC project; run this in the root of the repository")
    config = Config(dvc_dir=str(FOLDER.resolve()))
    wanted = wanted_config(known, default=config["core"].get("remote"))
    name: str | None = wanted["core"].get("remote") or config["core"].get("remote")
    if name == NAME and known.dvc_remote is None:
        name = None  # written by an earlier job of this clone
    if name is not None:
        reach(name, wanted, told_by=VARIABLE if known.dvc_remote else f"the remote '{name}' in .dvc/config")
    with config.edit("local") as local:
        if known.dvc_remote is None and local.get("core", {}).get("remote") == NAME:
            del local["core"]["remote"]
            local["remote"].pop(NAME, None)
        for section, values in wanted.items():
            local.setdefault(section, {}).update(values)
    return name


def wanted_config(known: Settings, *, default: str | None) -> dict[str, dict[str, Any]]:
    """What the environment asks of DVC's configuration.

    default: the remote that the project itself names
    Raises InputError naming the variable that cannot be used.
    """
    wanted: dict[str, dict[str, Any]] = {"core": {"analytics": False}, "remote": {}, "cache": {}}
    if known.dvc_remote is not None:
        url = _url(known.dvc_remote)
        limits = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS} if url.startswith("s3:") else {}
        wanted["core"]["remote"] = NAME
        wanted["remote"][NAME] = {"url": url, "verify": True, **limits}
    elif default is not None and default != NAME:
        wanted["remote"][default] = {"verify": True}
    if known.dvc_cache is not None and not known.from_fork:  # a fork's job would write there for others
        wanted["cache"] = {"dir": _cache(known.dvc_cache), "shared": "group", "type": "reflink,symlink,copy"}
    return wanted


def reach(name: str, config: Mapping[str, Mapping[str, Any]], *, told_by: str) -> None:
    """Raise InputError, naming who told of the remote `name`, when it does not answer."""
    from dvc.repo import Repo

    try:
        with Repo(".", config=config) as repo:
            remote = repo.cloud.get_remote(name)
            if remote.fs.protocol == "s3":
                remote.fs.fs.call_s3("head_bucket", Bucket=remote.path.split("/")[0])
            elif remote.fs.protocol == "local":
                next(Path(remote.path).iterdir(), None)
            else:
                remote.fs.exists(remote.path)
    except Exception as error:
        # Each kind of remote has exceptions of its own, and all of them mean the same here.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(
            f"{told_by} cannot be reached, so nothing was run: {reason}; check its address, that it exists, and the "
            "credentials of this job (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL for s3://)"
        ) from None


def _url(text: str) -> str:
    """The address as DVC takes it: a folder becomes absolute, and nothing secret is in it."""
    scheme = urlsplit(text).scheme if re.match(r"[a-z][a-z0-9+.-]*://", text) else ""
    if scheme in ("", "file"):
        return str(Path(text.removeprefix("file://")).expanduser().resolve())
    if scheme in ("http", "https"):
        raise InputError(
            f"{VARIABLE} is of the kind {scheme}://, over which DVC shares no runs; name a folder or s3://"
        )
    if "@" in urlsplit(text).netloc or urlsplit(text).query:
        raise InputError(
            f"{VARIABLE} holds more than a place; take credentials out of it and set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, or what the remote's library reads"
        )
    return text


def _cache(folder: Path) -> str:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(
            f"WATTLINE_DVC_CACHE is {folder}, which is no folder and cannot be made: {error.strerror}"
        ) from None
    return str(folder.resolve())
