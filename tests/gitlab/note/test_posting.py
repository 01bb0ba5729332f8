"""Two jobs that write at once leave one note, and it is that of the newer pipeline."""

import threading
from collections.abc import Mapping

from pydantic import SecretStr

from gitlab.standin import API, Server
from wattline.gitlab.note import marker, posting
from wattline.gitlab.note.marker import Marker, Upload
from wattline.gitlab.note.posting import Result, Writer
from wattline.gitlab.project import Project


def mark(pipeline: int, *, job: int = 1) -> Marker:
    return Marker(project="energy/models", pipeline=pipeline, job=job)


def writer(mine: Marker) -> Writer:
    def write(before: Mapping[str, Upload]) -> tuple[str, Marker]:
        return f"of pipeline {mine.pipeline}\n\n{mine.comment()}\n", mine

    return write


def post(server: Server, mine: Marker, write: Writer | None = None) -> Result:
    with Project(server.address, SecretStr(API)) as project:
        return posting.post(project, "7", mine=mine, write=write or writer(mine))


def pipelines(server: Server) -> list[int]:
    return [int(one["body"].split()[2]) for one in server.state.notes]


def test_both_that_found_none_leave_the_newer_ones(server: Server):
    for first, second in ((1, 2), (2, 1)):
        server.state.notes.clear()

        def write(before: Mapping[str, Upload], mine: int = first, other: int = second) -> tuple[str, Marker]:
            post(server, mark(other))  # while this one is still rendering
            return writer(mark(mine))(before)

        result = post(server, mark(first), write)
        assert pipelines(server) == [2]
        assert result.newer == (2 if first == 1 else None)


def test_many_at_once_leave_one(server: Server):
    threads = [threading.Thread(target=post, args=(server, mark(number))) for number in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.state.notes) == 1


def test_a_job_that_is_run_again_writes_again(server: Server):
    post(server, mark(5, job=1))
    assert post(server, mark(5, job=2)).newer is None
    assert post(server, mark(5, job=1)).newer == 5


def test_one_whose_pictures_cannot_be_read_is_still_ours(server: Server):
    post(server, mark(5))
    server.state.notes[0]["body"] = server.state.notes[0]["body"].replace('"plots":{}', '"plots":{"a":1}')
    post(server, mark(3))
    assert pipelines(server) == [3]


def test_a_marker_comes_back_from_its_comment_whatever_the_project_is_called():
    held = Marker(project="a--b/-->", pipeline=1, job=2, plots={"p": Upload(sha256="0", url="/uploads/a-b/c.png")})
    assert "--" not in held.comment()[4:-3]
    assert marker.found(f"text\n{held.comment()}\n", project=held.project) == held
    assert marker.found(f"{held.comment()}\nmore", project=held.project) is None, "quoted in the middle"
    assert marker.found(held.comment(), project="other") is None
