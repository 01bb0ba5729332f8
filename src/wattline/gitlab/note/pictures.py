"""Pictures of the reports: which there are, and which of them are in the project already."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from wattline.errors import WattlineError
from wattline.gitlab.note.known import Picture
from wattline.gitlab.note.marker import Upload
from wattline.gitlab.project import Project

TITLES: Mapping[str, str] = {
    "evaluate/contenders.png": "Headline metric of every contender, with 95 % intervals",
    "decide/pareto.png": "Energy and quality of the candidate beside all earlier models",
    "measure/energy.png": "Energy of the candidate",
    "measure/latency.png": "Latency of one window",
    "evaluate/slices.png": "The candidate by unit, worst first",
    "evaluate/worst_unit.png": "The unit with the worst score over time",
    "evaluate/best_unit.png": "The unit with the best score over time",
    "profile/overview.png": "Overview of the data",
}
"""Below reports/, in the order in which they are shown. A stage draws them; its folder has its name."""
KIND = "image/png"
ADDRESS = re.compile(r"\((/uploads/[\w.+/-]+)\)")
LARGEST = 10 * 2**20
"""Bytes: what is larger is not uploaded, GitLab may take no more than that."""


def pictures(folder: Path, *, without: Iterable[str] = ()) -> list[Picture]:
    """Those that are there and may be shown.

    folder: that holds reports/
    without: stages whose pictures are an earlier run's
    """
    skipped = set(without)
    return [
        Picture(path=f"reports/{name}", title=title)
        for name, title in TITLES.items()
        if name.partition("/")[0] not in skipped and _fits(folder / "reports" / name)
    ]


def upload(
    project: Project, found: Iterable[Picture], *, folder: Path, known: Mapping[str, Upload]
) -> tuple[list[Picture], dict[str, Upload]]:
    """The pictures with their addresses in the project, and what the marker says of them.

    known: uploads of the note before; what has the same bytes is not sent again
    """
    shown, uploads = [], {}
    for picture in found:
        content = (folder / picture.path).read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        former = known.get(picture.path)
        held = former if former is not None and former.sha256 == digest else _sent(project, picture, content, digest)
        uploads[picture.path] = held
        shown.append(Picture(picture.path, picture.title, held.url))
    return shown, uploads


def _sent(project: Project, picture: Picture, content: bytes, digest: str) -> Upload:
    """GitLab's Markdown for it is `![name](/uploads/...)`."""
    name = picture.path.removeprefix("reports/").replace("/", "-")
    said = project.upload(name, content, kind=KIND)
    address = ADDRESS.search(said)
    if address is None:
        raise WattlineError(f"{project.place} took {picture.path} but does not say where it is; check CI_API_V4_URL")
    return Upload(sha256=digest, url=address[1])


def _fits(path: Path) -> bool:
    return path.is_file() and not path.is_symlink() and 0 < path.stat().st_size <= LARGEST
