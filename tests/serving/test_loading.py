"""A version answers only after every check, and each way to fail has its own word."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from builders import COLUMNS, UNITS, scorer, signature, signing_key, write_candidate, write_record, write_served

from wattline import signing
from wattline.params.serving import ModelParams
from wattline.records import Column
from wattline.serving.inference.engine import Engine
from wattline.serving.versions import loading
from wattline.serving.versions.loading import Loaded, LoadError
from wattline.signing import entry as entries

KEY = signing_key()
REQUIRED = ModelParams(origin="folder", signature="required", trusted_keys=(), poll_seconds=0, reload_seconds=60)
OPTIONAL = REQUIRED.model_copy(update={"signature": "optional"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_served(tmp_path / "champion", KEY, version="7")
    return tmp_path / "champion"


def load(
    folder: Path,
    model: ModelParams = REQUIRED,
    *,
    trusted: Any = (KEY.public,),
    windows: int = 8,
    champion: bool = False,
) -> Loaded:
    return loading.load(
        folder, model=model, trusted=trusted, threads=1, device="cpu", maximum_windows=windows, champion=champion
    )


def refused(folder: Path, reason: str, model: ModelParams = REQUIRED, **options: Any) -> str:
    with pytest.raises(LoadError) as caught:
        load(folder, model, **options)
    assert caught.value.reason == reason
    assert "\n" not in str(caught.value)
    return str(caught.value)


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Change a file and make the record fit again; what was signed stays as it was."""
    champion, statement = ((folder / other).read_bytes() for other in ("champion.json", signing.FILE))
    for other in ("champion.json", signing.FILE):
        (folder / other).unlink()
    (folder / name).write_bytes(content)
    candidate = write_record(folder)
    (folder / signing.FILE).write_bytes(statement)
    (folder / "champion.json").write_bytes(champion.replace(champion_digest(champion), candidate.digest.encode()))


def champion_digest(champion: bytes) -> bytes:
    digest: str = orjson.loads(champion)["digest"]
    return digest.encode()


def test_a_signed_version_is_called_as_its_statement_says(folder: Path):
    loaded = load(folder)
    assert (loaded.name, loaded.version) == ("anomaly", "7")
    assert loaded.digest == loaded.engine.candidate.digest
    said = loaded.said()["statement"]
    assert said is not None
    assert said["predicate"]["digest"] == loaded.digest
    assert 0 < loaded.seconds_per_window < loaded.seconds


def test_an_unsigned_version_is_called_after_its_content_where_a_signature_is_optional(tmp_path: Path, caplog):
    candidate = write_candidate(tmp_path, golden=True)
    loaded = load(tmp_path, OPTIONAL)
    assert (loaded.name, loaded.version) == ("anomaly", candidate.digest[:12])
    assert loaded.said() == {"statement": None, "promotion": None}
    assert "without a verified statement" in caplog.text


def test_an_unsigned_version_is_refused_where_a_signature_is_required(tmp_path: Path):
    write_candidate(tmp_path, golden=True)
    assert "wattline promote" in refused(tmp_path, "unsigned")


@pytest.mark.parametrize("model", [REQUIRED, OPTIONAL])
def test_a_statement_by_somebody_else_is_refused_even_where_it_is_optional(folder: Path, model: ModelParams):
    assert "none by a trusted key" in refused(folder, "untrusted", model, trusted=(signing_key(1).public,))


def test_without_trusted_keys_nothing_signed_is_served_unless_that_is_optional(folder: Path):
    assert "serving.model.trusted_keys" in refused(folder, "unsigned", trusted=())
    assert load(folder, OPTIONAL, trusted=()).statement is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\xff\xfe", b'{"payload": 1}', b"{" * 100_000])
def test_a_statement_that_cannot_be_read_is_refused(folder: Path, content: bytes):
    (folder / signing.FILE).write_bytes(content)
    refused(folder, "unsigned")


def test_a_statement_about_another_version_of_the_same_files_is_refused(folder: Path, tmp_path: Path):
    write_served(tmp_path / "other", KEY, version="8")
    shutil.copyfile(tmp_path / "other" / signing.FILE, folder / signing.FILE)
    assert "version" in refused(folder, "mismatch")


def test_an_entry_is_verified_for_a_champion_and_looked_at_for_nobody_else(folder: Path):
    write_served(folder, KEY, version="7", entry={"sequence": 3})
    entry = load(folder, champion=True).promotion
    assert entry is not None
    assert (entry.sequence, entry.action) == (3, "promote")
    (folder / entries.FILE).write_bytes(b"damaged")
    assert entries.FILE in refused(folder, "unsigned", champion=True)
    assert load(folder).promotion is None
    assert load(folder, OPTIONAL, champion=True).promotion is None


def test_an_entry_in_the_place_of_a_statement_is_none(folder: Path):
    write_served(folder, KEY, version="7", entry={"sequence": 3})
    shutil.copyfile(folder / entries.FILE, folder / signing.FILE)
    refused(folder, "unsigned", champion=True)
    write_served(folder, KEY, version="7", entry={"sequence": 3})
    shutil.copyfile(folder / signing.FILE, folder / entries.FILE)
    assert "another type" in refused(folder, "unsigned", champion=True)


def test_a_folder_in_the_place_of_an_entry_is_refused(folder: Path):
    (folder / entries.FILE).mkdir()
    refused(folder, "unsigned", champion=True)


@pytest.mark.parametrize("name", ["model.onnx", "signature.json", "golden.json", "weights.safetensors"])
def test_an_exchanged_file_is_refused_although_its_record_was_exchanged_too(folder: Path, name: str):
    rewrite(folder, name, (folder / name).read_bytes() + b" ")
    refused(folder, "mismatch")


@pytest.mark.parametrize("name", ["model.onnx", "signature.json", "golden.json", "weights.safetensors"])
@pytest.mark.parametrize("model", [REQUIRED, OPTIONAL])
def test_an_exchanged_file_is_refused(folder: Path, name: str, model: ModelParams):
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    assert name in refused(folder, "digest", model)


@pytest.mark.parametrize("name", ["model.onnx", "signature.json", "golden.json", "candidate.json"])
def test_a_missing_file_is_named(folder: Path, name: str):
    (folder / name).unlink()
    assert name in refused(folder, "missing")


def test_a_folder_without_anything_holds_no_model(tmp_path: Path):
    refused(tmp_path / "nowhere", "missing")


def test_a_candidate_from_before_there_were_golden_windows_is_refused(tmp_path: Path):
    write_candidate(tmp_path)
    assert "golden.json" in refused(tmp_path, "missing", OPTIONAL)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"task": 1}'])
