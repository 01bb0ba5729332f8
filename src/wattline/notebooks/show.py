"""What a cell ends with: tables, pictures and sentences, which Jupyter shows; equal ones are equal bytes."""

import base64
import html
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

Cell = str | int | float | None


class Table(NamedTuple):
    """Rows below headers; a unit belongs into a header, in brackets."""

    headers: Sequence[str]
    rows: Sequence[Sequence[Cell]]

    def __repr__(self) -> str:
        return "\n".join("\t".join(line) for line in [list(self.headers), *self._texts()])

    def _repr_html_(self) -> str:
        """Called by Jupyter."""
        head = "".join(f"<th>{html.escape(one)}</th>" for one in self.headers)
        body = "".join(
            f"<tr>{''.join(map(_cell, row, texts))}</tr>\n" for row, texts in zip(self.rows, self._texts(), strict=True)
        )
        return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"

    def _texts(self) -> list[list[str]]:
        return [[_text(one) for one in row] for row in self.rows]


def _cell(cell: Cell, text: str) -> str:
    """Words to the left, figures to the right, where Jupyter puts everything."""
    aligned = ' style="text-align: left"' if isinstance(cell, str) else ""
    return f"<td{aligned}>{html.escape(text)}</td>"


def _text(cell: Cell) -> str:
    if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
        return "-"
    if isinstance(cell, float):
        return f"{cell:.4g}"
    return f"{cell:,}" if isinstance(cell, int) else cell


class Picture(NamedTuple):
    """A PNG, and in words what it shows."""

    png: bytes
    words: str

    def __repr__(self) -> str:
        return self.words

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """Called by Jupyter."""
        content = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.words}
        return content, {"image/png": {"alt": self.words}}


class Sentence(NamedTuple):
    """A line of prose."""

    words: str

    def __repr__(self) -> str:
        return self.words

    def _repr_html_(self) -> str:
        """Called by Jupyter."""
        return f"<p>{html.escape(self.words)}</p>"
