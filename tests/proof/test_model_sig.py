"""OpenSSF's signature lies beside ours, goes with the champion, and strangers can verify it."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.proof.site import NAME, Site
from wattline import files
from wattline.errors import IntegrityError
from wattline.registry import fetching
from wattline.signing import model_keys, model_signature

FOLDER = Path(".wattline/keys")


@pytest.fixture
def signer(site: Site) -> Site:
    """A site that has a key for files."""
    with site.here():
        model_keys.new(FOLDER)
    return site


def stored(site: Site, version: str = "1") -> Path:
    return site.artifacts(version) / "statements" / version / model_signature.FILE


def fetch(site: Site) -> Path:
    with site.here() as loaded:
        fetching.fetch_champion(files.CHAMPION, name=NAME, params=loaded.registry)
    return site.folder / files.CHAMPION


def test_it_lies_beside_the_statement_and_holds(signer):
    signer.register(b"one")
    assert stored(signer).with_name("statement.dsse.json").is_file()
    with signer.here():
        key = model_keys.load_public(FOLDER / model_keys.PUBLIC)
        model_signature.verify(stored(signer).parents[2] / "candidate", stored(signer).read_bytes(), key)


def test_it_comes_with_the_champion_and_holds_there(signer):
    signer.register(b"one")
    signer.promote()
    champion = fetch(signer)
    with signer.here():
        key = model_keys.load_public(FOLDER / model_keys.PUBLIC)
        model_signature.verify(champion, (champion / model_signature.FILE).read_bytes(), key)
        (champion / "model.onnx").write_bytes(b"altered")
        with pytest.raises(IntegrityError, match="is not what was signed"):
            model_signature.verify(champion, (champion / model_signature.FILE).read_bytes(), key)


def test_the_command_of_others_verifies_it(signer):
    signer.register(b"one")
    signer.promote()
    champion = fetch(signer)
    public = signer.folder / FOLDER / model_keys.PUBLIC
    # What the signature names as left out must be named to the command, too.
    beside = [part for name in model_signature.BESIDE for part in ("--ignore-paths", champion / name)]
    command = [sys.executable, "-m", "model_signing", "verify", "key", champion, "--public_key", public]
    command += ["--signature", champion / model_signature.FILE, *beside]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (champion / "weights.safetensors").write_bytes(b"altered")
    assert subprocess.run(command, check=False, capture_output=True).returncode != 0


def test_the_log_knows_it(signer):
    signer.register(b"one")
    with signer.opened(reading=True) as found:
        (entry,) = found.about("1")
    assert entry.evidence["files"] == files.sha256(stored(signer))


def test_registering_again_leaves_the_one_that_is_there(signer):
    signer.register(b"one")
    before = stored(signer).read_bytes()
    assert signer.register() == "1"
    assert stored(signer).read_bytes() == before
    assert signer.actions() == ["register"]


def test_without_a_key_there_is_none_and_nothing_fails(site):
    site.register(b"one")
    site.promote()
    assert not stored(site).exists()
    assert not (fetch(site) / model_signature.FILE).exists()


def test_an_older_one_does_not_stay_in_the_champions_folder(signer):
    signer.register(b"one")
    signer.promote()
    assert (fetch(signer) / model_signature.FILE).is_file()
    (signer.folder / FOLDER / model_keys.PRIVATE).unlink()
    signer.register(b"two", champion=signer.champion())
    signer.promote()
    assert not (fetch(signer) / model_signature.FILE).exists()
