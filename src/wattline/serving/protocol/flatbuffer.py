"""Reads FlatBuffers of strangers: every position is compared with the buffer's length before it is used."""

import struct
from typing import Any

from wattline.serving.refusal import RefusedError


def damaged(what: str) -> RefusedError:
    """A refusal of metadata that contradict themselves or their stream."""
    return RefusedError(f"the Arrow stream is damaged: {what}; send it again")


def number(data: bytes, form: str, at: int) -> Any:
    """The number at `at`, of a format of `struct` with one value. Raises RefusedError where `data` ends before it."""
    if at < 0 or at + struct.calcsize(form) > len(data):
        raise damaged(f"its metadata points to byte {at} of {len(data)}")
    return struct.unpack_from(form, data, at)[0]


class Table:
    """One table. Fields are known by their number in the schema; one that is absent has its default."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data, self._at = data, at
        self._fields = at - number(data, "<i", at)
        self._size = number(data, "<H", self._fields)

    @classmethod
    def root(cls, data: bytes) -> "Table":
        """The outermost table of `data`."""
        return cls(data, number(data, "<I", 0))

    def number(self, field: int, form: str, *, default: int = 0) -> int:
        """An integer of a format of `struct`."""
        at = self._place(field)
        return int(number(self._data, form, at)) if at else default

    def table(self, field: int) -> "Table | None":
        """A table inside this one, or None."""
        at = self._place(field)
        return Table(self._data, self._target(at)) if at else None

    def text(self, field: int) -> str | None:
        """A string, or None."""
        at = self._place(field)
        if not at:
            return None
        start, length = self._vector(at, size=1)
        try:
            return self._data[start : start + length].decode()
        except UnicodeDecodeError:
            raise damaged("a name is not UTF-8") from None

    def tables(self, field: int, *, most: int) -> list["Table"]:
        """A list of up to `most` tables."""
        at = self._place(field)
        if not at:
            return []
        start, length = self._vector(at, size=4)
        if length > most:
            raise damaged(f"its metadata lists {length} things where {most} are the most")
        return [Table(self._data, self._target(start + 4 * place)) for place in range(length)]

    def structs(self, field: int, form: str) -> list[tuple[int, ...]]:
        """A list of structs, each of a format of `struct`."""
        at = self._place(field)
        if not at:
            return []
        size = struct.calcsize(form)
        start, length = self._vector(at, size=size)
        return list(struct.iter_unpack(form, self._data[start : start + size * length]))

    def _place(self, field: int) -> int:
        entry = 4 + 2 * field
        if entry + 2 > self._size:
            return 0
        offset = int(number(self._data, "<H", self._fields + entry))
        return self._at + offset if offset else 0

    def _target(self, at: int) -> int:
        return at + int(number(self._data, "<I", at))

    def _vector(self, at: int, *, size: int) -> tuple[int, int]:
        """Start and length of the vector that `at` points to; all of it lies in the buffer."""
        start = self._target(at)
        length = int(number(self._data, "<I", start))
        if start + 4 + size * length > len(self._data):
            raise damaged("its metadata ends in a list")
        return start + 4, length
