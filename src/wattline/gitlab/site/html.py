"""Pieces of a page that stand alone: no script, and nothing that is fetched from another place."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from wattline.gitlab.site.style import STYLE

POLICY = (
    "default-src 'none'; img-src 'self' data: file:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""What a browser may load for a page, whatever a name in it says."""

Tone = Literal["good", "bad", "unsure"]


@dataclass(frozen=True)
class Cell:
    """One cell of a table. html: its content, escaped; kind: CSS classes; head: whether it names its row"""

    html: str
    kind: str = ""
    head: bool = False


def page(title: str, *parts: str, links: Iterable[tuple[str, str]] = (), subtitle: str = "", footer: str = "") -> str:
    """A whole page.

    parts: HTML; title, subtitle, footer: text
    links: pairs (address, text) of the other pages
    """
    menu = "".join(f"<li>{link(address, text)}</li>" for address, text in links)
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="referrer" content="no-referrer">',
            f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>",
            '<a class="skip" href="#content">To the content</a>',
            f'<header>\n<h1>{escape(title)}</h1>\n<p class="soft">{escape(subtitle)}</p>',
            f'<nav aria-label="Pages"><ul>{menu}</ul></nav>\n</header>\n<main id="content">',
            *parts,
            f"</main>\n<footer>{escape(footer)}</footer>\n</body>\n</html>\n",
        ]
    )


def section(title: str, *parts: str) -> str:
    """A part of a page below its own title; nothing where there is nothing to show."""
    inner = "\n".join(part for part in parts if part)
    return f"<section>\n<h2>{escape(title)}</h2>\n{inner}\n</section>" if inner else ""


def table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[Cell]], *, stack: bool = False) -> str:
    """A table that scrolls by itself where the screen is narrow.

    caption: what it shows, for who cannot see it
    stack: on a narrow screen, each row becomes a list of its cells instead
    """
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = "\n".join("<tr>" + "".join(map(_cell, row, heads)) + "</tr>" for row in rows)
    kind = ' class="stack"' if stack else ""
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(caption)}">\n<table{kind}>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>\n</div>"
    )


def _cell(cell: Cell, head: str) -> str:
    kind = f' class="{cell.kind}"' if cell.kind else ""
    if cell.head:
        return f'<th scope="row"{kind}>{cell.html}</th>'
    return f'<td{kind} data-label="{escape(head)}">{cell.html}</td>'


def text(value: str, kind: str = "") -> Cell:
    """A cell with text."""
    return Cell(escape(value), kind)


def badge(word: str, tone: Tone) -> str:
    """A word that its colour repeats."""
    return f'<span class="badge {tone}">{escape(word)}</span>'


def answer(said: str, tone: Tone, *reasons: str) -> str:
    """The one sentence that a reader came for, and why."""
    more = "".join(f"<p>{escape(reason)}</p>" for reason in reasons)
    return f'<div class="answer {tone}" role="status"><p class="said">{escape(said)}</p>{more}</div>'


def figures(entries: Iterable[tuple[str, str, str]]) -> str:
    """Figures side by side: what it is, its value with the unit, and where it comes from."""
    cards = "\n".join(
        f'<div><dt>{escape(name)}</dt><dd class="value">{escape(value)}</dd><dd class="note">{escape(note)}</dd></div>'
        for name, value, note in entries
    )
    return f'<dl class="figures">\n{cards}\n</dl>' if cards else ""


def picture(source: str, *, shows: str, title: str) -> str:
    """A plot. shows: what is seen in it, for who cannot see it; title: what it says"""
    image = f'<img src="{escape(source)}" alt="{escape(shows)}" loading="lazy">'
    return f'<figure><a href="{escape(source)}">{image}</a><figcaption>{escape(title)}</figcaption></figure>'


def link(address: str, words: str) -> str:
    """A link to a page of the site, or over HTTP; only the words where the address is anything else."""
    scheme, colon, _ = address.partition(":")
    if colon and scheme.lower() not in ("http", "https"):
        return escape(words)
    return f'<a href="{escape(address)}">{escape(words)}</a>'


def paragraph(words: str, kind: str = "soft") -> str:
    return f'<p class="{kind}">{escape(words)}</p>' if words else ""


def bullets(items: Iterable[str]) -> str:
    """A list. items: HTML"""
    inner = "".join(f"<li>{item}</li>" for item in items)
    return f"<ul>{inner}</ul>" if inner else ""
