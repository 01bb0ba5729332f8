"""model_signature: what upstream's own command verifies; nothing altered, missing, added or left out passes."""

import base64
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import write_candidate
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from wattline import cli
from wattline.errors import InputError, IntegrityError
from wattline.settings import settings
from wattline.signing import keys, model_keys, model_signature, pem
from wattline.signing.model_keys import ModelPrivateKey

COMMAND = Path(sys.executable).with_name("model_signing")
RAW = ec.generate_private_key(ec.SECP256R1())
KEY = ModelPrivateKey.of(RAW)
VARIABLES = ("WATTLINE_STATE", model_keys.VARIABLE, keys.VARIABLE, pem.PASSPHRASE)


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    settings.cache_clear()

    def change(**variables: object) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, str(value))
        settings.cache_clear()

    yield change
    settings.cache_clear()


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("signed") / "candidate"
    write_candidate(folder)
    return folder, model_signature.sign(folder, KEY)


@pytest.fixture
def copied(signed: tuple[Path, bytes], tmp_path: Path) -> tuple[Path, bytes]:
    shutil.copytree(signed[0], tmp_path / "copied")
    return tmp_path / "copied", signed[1]


def upstream(folder: Path, signature: bytes, public: bytes) -> subprocess.CompletedProcess[str]:
    """Verify as somebody who has the files, the signature and the key, but no Wattline."""
    (folder / "model.sig").write_bytes(signature)
    (folder.parent / "public.pem").write_bytes(public)
    command = [COMMAND, "verify", "key", "--signature", folder / "model.sig"]
    return subprocess.run(
        [*command, "--public_key", folder.parent / "public.pem", folder], capture_output=True, text=True, check=False
    )


def append(folder: Path) -> None:
    with (folder / "model.onnx").open("ab") as stream:
        stream.write(b" ")


def rename(folder: Path) -> None:
    (folder / "model.onnx").rename(folder / "graph.onnx")


def swap(folder: Path) -> None:
    (folder / "a").write_bytes((folder / "model.onnx").read_bytes())
    shutil.copyfile(folder / "signature.json", folder / "model.onnx")
    (folder / "a").rename(folder / "signature.json")


def link(folder: Path) -> None:
    shutil.copyfile(folder / "model.onnx", folder.parent / "elsewhere")
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to(folder.parent / "elsewhere")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "altered": (append, "model.onnx"),
    "missing": (lambda folder: (folder / "weights.safetensors").unlink(), "weights.safetensors"),
    "record missing": (lambda folder: (folder / "candidate.json").unlink(), "candidate.json"),
    "one more": (lambda folder: (folder / "notes.md").write_text("hello"), "notes.md"),
    "one more that is hidden": (lambda folder: (folder / ".hidden").write_text("hello"), ".hidden"),
    "one more for git": (lambda folder: (folder / ".gitattributes").write_text("hello"), ".gitattributes"),
    "renamed": (rename, "graph.onnx"),
    "swapped": (swap, "model.onnx"),
    "a link": (link, "model.onnx"),
    "nothing left": (lambda folder: [path.unlink() for path in folder.iterdir()], "model.onnx"),
}


def test_what_was_signed_verifies_here_and_upstream(copied: tuple[Path, bytes]):
    model_signature.verify(*copied, KEY.public)
    done = upstream(*copied, KEY.public.pem)
    assert (done.returncode, done.stdout.strip()) == (0, "Verification succeeded")


def test_what_is_written_after_signing_may_lie_beside_the_files(copied: tuple[Path, bytes]):
    for name in model_signature.BESIDE:
        (copied[0] / name).write_text("{}")
    model_signature.verify(*copied, KEY.public)
    assert upstream(*copied, KEY.public.pem).returncode == 0
    assert model_signature.sign(copied[0], KEY)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_refused_by_name(copied: tuple[Path, bytes], damage: str):
    change, name = DAMAGES[damage]
    change(copied[0])
    with pytest.raises(IntegrityError, match=name) as caught:
        model_signature.verify(*copied, KEY.public)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("damage", ["altered", "missing", "one more", "swapped"])
