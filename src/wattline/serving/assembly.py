"""Puts the parts of a serving process together."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from wattline import settings, signing
from wattline.errors import InputError
from wattline.params.serving import ServingParams
from wattline.serving.access.gate import Gatekeeper
from wattline.serving.bridge import Application
from wattline.serving.ids import new_id
from wattline.serving.inference import cpus
from wattline.serving.job import Job
from wattline.serving.metrics.counters import Metrics
from wattline.serving.prediction_log.log import PredictionLog
from wattline.serving.service import Service
from wattline.serving.versions.loading import Loaded, load
from wattline.serving.versions.models import Models
from wattline.serving.versions.newest import Newest
from wattline.serving.versions.origin import FolderOrigin, Origin, RegistryOrigin
from wattline.serving.versions.rejected import Rejected
from wattline.serving.versions.succession import FILE, Succession
from wattline.serving.web import Credentials

LOG = logging.getLogger("wattline.serving")
CHAMPION, CHALLENGER = "champion", "challenger"


def assemble(job: Job, *, worker: str) -> Service:
    """Make the service of one process, with the application mounted.

    worker: names this process in the files that it writes
    Raises InputError when something it is configured with cannot be used.
    """
    params = job.params
    metrics = Metrics()
    log = _log(params, worker, metrics) if params.log.folder else None
    service = Service(
        params,
        models=lambda service: _models(job, service, metrics),
        gatekeeper=Gatekeeper(params.auth),
        metrics=metrics,
        log=log,
        new_id=new_id,
        watts_per_core=job.watts_per_core,
    )

    def application() -> Application:
        from wattline.serving.app import create_app

        return create_app(service, lifespan=False)

    service.mount(application)
    return service


def _log(params: ServingParams, worker: str, metrics: Metrics) -> PredictionLog:
    return PredictionLog(params.log, worker=worker, on_drop=metrics.dropped, on_write=metrics.logged)


def _models(job: Job, service: Service, metrics: Metrics) -> Models:
    params = job.params
    trusted = _trusted(job)

    def loaded(copy: Path, *, champion: bool = False) -> Loaded:
        return load(
            copy,
            champion=champion,
            model=params.model,
            trusted=trusted,
            threads=cpus.threads(params.batching, params.workers),
            device=params.batching.device,
            maximum_windows=params.batching.maximum_windows,
        )

    champion, challenger = _origins(job)
    succession = Succession(job.state / "served" / FILE)
    following = succession.following if params.model.signature == "required" else nullcontext
    return Models(
        params,
        stable=Newest(champion, partial(loaded, champion=True), following=following),
        challenger=Newest(challenger, loaded) if challenger is not None else None,
        rejected=Rejected(job.state / "served" / "rejected.json"),
        metrics=metrics,
        arriving=lambda: service.arriving,
    )


def _trusted(job: Job) -> Sequence[signing.PublicKey]:
    """Public keys of those who may promote. Where a signature is optional, none need be there."""
    paths = [Path(path) for path in job.params.model.trusted_keys]
    if job.params.model.signature == "optional":
        paths = [path for path in paths if path.is_file()]
    elif not paths:
        raise InputError(
            "serving.model.trusted_keys is empty, but serving.model.signature is required; name a public key"
        )
    return signing.load_public(paths)


def _origins(job: Job) -> tuple[Origin, Origin | None]:
    cache = job.state / "served"
    if job.params.model.origin == "folder":
        other = FolderOrigin(job.challenger, cache=cache / CHALLENGER) if job.challenger is not None else None
        return FolderOrigin(job.folder, cache=cache / CHAMPION), other
    known = settings.settings()
    uri = known.mlflow_tracking_uri
    if uri is None or not uri.startswith(("http://", "https://")):
        raise InputError("serving.model.origin is registry, so MLFLOW_TRACKING_URI must be an http(s) address")
    credentials = Credentials(
        known.mlflow_tracking_username,
        known.mlflow_tracking_password.get_secret_value(),
        known.mlflow_tracking_token.get_secret_value(),
    )
    return (
        RegistryOrigin(uri, job.model, CHAMPION, cache=cache / CHAMPION, credentials=credentials),
        RegistryOrigin(uri, job.model, CHALLENGER, cache=cache / CHALLENGER, credentials=credentials),
    )
