"""An executed notebook as a page that stands alone: it opens without a network, and asks for nothing."""

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
COMMENT = re.compile(r"/\*.*?\*/", flags=re.DOTALL)


def render(notebook: "NotebookNode", *, title: str) -> str:
    """One HTML file with pictures and styles inside. Formulas stay as they were typed: they would need a script."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(exclude_anchor_links=True)
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    bare = COMMENT.sub("", SCRIPT.sub("", page))
    return bare.replace("<head>", f"<head>{POLICY}", 1) + "\n"
