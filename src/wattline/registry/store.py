"""The MLflow store: a quiet client, one lock, and errors that a person can act on."""

import fcntl
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattline import floors
from wattline.errors import InputError, WattlineError
from wattline.settings import enforce, preset, settings

if TYPE_CHECKING:
    from mlflow import MlflowClient

SQLITE = "sqlite:///"
WAITING = "?timeout=60"
"""Seconds that MLflow waits for another process to write to its SQLite file; its own 5 are few on a busy machine."""
POSTGRESQL = "postgresql"
KNOWN = ("http://", "https://", SQLITE, POSTGRESQL)
SECONDS_TO_CONNECT = 10
# MLflow reads these once, when it is imported. Its own wait for an absent server is four minutes.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # Files come through the tracking server, also where it keeps them in S3: a compute node has no other way.
    "MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
ENFORCED = {
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    # A write whose answer was lost is done: MLflow would do it again, and a version would be there twice.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
}
LIBRARIES = ("mlflow.", "requests.", "urllib3.", "sqlalchemy.", "botocore.", "boto3.")


def is_empty() -> bool:
    """Whether the store is the local one and nothing was ever written to it; told without importing MLflow."""
    uri = settings().tracking_uri
    return uri.startswith(SQLITE) and not Path(uri.removeprefix(SQLITE)).exists()


@contextmanager
def session() -> Iterator["MlflowClient"]:
    """Give the client, while no other process with the same state folder has one.

    Raises WattlineError when the store cannot be reached or refuses a call, InputError when MLflow is too old or may
    unpickle models.
    """
    with _locked(settings().state / "registry.lock"), connected() as client:
        yield client


@contextmanager
def connected() -> Iterator["MlflowClient"]:
    """Give the client beside others who have one. Raises WattlineError as `session` does."""
    with translated(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of MLflow about its own libraries
        yield _connect()


def experiment(client: "MlflowClient", name: str) -> str:
    """Id of the experiment `name`, made where there is none. Local artifacts lie in the state folder."""
    found = client.get_experiment_by_name(name)
    if found is not None and found.lifecycle_stage == "deleted":
        raise InputError(f"the MLflow experiment {name!r} is deleted; restore it with `mlflow experiments restore`")
    if found is not None:
        return str(found.experiment_id)
    remote = settings().tracking_uri.startswith("http")
    location = None if remote else (settings().state.resolve() / "artifacts" / name).as_uri()
    return str(client.create_experiment(name, artifact_location=location))


def is_absent(error: Exception) -> bool:
    """Whether an MlflowException says that what was asked for is not there."""
    code: Any = getattr(error, "error_code", None)
    missing_alias = code == "INVALID_PARAMETER_VALUE" and "alias" in str(error)
    return code == "RESOURCE_DOES_NOT_EXIST" or missing_alias


def _connect() -> "MlflowClient":
    floors.check("mlflow")
    if settings().mlflow_pickle:
        raise InputError(
            "MLFLOW_ALLOW_PICKLE_DESERIALIZATION is true, so that a model could run code when it is read; unset it: "
            "models are ONNX and safetensors here"
        )
    preset(ENVIRONMENT)
    enforce(ENFORCED)
    from mlflow import MlflowClient

    uri = settings().tracking_uri
    if not uri.startswith(KNOWN):
        raise InputError(
            f"MLFLOW_TRACKING_URI is of kind {uri.partition(':')[0][:40]!r}; set it to http(s)://..., sqlite:///FILE "
            "or postgresql+psycopg://..."
        )
    if uri.startswith(SQLITE):
        Path(uri.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
        uri += WAITING if "?" not in uri else ""
    if uri.startswith(POSTGRESQL):
        _check_answers(uri)
    return MlflowClient(uri, registry_uri=uri)


def _check_answers(uri: str) -> None:
    """Raise WattlineError unless the database at `uri` lets us in: MLflow itself would try for 100 s."""
    from sqlalchemy import create_engine
    from sqlalchemy.exc import DBAPIError

    engine = create_engine(uri, connect_args={"connect_timeout": SECONDS_TO_CONNECT})
    try:
        engine.connect().close()
    except DBAPIError as error:
        raise _of_mlflow(error.orig or error) from None
    finally:
        engine.dispose()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


@contextmanager
def translated() -> Iterator[None]:
    """Turn what MLflow, SQL and their libraries raise into a WattlineError that names the store and the reason."""
    try:
        yield
    except WattlineError:
        raise
    except Exception as error:
        module = type(error).__module__
        if not isinstance(error, OSError) and not module.startswith(LIBRARIES):
            raise
        # MLflow wraps what its own database raises.
        raise (_of_ledger(error) if module.startswith("sqlalchemy.") else _of_mlflow(error)) from None


def reason(error: BaseException) -> str:
    """Why a call failed, in a line without credentials."""
    text = _without_credentials(str(error))
    refused = re.search(r"too many (\d+) error responses", text)
    if refused:
        said = f"was answered with {refused[1]}"
    elif "Connection refused" in text:
        said = "got no answer: nobody listens there"
    elif "timed out" in text:
        said = "got no answer in time"
    else:
        said = "got no answer: the connection broke"
    return re.sub(r" failed with (timeout )?exception.*", f" {said}", text.split("\n", maxsplit=1)[0])[:300]


def _of_mlflow(error: BaseException) -> WattlineError:
    found = reason(error)
    stranger = re.search(r"error code 40[13]|\b40[13] Client Error|UNAUTHENTICATED|PERMISSION_DENIED", str(error))
    remedy = (
        "renew MLFLOW_TRACKING_TOKEN, or check MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
        if stranger
        else "start it, or check MLFLOW_TRACKING_URI"
    )
    place = _without_credentials(settings().tracking_uri)
    return WattlineError(f"the MLflow store {place} did not do its work: {found}; {remedy}")


def _of_ledger(error: BaseException) -> WattlineError:
    place = _without_credentials(settings().ledger_uri)
    found = _without_credentials(str(getattr(error, "orig", None) or error)).split("\n", maxsplit=1)[0][:300]
    return WattlineError(
        f"the database of the audit log, {place}, did not do its work: {found}; start it, or check WATTLINE_LEDGER_URI"
    )


def _without_credentials(text: str) -> str:
    """`text` without what stands before an @, or is given as a password, in any address in it."""
    ledger = settings().ledger
    known = (settings().tracking_uri, ledger.get_secret_value() if ledger is not None else "")
    for secret in filter(None, map(_password, known)):
        text = text.replace(secret, "***")
    return re.sub(r"//\S*@", "//", re.sub(r"(?i)\b(password|pass|user)=[^&\s]+", r"\1=***", text))


def _password(uri: str) -> str | None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(uri)
    except (ArgumentError, ValueError):
        return None
    found = address.password or address.query.get("password")
    return found if isinstance(found, str) and len(found) > 3 else None
