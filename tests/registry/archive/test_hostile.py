"""Archives by people who mean harm and have no key that is trusted: each is refused by name, nothing is kept."""

import base64
import gzip
import json
import os
import pickle
import tarfile
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from registry.archive.conftest import Refused
from registry.archive.site import (
    KEY,
    NOW,
    OTHER,
    TRUSTED,
    Version,
    content,
    envelope,
    file,
    members,
    named,
    odd,
    replaced,
    whole,
    zipped,
)
from wattline.errors import InputError, IntegrityError
from wattline.registry.archive import Limits, unpacked
from wattline.signing import PAYLOAD_TYPE, dsse

CARD = "cards/anomaly.md"
WEIGHTS = "candidate/weights.safetensors"
UNKNOWN = f"signed by key {OTHER.public.id}, which is not trusted here; .* registry.import_keys"


def pax(name: str, **records: str) -> bytes:
    return odd(name, b"x", form=tarfile.PAX_FORMAT, pax_headers=records)


INJECTED: dict[str, tuple[bytes, str]] = {
    "parent folder": (named("../evil.json", b"x"), r"holds '../evil.json', a path out of its folder"),
    "parent folder within": (named("cards/../../evil.md", b"x"), "a path out of its folder"),
    "absolute path": (named("/etc/cron.d/evil", b"x"), "an absolute path"),
    "drive letter": (named("C:/evil.json", b"x"), "an absolute path"),
    "drive letter without slash": (named("c:evil.json", b"x"), "an absolute path"),
    "backslashes": (named("..\\evil.json", b"x"), "a backslash"),
    "network share": (named("\\\\host\\share", b"x"), "a backslash"),
    "NUL": (named("cards/a.md\0.exe", b"x"), "header of cards/a.md is not as"),
    "NUL after a known name": (named(f"{CARD}\0/../../evil", b"x"), f"header of {CARD} is not as"),
    "empty name": (named("", b"x"), "with more in it than letters"),
    "dot": (named("./cards/a.md", b"x"), "with more in it than letters"),
    "double slash": (named("cards//a.md", b"x"), "with more in it than letters"),
    "hidden file": (named("cards/.netrc", b"x"), "with more in it than letters"),
    "line feed": (named("cards/a\n.md", b"x"), r"'cards/a\\n.md'"),
    "escape sequence": (named("cards/\x1b[2Ja.md", b"x"), r"'cards/\\x1b\[2Ja.md'"),
    "unicode, composed": (named("cards/caf\u00e9.md", b"x"), r"'cards/caf\\xe9.md'"),
    "unicode, decomposed": (named("cards/cafe\u0301.md", b"x"), r"'cards/cafe\\u0301.md'"),
    "unicode, compatible": (named("cards/\uff41nomaly.md", b"x"), r"'cards/\\uff41nomaly.md'"),
    "no UTF-8": (named("cards/\udcff.md", b"x"), r"'cards/\\udcff.md'"),
    "other case": (named("cards/ANOMALY.md", b"x"), "holds cards/ANOMALY.md, which is not in its manifest"),
    "other case of a folder": (named("CARDS/anomaly.md", b"x"), "which is not part of an archive"),
    "symbolic link": (odd("cards/a.md", type=b"2", linkname="/etc/passwd"), "a symbolic link 'cards/a.md'"),
    "symbolic link as folder": (odd("cards", type=b"2", linkname="/tmp"), "a symbolic link 'cards'"),
    "hard link": (odd("cards/a.md", type=b"1", linkname=WEIGHTS), "a hard link"),
    "character device": (odd("cards/a.md", type=b"3", devmajor=1, devminor=5), "a device"),
    "block device": (odd("cards/a.md", type=b"4", devmajor=8), "a device"),
    "folder": (odd("cards", type=b"5"), "a folder 'cards/'"),
    "pipe": (odd("cards/a.md", type=b"6"), "a pipe"),
    "contiguous file": (odd("cards/a.md", b"x", type=b"7"), "a contiguous file"),
    "GNU sparse file": (odd("cards/a.md", b"x", type=b"S"), "a sparse file"),
    "GNU long name": (odd("cards/" + "a" * 200 + ".md", form=tarfile.GNU_FORMAT), "a GNU long name"),
    "GNU long name in ustar": (odd("name", b"cards/a.md\0", type=b"L"), "a GNU long name"),
    "GNU long link": (odd("name", b"/etc/passwd\0", type=b"K"), "a GNU long link name"),
    "PAX path": (pax("cards/a.md", path="../evil"), "a PAX header"),
    "PAX size": (pax("cards/a.md", size="99999999999"), "a PAX header"),
    "PAX sparse map": (pax("cards/a.md", **{"GNU.sparse.map": "0,1", "GNU.sparse.size": "9" * 12}), "a PAX header"),
    "PAX, global": (odd("x", b"20 path=../evil.json\n", type=b"g"), "a PAX header"),
    "vendor's type": (odd("cards/a.md", b"x", type=b"Z"), "something unknown"),
    "old type": (odd("cards/a.md", b"x", type=b"\0"), "something unknown"),
    "name in two fields": (odd("cards/" + "a/" * 60 + "a.md", b"x"), "which is not part of an archive"),
    "GNU magic": (odd(CARD, b"# anomaly\n", form=tarfile.GNU_FORMAT, mtime=0), "is not as `wattline export`"),
    "owner": (odd(CARD, b"# anomaly\n", uid=1000), "is not as"),
    "set-user-id": (odd(CARD, b"# anomaly\n", mode=0o4755), "is not as"),
    "time": (odd(CARD, b"# anomaly\n", mtime=1), "is not as"),
    "size beyond the file": (file(CARD, b"")[:124] + b"77777777777\0" + file(CARD, b"")[136:], "at most 67108864"),
    "negative size": (file(CARD, b"")[:124] + b"\xff" * 12 + file(CARD, b"")[136:], "size of .* is no number"),
    "size in base 256": (file(CARD, b"")[:124] + b"\x80" + bytes(11) + file(CARD, b"")[136:], "is no number"),
    "size with a sign": (file(CARD, b"")[:124] + b"-0000000001\0" + file(CARD, b"")[136:], "is not as"),
    "wrong checksum": (file(CARD, b"")[:148] + b"000000\0 " + file(CARD, b"")[156:], "is not as"),
    "bytes in the padding": (file(CARD, b"# anomaly\n")[:-1] + b"x", f"bytes between {CARD} and the next"),
    "garbage": (os.urandom(512), "no header of a plain tar at byte"),
    "a file of no kind": (named("cards/run.sh", b"x"), "only .json, .md move in cards/"),
    "a pickle": (named("candidate/model.pkl", b"x"), "only .onnx, .safetensors, .json, .md move"),
    "a file in no folder": (named("setup.py", b"x"), "which is not part of an archive"),
    "a key": (named("keys/private.pem", b"x"), "which is not part of an archive"),
    "deeper": (named("candidate/more/a.json", b"x"), "which is not part of an archive"),
    "another manifest": (named("manifest.dsse.json", b"{}"), "holds manifest.dsse.json twice"),
    "a file that is not in the manifest": (named("reports/more.json", b"{}"), "not in its manifest"),
}


