"""keys: a pair is made once, only its owner reads it, and no message repeats what is in it."""

import hashlib
import os

import pytest
from builders import signing_key, write_keys
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from typer.testing import CliRunner

from wattline import cli
from wattline.errors import InputError
from wattline.settings import settings
from wattline.signing import keys

VARIABLES = ("WATTLINE_STATE", "WATTLINE_SIGNING_KEY", "WATTLINE_SIGNING_PASSPHRASE")
PASSPHRASE = "correct horse"


@pytest.fixture(autouse=True)
def environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()

    def change(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"WATTLINE_SIGNING_{name.upper()}", str(value))
        settings.cache_clear()

    yield change
    settings.cache_clear()


def refused(path=None):
    """The message of a private key that is refused; it repeats nothing of the key."""
    with pytest.raises(InputError) as caught:
        keys.load_private()
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.__cause__ is None
    if path is not None and path.is_file():
        for line in path.read_text(errors="replace").splitlines()[1:-1]:
            assert line not in message
    return message


def foreign(kind, folder):
    """A PEM file with a private key of another kind."""
    key = {
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
        "x25519": x25519.X25519PrivateKey.generate,
    }[kind]()
    private = folder / f"{kind}.pem"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    private.chmod(0o600)
    public = folder / f"{kind}.pub.pem"
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def test_a_new_pair_signs_and_verifies(tmp_path):
    public = keys.new(tmp_path / "keys")
    assert keys.load_public([tmp_path / "keys" / "public.pem"]) == (public,)


def test_the_pair_of_the_default_folder_is_found(tmp_path):
    assert not keys.exists()
    public = keys.new(keys.default_folder())
    assert keys.exists()
    private = keys.load_private()
    assert private.public == public
    assert public.verifies(private.sign(b"message"), b"message")
    assert not public.verifies(private.sign(b"message"), b"another")
    assert not public.verifies(b"", b"message")


def test_only_the_owner_reads_a_private_key_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        keys.new(tmp_path / "keys")
    finally:
        os.umask(before)
    assert (tmp_path / "keys" / "private.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o077 == 0


def test_a_key_id_is_the_digest_of_the_public_key_information(tmp_path):
    public = keys.new(tmp_path)
    loaded = serialization.load_pem_public_key((tmp_path / "public.pem").read_bytes())
    encoded = loaded.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert public.id == hashlib.sha256(encoded).hexdigest()


@pytest.mark.parametrize("name", ["private.pem", "public.pem"])
def test_nothing_is_overwritten_and_no_half_of_another_pair_is_left(tmp_path, name):
    keys.new(tmp_path)
    kept = (tmp_path / name).read_bytes()
    for other in ("private.pem", "public.pem"):
        if other != name:
            (tmp_path / other).unlink()
    with pytest.raises(InputError, match=rf"{name} exists already"):
        keys.new(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == kept


def test_with_a_passphrase_the_file_is_encrypted_and_opens_only_with_it(tmp_path, environment):
    environment(passphrase=PASSPHRASE)
    public = keys.new(keys.default_folder())
    path = keys.default_folder() / "private.pem"
    assert b"ENCRYPTED" in path.read_bytes()
    assert keys.load_private().public == public
    environment(passphrase="wrong")
    assert "WATTLINE_SIGNING_PASSPHRASE is wrong" in refused(path)
    environment(passphrase="")
    assert "is encrypted; set WATTLINE_SIGNING_PASSPHRASE" in refused(path)


def test_a_passphrase_for_a_key_that_needs_none_is_a_mistake_that_is_told(tmp_path, environment):
    keys.new(keys.default_folder())
    environment(passphrase=PASSPHRASE)
    message = refused(keys.default_folder() / "private.pem")
    assert "is not encrypted" in message
    assert PASSPHRASE not in message


def test_a_variable_may_hold_the_path_or_the_text(tmp_path, environment):
    key = write_keys(tmp_path / "elsewhere", seed=3)
    environment(key=tmp_path / "elsewhere" / "private.pem")
    assert keys.load_private().public == key.public
    assert keys.exists()
    environment(key="\n" + (tmp_path / "elsewhere" / "private.pem").read_text())
    assert keys.load_private().public == key.public


def test_without_a_key_the_remedy_is_named():
    assert "wattline keys new" in refused()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o622])
def test_a_private_key_that_others_may_touch_is_refused(tmp_path, mode):
    keys.new(keys.default_folder())
    path = keys.default_folder() / "private.pem"
    path.chmod(mode)
    assert "chmod 600" in refused(path)


@pytest.mark.parametrize("kind", ["rsa", "ec", "x25519"])
def test_a_key_of_another_kind_is_named_on_both_sides(tmp_path, environment, kind):
    private, public = foreign(kind, tmp_path)
    environment(key=private)
    assert "not Ed25519" in refused(private)
    with pytest.raises(InputError, match="not Ed25519"):
        keys.load_public([public])


def test_halves_that_were_confused_are_told_apart(tmp_path, environment):
    write_keys(tmp_path)
    (tmp_path / "public.pem").chmod(0o600)
    environment(key=tmp_path / "public.pem")
    assert "is a public key" in refused(tmp_path / "public.pem")
    with pytest.raises(InputError, match="is a private key") as caught:
        keys.load_public([tmp_path / "private.pem"])
    assert (tmp_path / "private.pem").read_text().splitlines()[1] not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x00\xff" * 100, b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_garbage_is_no_key(tmp_path, environment, content):
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    environment(key=path)
    assert "no private key" in refused(path)
    with pytest.raises(InputError, match=r"key\.pem"):
        keys.load_public([path])


def test_a_huge_file_is_no_key(tmp_path, environment):
    path = tmp_path / "key.pem"
    with path.open("wb") as stream:
        stream.truncate(1 << 40)
    path.chmod(0o600)
    environment(key=path)
    assert "which no key is" in refused()
    with pytest.raises(InputError, match="which no key is"):
        keys.load_public([path])


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_key_text_that_lost_its_frame_is_not_repeated(environment, cut):
    text = signing_key().pem(None).decode()
    secret = text.splitlines()[1]
    environment(key=[secret, secret * 20, text.replace("-----BEGIN", "BEGIN")][cut])
    assert secret not in refused()


@pytest.mark.parametrize("name", ["nothing.pem", "."])
def test_a_public_key_that_is_not_there_is_named(tmp_path, name):
    with pytest.raises(InputError, match="cannot be read"):
        keys.load_public([tmp_path / name])


def test_neither_key_nor_settings_show_a_secret(environment):
    key = signing_key()
    text = key.pem(None).decode()
    environment(key=text, passphrase=PASSPHRASE)
    shown = repr(key) + str(key) + repr(key.public) + repr(settings())
    assert text.splitlines()[1] not in shown
    assert PASSPHRASE not in shown


def test_the_verb_makes_a_pair_and_refuses_a_second(tmp_path):
    made = CliRunner().invoke(cli.app, ["keys", "new"])
    assert made.exit_code == 0
    public = keys.load_private().public
    assert f"key id: {public.id}" in made.output
    assert ".wattline/keys/private.pem" in made.output
    again = CliRunner().invoke(cli.app, ["keys", "new"])
    assert isinstance(again.exception, InputError)
    assert keys.load_private().public == public
    assert CliRunner().invoke(cli.app, ["keys", "new", "--folder", str(tmp_path / "more")]).exit_code == 0
    assert (tmp_path / "more" / "private.pem").exists()
