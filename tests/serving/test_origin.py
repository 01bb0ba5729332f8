"""Whatever happens to a folder or a registry meanwhile, what is served is one whole version."""

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import signing_key, write_candidate, write_served

from serving import fake_registry
from serving.fake_registry import Registry
from wattline import files, signing
from wattline.errors import InputError
from wattline.params.serving import ModelParams
from wattline.serving import web
from wattline.serving.inference import contents
from wattline.serving.versions import loading, origin
from wattline.serving.versions.loading import Loaded, LoadError, Reason
from wattline.serving.versions.origin import FolderOrigin, Origin, RegistryOrigin
from wattline.serving.web import Credentials
from wattline.signing import entry as entries

KEY = signing_key()
NAME = "anomaly"
SERVED = sorted(origin.SERVED)
MODEL = ModelParams(origin="folder", signature="required", trusted_keys=(), poll_seconds=0, reload_seconds=60)


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signed versions 1 and 2 of a model, as `wattline champion` leaves them. Copy them, do not change them."""
    folder = tmp_path_factory.mktemp("versions")
    for version in ("1", "2"):
        entry = {"sequence": int(version)}
        write_served(folder / version, KEY, version=version, entry=entry, weights=version.encode())
    return folder


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "BACKOFF_SECONDS", 0.001)


def load(copy: Path) -> Loaded:
    return loading.load(copy, model=MODEL, trusted=(KEY.public,), threads=1, device="cpu", maximum_windows=2)


def refused(found: Origin, reason: Reason) -> str:
    with pytest.raises(LoadError) as caught:
        found.fetch()
    assert caught.value.reason == reason
    return str(caught.value)


class TestFolder:
    """What `wattline champion` replaces at any moment."""

    @pytest.fixture
    def folder(self, versions: Path, tmp_path: Path) -> Path:
        return shutil.copytree(versions / "1", tmp_path / "champion")

    @pytest.fixture
    def served(self, folder: Path, tmp_path: Path) -> FolderOrigin:
        return FolderOrigin(folder, cache=tmp_path / "cache")

    def promote(self, versions: Path, folder: Path, version: str) -> None:
        with files.replace_directory(folder) as fresh:
            shutil.copytree(versions / version, fresh, dirs_exist_ok=True)

    def test_a_copy_holds_what_is_served_and_nothing_else(self, served: FolderOrigin, folder: Path):
        (folder / "notes.txt").write_text("not signed")
        copy = served.fetch()
        assert sorted(path.name for path in copy.iterdir()) == SERVED
        assert load(copy).version == "1"

    def test_the_copy_stays_when_the_folder_goes(self, served: FolderOrigin, folder: Path):
        copy = served.fetch()
        shutil.rmtree(folder)
        assert load(copy).version == "1"

    def test_a_replaced_folder_has_another_fingerprint_and_copy(
        self, served: FolderOrigin, versions: Path, folder: Path
    ):
        before, copy = served.fingerprint(), served.fetch()
        assert served.fingerprint() == before
        self.promote(versions, folder, "2")
        assert served.fingerprint() != before
        assert (load(copy).version, load(served.fetch()).version) == ("1", "2")

    def test_the_same_content_is_copied_once(self, served: FolderOrigin, versions: Path, folder: Path):
        copy = served.fetch()
        self.promote(versions, folder, "1")
        assert served.fetch() == copy

    @pytest.mark.parametrize("name", SERVED)
    def test_a_change_of_any_file_in_place_is_noticed(self, served: FolderOrigin, folder: Path, name: str):
        before = served.fingerprint()
        status = (folder / name).stat()
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content + b" ")
        assert served.fingerprint() != before
        (folder / name).write_bytes(content)
        os.utime(folder / name, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert served.fingerprint() == before

    def test_a_folder_without_a_model_says_how_to_get_one(self, tmp_path: Path):
        nothing = FolderOrigin(tmp_path / "champion", cache=tmp_path / "cache")
        assert nothing.fingerprint() == nothing.fingerprint()
        assert "wattline champion" in refused(nothing, "missing")
        (tmp_path / "champion").mkdir()
        (tmp_path / "champion" / "champion.json").write_text('{"version": null, "digest": null}')
        assert "wattline champion" in refused(nothing, "missing")

    def test_a_damaged_folder_is_refused_and_leaves_no_copy(self, served: FolderOrigin, folder: Path, tmp_path: Path):
        (folder / "model.onnx").write_bytes(b"damaged")
        assert "model.onnx" in refused(served, "digest")
        assert list((tmp_path / "cache").iterdir()) == []

    def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(self, served: FolderOrigin, folder: Path):
        (folder / "model.onnx").unlink()
        os.mkfifo(folder / "model.onnx")
        refused(served, "digest")

    def test_a_huge_file_is_not_copied(self, served: FolderOrigin, folder: Path):
        os.truncate(folder / "golden.json", contents.LARGEST_RECORD + 1)
        assert "at most" in refused(served, "digest")

    def test_a_huge_record_is_a_change_and_refused(self, served: FolderOrigin, folder: Path):
        before = served.fingerprint()
        os.truncate(folder / "candidate.json", contents.LARGEST_RECORD + 1)
        assert served.fingerprint() != before
        assert "at most" in refused(served, "digest")

    def test_a_folder_in_the_place_of_a_record_is_a_change_and_refused(self, served: FolderOrigin, folder: Path):
        before = served.fingerprint()
        (folder / "champion.json").unlink()
        (folder / "champion.json").mkdir()
        assert served.fingerprint() != before
        assert "champion.json is no file" in refused(served, "digest")

    def test_files_that_are_links_are_followed(self, served: FolderOrigin, folder: Path, tmp_path: Path):
        shutil.move(folder / "model.onnx", tmp_path / "elsewhere")
        (folder / "model.onnx").symlink_to(tmp_path / "elsewhere")
        copy = served.fetch()
        assert not (copy / "model.onnx").is_symlink()
        assert load(copy).version == "1"

    def test_a_folder_that_is_replaced_in_the_middle_gives_one_version_or_the_other(
        self, served: FolderOrigin, versions: Path, folder: Path, monkeypatch
    ):
        copy_file, turns = origin._copy_file, iter("212121")

        def replaced_meanwhile(name: str, descriptor: int, target: Path) -> None:
            if name == signing.FILE:
                self.promote(versions, folder, next(turns, "1"))
            copy_file(name, descriptor, target)

        monkeypatch.setattr(origin, "_copy_file", replaced_meanwhile)
        monkeypatch.setattr(origin, "SECONDS_BETWEEN_ATTEMPTS", 0)
        # Every attempt is disturbed, so the files of a replaced folder are gone before they were copied.
        refused(served, "missing")
        monkeypatch.undo()
        assert load(served.fetch()).version in ("1", "2")

    def test_copies_made_while_the_folder_is_replaced_all_the_time_are_all_whole(
        self, served: FolderOrigin, versions: Path, folder: Path, monkeypatch
    ):
        monkeypatch.setattr(origin, "ATTEMPTS", 1000)
        monkeypatch.setattr(origin, "SECONDS_BETWEEN_ATTEMPTS", 0.001)
        stop = threading.Event()

        def replace() -> None:
            while not stop.is_set():
                for version in ("2", "1"):
                    self.promote(versions, folder, version)

        thread = threading.Thread(target=replace)
        thread.start()
        try:
            found = {load(served.fetch()).version for _ in range(20)}
        finally:
            stop.set()
            thread.join()
        assert found <= {"1", "2"}

    def test_the_accepted_copy_is_the_last_one(self, served: FolderOrigin, folder: Path, tmp_path: Path):
        copy = served.fetch()
        served.accept(copy)
        assert FolderOrigin(folder, cache=tmp_path / "cache").last() == copy


class TestRegistry:
    """An alias that somebody else moves, on a server that may be down or lie."""

    @pytest.fixture
    def registry(self, versions: Path) -> Iterator[Registry]:
        with fake_registry.running() as server:
            server.publish(versions / "1", "1")
            yield server

    @pytest.fixture
    def served(self, registry: Registry, tmp_path: Path) -> Iterator[RegistryOrigin]:
        found = RegistryOrigin(registry.uri, NAME, "champion", cache=tmp_path / "cache")
        yield found
        found.close()

    def test_a_version_is_downloaded_without_its_weights_and_loads(self, served: RegistryOrigin, registry: Registry):
        copy = served.fetch()
        assert sorted(path.name for path in copy.iterdir()) == SERVED
        assert not [path for path in registry.paths() if "weights" in path]
        assert load(copy).version == "1"

    def test_it_is_downloaded_once(self, served: RegistryOrigin, registry: Registry):
        copy = served.fetch()
        downloads = len([path for path in registry.paths() if "artifacts/1" in path])
        assert served.fetch() == copy
        assert len([path for path in registry.paths() if "artifacts/1" in path]) == downloads

    def test_a_damaged_copy_is_downloaded_again(self, served: RegistryOrigin):
        (served.fetch() / "model.onnx").write_bytes(b"damaged")
        assert load(served.fetch()).version == "1"

    def test_a_moved_alias_is_another_fingerprint_and_version(
        self, served: RegistryOrigin, registry: Registry, versions: Path
    ):
        before = served.fingerprint()
        assert served.fingerprint() == before
        registry.publish(versions / "2", "2")
        assert served.fingerprint() != before
        assert load(served.fetch()).version == "2"

    def test_a_version_that_was_signed_again_is_downloaded_again(self, served: RegistryOrigin, registry: Registry):
        copy, before = served.fetch(), served.fingerprint()
        registry.models["1"]["tags"][1]["value"] = "e" * 64
        assert served.fingerprint() != before
        assert served.fetch() != copy

    def test_a_version_that_was_promoted_again_comes_with_its_new_entry(
        self, served: RegistryOrigin, registry: Registry, tmp_path: Path
    ):
        copy, before = served.fetch(), served.fingerprint()
        write_served(tmp_path / "again", KEY, version="1", weights=b"1", entry={"sequence": 3, "action": "rollback"})
        registry.publish(tmp_path / "again", "1")
        assert served.fingerprint() != before
        assert served.fetch() != copy
        assert entries.peek((served.fetch() / entries.FILE).read_bytes()).sequence == 3

    def test_a_tag_and_an_entry_that_differ_are_looked_at_again_and_leave_no_copy(
        self, served: RegistryOrigin, registry: Registry, tmp_path: Path
    ):
        registry.models["1"]["tags"][2]["value"] = "9"
        assert "names entry 9, entry 1 lies there" in refused(served, "unreachable")
        assert list((tmp_path / "cache").iterdir()) == []
        registry.models["1"]["tags"][2]["value"] = "1"
        assert load(served.fetch()).version == "1"

    def test_a_damaged_entry_that_was_mended_in_the_registry_is_downloaded_again(
        self, served: RegistryOrigin, registry: Registry
    ):
        path = f"1/run1/artifacts/statements/1/{entries.FILE}"
        sound = registry.artifacts[path]
        registry.artifacts[path] = b"damaged"
        copy = served.fetch()
        assert served.fetch() == copy
        served.discard(copy)
        registry.artifacts[path] = sound
        assert (served.fetch() / entries.FILE).read_bytes() == sound

    def test_an_entry_that_the_tag_names_and_that_is_not_there_is_missed(
        self, served: RegistryOrigin, registry: Registry
    ):
        del registry.artifacts[f"1/run1/artifacts/statements/1/{entries.FILE}"]
        assert entries.FILE in refused(served, "missing")

    def test_a_challenger_comes_without_the_entry_that_once_made_it_champion(
        self, registry: Registry, versions: Path, tmp_path: Path
    ):
        registry.publish(versions / "2", "2", alias="challenger")
        challenger = RegistryOrigin(registry.uri, NAME, "challenger", cache=tmp_path / "cache")
        copy, before = challenger.fetch(), challenger.fingerprint()
        assert not (copy / entries.FILE).exists()
        registry.models["2"]["tags"][2]["value"] = "5"
        assert challenger.fingerprint() == before
        challenger.close()

    def test_an_alias_that_moves_during_the_download_is_followed(
        self, served: RegistryOrigin, registry: Registry, versions: Path
    ):
        def move(handler: object) -> bool:
            if registry.paths()[-1].endswith("model.onnx") and "2" not in registry.models:
                registry.publish(versions / "2", "2")
            return False

        registry.misbehave = move
        assert load(served.fetch()).version == "2"

    def test_an_alias_that_never_rests_still_gives_one_whole_version(
        self, served: RegistryOrigin, registry: Registry, versions: Path
    ):
        registry.publish(versions / "2", "2")

        def flip(handler: object) -> bool:
            if registry.paths()[-1].endswith("signature.json"):
                registry.aliases["champion"] = "1" if registry.aliases["champion"] == "2" else "2"
            return False

        registry.misbehave = flip
        assert load(served.fetch()).version in ("1", "2")

    def test_a_version_that_nobody_signed_comes_without_a_statement(
        self, served: RegistryOrigin, registry: Registry, versions: Path
    ):
        registry.publish(versions / "2", "2", signer="")
        copy = served.fetch()
        assert not (copy / signing.FILE).exists()
        with pytest.raises(LoadError) as caught:
            load(copy)
        assert caught.value.reason == "unsigned"

    def test_a_statement_of_another_version_is_refused_when_it_is_loaded(
        self, served: RegistryOrigin, registry: Registry, versions: Path
    ):
        other = (versions / "2" / signing.FILE).read_bytes()
        registry.artifacts[f"1/run1/artifacts/statements/1/{signing.FILE}"] = other
        with pytest.raises(LoadError) as caught:
            load(served.fetch())
        assert caught.value.reason == "mismatch"

    @pytest.mark.parametrize("name", ["candidate.json", "signature.json", "golden.json", "model.onnx"])
    def test_a_missing_file_is_named_and_nothing_is_left(
        self, served: RegistryOrigin, registry: Registry, tmp_path: Path, name: str
    ):
        del registry.artifacts[f"1/run1/artifacts/candidate/{name}"]
        assert name in refused(served, "missing")
        assert list((tmp_path / "cache").iterdir()) == []

    @pytest.mark.parametrize("name", ["signature.json", "golden.json", "model.onnx"])
    def test_a_changed_file_is_refused_and_nothing_is_left(
        self, served: RegistryOrigin, registry: Registry, tmp_path: Path, name: str
    ):
        registry.artifacts[f"1/run1/artifacts/candidate/{name}"] += b" "
        assert name in refused(served, "digest")
        assert list((tmp_path / "cache").iterdir()) == []

    def test_another_candidate_than_the_version_says_is_refused(
        self, served: RegistryOrigin, registry: Registry, versions: Path
    ):
        for path in (versions / "2").iterdir():
            registry.artifacts[f"1/run1/artifacts/candidate/{path.name}"] = path.read_bytes()
        refused(served, "mismatch")

    def test_a_file_beyond_its_limit_is_refused(self, served: RegistryOrigin, monkeypatch):
        monkeypatch.setattr(contents, "LARGEST_GRAPH", 100)
        assert "more than 100 bytes" in refused(served, "digest")

    @pytest.mark.parametrize(
        ("tag", "value"),
        [(0, ""), (0, "../../etc"), (0, "0" * 63), (0, "G" * 64), (1, "../" * 20), (1, "x"), (2, "../1"), (2, "-1")],
    )
    def test_tags_that_are_no_digests_never_name_a_file(
        self, served: RegistryOrigin, registry: Registry, tag: int, value: str
    ):
        registry.models["1"]["tags"][tag]["value"] = value
        assert "register the candidate again" in refused(served, "mismatch")

    @pytest.mark.parametrize("number", ["../1", "", "1/..", "\u0661", "1\n", "9" * 100])
    def test_a_version_that_is_no_number_never_names_a_file(
        self, served: RegistryOrigin, registry: Registry, number: str
    ):
        registry.models["1"]["version"] = number
        refused(served, "mismatch")

    @pytest.mark.parametrize(
        ("uri", "reason"),
        [
            ("file:///srv/artifacts", "missing"),
            ("s3://bucket/1", "missing"),
            ("mlflow-artifacts://another.host/1/run1/artifacts", "missing"),
            ("mlflow-artifacts:/../../etc", "mismatch"),
            ("mlflow-artifacts:/1/../../run1", "mismatch"),
            ("mlflow-artifacts://[/1", "missing"),
            ("", "missing"),
        ],
    )
    def test_files_are_taken_from_nowhere_but_the_tracking_servers_own_store(
        self, served: RegistryOrigin, registry: Registry, uri: str, reason: Reason
    ):
        registry.runs["run1"] = uri
        refused(served, reason)
        assert not [path for path in registry.paths() if "artifacts/" in path and "runs/get" not in path]

    def test_the_servers_own_name_in_the_place_of_its_store_is_accepted(
        self, served: RegistryOrigin, registry: Registry
    ):
        registry.runs["run1"] = "mlflow-artifacts://127.0.0.1:5000/1/run1/artifacts"
        assert load(served.fetch()).version == "1"

    def test_without_an_alias_nothing_is_served(self, served: RegistryOrigin, registry: Registry):
        registry.aliases.clear()
        assert "wattline promote" in refused(served, "missing")

    @pytest.mark.parametrize(
        "content", [b"<html>", b"{}", b'{"model_version": 3}', b'{"model_version": {"version": "1", "tags": 3}}']
    )
    def test_a_server_of_another_kind_is_no_registry(
        self, served: RegistryOrigin, registry: Registry, content: bytes, monkeypatch
    ):
        monkeypatch.setattr(registry, "answer", lambda *_: (200, content))
        refused(served, "unreachable")

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_server_that_wants_credentials_says_so(
        self, served: RegistryOrigin, registry: Registry, status: int, monkeypatch
    ):
        monkeypatch.setattr(registry, "answer", lambda *_: (status, b"{}"))
        assert "credentials" in refused(served, "unreachable")

    def test_credentials_are_sent_with_every_question(self, registry: Registry, tmp_path: Path):
        served = RegistryOrigin(
            registry.uri, NAME, "champion", cache=tmp_path / "cache", credentials=Credentials(token="secret")
        )
        served.fetch()
        served.close()
        assert {headers.get("Authorization") for _, headers in registry.asked} == {"Bearer secret"}

    @pytest.mark.parametrize("uri", ["", "sqlite:///mlflow.db", "/srv/mlruns", "file:///srv"])
    def test_a_store_that_is_no_server_is_refused_with_the_remedy(self, uri: str, tmp_path: Path):
        with pytest.raises(InputError, match=r"MLFLOW_TRACKING_URI to http\(s\)://host:port, or serve a folder"):
            RegistryOrigin(uri, NAME, "champion", cache=tmp_path)

    def test_the_copy_that_served_is_there_while_the_server_is_not(self, registry: Registry, tmp_path: Path):
        first = RegistryOrigin(registry.uri, NAME, "champion", cache=tmp_path / "cache")
        copy = first.fetch()
        first.accept(copy)
        first.close()
        second = RegistryOrigin("http://127.0.0.1:9", NAME, "champion", cache=tmp_path / "cache")
        refused(second, "unreachable")
        last = second.last()
        assert last == copy
        assert load(copy).version == "1"
        second.close()


def test_an_unsigned_folder_can_be_copied_too(tmp_path: Path):
    write_candidate(tmp_path / "folder", golden=True)
    copy = FolderOrigin(tmp_path / "folder", cache=tmp_path / "cache").fetch()
    assert not (copy / signing.FILE).exists()
