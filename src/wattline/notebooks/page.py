"""An executed notebook as a page that stands alone: it opens without a network, and asks for nothing."""

import html
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'\"/>"
)
"""What a browser then refuses: scripts, and whatever lies elsewhere."""
SCRIPT = re.compile(r"<script\b.*?</script\s*>", flags=re.DOTALL | re.IGNORECASE)
PICTURE = re.compile(r'<img\b[^>]*src="data:image/png;base64,([^"]+)"[^>]*>')
WORDS = re.compile(r'\balt="[^"]*"')
COMMENT = re.compile(r"/\*.*?\*/", flags=re.DOTALL)


def render(notebook: "NotebookNode", *, title: str) -> str:
    """One HTML file with pictures and styles inside. Formulas stay as they were typed: they would need a script."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(exclude_anchor_links=True)
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    bare = COMMENT.sub("", SCRIPT.sub("", _described(page, notebook)))
    return bare.replace("<head>", f"<head>{POLICY}", 1) + "\n"


def _described(page: str, notebook: "NotebookNode") -> str:
    """Put the words for a picture, which nbconvert leaves out, where readers of a screen find them."""
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ()) if "image/png" in one.get("data", {})]
    words = {one.data["image/png"]: one.metadata.get("image/png", {}).get("alt") for one in outputs}

    def describe(picture: re.Match[str]) -> str:
        said = words.get(picture[1])
        return WORDS.sub(lambda _: f'alt="{html.escape(said)}"', picture[0]) if said else picture[0]

    return PICTURE.sub(describe, page)
