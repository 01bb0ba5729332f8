"""The image of one registered version: built once from its signed files, pushed, and from then on named by digest."""

import hashlib
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from wattline import files, signing
from wattline.deployment import credentials, model, vouching
from wattline.deployment.failure import DeploymentError
from wattline.deployment.images import Images
from wattline.deployment.reference import DIGEST, SHOWN, Reference, Repository
from wattline.errors import InputError, IntegrityError
from wattline.params import Params
from wattline.registry import fetching
from wattline.settings import Settings, inherited, settings
from wattline.signing import PublicKey, keys

FOLDER = Path("build")
"""What .dockerignore lets into a build, and git ignores."""
MODEL, KEY = FOLDER / "model", FOLDER / "public.pem"
SOURCES = ("src/wattline", "docker", "requirements/serve.lock", "params.yaml", ".dockerignore")
"""All of the repository that an image is made of."""
SCRIPT = "docker/build.sh"
Say = Callable[[str], None]


def make(loaded: Params, what: str, *, say: Say) -> Reference:
    """The image of a version, by its number or alias; built and pushed unless the repository has it already.

    Only an image with our signature counts as that; one that is built without a signing key is built each time.
    Raises InputError when sources were changed, something is not set or the version is not there; DeploymentError when
    the build or the push fails; IntegrityError when bytes, signature or labels do not hold.
    """
    known = settings()
    repository = Repository.of_project(known)
    fetching.fetch_version(what, MODEL, loaded=loaded)
    found = model.of_folder(MODEL, loaded)
    key = signer(MODEL, loaded)
    tag = f"model-{found.digest[:SHOWN]}-{code(key, MODEL, known)[:SHOWN]}"
    with Images(repository, known) as images:
        place, manifest = f"{repository}:{tag}", images.find(tag)
        if manifest is not None and vouching.is_vouched(manifest, place, signing.load_public([key])):
            verb = "is there already"
        else:
            files.write_bytes(KEY, key.read_bytes())
            _build(place, known)
            manifest = images.get(Reference(repository, _push(place, repository, known)))
            if keys.exists():
                manifest = vouching.vouched(manifest, place, keys.load_private())
                images.tag(manifest, tag)
            verb = "pushed"
        reference = Reference(repository, manifest.digest)
        model.check_labels(images.labels(manifest), found, image=reference)
    say(f"image of {found.name} version {found.version} {verb}: {reference}")
    return reference


def signer(folder: Path, loaded: Params) -> Path:
    """The file of the trusted key that signed the version in `folder`: the one that its image will trust.

    Raises IntegrityError when none did.
    """
    envelope = (folder / signing.FILE).read_bytes()
    for path in loaded.serving.model.trusted_keys:
        if _signed_by(envelope, signing.load_public([path])):
            return Path(path)
    raise IntegrityError(f"no key of serving.model.trusted_keys has signed {folder}; run `wattline sign`")


def _signed_by(envelope: bytes, keys: tuple[PublicKey, ...]) -> bool:
    try:
        signing.verify(envelope, keys)
    except IntegrityError:
        return False
    return True


def code(key: Path, folder: Path, known: Settings) -> str:
    """One SHA-256 over all that an image is made of besides the model: equal inputs need no second build.

    Raises InputError when any of the sources differs from the commit.
    """
    changed = _git("status", "--porcelain", "--", *SOURCES)
    if changed:
        raise InputError(
            f"{changed.split()[1]} differs from the commit, which the image would name; commit it, or undo the change"
        )
    parts = [_git("ls-tree", "HEAD", "--", *SOURCES), known.image_base or ""]
    parts += [files.sha256(path) for path in (key, folder / signing.FILE)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise InputError(
            "git is not installed, so that nobody could say what the image was made of; install it"
        ) from None
    if done.returncode != 0:
        raise InputError(f"git {arguments[0]} failed: {done.stderr.strip()[-200:]}; run this in the project's checkout")
    return done.stdout.strip()


def _build(tag: str, known: Settings) -> None:
    variables = inherited({"MODEL": str(MODEL), "KEY": str(KEY), "BUILDER": known.builder})
    done = subprocess.run([SCRIPT, tag], check=False, env=variables, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise DeploymentError(f"{SCRIPT} failed with exit code {done.returncode}; its output is above")


def _push(tag: str, repository: Repository, known: Settings) -> str:
    """Push the image; its digest by the program's own word, since by now the tag may name what another one pushed."""
    is_docker = known.builder.endswith("docker")
    plain = () if is_docker or not repository.is_loopback else ("--tls-verify=false",)
    with credentials.environment(repository, known) as variables, tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "digest"
        options = () if is_docker else (*plain, f"--digestfile={said}")
        done = subprocess.run(
            [known.builder, "push", *options, tag],
            check=False,
            env=inherited(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            why = " ".join(done.stderr.split())[-300:]
            raise DeploymentError(
                f"{known.builder} push to {repository} failed with exit code {done.returncode}: {why}"
            )
        found = DIGEST.search(done.stdout if is_docker else said.read_text())
    if found is None:
        raise DeploymentError(f"{known.builder} push to {repository} names no digest; is it too old?")
    return found[0]
