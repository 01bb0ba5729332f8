"""reports/bakeoff: the record, a table that a person reads, and a picture."""

from wattline import charts, files
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
        files.write_bytes(folder / PICTURE, picture(found))


def picture(found: Bakeoff) -> bytes:
    """Energy against the headline, with what the rule asks for."""
    points = choosing.points(found.entrants, chosen=found.choice.name)
    scores = {
        one.name: (one.headline.low, one.headline.high) for one in found.entrants if one.headline and one.performance
    }
    return charts.pareto(
        points,
        [point for point in points if point.name in found.choice.front],
        found.headline,
        title=f"Chosen: {found.choice.reason}" if found.choice.name else found.choice.reason.capitalize(),
        scores=scores,
        budget_joules=found.rule.budget_joules,
        floor=found.rule.floor,
    )


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
