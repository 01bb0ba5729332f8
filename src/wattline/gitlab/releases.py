"""Releases of a project: one for a tag, made once, and made to say what it should where it is there already."""

from collections.abc import Iterable
from functools import partial
from urllib.parse import quote

from wattline.gitlab.answers import AccessError, RefusedError, Reply
from wattline.gitlab.project import Project
from wattline.records import Record


class Link(Record):
    """A link of a release. kind: GitLab's word for what is there"""

    name: str
    url: str
    kind: str = "other"

    def body(self) -> dict[str, str]:
        return {"name": self.name, "url": self.url, "link_type": self.kind}


def publish(project: Project, tag: str, *, name: str, description: str, links: Iterable[Link]) -> str:
    """Create the release of `tag`, or correct what is there; "created", "updated" or "unchanged".

    Links of other people stay as they are.
    """
    wanted = list(links)
    found = find(project, tag)
    said = {"name": name, "description": description}
    if found is None:
        body = {"tag_name": tag, **said, "assets": {"links": [one.body() for one in wanted]}}
        project.send("POST", "releases", body, done=lambda: find(project, tag) is not None)
        found = find(project, tag) or {}
        made = "created"
    else:
        made = "unchanged"
    if any(found.get(key) != value for key, value in said.items()):
        project.send("PUT", _path(tag), said)
        made = "updated" if made == "unchanged" else made
    if _add_links(project, tag, wanted):
        made = "updated" if made == "unchanged" else made
    return made


def find(project: Project, tag: str) -> Reply | None:
    """The release of `tag`; None where there is none."""
    try:
        found: Reply = project.get(_path(tag))
    except AccessError as error:
        if error.status == 404:
            return None
        raise
    except RefusedError as error:  # GitLab hides a release whose tag is not there from some tokens
        if error.status == 404:
            return None
        raise
    return found


def _add_links(project: Project, tag: str, wanted: Iterable[Link]) -> bool:
    """Make the links that are missing or lead elsewhere; whether there were any."""
    path = f"{_path(tag)}/assets/links"
    there = {str(one["name"]): one for one in project.rows(path)}
    changed = False
    for link in wanted:
        known = there.get(link.name)
        if known is None:
            project.send("POST", path, link.body(), done=partial(_has, project, path, link))
        elif known["url"] != link.url or known.get("link_type") != link.kind:
            project.send("PUT", f"{path}/{known['id']}", link.body())
        else:
            continue
        changed = True
    return changed


def _has(project: Project, path: str, link: Link) -> bool:
    return any(one["name"] == link.name for one in project.rows(path))


def _path(tag: str) -> str:
    return f"releases/{quote(tag, safe='')}"
