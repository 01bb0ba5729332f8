"""How much of an archive is looked at."""

from pydantic import Field

from wattline.records import Record

OCTAL = 8 * 1024**3
"""The header of a plain tar has no room for a larger size [bytes]."""


class Limits(Record):
    """Bounds on what is read of an archive, whatever its headers say.

    members: files in it, with the manifest
    member_bytes: of one file; no ONNX graph is larger than the default
    text_bytes: of one file that is read into memory: records, cards, history
    total_bytes: of the archive
    """

    members: int = Field(default=256, ge=1)
    member_bytes: int = Field(default=2 * 1024**3, ge=1, lt=OCTAL)
    text_bytes: int = Field(default=64 * 1024**2, ge=1)
    total_bytes: int = Field(default=4 * 1024**3, ge=1)

    def of(self, name: str) -> int:
        """Most bytes that the file `name` may have."""
        binary = name.endswith((".onnx", ".safetensors"))
        return self.member_bytes if binary else min(self.text_bytes, self.member_bytes)
