"""Archives by people who mean harm and have a key that is trusted: that does not make them right."""

import json
import pickle
from base64 import b64decode
from collections.abc import Callable

import pytest
from builders import scorer

from registry.archive.conftest import Refused
from registry.archive.site import (
    KEY,
    OTHER,
    Version,
    entry,
    envelope,
    forged,
    history,
    inner,
    members,
    replaced,
    signed,
    stated,
    whole,
    without,
    zipped,
)
from wattline.registry.archive import ArchivedFile, ArchiveManifest, blocks, entries
from wattline.registry.archive.manifest import KIND
from wattline.signing import PAYLOAD_TYPE, dsse

CARD = "cards/anomaly.md"
WEIGHTS = "candidate/weights.safetensors"
UNKNOWN = f"signed by key {OTHER.public.id}, which is not trusted here; .* registry.import_keys"


def other_candidate(files: dict[str, bytes]) -> bytes:
    record = json.loads(files["candidate/candidate.json"])
    return json.dumps(record | {"parameters": 99}).encode()


WITH_KEY: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = {
    "parent folder": (lambda files: files | {"../evil.json": b"{}"}, "a path out of its folder"),
    "absolute path": (lambda files: files | {"/evil.json": b"{}"}, "an absolute path"),
    "case": (lambda files: files | {"cards/Anomaly.md": b"x"}, "cards/Anomaly.md and cards/anomaly.md, which differ"),
    "a shell script": (lambda files: files | {"reports/a.sh": b"x"}, "only .json move in reports/"),
    "a pickle": (lambda files: files | {"candidate/a.pkl": b"x"}, "only .onnx"),
    "no report": (lambda files: without(files, "reports/decide.json"), "holds no reports/decide.json"),
    "no candidate files": (lambda files: without(files, WEIGHTS), "weights.safetensors of candidate .* is missing"),
    "no statement": (lambda files: without(files, "statement.dsse.json"), "holds no statement"),
    "an unrecorded file": (lambda files: files | {"candidate/more.json": b"{}"}, "more.json is not recorded"),
    "a zip as JSON": (lambda files: files | {"provenance/environment.json": zipped()}, "is a ZIP archive"),
    "deep JSON": (lambda files: files | {"provenance/environment.json": b"[" * 100000}, "nested too deeply"),
    "a pickle as graph": (lambda files: files | {"candidate/model.onnx": pickle.dumps([1])}, "model.onnx is a pickle"),
    "a pickle as lock": (lambda files: files | {"provenance/dvc.lock": pickle.dumps([1])}, "dvc.lock is a pickle"),
    "a key": (lambda files: files | {CARD: KEY.pem(None)}, "holds a private key"),
    "another graph": (
        lambda files: files | {"candidate/model.onnx": scorer(steps=5).SerializeToString()},
        "model.onnx has SHA-256",
    ),
    "another card": (lambda files: files | {CARD: b"# safe\n"}, f"'{CARD}' is not what its statement says"),
    "one more card": (lambda files: files | {"cards/b.md": b"# safe\n"}, "'cards/b.md' is not what its statement"),
    "another record": (
        lambda files: files | {"candidate/candidate.json": other_candidate(files)},
        "its statement is about candidate",
    ),
    "a record that is none": (lambda files: files | {"reports/decide.json": b"[]"}, "reports/decide.json is not a Dec"),
    "another dataset": (
        lambda files: files | {"provenance/dataset.json": files["provenance/dataset.json"].replace(b"aaaa", b"bbbb")},
        "provenance/dataset.json is about data",
    ),
    "no statement but JSON": (lambda files: files | {"statement.dsse.json": b"{}"}, "statement is no signed envelope"),
    "an entry as statement": (lambda files: files | {"statement.dsse.json": history()[0]}, "of another type"),
    "a malformed statement": (
        lambda files: files | {"statement.dsse.json": dsse.seal(b"{}", KEY, kind=PAYLOAD_TYPE)},
        "its statement is malformed",
    ),
    "another's history": (
        lambda files: files | {"history.jsonl": entries.joined(history(key=OTHER))},
        f"entry 1 .*{UNKNOWN}",
    ),
    "one line by another": (
        lambda files: files | {"history.jsonl": entries.joined([*history([3]), entry(5, "0" * 64, key=OTHER)])},
        f"entry 2 .*{UNKNOWN}",
    ),
    "a reordered history": (
        lambda files: files | {"history.jsonl": entries.joined(history()[::-1])},
        "has entry 4 of the log after entry 9",
    ),
    "an entry twice": (
        lambda files: files | {"history.jsonl": entries.joined([history()[0], history()[0]])},
        "has entry 3 of the log after entry 3",
    ),
    "an entry that follows another": (
        lambda files: files | {"history.jsonl": entries.joined([*history([3]), entry(4, "1" * 64)])},
        "entry 4 of its history does not follow entry 3",
    ),
    "an entry without a place": (
        lambda files: files | {"history.jsonl": dsse.seal(b'{"sequence": true}', KEY, kind=entries.KIND)},
        "entry 1 of its history is malformed: ",
    ),
    "half a line": (
        lambda files: files | {"history.jsonl": files["history.jsonl"].removesuffix(b"\n")},
        "history ends in the middle of a line",
    ),
    "an empty line": (
        lambda files: files | {"history.jsonl": files["history.jsonl"] + history([11])[0] + b"\n"},
        "entry 5 of its history is no signed envelope",
    ),
}


