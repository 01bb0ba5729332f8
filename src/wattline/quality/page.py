"""HTML pages that stand alone: no script, nothing fetched, equal bytes for equal content."""

from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
body { font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; color: #1f2933; margin: 2rem auto; max-width: 1200px;
  padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin-bottom: .3rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .6rem; }
table { border-collapse: collapse; width: 100%; font-size: 13px; }
th { text-align: left; border-bottom: 2px solid #9aa5b1; padding: .35rem .6rem; position: sticky; top: 0;
  background: #fff; }
td { border-bottom: 1px solid #e4e7eb; padding: .3rem .6rem; vertical-align: top; overflow-wrap: anywhere; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.first { font-family: "DejaVu Sans Mono", monospace; font-size: 12px; white-space: pre-line; }
.badge { display: inline-block; padding: 0 .5rem; border-radius: .6rem; color: #fff; white-space: nowrap; }
.met { background: #2f7d4f; } .warning { background: #b7791f; } .critical { background: #c8452f; }
.note { color: #52606d; }
img { max-width: 100%; }
footer { margin-top: 2rem; color: #52606d; font-size: 13px; }
"""


def page(title: str, *parts: str, footer: str = "") -> str:
    """A whole page. `parts` are HTML, `title` and `footer` are text."""
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            f"<h1>{escape(title)}</h1>",
            *parts,
            f"<footer>{escape(footer)}</footer>\n</body>\n</html>\n",
        ]
    )


def table(heads: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> str:
    """A table.

    heads: pairs (text of the head, CSS class of its column, may be empty)
    rows: cells as HTML: escape what comes from data
    """
    classes = [f' class="{kind}"' if kind else "" for _, kind in heads]
    head = "".join(f"<th{kind}>{escape(text)}</th>" for (text, _), kind in zip(heads, classes, strict=True))
    lines = (
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, classes, strict=True)) + "</tr>"
        for row in rows
    )
    return "\n".join([f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>", *lines, "</tbody>\n</table>"])


def badge(text: str, kind: str) -> str:
    """A coloured word. kind: "met", "warning" or "critical"."""
    return f'<span class="badge {kind}">{escape(text)}</span>'


def breakable(name: str) -> str:
    """A long name that may be broken at its underscores."""
    return escape(name).replace("_", "_<wbr>")


def paragraph(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'
