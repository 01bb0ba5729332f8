"""A repository of images, spoken to over the registry's API: what a tag names, and a second tag for the same bytes.

https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md
"""

import hashlib
import re
import time
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from pydantic import SecretStr

from wattline.deployment import credentials
from wattline.deployment.failure import DeploymentError
from wattline.deployment.reference import DIGEST, Reference, Repository
from wattline.errors import InputError, IntegrityError
from wattline.settings import Settings
from wattline.trust import LOOPBACK, trusted

if TYPE_CHECKING:
    import httpx

ATTEMPTS = 4
BACKOFF_SECONDS = 0.5
TIMEOUT_SECONDS = 30.0
LARGEST_BYTES = 4 * 1024**2
"""Of a manifest or a configuration; the specification's own limit for manifests."""
KINDS = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""Images of one platform. An index of several has no labels of its own and is not what docker/build.sh makes."""


@dataclass(frozen=True)
class Manifest:
    """An image as the registry keeps it.

    content: the bytes whose SHA-256 is the digest
    kind: their media type
    """

    content: bytes
    kind: str

    @property
    def digest(self) -> str:
        """What names it for ever."""
        return f"sha256:{hashlib.sha256(self.content).hexdigest()}"


class Images:
    """The images of one repository. Use it in a `with` block.

    Every call raises DeploymentError when the registry does not answer, InputError when it refuses these credentials.
    """

    def __init__(self, repository: Repository, known: Settings) -> None:
        self.repository, self._known = repository, known
        self._credentials = credentials.of(repository, known)
        self._token: SecretStr | None = None
        scheme = "http" if repository.is_loopback else "https"
        self._place = f"{scheme}://{repository.host}/v2/{repository.path}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.close()

    def find(self, name: str) -> Manifest | None:
        """The image that a tag or digest names; None where there is none. Raises IntegrityError for other bytes."""
        answer = self._ask("GET", f"manifests/{name}", headers={"Accept": ", ".join(KINDS)})
        if answer.status_code == 404:
            return None
        kind = answer.headers.get("content-type", "").partition(";")[0]
        found = Manifest(self._content(answer), kind)
        if name.startswith("sha256:") and found.digest != name:
            raise IntegrityError(
                f"{self.repository.host} answers {found.digest} for {name}; trust neither, and ask who runs it"
            )
        if kind not in KINDS:
            raise InputError(
                f"{self.repository}:{name} is a {kind or 'file without a type'}, not one image; build it anew"
            )
        return found

    def get(self, reference: Reference) -> Manifest:
        """The image of a digest. Raises InputError when it is not there (any more)."""
        found = self.find(reference.digest)
        if found is None:
            raise InputError(f"{reference} is not in its registry; push it, or was it cleaned up?")
        return found

    def labels(self, manifest: Manifest) -> dict[str, str]:
        """What an image says of itself. Raises IntegrityError when its configuration is not the one it names."""
        said = _parsed(manifest.content).get("config")
        digest = str(said.get("digest")) if isinstance(said, dict) else ""
        if not DIGEST.fullmatch(digest):
            raise IntegrityError(f"{self.repository}@{manifest.digest} names no configuration; build it anew")
        content = self._content(self._ask("GET", f"blobs/{digest}"))
        if f"sha256:{hashlib.sha256(content).hexdigest()}" != digest:
            raise IntegrityError(f"{self.repository.host} answers other bytes for {digest}; ask who runs it")
        config = _parsed(content).get("config")
        found = config.get("Labels") if isinstance(config, dict) else None
        return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}

    def tag(self, manifest: Manifest, tag: str) -> None:
        """Let `tag` name the image, too: the same bytes under the same digest, read back afterwards."""
        answer = self._ask("PUT", f"manifests/{tag}", headers={"Content-Type": manifest.kind}, content=manifest.content)
        self._content(answer)
        found = self.find(tag)
        if found is None or found.digest != manifest.digest:
            named = found.digest if found is not None else "nothing"
            raise DeploymentError(
                f"{self.repository}:{tag} names {named}, not {manifest.digest}: somebody else moves it, or "
                "the registry forbids to overwrite tags; look at its protected tags"
            )

    @cached_property
    def _client(self) -> "httpx.Client":
        import httpx

        authority = self._known.registry_ca_file or self._known.ci_server_tls_ca_file
        trust = trusted(authority, "WATTLINE_REGISTRY_CA_FILE")
        # Blobs may lie in an object store, to which a registry redirects; httpx takes the token off on the way.
        return httpx.Client(timeout=TIMEOUT_SECONDS, verify=trust, follow_redirects=True)

    def _ask(self, method: str, path: str, **options: Any) -> "httpx.Response":
        """Ask, log in where that is asked for, and try again while the registry is not in a state to answer."""
        import httpx

        failure = ""
        for attempt in range(ATTEMPTS):
            time.sleep(BACKOFF_SECONDS * (2**attempt - 1))
            try:
                answer = self._once(method, path, **options)
                if answer.status_code == 401 and self._log_in(answer):
                    answer = self._once(method, path, **options)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                failure = str(error) or type(error).__name__
                continue
            if answer.status_code != 429 and answer.status_code < 500:
                return self._allowed(answer)
            failure = f"HTTP {answer.status_code}"
        raise DeploymentError(f"{self.repository.host} did not answer: {failure}; is the registry up?")

    def _once(self, method: str, path: str, **options: Any) -> "httpx.Response":
        headers = dict(options.pop("headers", {}))
        if self._token is not None:
            headers["Authorization"] = self._token.get_secret_value()
        return self._client.request(method, f"{self._place}/{path}", headers=headers, **options)

    def _log_in(self, answer: "httpx.Response") -> bool:
        """Follow the answer's challenge: credentials as they are, or a token for them. False where nothing changes."""
        challenge = answer.headers.get("www-authenticate", "")
        scheme, _, rest = challenge.partition(" ")
        basic = f"Basic {self._credentials.encoded()}" if self._credentials else None
        if scheme.lower() == "basic" and basic:
            self._token = SecretStr(basic)
            return True
        said = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        if scheme.lower() != "bearer" or not self._is_safe(said.get("realm", "")):
            return False
        query = {name: said[name] for name in ("service", "scope") if name in said}
        reply = self._client.get(said["realm"], params=query, headers={"Authorization": basic} if basic else {})
        if reply.status_code != 200:
            return False
        try:
            found = reply.json()
            token = found.get("token") or found.get("access_token")
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str):
            raise DeploymentError(f"{said['realm']} gave no token for {self.repository}; is it the registry's own?")
        self._token = SecretStr(f"Bearer {token}")
        return True

    def _is_safe(self, realm: str) -> bool:
        """Whether credentials may go there: nobody on the way may read them."""
        try:
            parts = urlsplit(realm)
        except ValueError:
            return False
        plain = self.repository.is_loopback and parts.scheme == "http" and parts.hostname in LOOPBACK
        return (parts.scheme == "https" and bool(parts.hostname)) or plain

    def _allowed(self, answer: "httpx.Response") -> "httpx.Response":
        if answer.status_code in (401, 403):
            who = f"user {self._credentials.user}" if self._credentials else "a caller without credentials"
            raise InputError(
                f"{self.repository} refuses {who} (HTTP {answer.status_code}); set WATTLINE_REGISTRY_USER and "
                "WATTLINE_REGISTRY_PASSWORD, or in a GitLab job let CI_REGISTRY_USER have its way"
            )
        return answer

    def _content(self, answer: "httpx.Response") -> bytes:
        if answer.status_code >= 300 or len(answer.content) > LARGEST_BYTES:
            raise DeploymentError(f"{self.repository} answered HTTP {answer.status_code} to {answer.request.method}")
        return answer.content


def _parsed(content: bytes) -> dict[str, Any]:
    import orjson

    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise IntegrityError("an image in the registry has a manifest or configuration that is no JSON; build it anew")
    return found
