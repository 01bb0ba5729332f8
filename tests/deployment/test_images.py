"""A registry that answers wrongly is told so in a sentence, and an image is ours only with our signature."""

import json
from collections.abc import Callable

import httpx
import pytest
from pydantic import SecretStr

from wattline.deployment import vouching
from wattline.deployment.credentials import Credentials
from wattline.deployment.failure import DeploymentError
from wattline.deployment.images import KINDS, Images, Manifest
from wattline.deployment.reference import Repository
from wattline.errors import InputError, IntegrityError
from wattline.settings import Settings
from wattline.signing import PrivateKey

PLACE = "127.0.0.1:5000/group/server:model-1"
CONFIG, LAYER = (f"sha256:{sign * 64}" for sign in "ab")


def asked(answer: Callable[[httpx.Request], httpx.Response]) -> Images:
    """A repository whose registry gives these answers."""
    found = Images(Repository("127.0.0.1:5000", "group/server"), Settings())
    found._credentials = Credentials("pusher", SecretStr("known to him"))
    found.__dict__["_client"] = httpx.Client(transport=httpx.MockTransport(answer))
    return found


@pytest.mark.parametrize(
    "manifest", ["", "[]", "null", "{}", '{"config": 1}', '{"config": {"digest": "../../v2"}}', '{"config": {"dig']
)
def test_a_manifest_that_names_no_configuration_is_refused(manifest: str):
    with asked(lambda request: httpx.Response(200, content=b"{}")) as images, pytest.raises(IntegrityError):
        images.labels(Manifest(manifest.encode(), KINDS[0]))


@pytest.mark.parametrize("config", ["null", "[]", '{"Labels": null}', '{"Labels": ["a"]}', '"text"'])
def test_a_configuration_without_labels_has_none(config: str):
    content = f'{{"config": {config}}}'.encode()
    digest = Manifest(content, "").digest
    with asked(lambda request: httpx.Response(200, content=content)) as images:
        assert images.labels(Manifest(json.dumps({"config": {"digest": digest}}).encode(), KINDS[0])) == {}


@pytest.mark.parametrize("said", ["<html>", "[]", "null", "{}", '{"token": null}', '{"token": 1}'])
def test_a_login_without_a_token_is_named(said: str):
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/token":
            return httpx.Response(200, text=said)
        return httpx.Response(401, headers={"www-authenticate": 'Bearer realm="https://login.example.org/token"'})

    with asked(answer) as images, pytest.raises(DeploymentError, match=r"login\.example\.org/token gave no token"):
        images.find("one")


@pytest.mark.parametrize(
    "realm",
    [
        "http://127.0.0.1.example.org/token",
        "http://127.0.0.1:5000" + "@example.org/",
        "http://example.org",
        "https:/",
        "//[",
    ],
)
def test_credentials_go_nowhere_in_the_clear(realm: str):
    heard = []

    def answer(request: httpx.Request) -> httpx.Response:
        heard.append(request.url.host)
        return httpx.Response(401, headers={"www-authenticate": f'Bearer realm="{realm}"'})

    with asked(answer) as images, pytest.raises((InputError, DeploymentError)):
        images.find("one")
    assert set(heard) == {"127.0.0.1"}


def manifest(**changes: object) -> Manifest:
    content = {"schemaVersion": 2, "config": {"digest": CONFIG}, "layers": [{"digest": LAYER}]} | changes
    return Manifest(json.dumps(content).encode(), KINDS[0])


def test_an_image_is_ours_only_with_a_signature_of_ours_over_all_of_it(new_key: Callable[[], PrivateKey]):
    ours, other = new_key(), new_key()
    trusted = [ours.public]
    vouched = vouching.vouched(manifest(), PLACE, ours)
    assert vouching.is_vouched(vouched, PLACE, trusted)
    assert not vouching.is_vouched(vouched, f"{PLACE}-2", trusted), "it is that of another tag"
    assert not vouching.is_vouched(vouching.vouched(manifest(), PLACE, other), PLACE, trusted)
    annotations = json.loads(vouched.content)["annotations"]
    for forged in (
        manifest(),
        manifest(annotations=annotations, config={"digest": LAYER}),
        manifest(annotations=annotations, layers=[]),
        manifest(annotations=annotations, layers=None),
        manifest(annotations={vouching.ANNOTATION: None}),
        manifest(annotations={vouching.ANNOTATION: "{}"}),
        Manifest(b"", KINDS[0]),
        Manifest(b"[]", KINDS[0]),
    ):
        assert not vouching.is_vouched(forged, PLACE, trusted)


@pytest.fixture
def new_key() -> Callable[[], PrivateKey]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return lambda: PrivateKey.of(Ed25519PrivateKey.generate())
