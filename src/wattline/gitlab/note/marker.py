"""What a note says of itself to later jobs, in a comment that nobody sees."""

import json
import re
from collections.abc import Mapping

from pydantic import Field, ValidationError

from wattline.records import Record

PATTERN = re.compile(r"<!-- wattline-note (\{.*?\}) -->\s*\Z", re.DOTALL)


class Upload(Record):
    """A picture that is in the project already.

    url: as GitLab gave it, relative to the project
    """

    sha256: str
    url: str = Field(pattern=r"^/uploads/[\w.+/-]+$")


class Marker(Record):
    """Whose note it is, who wrote it last, and which pictures it shows.

    project: path of the project in GitLab
    pipeline, job: their ids; what has greater ones is newer
    plots: path of a picture in the repository -> where it was uploaded
    """

    project: str
    pipeline: int = Field(ge=0)
    job: int = Field(ge=0)
    plots: Mapping[str, Upload] = {}

    @property
    def age(self) -> tuple[int, int]:
        """To be compared: the greater, the newer."""
        return self.pipeline, self.job

    def comment(self) -> str:
        """The comment. No text in it can end it."""
        text = json.dumps(self.model_dump(mode="json"), separators=(",", ":"))
        return f"<!-- wattline-note {text.replace('-', chr(92) + 'u002d').replace('>', chr(92) + 'u003e')} -->"


def found(body: str, *, project: str) -> Marker | None:
    """The marker at the end of a note; None where it has none, or is that of another project."""
    held = PATTERN.search(body)
    if held is None:
        return None
    try:
        marker = Marker.from_json(held[1])
    except ValidationError:
        return _damaged(held[1], project)
    return marker if marker.project == project else None


def _damaged(text: str, project: str) -> Marker | None:
    """A note is still ours where only its pictures cannot be read; it counts as older than any."""
    try:
        said = json.loads(text)
    except ValueError:
        return None
    ours = isinstance(said, dict) and said.get("project") == project
    return Marker(project=project, pipeline=0, job=0) if ours else None
