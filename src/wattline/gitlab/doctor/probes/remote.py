"""Whether DVC's remote can be read and written: an object is put there and taken away again."""

import os
import tempfile
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wattline.gitlab.asking import Trouble, reason
from wattline.gitlab.doctor.facts import Outcome

SECONDS = 5
ATTEMPTS = {"max_attempts": 1, "mode": "standard"}


def try_out(url: str) -> Outcome | None:
    """What came of it; None where only DVC knows how to speak to such a remote."""
    scheme = urlsplit(url).scheme
    if scheme in ("", "file"):
        return _folder(Path(url.removeprefix("file://")))
    return _bucket(urlsplit(url).netloc, urlsplit(url).path.strip("/")) if scheme == "s3" else None


def _folder(folder: Path) -> Outcome:
    if not folder.is_dir():
        return Outcome("connect", code="absent")
    if not os.access(folder, os.R_OK | os.X_OK):
        return Outcome("read", code="denied")
    try:
        # As DVC does: a file beside the others.
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".wattline-doctor-") as stream:
            stream.write(b"wattline")
            stream.flush()
    except OSError as error:
        return Outcome("write", code="full" if error.errno in (28, 122) else "denied")
    return Outcome()


def _bucket(bucket: str, prefix: str) -> Outcome:
    """Uses the credentials and the endpoint that DVC's own client finds: AWS_* variables and ~/.aws."""
    import botocore.exceptions as failures
    from botocore.config import Config
    from botocore.session import Session

    step = "read"
    key = "/".join(part for part in (prefix, f".wattline-doctor-{uuid.uuid4().hex}") if part)
    try:
        session = Session()
        if session.get_credentials() is None:
            return Outcome("connect", code="NoCredentials")
        config = Config(connect_timeout=SECONDS, read_timeout=SECONDS, retries=ATTEMPTS, signature_version="s3v4")
        client: Any = session.create_client("s3", region_name=_region(session), config=config)
        client.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        step = "write"
        client.put_object(Bucket=bucket, Key=key, Body=b"wattline")
        client.delete_object(Bucket=bucket, Key=key)
    except failures.ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "")) or "nothing"
        return Outcome("write" if step == "write" else "read", code=code)
    except (failures.NoCredentialsError, failures.PartialCredentialsError):
        return Outcome("connect", code="NoCredentials")
    except (failures.HTTPClientError, failures.ConnectionError) as error:
        return Outcome("connect", trouble=_trouble(error))
    except (failures.BotoCoreError, ValueError):
        return Outcome("connect", code="configuration")
    return Outcome()


def _region(session: Any) -> str:
    return str(session.get_config_variable("region") or "us-east-1")


def _trouble(error: Exception) -> Trouble:
    text = str(error)
    if type(error).__name__ in ("ConnectTimeoutError", "ReadTimeoutError"):
        return "silent"
    if "resolve" in text or "Name or service" in text:
        return "name"
    return reason(error)
