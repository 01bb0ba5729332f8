"""What is fetched is the champion of the log, byte by byte, or nothing is changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import signing_key, write_record

from tests.registry.project import (
    KEY,
    NAME,
    TRUSTED,
    artifacts,
    candidate,
    delete,
    fetch,
    fetched,
    flip,
    following,
    loaded,
    move_alias,
    opened,
    promote,
    promoted,
    recover,
    register,
    stored_statement,
    use,
)
from wattline import files, signing
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.records import Champion
from wattline.registry import store
from wattline.registry.fetching import model_folder
from wattline.settings import settings
from wattline.signing import entry as entries

SIGNED = {"champion.json", "statement.dsse.json", "promotion.dsse.json"}


def test_a_promoted_version_comes_back_byte_by_byte_with_what_was_signed_about_it(project: Path):
    files.write_text(files.CHAMPION / ".gitignore", "*\n!.gitignore\n")
    files.write_text(files.CHAMPION / "stale.onnx", "old")
    (version,) = promoted()
    found = fetch()
    assert found == Champion(version=version, digest=candidate().digest, name=NAME)
    assert Champion.from_json((files.CHAMPION / "champion.json").read_bytes()) == found
    held = files.digests(files.CHAMPION)
    assert {name: digest for name, digest in held.items() if name not in SIGNED} == files.digests(files.CANDIDATE)
    assert set(held) > SIGNED
    assert (files.CHAMPION / ".gitignore").read_text() == "*\n!.gitignore\n"
    entry = entries.unseal((files.CHAMPION / entries.FILE).read_bytes(), TRUSTED)
    assert (entry.action, entry.version) == ("promote", version)


def test_fetching_twice_gives_the_same_folder(project: Path):
    promoted()
    fetch()
    first = files.digests(files.CHAMPION)
    fetch()
    assert files.digests(files.CHAMPION) == first


@pytest.mark.parametrize("fresh", [True, False])
def test_without_a_champion_the_folder_says_so_and_keeps_nothing_stale(project: Path, fresh: bool):
    if fresh:
        (project / ".wattline" / "mlflow.db").unlink()
    else:
        register()
    files.write_text(files.CHAMPION / "model.onnx", "old")
    assert fetch() == Champion()
    assert json.loads((files.CHAMPION / "champion.json").read_text()) == {"version": None, "digest": None}
    assert sorted(files.digests(files.CHAMPION)) == ["champion.json"]


def test_every_file_that_a_server_needs_can_be_fetched_by_its_name(project: Path, tmp_path: Path):
    (version,) = promoted()
    names = [f"statements/{version}/{name}" for name in (signing.FILE, entries.FILE)]
    with store.session() as client:
        run_id = client.get_model_version_by_alias(NAME, "champion").run_id
        for name in [*names, "candidate/candidate.json", *(f"candidate/{name}" for name in candidate().files)]:
            assert Path(client.download_artifacts(run_id, name, str(tmp_path))).is_file()


@pytest.mark.parametrize("to", ["1", None])
def test_an_alias_that_was_moved_by_hand_is_named_and_nothing_is_fetched(project: Path, to: str | None):
    promoted(b"second")
    fetch()
    before = files.digests(files.CHAMPION)
    move_alias(to)
    with pytest.raises(InputError, match=f"points to {to or 'no version'}, the audit log says 2: .*`wattline recover`"):
        fetch()
    assert files.digests(files.CHAMPION) == before
    recover()
    assert fetch().version == "2"


def test_a_champion_that_was_deleted_is_named_and_nothing_is_fetched(project: Path):
    promoted()
    fetch()
    before = files.digests(files.CHAMPION)
    delete("1")
    with pytest.raises(InputError, match=r"the audit log says 1: .*the version was deleted"):
        fetch()
    assert files.digests(files.CHAMPION) == before


def remove(path: Path) -> None:
    path.unlink()


def swap_record(path: Path) -> None:
    (path.parent / "weights.safetensors").write_bytes(b"swapped")
    write_record(path.parent)


def extra(path: Path) -> None:
    path.write_text("hello")


DAMAGES = [
    ("candidate/weights.safetensors", remove),
    ("candidate/candidate.json", remove),
    ("candidate/candidate.json", swap_record),
    ("candidate", shutil.rmtree),
    ("candidate/extra.md", extra),
    ("candidate/extra.pkl", extra),
]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_what_was_lost_exchanged_or_added_in_the_store_is_not_fetched(
    project: Path, name: str, damage: Callable[[Path], object]
):
    (version,) = promoted()
    fetch()
    before = files.digests(files.CHAMPION)
    damage(artifacts(version) / name)
    with pytest.raises((InputError, IntegrityError)):
        fetch()
    assert files.digests(files.CHAMPION) == before


def test_one_flipped_byte_in_any_stored_file_is_refused_by_who_fetches_or_serves_or_does_not_matter(project: Path):
    """Of the candidate: refused. Of the statement: refused by who serves. Of all else: it is not in what is served."""
    (version,) = promoted()
    fetch()
    folder, whole_folder = artifacts(version), files.digests(files.CHAMPION)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole, part = path.read_bytes(), path.relative_to(folder).parts[0]
        flip(path, len(whole) // 2)
        try:
            fetched()
            outcome = "served"
        except WattlineError:
            outcome = "refused"
        expected = "refused" if part == "candidate" or path.name == signing.FILE else "served"
        if part in ("reports", "cards", "provenance"):
            # A report that cannot be read any more stops the download; one that can is not served.
            assert outcome in ("served", "refused")
        else:
            assert outcome == expected, path
        if outcome == "served":
            assert files.digests(files.CHAMPION) == whole_folder, path
        path.write_bytes(whole)


@pytest.mark.parametrize("damage", [lambda _: b"", lambda _: b"{}", lambda envelope: envelope[:-40]])
def test_a_statement_that_was_altered_in_the_store_is_refused_until_it_is_signed_again(
    project: Path, damage: Callable[[bytes], bytes]
):
    (version,) = promoted()
    stored_statement(version).write_bytes(damage(stored_statement(version).read_bytes()))
    with pytest.raises(WattlineError):
        fetched()
    assert register() == version
    assert fetched().predicate.version == version


def test_the_statement_of_a_former_version_is_no_statement_of_the_next(project: Path):
    first, second = promoted(b"second")
    stored_statement(second).write_bytes(stored_statement(first).read_bytes())
    with pytest.raises(IntegrityError, match=r"weights\.safetensors"):
        fetched()


def test_a_version_without_a_statement_is_fetched_and_proves_nothing(project: Path):
    (version,) = promoted()
    stored_statement(version).unlink()
    assert fetch().version == version
    with pytest.raises(InputError, match="no signed statement"):
        signing.verify_folder(files.CHAMPION, TRUSTED, candidate=candidate())


def test_signing_with_another_key_replaces_the_signature(project: Path):
    from wattline.registry import registration

    promoted()
    other = signing_key(1)
    use(other)
    with opened((other.public, KEY.public)) as found:
        registration.sign(found)
    with pytest.raises(IntegrityError, match="trusted key"):
        fetched()
    signing.verify_folder(files.CHAMPION, (other.public,), candidate=candidate())


def test_where_no_way_leads_to_the_log_the_alias_and_the_entry_beside_it_are_fetched(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    promoted()
    following(b"second")
    promote()
    fetch()
    whole = files.digests(files.CHAMPION)
    monkeypatch.setattr(type(settings()), "has_ledger", False)
    assert fetch().version == "2"
    assert files.digests(files.CHAMPION) == whole


def test_a_full_disk_leaves_the_folder_as_it_was(project: Path, monkeypatch: pytest.MonkeyPatch):
    import errno

    promoted()
    fetch()
    following(b"second")
    promote()
    before, written, said = files.digests(files.CHAMPION), [0], set()
    copy = shutil.copyfile

    def full(*arguments: object, **options: object) -> object:
        written[0] += 1
        if written[0] == stop:
            raise OSError(errno.ENOSPC, "No space left on device")
        return copy(*arguments, **options)  # type: ignore[arg-type, call-overload]

    monkeypatch.setattr(shutil, "copyfile", full)
    for stop in range(1, 100):  # noqa: B007
        written[0] = 0
        try:
            assert fetch().version == "2"
            break
        except WattlineError as error:
            said.add(str(error))
        assert files.digests(files.CHAMPION) == before
        assert [path.name for path in project.iterdir() if path.name.startswith((".champion", "wattline-"))] == []
    assert stop > 5
    assert all("did not do its work" in message for message in said), said  # MLflow does not pass every reason on


class TestModelFolder:
    """What `wattline energy compare` is given by name."""

    def test_a_folder_is_taken_as_it_is(self, project: Path):
        with model_folder("models/candidate", loaded()) as folder:
            assert folder == files.CANDIDATE

    def test_a_version_is_fetched_by_its_number_or_alias_and_vanishes_afterwards(self, project: Path):
        (version,) = promoted()
        challenger = following(b"other")
        for what, digest in (
            (version, None),
            ("champion", None),
            ("challenger", candidate().digest),
            (challenger, None),
        ):
            with model_folder(what, loaded()) as folder:
                found = candidate(folder).digest
                assert digest in (None, found)
                assert files.digests(folder)["candidate.json"]
            assert not folder.exists()

    @pytest.mark.parametrize(
        ("what", "said"),
        [
            ("models/nowhere", "is no folder, no number of a version, and neither champion nor challenger"),
            ("99", "has no version '99'"),
            ("champion", "has no champion yet"),
        ],
    )
    def test_what_is_not_there_is_told(self, project: Path, what: str, said: str):
        register()
        with pytest.raises(InputError, match=said), model_folder(what, loaded()):
            pass

    def test_a_damaged_version_is_refused(self, project: Path):
        (version,) = promoted()
        flip(artifacts(version) / "candidate" / "model.onnx")
        with pytest.raises(IntegrityError, match="is damaged"), model_folder(version, loaded()):
            pass
