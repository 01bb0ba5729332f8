"""Whether the container registry lets us push: a login as docker's, and an upload that is begun and cancelled."""

import re
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from wattline.gitlab.asking import Answer, ask, is_safe
from wattline.gitlab.doctor.facts import Outcome
from wattline.settings import Settings
from wattline.trust import LOOPBACK

CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


def repository(known: Settings) -> str | None:
    """Where images of the server go, as HOST/PATH; None where no registry is set."""
    place = known.image_repository or ""
    if place and not place.startswith(("/", "$")):  # what ci/base.yml says where the project has no registry
        return place
    return f"{known.ci_registry_image}/server" if known.ci_registry_image else None


def try_out(known: Settings) -> Outcome | None:
    """What came of it; None where no registry is set."""
    place = repository(known)
    if place is None:
        return None
    host, _, path = place.partition("/")
    if not host or not path or "@" in place or "://" in place:
        return Outcome("connect", code="address")
    address = f"{_scheme(host)}://{host}"
    first = ask(f"{address}/v2/", authority=_authority(known))
    if first.trouble:
        return Outcome("connect", trouble=first.trouble)
    return _logged_in(known, address, path, first)


def _logged_in(known: Settings, address: str, path: str, first: Answer) -> Outcome:
    challenge = (first.headers or {}).get("www-authenticate", "")
    if first.status not in (200, 401) or "docker-distribution-api-version" not in (first.headers or {}):
        return Outcome("connect", code="no registry")
    headers: dict[str, str] = {}
    user = _user(known, urlsplit(address).netloc)
    if first.status == 401:
        if user is None:
            return Outcome("connect", code="no login")
        if challenge.lower().startswith("bearer"):
            given = _token(known, challenge, path, user)
            if isinstance(given, Outcome):
                return given
            headers, user = {"Authorization": f"Bearer {given}"}, None
    return _upload(known, f"{address}/v2/{path}/blobs/uploads/", headers, user)


def _token(known: Settings, challenge: str, path: str, user: tuple[str, str]) -> str | Outcome:
    """The registry's own token for this repository, from where it sends us."""
    said = dict(CHALLENGE.findall(challenge))
    realm = said.get("realm", "")
    if not is_safe(realm):
        return Outcome("connect", code="realm")
    query = {"service": said.get("service", ""), "scope": f"repository:{path}:pull,push"}
    answer = ask(realm, user=user, query=query, authority=_authority(known))
    if answer.trouble:
        return Outcome("connect", trouble=answer.trouble)
    token = answer.get("token") or answer.get("access_token")
    if not answer.done or not isinstance(token, str):
        return Outcome("read", code=f"{answer.status}")
    return token


def _upload(known: Settings, url: str, headers: dict[str, str], user: tuple[str, str] | None) -> Outcome:
    begun = ask(url, method="POST", headers=headers, user=user, authority=_authority(known))
    if begun.trouble:
        return Outcome("write", trouble=begun.trouble)
    if begun.status != 202:
        refused = {401: "401", 403: "403"}.get(begun.status, str(begun.status))
        return Outcome("read" if begun.status == 401 and user else "write", code=refused)
    location = urljoin(url, (begun.headers or {}).get("location", ""))
    if urlsplit(location).netloc == urlsplit(url).netloc:
        # Over TLS also where the registry, behind a proxy, takes itself for one without.
        ask(
            urlsplit(location)._replace(scheme=urlsplit(url).scheme).geturl(),
            method="DELETE",
            headers=headers,
            user=user,
            authority=_authority(known),
        )
    return Outcome()


def _user(known: Settings, host: str) -> tuple[str, str] | None:
    """What jobs log in with; GitLab's own password is for GitLab's own registry."""
    if known.registry_user and known.registry_password:
        return known.registry_user, known.registry_password.get_secret_value()
    if known.ci_registry_user and known.ci_registry_password and known.ci_registry == host:
        return known.ci_registry_user, known.ci_registry_password.get_secret_value()
    return None


def _authority(known: Settings) -> Path | None:
    return known.registry_ca_file or known.ci_server_tls_ca_file


def _scheme(host: str) -> str:
    """Registries speak TLS; on the loopback they need not, as for docker itself."""
    return "http" if host.partition(":")[0] in LOOPBACK else "https"