def test_a_record_that_is_none_is_refused(folder: Path, content: bytes):
    (folder / "candidate.json").write_bytes(content)
    refused(folder, "digest")


def test_a_champion_record_about_other_files_is_refused(tmp_path: Path):
    write_candidate(tmp_path, golden=True)
    (tmp_path / "champion.json").write_text('{"version": "1", "digest": "' + "0" * 64 + '"}')
    refused(tmp_path, "mismatch", OPTIONAL)


def test_a_graph_that_breaks_its_own_signature_is_refused(tmp_path: Path):
    one_more = (*COLUMNS, Column(name="fan", unit="1/min"))
    write_candidate(tmp_path, declared=signature().model_copy(update={"columns": one_more}))
    (tmp_path / "golden.json").write_bytes(b"{}")
    write_record(tmp_path)
    assert "window" in refused(tmp_path, "graph", OPTIONAL)


def test_a_graph_that_fails_on_full_batches_is_refused(folder: Path, monkeypatch):
    run = Engine.run

    def small(self: Engine, windows: Any, units: Any, **options: Any) -> Any:
        if len(units) > 7:
            raise loading.WattlineError("too large")
        return run(self, windows, units, **options)

    monkeypatch.setattr(Engine, "run", small)
    refused(folder, "graph")


def test_it_runs_what_callers_will_run_before_it_says_that_it_is_ready(folder: Path, monkeypatch):
    sizes, run = [], Engine.run

    def watched(self: Engine, windows: Any, units: Any, **options: Any) -> Any:
        sizes.append(len(units))
        return run(self, windows, units, **options)

    monkeypatch.setattr(Engine, "run", watched)
    load(folder, windows=32)
    assert sizes[0] == 2, "the golden windows come first"
    assert {1, 32} <= set(sizes[1:])


def test_a_machine_that_answers_otherwise_serves_nothing(folder: Path, monkeypatch):
    run = Engine.run

    def otherwise(self: Engine, windows: Any, units: Any, **options: Any) -> Any:
        return {name: values + np.float32(1) for name, values in run(self, windows, units, **options).items()}

    monkeypatch.setattr(Engine, "run", otherwise)
    assert "golden windows" in refused(folder, "golden")


@pytest.mark.parametrize("content", [b"{}", b"[1]", b'{"windows": [], "units": [], "outputs": {}}', b"nan"])
def test_golden_windows_that_are_none_are_refused(tmp_path: Path, content: bytes):
    write_candidate(tmp_path)
    (tmp_path / "golden.json").write_bytes(content)
    write_record(tmp_path)
    refused(tmp_path, "golden", OPTIONAL)


def test_an_untrusted_graph_is_not_even_opened(folder: Path, monkeypatch):
    monkeypatch.setattr(Engine, "loaded", lambda *_, **__: pytest.fail("opened"))
    refused(folder, "untrusted", trusted=(signing_key(1).public,))


def test_a_version_with_other_columns_than_the_one_before_it_can_be_loaded(folder: Path, tmp_path: Path):
    write_served(tmp_path / "next", KEY, columns=COLUMNS[:2], declared=None)
    assert load(folder).engine.signature.units == UNITS
    assert [column.name for column in load(tmp_path / "next").engine.signature.columns] == ["power", "temperature"]


def test_cuda_is_refused_where_there_is_none(folder: Path):
    with pytest.raises(LoadError, match="onnxruntime-gpu") as caught:
        loading.load(folder, model=REQUIRED, trusted=(KEY.public,), threads=1, device="cuda", maximum_windows=1)
    assert caught.value.reason == "graph"


def test_another_graph_with_the_same_signature_is_another_version(folder: Path, tmp_path: Path):
    write_served(tmp_path / "next", KEY, version="8", model=scorer(), weights=b"other")
    assert load(tmp_path / "next").digest != load(folder).digest
