"""How wide text is in a picture that any viewer may draw in a font of its own, and text that fits a width."""

from rich.cells import get_character_cell_size

FONT = "Verdana, 'DejaVu Sans', sans-serif"
"""The widest of the usual fonts come first: measured for these, text fits in the others."""

WIDTHS = (
    ("ijl.,' f", 0.36),
    (':;I|![]()/tr-"', 0.46),
    ("ckszvxyJ", 0.6),
    ("mwMW@%&+=<>#~", 0.98),
)
"""Widest advance of these characters in those fonts [em]."""


def width(text: str, size: float, *, bold: bool = False) -> float:
    """Width of `text` at most [px], for a font of `size` px."""
    return sum(map(_ems, text)) * size * (1.16 if bold else 1)


def fit(text: str, size: float, room: float, *, bold: bool = False) -> str:
    """`text`, or as much of it as has `room` [px] with an ellipsis."""
    if width(text, size, bold=bold) <= room:
        return text
    while text and width(text + "…", size, bold=bold) > room:
        text = text[:-1]
    return text.rstrip() + "…"


def lines(text: str, size: float, room: float, *, most: int, bold: bool = False) -> list[str]:
    """`text` broken at spaces into at most `most` lines that fit into `room` [px]."""
    words, found = text.split(" "), [""]
    while words:
        joined = f"{found[-1]} {words[0]}".lstrip()
        if found[-1] and width(joined, size, bold=bold) > room:
            if len(found) == most:
                found[-1] = " ".join([found[-1], *words])
                break
            found.append("")
            continue
        found[-1] = joined
        words.pop(0)
    return [fit(line, size, room, bold=bold) for line in found]


def _ems(character: str) -> float:
    if get_character_cell_size(character) > 1:
        return 1.05
    for characters, ems in WIDTHS:
        if character in characters:
            return ems
    if not character.isascii():
        return 0.98
    return 0.78 if character.isupper() else 0.64
