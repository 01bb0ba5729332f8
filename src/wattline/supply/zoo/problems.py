"""What is found wrong with an index."""

from wattline.records import Record

AGAIN = "run `wattline zoo` to write it again"


class Problem(Record):
    """One finding.

    entry: label of the version it is about, or the file
    field: where, dotted; empty for all of it
    note: worth knowing, nothing to mend
    """

    entry: str
    field: str
    text: str
    remedy: str = ""
    note: bool = False

    def __str__(self) -> str:
        place = f"{self.entry}: {self.field}" if self.field else self.entry
        return f"{place} {self.text}" + (f"; {self.remedy}" if self.remedy else "")
