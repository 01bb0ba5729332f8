"""Content addresses are those of DVC itself, and nothing in a cache is believed."""

import shutil

import pytest
import yaml

from wattline import objects
from wattline.errors import IntegrityError
from wattline.objects import Cache
from wattline.reproduction.originals import Originals
from wattline.reproduction.pipeline import Output


@pytest.fixture
def cache(project):
    return Cache(project / ".dvc" / "cache")


def locked(project):
    """Path -> MD5 of every output, by DVC."""
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"].values()
    return {output["path"]: output["md5"] for stage in stages for output in stage["outs"]}


def test_files_and_folders_have_the_digests_that_dvc_gives_them(project):
    outputs = locked(project)
    assert any(md5.endswith(".dir") for md5 in outputs.values())
    assert {path: objects.digest(project / path) for path in outputs} == outputs


def test_nothing_has_no_digest(tmp_path):
    assert objects.digest(tmp_path / "absent") == ""


def test_a_damaged_listing_is_refused(project, cache):
    path = cache.object(locked(project)["data/raw"])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"node-1", b"node-9"))
    with pytest.raises(IntegrityError, match="is damaged: its MD5 is not its name"):
        cache.entries(locked(project)["data/raw"])


def test_originals_come_from_the_cache_when_the_project_has_other_ones(project, cache):
    output = Output(path="models/candidate", md5=locked(project)["models/candidate"], measured=False)
    originals = Originals(cache, (project,))
    here = originals.find(output)
    assert here["weights.safetensors"] == project / "models/candidate/weights.safetensors"
    shutil.rmtree(project / "models")
    kept = originals.find(output)
    assert kept.keys() == here.keys()
    assert kept["weights.safetensors"].is_relative_to(cache.folder)


def test_originals_that_were_changed_everywhere_are_gone(project, cache):
    output = Output(path="reports/train.json", md5=locked(project)["reports/train.json"], measured=False)
    (project / "reports/train.json").write_text("{}")
    assert Originals(cache, (project,)).find(output) == {}
