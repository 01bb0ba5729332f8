"""The one note of a merge request: found, written, and kept one where two jobs write at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wattline.errors import WattlineError
from wattline.gitlab.answers import AccessError
from wattline.gitlab.note import marker
from wattline.gitlab.note.marker import Marker, Upload
from wattline.gitlab.project import Project

ROUNDS = 10
"""How often a job looks whether another one wrote between its look and its own writing."""


@dataclass(frozen=True)
class Note:
    """A note as GitLab has it."""

    id: int
    body: str
    marker: Marker


@dataclass(frozen=True)
class Result:
    """What came of it.

    note: its id
    newer: pipeline whose note was left as it is; None where ours was written
    """

    note: int
    created: bool = False
    newer: int | None = None


Writer = Callable[[Mapping[str, Upload]], tuple[str, Marker]]
"""Makes the note, given the pictures that the note before shows."""


def post(project: Project, iid: str, *, mine: Marker, write: Writer) -> Result:
    """Write the note of merge request `iid`, unless a later pipeline has.

    Of several notes the oldest stays, whoever wrote it, and holds what the newest pipeline had to say; so two jobs that
    both found none end with one. GitLab offers no comparison on writing: the job should have a resource_group, too.
    mine: project, pipeline and job of the note to write
    Raises as the calls of `Project` do.
    """
    author = int(project.user()["id"])
    kept, *_ = [*notes(project, iid, author=author, of=mine.project), None]
    if kept is not None and kept.marker.age > mine.age:
        return Result(kept.id, newer=kept.marker.pipeline)
    body, written = write(kept.marker.plots if kept is not None else {})
    created = kept is None

    def find() -> list[Note]:
        return notes(project, iid, author=author, of=mine.project)

    def add() -> None:
        project.send("POST", f"merge_requests/{iid}/notes", {"body": body}, done=lambda: bool(find()))

    if created:
        add()
    sent = created
    for _ in range(ROUNDS):
        found = find()
        if not found:  # somebody deleted it a moment ago
            add()
            continue
        first, *others = found
        newest = max(found, key=lambda note: note.marker.age)
        if newest.marker.age > written.age:
            body, written, sent = newest.body, newest.marker, True
        if first.marker.age != written.age or not sent:
            _replaced(project, iid, first, body)
            sent = True
            continue
        for note in others:
            _deleted(project, iid, note)
        newer = written.pipeline if written.age > mine.age else None
        return Result(first.id, created=created, newer=newer)
    raise WattlineError(
        f"the note of merge request {iid} is being rewritten by somebody else all the time; run this job again"
    )


def notes(project: Project, iid: str, *, author: int, of: str) -> list[Note]:
    """Our notes by user `author`, the oldest first. All pages are read: people may have written hundreds since.

    of: path of the project, which the marker names
    """
    rows = project.rows(f"merge_requests/{iid}/notes", {"sort": "asc", "order_by": "created_at"})
    found = []
    for row in rows:
        if row.get("system") or (row.get("author") or {}).get("id") != author:
            continue
        held = marker.found(str(row.get("body") or ""), project=of)
        if held is not None:
            found.append(Note(int(row["id"]), str(row["body"]), held))
    return sorted(found, key=lambda note: note.id)


def _replaced(project: Project, iid: str, note: Note, body: str) -> None:
    """One that was deleted in between is made again in the next round."""
    try:
        project.send("PUT", f"merge_requests/{iid}/notes/{note.id}", {"body": body})
    except AccessError as error:
        if error.status != 404:
            raise


def _deleted(project: Project, iid: str, note: Note) -> None:
    try:
        project.delete(f"merge_requests/{iid}/notes/{note.id}")
    except AccessError as error:
        if error.status != 404:
            raise
