"""A tag releases the champion: once, only what the tag holds, and with files that prove what they are."""

import hashlib
import tarfile
from collections.abc import Iterator

import pytest
from gitlab.standin import JOB, PROJECT, Fault, Server, running
from reproduction.tiny import git

from tests.proof.site import NAME, Site
from wattline import files, signing
from wattline.gitlab import project
from wattline.settings import settings
from wattline.signing import keys

VERSION = f"{NAME}/1.2.0"
ARCHIVE, AUDIT, SUMS = f"{NAME}-1.wattline.tar", "audit.jsonl", "SHA256SUMS"
FILES = {ARCHIVE, AUDIT, SUMS, "anomaly.md", "anomaly.cdx.json", "statement.dsse.json", "promotion.dsse.json"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(project, "BACKOFF_SECONDS", 0.001)
    with running() as found:
        found.state.tags.append({"name": "v1.2.0", "commit": {"id": "a" * 40}})
        yield found


@pytest.fixture
def job(server: Server, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Variables of the job of a tag."""
    for name, value in {
        "CI_API_V4_URL": server.root,
        "CI_PROJECT_ID": PROJECT,
        "CI_JOB_TOKEN": JOB,
        "CI_COMMIT_TAG": "v1.2.0",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("CI_COMMIT_SHA", raising=False)
    settings.cache_clear()
    return monkeypatch


@pytest.fixture
def promoted(site: Site) -> Site:
    """A site with a champion."""
    site.register()
    site.promote()
    return site


def published(server: Server) -> dict[str, bytes]:
    """Files of the package."""
    packages = server.state.packages
    assert all(key.startswith(f"{VERSION}/") for key in packages)
    return {key.removeprefix(f"{VERSION}/"): content for key, content in packages.items()}


def commit(site: Site, path: str, text: str) -> None:
    files.write_text(site.folder / path, text)
    git(site.folder, "add", "--force", path)
    git(site.folder, "commit", "--quiet", "--message", "a change")


def test_files_digests_and_release_are_published_with_the_jobs_own_token(promoted, server, job, capsys):
    said = promoted.run(capsys, "ci", "release")
    assert (said.code, said.err) == (0, "")
    assert "version 1 as v1.2.0; 7 files sent, 0 were there" in said.out
    found = published(server)
    assert set(found) == FILES
    sums = dict(reversed(line.split("  ")) for line in found[SUMS].decode().splitlines())
    assert sums == {name: hashlib.sha256(content).hexdigest() for name, content in found.items() if name != SUMS}
    statement = signing.verify(found["statement.dsse.json"], keys.load_public([str(promoted.public)]))
    assert statement.predicate.version == "1"
    (release,) = server.state.releases
    assert release["tag_name"] == "v1.2.0"
    assert {one["name"] for one in release["assets"]["links"]} == FILES
    for one in release["assets"]["links"]:
        assert one["url"] == f"{server.address}/packages/generic/{VERSION}/{one['name']}"
    for told in ("| quality | PASS | 0.5 | 0.4 | computed |", "12 J", "estimated", "The Centre"):
        assert told in release["description"]
    assert "Energies are estimates" in release["description"]
    assert server.state.unmounted == []


def test_what_was_published_can_be_verified_and_imported_elsewhere(promoted, elsewhere, server, job, tmp_path, capsys):
    promoted.run(capsys, "ci", "release")
    archive = tmp_path / ARCHIVE
    archive.write_bytes(published(server)[ARCHIVE])
    with tarfile.open(archive) as opened:
        assert opened.getnames()
    assert elsewhere.take(archive) == "1"
    audit = tmp_path / AUDIT
    audit.write_bytes(published(server)[AUDIT])
    said = promoted.run(capsys, "audit", "verify", "--file", str(audit))
    assert (said.code, said.out.split(",")[0]) == (0, "audit log: 3 entries hold")


def test_a_second_time_nothing_is_sent_and_nothing_is_written_into_the_log(promoted, server, job, capsys):
    promoted.run(capsys, "ci", "release")
    before, actions = published(server), promoted.actions()
    server.state.calls.clear()
    said = promoted.run(capsys, "ci", "release")
    assert "0 files sent, 7 were there" in said.out
    assert "in GitLab: unchanged" in said.out
    assert server.state.writes == []
    assert published(server) == before
    assert promoted.actions() == actions


def test_who_was_cut_off_goes_on_with_what_is_there(promoted, server, job, capsys):
    server.state.faults.append(Fault(f"{VERSION}/{AUDIT}", 403, times=99, method="PUT"))
    assert promoted.run(capsys, "ci", "release").code
    held = published(server)
    assert ARCHIVE in held
    assert SUMS not in held
    assert server.state.releases == []
    server.state.faults.clear()
    said = promoted.run(capsys, "ci", "release")
    assert said.code == 0
    assert published(server)[ARCHIVE] == held[ARCHIVE]
    assert promoted.actions().count("export") == 1
    assert set(published(server)) == FILES


def test_a_lost_answer_makes_no_second_file_and_no_second_release(promoted, server, job, capsys):
    server.state.faults += [
        Fault(ARCHIVE, None, late=True, method="PUT"),
        Fault("^releases$", 502, late=True, method="POST"),
    ]
    assert promoted.run(capsys, "ci", "release").code == 0
    puts = [call for call in server.state.calls if call[0] == "PUT" and call[1].endswith(ARCHIVE)]
    assert len(puts) == 1
    assert len(server.state.releases) == 1


@pytest.mark.parametrize("name", ["anomaly.md", ARCHIVE])
def test_other_bytes_under_the_same_version_are_refused_before_anything_is_sent(promoted, server, job, capsys, name):
    server.state.packages[f"{VERSION}/{name}"] = b"something else"
    said = promoted.run(capsys, "ci", "release")
    assert said.code == 2
    assert "\n" not in said.err.strip()
    assert server.state.writes == []
    assert server.state.packages == {f"{VERSION}/{name}": b"something else"}


def test_object_storage_gets_no_token(promoted, server, job, capsys):
    server.state.object_storage = True
    assert promoted.run(capsys, "ci", "release").code == 0
    assert set(server.state.seen_by_storage) == {None}


@pytest.mark.parametrize("tag", ["1.2.0", "v1.2.0-rc1", "v1.2.0\n"])
def test_a_tag_that_is_no_version_is_refused(site, server, job, capsys, tag):
    job.setenv("CI_COMMIT_TAG", tag)
    said = site.run(capsys, "ci", "release")
    assert (said.code, server.state.calls) == (2, [])
    assert "is no version to release; call it vX.Y.Z" in said.err


@pytest.mark.parametrize("name", ["CI_COMMIT_TAG", "CI_JOB_TOKEN", "CI_API_V4_URL"])
def test_a_variable_that_is_not_set_is_named(site, server, job, capsys, name):
    job.delenv(name)
    said = site.run(capsys, "ci", "release")
    assert said.code == 2
    assert f"{name}" in said.err
    assert "not set" in said.err


def test_without_a_champion_there_is_nothing_to_release(site, server, job, capsys):
    site.register()
    said = site.run(capsys, "ci", "release")
    assert said.code == 2
    assert f"{NAME} has no champion, so that v1.2.0 has nothing to release" in said.err


def test_a_later_commit_may_release_it_while_what_stages_read_is_the_same(promoted, server, job, capsys):
    promoted.knobs(registry={"site": "another name"})
    commit(promoted, "docs/new.md", "words")
    commit(promoted, "dvc.lock", "schema: '2.0'\nstages: {card: {}}\n")
    files.write_text(promoted.folder / "dvc.yaml", "stages: {}\n")  # not of the commit: only git counts
    said = promoted.run(capsys, "ci", "release")
    assert (said.code, said.err) == (0, "")
    (release,) = server.state.releases
    assert "The tagged commit is a later one than it was made from" in release["description"]
    assert "dvc.lock of the tagged commit is of another run" in release["description"]


@pytest.mark.parametrize("path", ["src/project/detector.py", "requirements/core.lock", "dvc.yaml", "params.yaml"])
def test_a_commit_that_would_make_another_model_does_not_release_this_one(promoted, server, job, capsys, path):
    files.write_text(promoted.folder / "dvc.yaml", "stages: {}\n")
    text = (promoted.folder / "params.yaml").read_text().replace("seed: 7", "seed: 8")
    commit(promoted, path, text if path == "params.yaml" else "stages: {a: {cmd: x}}\n")
    said = promoted.run(capsys, "ci", "release")
    assert said.code == 1
    assert f"since then {'params.yaml: seed' if path == 'params.yaml' else path} changed" in said.err
    assert server.state.writes == []


def test_a_version_of_another_branch_is_not_released(promoted, server, job, capsys):
    git(promoted.folder, "checkout", "--quiet", "--orphan", "other")
    git(promoted.folder, "commit", "--quiet", "--message", "another history")
    said = promoted.run(capsys, "ci", "release")
    assert said.code == 1
    assert "on which v1.2.0 does not rest" in said.err


def test_a_version_of_sources_without_a_commit_is_not_released(site, server, job, capsys):
    files.write_text(site.folder / "src/project/new.py", "")
    site.register(allow_dirty=True)
    site.promote()
    said = site.run(capsys, "ci", "release")
    assert said.code == 1
    assert "was made from sources that no commit holds" in said.err


def test_a_version_of_another_site_is_not_released_here(promoted, elsewhere, server, job, capsys, tmp_path):
    elsewhere.take(promoted.export("1"))
    elsewhere.promote()
    said = elsewhere.run(capsys, "ci", "release")
    assert said.code == 2
    assert "came from site A: anomaly-simulator version 1; release it there" in said.err


def test_a_token_that_may_not_publish_is_named_and_never_shown(promoted, server, job, capsys):
    job.setenv("CI_JOB_TOKEN", "not-a-" + "token")
    said = promoted.run(capsys, "ci", "release")
    assert said.code == 2
    assert "(401 401 Unauthorized); CI_JOB_TOKEN may publish in its own project" in said.err
    assert "not-a-" not in said.err + said.out


def test_a_description_mentions_nobody_and_holds_no_html():
    from wattline.release.describing import cell

    shown = cell("@all <img src=x> | `id` *x* [a](b)\n/close")
    assert "@" not in shown
    assert "<" not in shown
    assert "\n" not in shown
    assert shown.startswith("&#64;all &lt;img")
