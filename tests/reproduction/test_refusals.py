"""What cannot be reproduced is refused in one sentence, before anything is made."""

import pytest

from reproduction import tiny
from wattline.errors import InputError
from wattline.reproduction import checks, reproduce


@pytest.fixture
def recipe(project):
    return tiny.recipe(project)


def refused(recipe):
    """Why `recipe` is refused."""
    with pytest.raises(InputError) as caught:
        reproduce(recipe, say=lambda line: pytest.fail(f"something ran: {line}"))
    message = str(caught.value)
    assert "\n" not in message
    assert "tiny version 3" in message
    return message


def test_what_can_be_reproduced_is_not_refused(recipe):
    assert [stage.name for stage in checks.check(recipe)] == ["ingest", "train", "evaluate"]


@pytest.mark.parametrize("commit", ["unknown", "", "--help", "HEAD"])
def test_a_version_without_a_commit(recipe, commit):
    assert "register it from a clone" in refused(recipe.model_copy(update={"commit": commit}))


def test_a_commit_that_is_not_here(recipe):
    message = refused(recipe.model_copy(update={"commit": "1234567890" * 4}))
    assert "is not in this repository; run `git fetch`" in message


def test_a_file_is_no_commit(recipe, project):
    blob = tiny.git(project, "rev-parse", "HEAD:params.yaml").strip()
    assert "is not in this repository" in refused(recipe.model_copy(update={"commit": blob}))


def test_a_dirty_version(recipe):
    assert "were never committed, so it cannot be reproduced" in refused(recipe.model_copy(update={"dirty": True}))


def test_outside_of_a_repository(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "is in no git repository" in refused(recipe)


def test_in_a_folder_that_is_not_the_project(recipe, project, monkeypatch):
    monkeypatch.chdir(project / "src")
    assert "has no params.yaml in this folder" in refused(recipe)


def test_other_params_than_were_registered_are_named_with_both_values(recipe):
    changed = recipe.params.replace("seed: 7", "seed: 8")
    assert "has seed = 7, registered with tiny version 3 was 8" in refused(
        recipe.model_copy(update={"params": changed})
    )


def test_a_comment_in_params_makes_no_other_version(recipe):
    changed = recipe.params.replace("# of everything", "# of all draws")
    checks.check(recipe.model_copy(update={"params": changed}))


def test_another_pipeline_than_was_registered(recipe):
    changed = recipe.lock.replace("python src/train.py", "python src/training.py")
    with pytest.raises(InputError, match=r"dvc\.yaml of the commit runs 'python src/train\.py' as train"):
        reproduce(recipe.model_copy(update={"lock": changed}))
