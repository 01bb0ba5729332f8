"""The columns that an Arrow stream announces: flat ones, by name and type."""

from typing import NamedTuple

from wattline.serving.protocol.flatbuffer import Table, damaged
from wattline.serving.protocol.jsontext import shown
from wattline.serving.refusal import RefusedError

MOST_COLUMNS = 4096
FLAT = {
    1: "Null",
    2: "Int",
    3: "FloatingPoint",
    4: "Binary",
    5: "Utf8",
    6: "Bool",
    7: "Decimal",
    8: "Date",
    9: "Time",
    10: "Timestamp",
    11: "Interval",
    15: "FixedSizeBinary",
    18: "Duration",
    19: "LargeBinary",
    20: "LargeUtf8",
    23: "BinaryView",
    24: "Utf8View",
}
"""Types whose values are not columns again, by their number in Arrow's schema."""
VIEWS = frozenset(("BinaryView", "Utf8View"))
TEXTS = frozenset(("Utf8", "LargeUtf8", "Utf8View"))
WIDTHS = {8: 1, 16: 2, 32: 4, 64: 8}
FLOATS = ("<f2", "<f4", "<f8")
TIME_UNITS = ("s", "ms", "us", "ns")


class Field(NamedTuple):
    """One column.

    type: one of FLAT; that of the entries, where there is a dictionary
    dtype: NumPy's name for the numbers in its values; for the places in its dictionary, where there is one; or empty
    unit, zone: of a timestamp
    dictionary: number of its dictionary, or None
    """

    name: str
    type: str
    dtype: str = ""
    unit: str = ""
    zone: str = ""
    dictionary: int | None = None


def fields_of(schema: Table) -> list[Field]:
    """The columns in `schema`, in their order. Raises RefusedError naming one that is not flat, or given twice."""
    if schema.number(0, "<h"):
        raise RefusedError("the stream is big-endian; write it on a little-endian machine, or convert it")
    tables = schema.tables(1, most=MOST_COLUMNS)
    fields = [_field(table) for table in tables]
    names: set[str] = set()
    for field in fields:
        if field.name in names:
            raise RefusedError(f"column {shown(field.name)} is given twice", status=422)
        names.add(field.name)
    return fields


def _field(table: Table) -> Field:
    name, details = table.text(0) or "", table.table(3)
    kind = FLAT.get(table.number(2, "<B"))
    if kind is None:
        raise RefusedError(f"column {shown(name)} holds lists, structs or the like; send flat columns", status=422)
    if details is None:
        raise damaged(f"column {shown(name)} has no type")
    encoding = table.table(4)
    if encoding is not None:
        index = encoding.table(1)
        dtype = "<i4" if index is None else _integer(index)
        return Field(name, kind, dtype, dictionary=encoding.number(0, "<q"))
    if kind == "Int":
        return Field(name, kind, _integer(details))
    if kind == "FloatingPoint":
        return Field(name, kind, _of(FLOATS, details.number(0, "<h")))
    if kind == "Timestamp":
        return Field(name, kind, "<i8", _of(TIME_UNITS, details.number(0, "<h")), details.text(1) or "")
    return Field(name, kind)


def _integer(details: Table) -> str:
    width = details.number(0, "<i")
    if width not in WIDTHS:
        raise damaged(f"there are integers of {width} bits")
    return f"<{'i' if details.number(1, '<B') else 'u'}{WIDTHS[width]}"


def _of(names: tuple[str, ...], place: int) -> str:
    if not 0 <= place < len(names):
        raise damaged(f"there is a type of an unknown width or unit, {place}")
    return names[place]