def test_the_forger_can_also_make_a_good_one(good: bytes):
    assert forged(inner(good)) == good


@pytest.mark.parametrize("name", WITH_KEY)
def test_a_trusted_key_does_not_make_it_right(good: bytes, refused: Refused, name: str):
    change, reason = WITH_KEY[name]
    refused(forged(change(inner(good))), reason)


MANIFESTS: dict[str, tuple[dict, str]] = {
    "another format": ({"format": 2}, "its manifest is malformed: format"),
    "another name": ({"name": "other"}, "statement is about version 7 of 'anomaly', the manifest about .* of other"),
    "another version": ({"version": "8"}, "the manifest about version 8"),
    "a name that is a path": ({"name": "../a"}, "malformed: name"),
    "another candidate": ({"candidate": "0" * 64}, "the manifest is about 000000000000"),
    "other data": ({"data": "0" * 64}, "the manifest is about"),
    "another key": ({"key": OTHER.public.id}, f"names key {OTHER.public.id[:12]}"),
    "a site that moves the cursor": ({"site": "\x1b[2J"}, "malformed: site"),
    "a dropped entry": ({"entries": 4}, "history has 3 entries, the manifest says 4"),
    "an added entry": ({"entries": 2}, "history has 3 entries, the manifest says 2"),
    "another last entry": ({"last": "0" * 64}, "history ends with another entry"),
    "no last entry": ({"last": None}, "history ends with another entry"),
    "no files": ({"files": {}}, "holds no candidate/candidate.json"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_signed_manifest_about_something_else_is_refused(good: bytes, refused: Refused, name: str):
    changes, reason = MANIFESTS[name]
    refused(forged(inner(good), **changes), reason)


def test_a_signed_manifest_with_a_field_twice_is_refused(good: bytes, refused: Refused):
    payload = b64decode(envelope(good)["payload"])
    twice = dsse.seal(payload[:-1] + b',"version":"7"}', KEY, kind=KIND)
    refused(replaced(good, "manifest.dsse.json", twice), "not in canonical form")


def test_a_statement_of_another_version_or_by_an_unknown_key_is_refused(
    good: bytes, exporter: Version, refused: Refused
):
    said = stated(exporter.folder)
    for statement, reason in (
        (signed(stated(exporter.folder, version="8")), "statement is about version 8 of 'anomaly'"),
        (signed(stated(exporter.folder, name="a\x1b[2J")), r"version 7 of 'a\\x1b\[2J'"),
        (signed(stated(exporter.folder, evidence={})), "is not what its statement says"),
        (signed(said, OTHER), f"its statement is {UNKNOWN}"),
    ):
        refused(forged(inner(good) | {"statement.dsse.json": statement}), reason)


def test_sizes_that_lie_are_found_by_what_is_really_there(good: bytes, refused: Refused):
    """A header of 1 GiB without the bytes, a manifest that announces what never comes, and a thousand empty files."""
    first, *rest = members(good)
    place = next(place for place, one in enumerate(rest) if one.startswith(WEIGHTS.encode()))
    large = blocks.header(WEIGHTS, 1024**3)
    refused(whole([first, *rest[:place], large]), "has 1073741824 bytes, its manifest says")
    described = ArchiveManifest.model_validate_json(b64decode(envelope(good)["payload"])).files
    announced = ArchivedFile(sha256="0" * 64, size_bytes=1024**3)
    lying = forged(inner(good), files={**described, WEIGHTS: announced})
    refused(whole([*members(lying)[: place + 1], large]), "cut off at byte")
    many = {**described, **{f"cards/{number}.md": announced for number in range(300)}}
    refused(forged(inner(good), files=many), "files, at most 256 are let in")
    refused(blocks.header("manifest.dsse.json", 1024**2) + bytes(1024), "cut off at byte 1536")
