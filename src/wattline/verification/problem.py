"""What is wrong with the bytes in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Problem:
    """A file or an object that is not what its record says.

    place: the file here, or the object of a cache or remote
    output: the output that it belongs to, as it is typed
    expected: MD5 on record; "" for a file that no record knows
    found: MD5 of what is there; "" where there is nothing
    cause: why it cannot be read, or what else is wrong with it, in words
    remedy: what to do
    """

    place: str
    output: str
    expected: str
    found: str
    remedy: str
    cause: str = ""

    @property
    def missing(self) -> bool:
        """Whether there is nothing at all, which is no damage."""
        return not self.found and not self.cause

    def __str__(self) -> str:
        of = "" if self.place == self.output else f" of {self.output}"
        if self.cause:
            said = self.cause
        elif self.missing:
            said = f"is missing, MD5 {self.expected}"
        elif not self.expected:
            said = f"is on no record, MD5 {self.found}"
        else:
            said = f"has MD5 {self.found}, on record is {self.expected}"
        return f"{self.place}{of} {said}; {self.remedy}"
