"""Push one verified version of this registry to GitLab's."""

from wattline.errors import IntegrityError
from wattline.gitlab.project import access
from wattline.registry import lookup, mirror, statements
from wattline.registry.mirror import MirrorResult
from wattline.registry.model import Model
from wattline.registry.stored import downloaded
from wattline.settings import settings


def mirror_version(model: Model, version: str | None) -> MirrorResult:
    """Bring `version`, or else the challenger, to GitLab, or what is missing of it there, once.

    Raises InputError when it is not known which GitLab or with which token, and as `mirror.push` does.
    """
    address, token = access(settings())
    chosen, now = lookup.version(model, version), model.champion()
    run = model.client.get_run(chosen.run_id)
    with downloaded(chosen) as evidence:
        statements.verified(chosen, evidence, model.trusted)
        envelope = statements.fetch(chosen)
        if envelope is None:
            raise IntegrityError(f"version {chosen.version} of {model.name} lost its statement; run `wattline sign`")
        return mirror.push(
            evidence.folder,
            envelope,
            name=model.name,
            version=str(chosen.version),
            tags=chosen.tags,
            address=address,
            token=token,
            params=run.data.params,
            metrics=run.data.metrics,
            champion=now.version if now is not None else None,
            authority=settings().ci_server_tls_ca_file,
        )
