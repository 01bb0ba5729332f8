"""Takes a stranger's Arrow IPC stream apart, down to the buffers of its columns.

The Rust reader that would do this ends the whole process when a buffer lies outside of its message. So it gets no
stream from outside: whatever an offset or a length can say is compared with the bytes that are there, here.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from wattline.serving.protocol.arrow_schema import VIEWS, Field, fields_of
from wattline.serving.protocol.flatbuffer import Table, damaged, number
from wattline.serving.refusal import RefusedError

MARKER = b"\xff\xff\xff\xff"
FILE_FORMAT = b"ARROW1"
VERSION_4 = 3
SCHEMA, DICTIONARY, RECORDS = 1, 2, 3
LARGEST_METADATA = 1 << 20
MOST_MESSAGES = 4096
BUFFERS = {"Null": 0, "Binary": 3, "Utf8": 3, "LargeBinary": 3, "LargeUtf8": 3}
"""Validity, offsets, values. All others have no offsets, and views have a buffer more for each that they say."""
Message = tuple[int, Table, memoryview]


class Chunk(NamedTuple):
    """Rows of one column in one batch.

    buffers: as they lie in the stream: validity (empty: nothing is missing), then offsets or values
    dictionary: what the values are places in, for a column with a dictionary
    """

    field: Field
    rows: int
    buffers: list[memoryview]
    dictionary: "Chunk | None" = None


class Stream:
    """One stream, read from its beginning to its end once.

    fields: the columns that it announces
    """

    def __init__(self, body: bytes) -> None:
        """Read the schema. Raises RefusedError 400 for anything but a stream."""
        if body.startswith(FILE_FORMAT):
            raise RefusedError("the body is an Arrow file; send an Arrow IPC stream")
        self._messages = _messages(body)
        first = next(self._messages, None)
        if first is None or first[0] != SCHEMA:
            raise RefusedError("the stream does not begin with its schema")
        self.fields: list[Field] = fields_of(first[1])

    def batches(self, wanted: Collection[str], *, maximum_rows: int) -> Iterator[dict[str, Chunk]]:
        """The `wanted` columns of each batch that has rows. Raises RefusedError: 400 for a stream that is damaged.

        maximum_rows: of all batches together; also the longest dictionary
        """
        dictionaries: dict[int | None, Chunk] = {}
        rows = 0
        for kind, header, body in self._messages:
            if kind == DICTIONARY:
                self._dictionary(header, body, dictionaries, maximum_rows)
                continue
            if kind != RECORDS:
                raise RefusedError("the stream must hold one schema, dictionaries and record batches, nothing else")
            found = _chunks(self.fields, header, body)
            here = header.number(0, "<q")
            rows += here
            if rows > maximum_rows:
                raise RefusedError(f"the table has more than {maximum_rows} rows; send it in parts", status=422)
            if here:
                yield {
                    name: chunk._replace(dictionary=dictionaries.get(chunk.field.dictionary))
                    for name, chunk in found.items()
                    if name in wanted
                }

    def _dictionary(self, header: Table, body: memoryview, known: dict[int | None, Chunk], maximum_rows: int) -> None:
        place, batch = header.number(0, "<q"), header.table(1)
        mine = [field for field in self.fields if field.dictionary == place]
        if batch is None or not mine:
            raise damaged("a dictionary belongs to no column")
        name = mine[0].name
        if header.number(2, "<B"):
            raise RefusedError(f"column {name} has a dictionary in parts; send it whole")
        if batch.number(0, "<q") > maximum_rows:
            raise RefusedError(f"the dictionary of column {name} has more than {maximum_rows} entries", status=422)
        known[place] = _chunks([mine[0]._replace(dictionary=None)], batch, body)[name]


def _messages(body: bytes) -> Iterator[Message]:
    """Kind, header and body of each message, up to the end of the stream, which must be there."""
    at = 0
    for _ in range(MOST_MESSAGES):
        if body[at : at + 4] != MARKER:
            what = (
                "ends before its end-of-stream marker; close the writer" if len(body) - at < 4 else "is no Arrow stream"
            )
            raise RefusedError(f"the body {what}")
        length, at = number(body, "<i", at + 4), at + 8
        if length == 0:
            if at != len(body):
                raise RefusedError(f"{len(body) - at} bytes follow the end of the stream")
            return
        if not 0 < length <= min(LARGEST_METADATA, len(body) - at):
            raise RefusedError(
                f"the stream ends in a message, or one has more than {LARGEST_METADATA} bytes of metadata"
            )
        message, at = Table.root(body[at : at + length]), at + length
        header, size = message.table(2), message.number(3, "<q")
        if not 0 <= size <= len(body) - at:
            raise RefusedError(f"the stream ends in a message: its body has {size} bytes, {len(body) - at} follow")
        if header is None or message.number(0, "<h") < VERSION_4:
            raise RefusedError("the stream is of a version before Arrow 1.0; write it with a newer library")
        yield message.number(1, "<B"), header, memoryview(body)[at : at + size]
        at += size
    raise RefusedError(f"the stream has more than {MOST_MESSAGES} messages; send fewer, larger batches", status=422)


def _chunks(fields: list[Field], batch: Table, body: memoryview) -> dict[str, Chunk]:
    """Every column of one batch; its buffers lie in `body`, and not twice in the same place."""
    if batch.table(3) is not None:
        raise RefusedError("the buffers of the stream are compressed; write it without, use Content-Encoding instead")
    rows, nodes, buffers = batch.number(0, "<q"), batch.structs(1, "<qq"), batch.structs(2, "<qq")
    views = iter(batch.structs(4, "<q"))
    if rows < 0 or len(nodes) != len(fields) or any(length != rows for length, _ in nodes):
        raise damaged("a batch does not have the columns and rows that it announces")
    if any(min(offset, size) < 0 or offset + size > len(body) for offset, size in buffers):
        raise damaged("a buffer lies outside of its message")
    if sum(size for _, size in buffers) > len(body):
        raise damaged("buffers overlap")
    found: dict[str, Chunk] = {}
    place = 0
    for field in fields:
        count = 2 if field.dictionary is not None else BUFFERS.get(field.type, 2)
        if field.type in VIEWS and field.dictionary is None:
            count += next(views, (len(buffers),))[0]
        mine = buffers[place : place + count]
        if count < 0 or len(mine) != count:
            raise damaged(f"column {field.name} lacks buffers")
        place += count
        found[field.name] = Chunk(field, rows, [body[offset : offset + size] for offset, size in mine])
    return found
