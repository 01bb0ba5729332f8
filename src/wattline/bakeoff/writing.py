"""reports/bakeoff: the record, a table that a person reads, and a picture."""

from wattline import files
from wattline.bakeoff import choosing, table
from wattline.bakeoff.record import Bakeoff
from wattline.errors import IntegrityError

FOLDER = files.REPORTS / "bakeoff"
RECORD, TABLE, PICTURE = "bakeoff.json", "bakeoff.md", "pareto.png"


def write(found: Bakeoff) -> None:
    """Write all three, in one step."""
    with files.replace_directory(FOLDER) as folder:
        files.write_text(folder / RECORD, found.to_json())
        files.write_text(folder / TABLE, table.page(found))


def read() -> Bakeoff:
    """The record that was written last. Raises InputError where there is none."""
    return files.read_record(FOLDER / RECORD, Bakeoff)


def check() -> Bakeoff:
    """Choose again, from the figures in the record alone. Raises IntegrityError when something else was written."""
    found = read()
    again = choosing.choose(found.entrants, found.rule, headline=found.headline)
    if again != found.choice:
        was, now = (f"{one.name} of {', '.join(one.ranked) or 'none'}" for one in (found.choice, again))
        raise IntegrityError(f"{FOLDER / RECORD} says {was}, its figures say {now}; run `wattline bakeoff` again")
    if (FOLDER / TABLE).read_text() != table.page(found):
        raise IntegrityError(f"{FOLDER / TABLE} does not say what {RECORD} says; run `wattline bakeoff` again")
    return found
