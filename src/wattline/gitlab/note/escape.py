"""Foreign text as Markdown that does nothing: no mention, no command, no markup, no link."""

import re
import unicodedata
from urllib.parse import quote, urlsplit

LONGEST = 2000
"""Characters of one reason or name; a longer one is cut, and says so."""
JOINER = "\u2060"
"""Takes no room, and ends what GitLab would take for a name after @, # and the like, or for an address."""
MARKUP = re.compile(r"([\\`*_{}\[\]#!|~$^@])")
REFERENCE = re.compile(r"[@#!~%$&^:*](?=[\w\"/])|\[(?=[a-z])|(?<=www)\.", re.IGNORECASE)
HARMLESS = re.compile(r"[\w./ -]*[\w./-]")


def plain(text: str) -> str:
    """`text` on one line, to be read as it stands. It must not be the first thing on a line."""
    marked = REFERENCE.sub(lambda found: f"{found[0]}{JOINER}", _line(text))
    escaped = MARKUP.sub(r"\\\1", marked)
    return escaped.replace("&", "&amp;").replace("<", "&lt;")


def code(text: str) -> str:
    """`text` on one line as code, in a table too, where GitLab looks for no mention and no reference.

    Between backticks where they do; else every character that could mean something is an entity.
    """
    line = _line(text)
    if HARMLESS.fullmatch(line):
        return f"`{line}`"
    return "<code>" + re.sub(r"[^A-Za-z0-9 ]", lambda found: f"&#{ord(found[0])};", line) + "</code>"


def link(text: str, address: str | None) -> str:
    """A link that says `text`, which is ours; only the text where there is no address of a page."""
    if not address or urlsplit(address).scheme not in ("http", "https"):
        return text
    return f"[{text}](<{quote(address, safe=':/?#@!$&*+,;=%~-._')}>)"


def commandless(body: str) -> str:
    """`body` in which no line is a quick action of GitLab."""
    return re.sub(r"^(\s*)/", rf"\1{JOINER}/", body, flags=re.MULTILINE)


def _line(text: str) -> str:
    """Without line breaks and what cannot be seen, which may turn the reading direction."""
    seen = (" " if unicodedata.category(one) in ("Cc", "Zl", "Zp") else one for one in text[: 2 * LONGEST])
    shown = " ".join("".join(one for one in seen if unicodedata.category(one) not in ("Cf", "Cs", "Co")).split())
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]} ... (cut, {len(text):,} characters)"
