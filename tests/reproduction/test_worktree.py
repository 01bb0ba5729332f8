"""The worktree: clean, apart from the user's tree, and gone afterwards whatever happens."""

import shutil
import threading

import pytest

from reproduction import tiny
from wattline.errors import WattlineError
from wattline.reproduction import worktree


def checkout(project, said, *, keep=False):
    return worktree.checkout(tiny.git(project, "rev-parse", "HEAD").strip(), keep=keep, say=said.append)


def test_it_holds_the_commit_and_not_what_lies_in_the_users_tree(project):
    (project / "src/train.py").write_text("changed")
    (project / "stray.txt").write_text("stray")
    with checkout(project, []) as place:
        assert (place.root / "src/train.py").read_text() == tiny.TRAIN
        assert not (place.root / "stray.txt").exists()
        assert not (place.root / "data/raw").exists()
        assert place.private.stat().st_mode & 0o077 == 0
    assert (project / "src/train.py").read_text() == "changed"


@pytest.mark.parametrize("error", [WattlineError("failed"), KeyboardInterrupt(), SystemExit(143)])
def test_it_is_gone_after_a_failure(project, error):
    with pytest.raises(type(error)), checkout(project, []):
        raise error


def test_hooks_of_the_user_do_not_run_in_it(project):
    hook = project / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\n")
    hook.chmod(0o755)
    with checkout(project, []) as place:
        assert not (place.root / "hooked").exists()


def test_variables_that_git_sets_for_hooks_do_not_lead_elsewhere(project, monkeypatch, tmp_path):
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    with worktree.checkout("HEAD", keep=False, say=print) as place:
        assert (place.root / "dvc.yaml").is_file()
    monkeypatch.undo()


def test_a_project_in_a_folder_of_its_repository_is_found_in_the_worktree(project, monkeypatch):
    monkeypatch.chdir(project / "src")
    with checkout(project, []) as place:
        assert (place.root / "train.py").is_file()


def test_a_commit_that_git_does_not_give_leaves_nothing(project):
    with (
        pytest.raises(WattlineError, match="git could not check 0123 out"),
        worktree.checkout("0123", keep=False, say=print),
    ):
        pytest.fail("there is no such commit")


def test_it_can_be_kept_and_says_where_it_is(project):
    said = []
    with checkout(project, said, keep=True) as place:
        pass
    assert place.root.is_dir()
    assert f"git worktree remove --force {place.root}" in said[0]
    shutil.rmtree(place.private)
    tiny.git(project, "worktree", "prune")


def test_it_works_in_a_thread(project):
    """Signals can only be handled in the main one."""
    found = []

    def work():
        with checkout(project, []) as place:
            found.append(place.root.is_dir())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [True]
