"""The same over S3: a real server on the loopback."""

from contextlib import closing

import pytest
from backends.s3 import BUCKET

from remotes import kept
from remotes.kept import OBJECTS, damage
from wattline.errors import InputError, WattlineError

# What DVC uses is going to change, says what it uses.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

NODE = "data/raw/rack/node-2"
REMOTE = "wattline"


@pytest.fixture(scope="module")
def stored(original, s3, tmp_path_factory):
    """The project with its objects in a folder of the bucket; and that folder."""
    folder = tmp_path_factory.mktemp("stored")
    project, prefix = kept.copied(original, folder), f"{BUCKET}/{folder.name}"
    variables = s3.environment | {"AWS_ENDPOINT_URL": s3.url, "WATTLINE_DVC_REMOTE": f"s3://{prefix}"}
    found = kept.Project(project.clone, variables)
    found.push()
    return found, s3.folder / prefix


def test_a_wrong_secret_and_a_server_that_is_gone_are_one_line(stored):
    project, _ = stored
    wrong = "wrong-" + "s3cret"
    other = kept.Project(project.clone, project.variables | {"AWS_SECRET_ACCESS_KEY": wrong})
    with pytest.raises(WattlineError, match=r"remote 'wattline' gave no object: .*AWS_SECRET_ACCESS_KEY") as failed:
        other.verify(remote=REMOTE)
    assert wrong not in str(failed.value)
    with pytest.raises(InputError, match="WATTLINE_DVC_REMOTE cannot be reached") as failed:
        other.push()
    assert wrong not in str(failed.value)
    quick = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    gone = kept.Project(project.clone, project.variables | quick)
    with pytest.raises(WattlineError, match="remote 'wattline' gave no object"):
        gone.verify("train", remote=REMOTE)


def test_what_is_lost_in_a_bucket_is_named_and_sent_again_and_other_bytes_are_named(stored, s3):
    project, folder = stored
    found = project.verify(remote=REMOTE)
    assert (found.problems, found.objects) == ([], OBJECTS)
    victim = project.cached(NODE).relative_to(project.cache().folder)
    with closing(s3.client()) as client:
        client.delete_object(Bucket=BUCKET, Key=f"{folder.name}/{victim}")
    (problem,) = project.verify(remote=REMOTE).problems
    assert (problem.place, problem.missing) == (f"s3://{BUCKET}/{folder.name}/{victim}", True)
    assert "was lost or cut short, and is sent again" in project.push()
    assert project.verify(remote=REMOTE).problems == []
    damage(folder / victim)
    (problem,) = project.verify(remote=REMOTE).problems
    assert problem.output == NODE
    assert not problem.missing
    assert project.verify().problems == []
