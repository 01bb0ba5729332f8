"""Whoever makes a version again is handed all that it was made from, or told what is missing."""

import pytest
from reproduction.tiny import git

from tests.proof.site import NAME, Site
from wattline import files
from wattline.errors import InputError, IntegrityError, WattlineError
from wattline.proof import recipe
from wattline.records import Candidate, Champion
from wattline.reproduction import Options, Recipe, checks


def prepared(site: Site, version: str | None = None) -> Recipe:
    with site.opened(reading=True) as found, recipe.prepared(found, version, Options()) as (wanted, _):
        return wanted


def test_it_holds_commit_lock_params_data_and_environment(lived):
    found = prepared(lived.site, "1")
    assert found.commit == git(lived.site.folder, "rev-parse", "HEAD").strip()
    assert found.lock == (lived.site.folder / "dvc.lock").read_text()
    assert found.params == (lived.site.folder / "params.yaml").read_text()
    assert (found.candidate, found.dirty, found.champion) == (lived.first, False, Champion())
    assert found.environment.packages


def test_the_challenger_is_what_is_meant_where_nothing_is_named(lived):
    assert prepared(lived.site).version == "3"


def test_the_files_of_the_champion_it_was_compared_with_are_handed_over_and_vanish(lived):
    with (
        lived.site.opened(reading=True) as found,
        recipe.prepared(found, "2", Options(keep=True)) as (wanted, options),
    ):
        assert options.keep
        assert options.champion is not None
        assert options.evidence is not None
        assert files.read_record(options.champion / "candidate.json", Candidate) == lived.first
        assert files.read_record(options.champion / "champion.json", Champion) == wanted.champion
        for name, digest in lived.first.files.items():
            assert files.sha256(options.champion / name) == digest
        assert files.sha256(options.evidence / "candidate" / "model.onnx") == lived.second.files["model.onnx"]
    assert not options.champion.exists()
    assert not options.evidence.exists()


def test_a_champion_that_was_deleted_is_not_handed_over(site):
    site.register(b"one")
    site.promote()
    site.register(b"two", champion=site.champion())
    with site.opened() as found:
        found.client.delete_model_version(NAME, "1")
        with recipe.prepared(found, "2", Options()) as (wanted, options):
            assert options.champion is None
            assert wanted.champion.version == "1"


def test_what_was_registered_without_a_lock_says_so(site):
    (site.folder / "dvc.lock").unlink()
    site.register(b"one")
    with pytest.raises(InputError, match=r"registered without dvc\.lock, so that it cannot be made again"):
        prepared(site)


def test_one_from_another_site_is_made_again_there(site, elsewhere):
    site.register(b"moved")
    elsewhere.take(site.export())
    with pytest.raises(InputError, match=f"came from site A: {NAME} version 1; reproduce it there"):
        prepared(elsewhere)


def test_one_whose_sources_differed_from_the_commit_is_refused(site, monkeypatch):
    (site.folder / "new.py").write_text("changed = True\n")
    site.register(b"one", allow_dirty=True)
    found = prepared(site)
    assert found.dirty
    monkeypatch.chdir(site.folder)
    with pytest.raises(InputError, match="is dirty: sources differed from commit"):
        checks.check(found)


@pytest.mark.parametrize("name", ["candidate/model.onnx", "provenance/dvc.lock", "provenance/params.yaml"])
def test_one_that_was_altered_in_the_store_is_refused(site, name):
    site.register(b"one")
    path = site.artifacts("1") / name
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(IntegrityError):
        prepared(site)


@pytest.mark.parametrize("version", ["9", "x", ""])
def test_one_that_is_not_there_is_named(lived, version):
    with pytest.raises(WattlineError, match="has no version"):
        prepared(lived.site, version)