def test_upstream_refuses_it_too(copied: tuple[Path, bytes], damage: str):
    change, name = DAMAGES[damage]
    change(copied[0])
    done = upstream(*copied, KEY.public.pem)
    assert done.returncode != 0
    assert name in done.stderr


def test_another_key_verifies_nothing(copied: tuple[Path, bytes]):
    other = ModelPrivateKey.of(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(IntegrityError, match="not what was signed"):
        model_signature.verify(*copied, other.public)


def resigned(signature: bytes, change: Callable[[dict[str, Any]], object], *, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The same bundle with an altered payload, signed by `key` as model-signing does."""
    bundle = json.loads(signature)
    envelope = bundle["dsseEnvelope"]
    payload = json.loads(base64.b64decode(envelope["payload"]))
    change(payload)
    raw = json.dumps(payload).encode()
    kind = envelope["payloadType"].encode()
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(raw), raw)
    envelope["payload"] = base64.b64encode(raw).decode()
    envelope["signatures"][0]["sig"] = base64.b64encode(key.sign(message, ec.ECDSA(hashes.SHA256()))).decode()
    return json.dumps(bundle).encode()


def leave_out(payload: dict[str, Any]) -> None:
    payload["predicate"]["serialization"]["ignore_paths"].append("notes.md")


def test_a_signature_cannot_leave_out_files_even_by_the_right_key(copied: tuple[Path, bytes]):
    folder, signature = copied
    (folder / "notes.md").write_text("hello")
    generous = resigned(signature, leave_out, key=RAW)
    assert upstream(folder, generous, KEY.public.pem).returncode == 0, "it is a good signature for others"
    with pytest.raises(IntegrityError, match=r"leaves out notes\.md"):
        model_signature.verify(folder, generous, KEY.public)


def test_an_altered_payload_under_an_old_signature_is_refused(copied: tuple[Path, bytes]):
    bundle = json.loads(copied[1])
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    payload["predicate"]["resources"][0]["digest"] = "0" * 64
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    with pytest.raises(IntegrityError):
        model_signature.verify(copied[0], json.dumps(bundle).encode(), KEY.public)


@pytest.mark.parametrize("garbage", [b"", b"{}", b"null", b"[]", b"\xff\x00", b'{"dsseEnvelope": {}}', b"{" * 10_000])
def test_what_is_no_signature_is_refused(signed: tuple[Path, bytes], garbage: bytes):
    with pytest.raises(IntegrityError):
        model_signature.verify(signed[0], garbage, KEY.public)


@given(st.data())
def test_no_flipped_byte_of_a_signature_passes_as_another_statement(signed: tuple[Path, bytes], data: st.DataObject):
    folder, signature = signed
    place = data.draw(st.integers(0, len(signature) - 1))
    flipped = signature[:place] + bytes((signature[place] ^ data.draw(st.integers(1, 255)),)) + signature[place + 1 :]
    try:
        model_signature.verify(folder, flipped, KEY.public)
    except IntegrityError:
        return
    assert model_signature._payload(flipped) == model_signature._payload(signature)


def test_a_huge_signature_is_not_read(signed: tuple[Path, bytes]):
    with pytest.raises(IntegrityError, match="larger"):
        model_signature.verify(signed[0], bytes(model_signature.LARGEST + 1), KEY.public)


def test_nothing_is_signed_where_nothing_is(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "empty", tmp_path / "absent"):
        with pytest.raises(InputError, match=folder.name):
            model_signature.sign(folder, KEY)


def test_a_link_is_not_signed(copied: tuple[Path, bytes]):
    link(copied[0])
    with pytest.raises(InputError, match=r"model\.onnx"):
        model_signature.sign(copied[0], KEY)


# Keys


def test_the_command_makes_both_pairs(tmp_path: Path):
    done = CliRunner().invoke(cli.app, ["keys", "new"])
    assert done.exit_code == 0, done.output
    folder = keys.default_folder()
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == {
        "private.pem": 0o600, "public.pem": 0o644, "model-signing.pem": 0o600, "model-signing.pub.pem": 0o644,
    }  # fmt: skip
    assert model_keys.load_private().public == model_keys.load_public(folder / model_keys.PUBLIC)
    assert "PRIVATE" not in done.output


def test_a_key_is_never_overwritten(tmp_path: Path):
    model_keys.new(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match="not overwritten"):
        model_keys.new(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("as_text", [True, False])
def test_an_encrypted_key_signs_from_text_and_from_a_file(
    signed: tuple[Path, bytes], tmp_path: Path, environment: Callable[..., None], as_text: bool
):
    environment(WATTLINE_SIGNING_PASSPHRASE="correct horse")
    model_keys.new(tmp_path)
    path = tmp_path / model_keys.PRIVATE
    assert b"ENCRYPTED" in path.read_bytes()
    environment(WATTLINE_MODEL_SIGNING_KEY=path.read_text() if as_text else path)
    key = model_keys.load_private()
    model_signature.verify(signed[0], model_signature.sign(signed[0], key), key.public)


def test_nothing_of_a_private_key_is_shown(tmp_path: Path):
    text = KEY.pem.decode()
    assert all(line not in repr(KEY) for line in text.splitlines()[1:-1])


def test_a_key_is_left_on_no_disk(signed: tuple[Path, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[bytes] = []
    remove = shutil.rmtree

    def look(folder: str, *arguments: Any, **options: Any) -> None:
        seen.extend(path.read_bytes() for path in Path(folder).rglob("*") if path.is_file())
        remove(folder, *arguments, **options)

    monkeypatch.setattr("tempfile._shutil.rmtree", look)
    before = len(list(Path("/proc/self/fd").iterdir()))
    model_signature.sign(signed[0], KEY)
    assert seen
    assert not any(b"PRIVATE KEY" in content for content in seen)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def private_pem(key: Any) -> bytes:
    none = serialization.NoEncryption()
    return bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, none))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (private_pem(ed25519.Ed25519PrivateKey.generate()), "Ed25519"),
        (private_pem(rsa.generate_private_key(65537, 2048)), "RSA"),
        (private_pem(ec.generate_private_key(ec.SECP256K1())), "secp256k1"),
        (KEY.public.pem, "public key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n", "no private key"),
        (b"garbage", "no private key"),
        (bytes(20_000), "larger"),
    ],
)
def test_what_cannot_sign_files_is_refused(
    tmp_path: Path, environment: Callable[..., None], content: bytes, reason: str
):
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    environment(WATTLINE_MODEL_SIGNING_KEY=path)
    with pytest.raises(InputError, match=reason):
        model_keys.load_private()


def test_a_key_that_others_may_read_is_refused(tmp_path: Path, environment: Callable[..., None]):
    model_keys.new(tmp_path)
    (tmp_path / model_keys.PRIVATE).chmod(0o640)
    environment(WATTLINE_MODEL_SIGNING_KEY=tmp_path / model_keys.PRIVATE)
    with pytest.raises(InputError, match="chmod 600"):
        model_keys.load_private()


def test_without_a_key_the_remedy_is_named(environment: Callable[..., None]):
    with pytest.raises(InputError, match="wattline keys new"):
        model_keys.load_private()
    environment(WATTLINE_MODEL_SIGNING_KEY="nowhere")
    with pytest.raises(InputError, match=model_keys.VARIABLE):
        model_keys.load_private()


@pytest.mark.parametrize(("passphrase", "reason"), [("", "is encrypted"), ("wrong", "is wrong")])
def test_a_passphrase_that_does_not_fit_is_refused(
    tmp_path: Path, environment: Callable[..., None], passphrase: str, reason: str
):
    environment(WATTLINE_SIGNING_PASSPHRASE="correct horse")
    model_keys.new(tmp_path)
    environment(WATTLINE_SIGNING_PASSPHRASE=passphrase, WATTLINE_MODEL_SIGNING_KEY=tmp_path / model_keys.PRIVATE)
    with pytest.raises(InputError, match=reason):
        model_keys.load_private()


@pytest.mark.parametrize("content", [KEY.pem, b"", b"garbage", bytes(20_000)])
def test_what_is_no_public_key_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "key.pem").write_bytes(content)
    with pytest.raises(InputError, match=r"key\.pem"):
        model_keys.load_public(tmp_path / "key.pem")
