"""The zoo lists every registered version as it stands, and a change by hand is found."""

import re
from pathlib import Path

import pytest

from tests.proof.site import NAME, Lived, Site
from wattline.errors import InputError, IntegrityError
from wattline.proof import zoo
from wattline.supply.zoo import Entry, validate, write


def listed(site: Site) -> list[Entry]:
    with site.opened(reading=True) as found:
        return zoo.entries(found)


def statuses(site: Site) -> dict[str, str]:
    return {entry.version: entry.status for entry in listed(site)}


@pytest.fixture(scope="module")
def registered(lived: Lived) -> list[Entry]:
    return listed(lived.site)


@pytest.fixture
def written(tmp_path: Path, registered: list[Entry]) -> Path:
    """An index as it was written."""
    write(tmp_path, registered)
    return tmp_path


def problems(folder: Path, entries: list[Entry]) -> list[str]:
    return [str(one) for one in validate(folder, entries) if not one.note]


def test_each_version_has_the_status_it_has(lived):
    assert statuses(lived.site) == {"1": "champion", "2": "former champion", "3": "challenger"}


def test_one_from_another_site_is_marked_whatever_its_status(site, elsewhere):
    site.register(b"moved")
    elsewhere.take(site.export())
    elsewhere.register(b"ours")
    first, second = listed(elsewhere)
    assert (first.status, first.imported_from) == ("imported", f"site A: {NAME} version 1")
    assert (second.status, second.imported_from) == ("challenger", None)
    elsewhere.promote("1")
    assert listed(elsewhere)[0].status == "champion"
    assert listed(elsewhere)[0].imported_from == f"site A: {NAME} version 1"


def test_an_entry_says_what_was_signed(lived):
    entry = listed(lived.site)[0]
    assert entry.digest == lived.first.digest
    assert entry.files == {name: digest for name, digest in lived.first.files.items() if name in entry.files}
    assert {gate.name for gate in entry.gates} == {"integrity", "quality", "champion", "energy"}


def test_nobody_needs_a_signing_key_to_read(site):
    site.register(b"one")
    site.private.unlink()
    assert statuses(site) == {"1": "challenger"}


def test_without_versions_it_is_empty(site):
    assert listed(site) == []


def test_what_was_just_written_is_right(written, registered):
    assert problems(written, registered) == []


@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("index.yaml", "status: champion", "status: registered", "status is 'registered', .* says 'champion'"),
        ("index.yaml", "imported_from: null", "imported_from: us", "imported_from is 'us', the registry says absent"),
        ("index.yaml", "versions:", "versions: ", "is not the generated one"),
        ("index.md", "anomaly", "something", "index.md: line .* is not what index.yaml says"),
        ("index.svg", "<svg", "<svg ", "index.svg: line 1 is not what index.yaml says"),
    ],
)
def test_a_change_by_hand_is_found(written, registered, name, before, after, said):
    path = written / name
    path.write_text(path.read_text().replace(before, after, 1))
    assert any(re.search(said, one) for one in problems(written, registered))


def test_a_changed_hash_is_found(written, registered):
    path = written / "index.yaml"
    path.write_text(path.read_text().replace(registered[0].digest, "f" * 64))
    said = f"digest is '{'f' * 64}', the registry says"
    assert any(said in one for one in problems(written, registered))


def test_a_version_that_came_since_is_found(tmp_path, registered):
    write(tmp_path, registered[:2])
    assert any("version 3 is registered and has no entry" in one for one in problems(tmp_path, registered))


def test_a_version_that_is_there_no_more_is_found(written, registered):
    assert any("version 3 is not in the registry" in one for one in problems(written, registered[:2]))


@pytest.mark.parametrize("name", ["index.yaml", "index.md", "index.svg"])
def test_a_missing_file_is_found(written, registered, name):
    (written / name).unlink()
    assert any(one.startswith(name) for one in problems(written, registered))


def test_a_promotion_since_is_found(site, tmp_path):
    site.register(b"one")
    write(tmp_path, listed(site))
    site.promote()
    assert any(
        "status is 'challenger', the registry says 'champion'" in one for one in problems(tmp_path, listed(site))
    )


def test_a_version_that_was_altered_in_the_store_is_not_listed(site):
    site.register(b"one")
    path = site.artifacts("1") / "reports" / "decide.json"
    path.write_text(path.read_text().replace("0.5", "0.6"))
    with pytest.raises(IntegrityError, match="version 1 of anomaly-simulator"):
        listed(site)


def test_a_version_that_lost_its_statement_says_how_to_get_one(site):
    site.register(b"one")
    (site.artifacts("1") / "statements" / "1" / "statement.dsse.json").unlink()
    with pytest.raises(InputError, match="run `wattline sign --version 1`"):
        listed(site)
