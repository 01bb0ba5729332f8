"""Tables and folded parts in GitLab's Markdown."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """A table. Its cells are Markdown that holds no bar and no line break.

    right: places of columns that hold figures
    """
    figures = set(right)
    rule = ["---:" if place in figures else "---" for place in range(len(head))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def folded(title: str, content: str) -> str:
    """Something to open by a click."""
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"