@pytest.mark.parametrize("name", INJECTED)
def test_what_was_put_into_a_good_archive_is_named(good: bytes, refused: Refused, name: str):
    member, reason = INJECTED[name]
    first, *rest = members(good)
    place = next(place for place, one in enumerate(rest) if one.startswith(CARD.encode()))
    refused(whole([first, *rest[:place], member, *rest[place:]]), reason)


@pytest.mark.parametrize("name", ["parent folder", "symbolic link", "pipe", "PAX path", "garbage"])
def test_nothing_may_come_before_the_manifest(good: bytes, refused: Refused, name: str):
    refused(whole([INJECTED[name][0], *members(good)]), INJECTED[name][1])


@pytest.mark.parametrize("name", ["parent folder", "symbolic link", "pipe", "PAX path", "garbage"])
def test_nothing_may_come_after_the_last_file(good: bytes, refused: Refused, name: str):
    refused(whole([*members(good), INJECTED[name][0]]), INJECTED[name][1])


def swapped(parts: Sequence[bytes]) -> bytes:
    return whole([parts[0], parts[2], parts[1], *parts[3:]])


SHAPES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty file": (lambda good: b"", "cut off at byte 0"),
    "empty tar": (lambda good: whole([]), "begins with nothing"),
    "one block": (lambda good: good[:512], "cut off at byte 512"),
    "half": (lambda good: good[: len(good) // 2], "cut off at byte"),
    "without its end": (lambda good: b"".join(members(good)), "cut off at byte"),
    "with a short end": (lambda good: b"".join(members(good)) + bytes(1024), "cut off at byte"),
    "bytes after the end": (lambda good: good + bytes(512), "bytes after its end"),
    "a tar after the end": (lambda good: good + good, "bytes after its end"),
    "bytes in the end": (lambda good: good[:-1] + b"x", "bytes after its end"),
    "no manifest": (lambda good: whole(members(good)[1:]), "begins with candidate/candidate.json"),
    "manifest at the end": (lambda good: whole([*members(good)[1:], members(good)[0]]), "begins with candidate/"),
    "a file twice": (lambda good: whole([*members(good), members(good)[1]]), "candidate/candidate.json twice"),
    "a file is missing": (lambda good: whole([*members(good)[:3], *members(good)[4:]]), "is missing or out of order"),
    "the last file is missing": (lambda good: whole(members(good)[:-1]), "ends before statement.dsse.json"),
    "another order": (lambda good: swapped(members(good)), "is missing or out of order"),
    "compressed": (gzip.compress, "no header of a plain tar at byte 0"),
    "zip": (lambda good: zipped() + bytes(512), "no header of a plain tar at byte 0"),
    "pickle": (lambda good: pickle.dumps([0] * 500), "no header of a plain tar at byte 0"),
    "a file grew": (lambda good: replaced(good, CARD, b"# anomaly\n\n"), f"{CARD} has 11 bytes, its manifest says 10"),
    "a file changed": (lambda good: replaced(good, CARD, b"# anomalx\n"), f"{CARD} has SHA-256 .*its manifest says"),
    "no envelope": (lambda good: replaced(good, "manifest.dsse.json", b"{}"), "its manifest is no signed envelope"),
    "a huge manifest": (
        lambda good: replaced(good, "manifest.dsse.json", b" " * (dsse.LARGEST + 1)),
        "at most 1048576 are read",
    ),
}


@pytest.mark.parametrize("name", SHAPES)
def test_a_tar_of_another_shape_is_refused(good: bytes, refused: Refused, name: str):
    change, reason = SHAPES[name]
    refused(change(good), reason)


def enveloped(good: bytes, changed: dict) -> bytes:
    inside = json.dumps(changed, separators=(",", ":")).encode() + b"\n"
    return replaced(good, "manifest.dsse.json", inside)


def other_spelling(signature: str) -> str:
    """Other Base64 of the same bytes: of the last character before the padding, 4 bits of 6 say nothing."""
    other = f"{signature[:-3]}{chr(ord(signature[-3]) + 1)}=="
    assert base64.b64decode(other) == base64.b64decode(signature)
    return other


def test_a_manifest_in_any_other_form_than_sealing_makes_is_refused(good: bytes, refused: Refused):
    was = envelope(good)
    sole = was["signatures"][0]
    for changed, reason in (
        (was | {"signatures": []}, "its manifest is not signed"),
        (was | {"signatures": [sole, sole]}, "was not sealed by"),
        (was | {"signatures": [sole | {"keyid": "other"}]}, "was not sealed by"),
        (was | {"signatures": [{"sig": sole["sig"]}]}, "was not sealed by"),
        (was | {"signatures": [sole | {"sig": other_spelling(sole["sig"])}]}, "is no signed envelope"),
        (dict(reversed(was.items())), "was not sealed by"),
        (was | {"payloadType": PAYLOAD_TYPE}, "another type"),
        (was | {"payload": was["payload"][:-8]}, f"its manifest is not what key {KEY.public.id[:12]} has signed"),
        (was | {"signatures": [{"keyid": "\x1b[31m", "sig": "AAAA"}]}, "signed by a key without an id"),
        (was | {"more": 1}, "is no signed envelope"),
    ):
        refused(enveloped(good, changed), reason)


def test_a_signature_in_the_alphabet_for_addresses_is_refused(exporter: Version, tmp_path: Path, refused: Refused):
    for seconds in range(100):  # until a signature has one of the two letters in which the alphabets differ
        now = NOW + timedelta(seconds=seconds)
        good = exporter.exported(tmp_path / f"{seconds}.tar", now=now).read_bytes()
        sole = envelope(good)["signatures"][0]
        other = sole["sig"].translate(str.maketrans("+/", "-_"))
        if other != sole["sig"]:
            break
    refused(enveloped(good, envelope(good) | {"signatures": [sole | {"sig": other}]}), "was not sealed by")


def test_an_unknown_signer_is_named_with_the_way_to_trust_it(exporter: Version, tmp_path: Path, refused: Refused):
    refused(exporter.exported(tmp_path / "a.tar", key=OTHER).read_bytes(), f"its manifest is {UNKNOWN}")


def test_without_trusted_keys_nothing_is_imported(good: bytes, tmp_path: Path, private: Path):
    (tmp_path / "good.tar").write_bytes(good)
    with pytest.raises(InputError, match=r"registry\.import_keys"), unpacked(tmp_path / "good.tar", ()):
        pytest.fail("it was let in")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: None, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_is_no_archive(tmp_path: Path, private: Path, make: Callable[[Path], object]):
    make(tmp_path / "a.tar")
    with pytest.raises(InputError, match="there is no such file"), unpacked(tmp_path / "a.tar", TRUSTED):
        pytest.fail("it was let in")


def test_what_announces_or_has_more_than_the_limits_is_not_read_further(good: bytes, tmp_path: Path, private: Path):
    path = tmp_path / "good.tar"
    path.write_bytes(good)
    count = len(content(good))
    largest = max(len(inside) for inside in content(good).values())
    with unpacked(path, TRUSTED, limits=Limits(members=count, member_bytes=largest, total_bytes=len(good))):
        pass
    path.write_bytes(whole([*members(good), file(CARD, b"")]))
    with (
        pytest.raises(IntegrityError, match=f"more than {count} files"),
        unpacked(path, TRUSTED, limits=Limits(members=count)),
    ):
        pytest.fail("it was let in")
    path.write_bytes(good)
    for limits, reason in (
        (Limits(members=count - 1), f"at most {count - 1} are let in"),
        (Limits(member_bytes=largest - 1), f"at most {largest - 1} are let in"),
        (Limits(text_bytes=100), "at most 100 are let in"),
        (Limits(total_bytes=len(good) - 1), f"it has more than {len(good) - 1} bytes"),
        (Limits(total_bytes=9000), "at most 9000 are let in"),
        (Limits(total_bytes=2000), "it has more than 2000 bytes"),
    ):
        with pytest.raises(IntegrityError, match=reason), unpacked(path, TRUSTED, limits=limits):
            pytest.fail("it was let in")


def test_a_file_that_is_replaced_by_a_link_in_the_private_folder_is_not_followed(
    good: bytes, tmp_path: Path, private: Path, monkeypatch: pytest.MonkeyPatch
):
    path, victim = tmp_path / "good.tar", tmp_path / "victim"
    path.write_bytes(good)
    victim.write_text("mine")
    real = Path.mkdir

    def planted(folder: Path, *arguments: object, **options: object) -> None:
        real(folder, *arguments, **options)
        if folder.name == "cards":
            (folder / "anomaly.md").symlink_to(victim)

    monkeypatch.setattr(Path, "mkdir", planted)
    with pytest.raises(InputError, match="File exists"), unpacked(path, TRUSTED):
        pytest.fail("it was let in")
    assert victim.read_text() == "mine"
