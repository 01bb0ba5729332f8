"""Text in a shell script: nothing that a profile says is read as a command."""

import re
import shlex
from collections.abc import Iterable

VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
SPECIAL = re.compile(r'[\\"$`]')


def words(command: Iterable[str]) -> str:
    """A command whose words stay as they are."""
    return shlex.join(command)


def expanded(text: str) -> str:
    """`text` as one word, in which $NAME and ${NAME} are filled in on the node; one that is not set there is an error.

    Everything else is taken literally, $(...) and quotes too.
    """
    pieces, end = [], 0
    for found in VARIABLE.finditer(text):
        pieces.append(SPECIAL.sub(r"\\\g<0>", text[end : found.start()]))
        pieces.append(f"${{{found[1] or found[2]}}}")
        end = found.end()
    pieces.append(SPECIAL.sub(r"\\\g<0>", text[end:]))
    return f'"{"".join(pieces)}"'


def commented(text: str) -> str:
    """`text` on one line, for a comment."""
    return " ".join(text.split())
