"""Raw rows by their id: damaged ones are refused by name, lost ones are fetched or read again."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from reproduction import tiny
from wattline import files
from wattline.errors import InputError, IntegrityError
from wattline.objects import Cache
from wattline.reproduction import checks, data, pipeline, rerun, worktree


@pytest.fixture
def recipe(project):
    return tiny.recipe(project)


@pytest.fixture
def cache(project):
    return Cache(project / ".dvc/cache")


def bring(recipe, cache):
    """Where the rows came from, their digests in the worktree, and what was said."""
    said: list[str] = []
    stages = checks.check(recipe)
    python = Path(sys.executable)
    with worktree.checkout(recipe.commit, keep=False, say=said.append) as place:
        rerun.prepare(stages, recipe.lock, place=place, committed=place.private / "committed")
        made = pipeline.maker(stages, "data/raw")
        origin = data.bring(recipe, made, place=place, cache=cache, python=python, say=said.append)
        return origin, files.digests(place.root / "data/raw"), said


def stored(recipe, cache, name):
    """The cache object of one file of the raw rows."""
    _, output = pipeline.maker(checks.check(recipe), "data/raw")
    return cache.object(cache.entries(output.md5)[name])


def damage(path, was, now):
    """Change bytes as a bad disk does: DVC sees neither by mode nor by size that anything happened."""
    good = path.read_bytes()
    assert was in good
    path.chmod(0o644)
    path.write_bytes(good.replace(was, now))
    path.chmod(0o444)


def test_rows_of_the_cache_are_taken(project, recipe, cache):
    assert bring(recipe, cache) == ("cache", files.digests(project / "data/raw"), [])


def test_the_cache_of_the_project_is_found(project, cache):
    assert data.project_cache(project, Path(sys.executable)) == cache


def test_a_damaged_partition_is_refused_by_name(recipe, cache):
    path = stored(recipe, cache, "node-1.parquet")
    damage(path, b"PAR1", b"PAR2")
    with pytest.raises(IntegrityError) as caught:
        bring(recipe, cache)
    assert "data/raw/node-1.parquet of tiny version 3 is damaged" in str(caught.value)
    assert str(path) in str(caught.value)
    assert "delete it and run this again" in str(caught.value)


@pytest.mark.parametrize(("was", "now"), [(b"CC0-1.0", b"CC1-1.0"), (b"tiny", b"tinx"), (b"{", b"[")])
def test_a_damaged_record_of_the_rows_is_refused_whether_or_not_it_changes_their_id(recipe, cache, was, now):
    damage(stored(recipe, cache, "dataset.json"), was, now)
    with pytest.raises(IntegrityError, match=r"data/raw/dataset\.json of tiny version 3 is damaged"):
        bring(recipe, cache)


def test_a_version_whose_records_contradict_each_other_is_refused(recipe, cache):
    with pytest.raises(IntegrityError, match="the version has 0000"):
        bring(recipe.model_copy(update={"data": "0" * 64}), cache)


def test_lost_rows_are_fetched_from_a_remote_with_a_relative_path(project, recipe, cache):
    tiny.dvc(project, "remote", "add", "--local", "--default", "store", "../store")
    tiny.dvc(project, "push", "ingest")
    expected = files.digests(project / "data/raw")
    shutil.rmtree(cache.folder)
    shutil.rmtree(project / "data/raw")
    origin, found, _ = bring(recipe, cache)
    assert (origin, found) == ("remote", expected)


def test_what_a_remote_gives_is_verified_as_well(project, recipe, cache):
    tiny.dvc(project, "remote", "add", "--local", "--default", "store", "../store")
    tiny.dvc(project, "push", "ingest")
    path = stored(recipe, cache, "node-2.parquet")
    damage(project.parent / "store" / path.relative_to(cache.folder), b"PAR1", b"PAR2")
    shutil.rmtree(cache.folder)
    with pytest.raises(IntegrityError, match=r"data/raw/node-2\.parquet of tiny version 3 is damaged"):
        bring(recipe, cache)


def test_lost_rows_are_read_from_the_source_again(project, recipe, cache):
    tiny.dvc(project, "remote", "add", "--local", "--default", "store", "../never-pushed-to")
    stored(recipe, cache, "node-1.parquet").unlink()
    expected = files.digests(project / "data/raw")
    shutil.rmtree(project / "data/raw")
    origin, found, said = bring(recipe, cache)
    assert (origin, found) == ("ingested again", expected)
    assert "data: data/raw is neither in DVC's cache nor in a remote; ingest reads the source again" in said


def test_a_source_that_gives_other_rows_is_refused_with_both_ids(project, recipe, cache):
    stored(recipe, cache, "node-1.parquet").unlink()
    rows = project / "data/external/rows.json"
    rows.write_text(json.dumps({"node-1": [1.0, 2.0, 3.25], "node-2": [4.0, 5.0, 6.5]}))
    with pytest.raises(InputError) as caught:
        bring(recipe, cache)
    assert "the source of tiny does not give the rows of tiny version 3 any more: their id is " in str(caught.value)
    assert recipe.data[:12] in str(caught.value)
