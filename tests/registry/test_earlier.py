"""What the signed reports of earlier versions say is fetched, and nothing that nobody vouches for."""

from pathlib import Path

import pytest
from builders import energy, evaluation, measurement, signing_key

from tests.registry.project import NAME, artifacts, candidate, delete, promoted, register, stored_statement
from wattline import files
from wattline.records import Earlier
from wattline.registry.earlier import fetch_earlier

KEYS = (".wattline/keys/public.pem",)


def fetch(keys: tuple[str, ...] = KEYS) -> Earlier:
    """Fetch, and read what was written."""
    found = fetch_earlier(files.EARLIER, name=NAME, trusted_keys=keys)
    assert files.read_record(files.EARLIER / "versions.json", Earlier) == found
    return found


def versions(found: Earlier) -> list[str]:
    return [one.version for one in found.versions]


def test_every_registered_version_is_there_with_what_its_reports_say(project: Path):
    promoted(b"second")
    found = fetch()
    assert versions(found) == ["1", "2"]
    assert found.unreadable == ()
    second = found.versions[1]
    now = candidate()
    assert second.digest == now.digest
    assert (second.metric, second.score) == ("vus_pr", evaluation(now).contenders["candidate"]["vus_pr"].value)
    assert second.rows_sha256 == evaluation(now).rows_sha256
    assert second.energy_per_1000 == energy()
    assert (second.batch, second.machine) == (measurement(now).candidate.batch, measurement(now).machine)
    assert second.origin is None


def test_one_that_was_registered_and_never_promoted_is_there_too(project: Path):
    register()
    assert versions(fetch()) == ["1"]


def test_it_lies_beside_the_champion_and_changes_nothing_there(project: Path):
    from tests.registry.project import fetch as fetch_champion

    promoted()
    fetch_champion()
    before = files.digests(files.CHAMPION)
    fetch()
    assert files.digests(files.CHAMPION) == before


@pytest.mark.parametrize("fresh", [True, False])
def test_without_a_version_it_says_so(project: Path, fresh: bool):
    if fresh:
        (project / ".wattline" / "mlflow.db").unlink()
    assert fetch().versions == ()


def test_a_version_that_was_deleted_is_gone(project: Path):
    promoted(b"second")
    delete("1")
    assert versions(fetch()) == ["2"]


@pytest.mark.parametrize("report", ["evaluate", "measure"])
@pytest.mark.parametrize("content", [b"", b"{}", None])
def test_a_report_that_is_not_the_signed_one_is_named_and_left_out(project: Path, report: str, content: bytes | None):
    promoted(b"second")
    path = artifacts("1") / "reports" / f"{report}.json"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    found = fetch()
    assert versions(found) == ["2"]
    assert len(found.unreadable) == 1
    assert found.unreadable[0].startswith(f"version 1: its reports/{report}.json is not the one that was signed")


def test_a_better_score_written_into_a_report_is_noticed(project: Path):
    """Nobody is pushed off the front by a version whose figures were improved afterwards."""
    register()
    path = artifacts("1") / "reports" / "measure.json"
    path.write_text(path.read_text().replace("12.0", "0.1", 1))
    assert fetch().versions == ()


def test_the_statement_of_another_version_is_noticed(project: Path):
    promoted(b"second")
    stored_statement("1").write_bytes(stored_statement("2").read_bytes())
    found = fetch()
    assert versions(found) == ["2"]
    assert "its statement is about version 2" in found.unreadable[0]


def test_a_version_without_a_statement_is_named(project: Path):
    register()
    stored_statement("1").unlink()
    assert "no signed statement" in fetch().unreadable[0]


def test_a_version_of_a_key_that_is_not_trusted_is_left_out(project: Path):
    register()
    files.write_bytes(project / "other.pem", signing_key(1).public.pem())
    found = fetch(("other.pem",))
    assert found.versions == ()
    assert found.unreadable[0].startswith("version 1: ")


@pytest.mark.parametrize("keys", [(), ("absent.pem",)])
def test_without_a_key_nothing_is_believed(project: Path, keys: tuple[str, ...]):
    register()
    found = fetch(keys)
    assert found.versions == ()
    assert "no key to believe" in found.unreadable[0]


def test_fetching_twice_writes_the_same_bytes(project: Path):
    promoted(b"second")
    fetch()
    before = files.digests(files.EARLIER)
    fetch()
    assert files.digests(files.EARLIER) == before
