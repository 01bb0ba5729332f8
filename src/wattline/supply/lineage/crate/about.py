"""What is said of a research object as a whole."""

from pydantic import AwareDatetime, Field

from wattline.records import Record


class About(Record):
    """What is said of the whole.

    licence: an SPDX identifier, an address, or the licence in words
    owner: the organisation that answers for the version; home: its address, where it has one
    author: the person who made it; without one it is the owner
    repository: address of the code, where others can reach it
    """

    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    published: AwareDatetime
    licence: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    home: str | None = Field(default=None, pattern="^https?://[^ ]+$")
    author: str | None = None
    repository: str | None = None
