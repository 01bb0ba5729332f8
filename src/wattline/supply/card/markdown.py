"""Pieces of a page: required values and tables, whatever is in a cell."""

from collections.abc import Mapping, Sequence

from wattline.errors import InputError


def required(field: str, value: object) -> str:
    """`value` as text. Raises InputError when there is nothing in it."""
    text = str(value).strip() if value is not None else ""
    if not text or text == "nan":
        raise InputError(f"model card: required field {field} is empty; fill it in before the card is made")
    return text


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; a cell is one line whatever is in it."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(" ".join(cell.split()).replace("|", r"\|") for cell in line) + " |" for line in lines]


def fields(values: Mapping[str, object]) -> list[str]:
    """A table of required fields."""
    return table(["field", "value"], [[name, required(name, value)] for name, value in values.items()])
