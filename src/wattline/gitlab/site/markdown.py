"""Model cards and the zoo as HTML: Markdown in which no HTML counts, and no picture of another place is shown."""

import posixpath
from collections.abc import Iterator
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token


def render(source: str, *, folder: str) -> str:
    """`source` as HTML.

    folder: where the text lay, seen from the root of the project, which becomes the root of the site
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(_body(source))
    for token in _all(tokens):
        for name in ("src", "href"):
            address = token.attrGet(name)
            if isinstance(address, str):
                token.attrSet(name, placed(address, folder=folder))
    found = _without_foreign_pictures(tokens)
    return str(parser.renderer.render(found, parser.options, {}))


def placed(address: str, *, folder: str) -> str:
    """Where an address of a text in `folder` leads on the site. A Markdown file became a page at the root."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc or not parts.path or parts.path.startswith("/"):
        return address
    path = PurePosixPath(posixpath.normpath(posixpath.join(folder, parts.path)))
    if ".." in path.parts:
        return "#"
    if path.suffix == ".md":
        path = PurePosixPath(page_of(path.stem))
    return f"{path}{'#' + parts.fragment if parts.fragment else ''}"


def page_of(stem: str) -> str:
    """Name of the page that a Markdown file becomes."""
    return "zoo.html" if stem == "index" else f"card-{stem}.html"


def _body(source: str) -> str:
    """The text below the metadata, which are for machines; HTML comments are for who edits it."""
    lines = source.splitlines()
    if lines[:1] == ["---"] and "---" in lines[1:]:
        lines = lines[lines.index("---", 1) + 1 :]
    return "\n".join(line for line in lines if not (line.startswith("<!--") and line.endswith("-->")))


def _all(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _all(token.children or [])


def _without_foreign_pictures(tokens: list[Token]) -> list[Token]:
    """A picture that would be fetched from elsewhere gives way to its words."""
    for token in tokens:
        for child in token.children or []:
            parts = urlsplit(str(child.attrGet("src") or ""))
            if child.type == "image" and (parts.scheme or parts.netloc):
                child.type, child.tag, child.attrs, child.children = "text", "", {}, None
    return tokens
