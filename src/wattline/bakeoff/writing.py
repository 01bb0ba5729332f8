"""reports/bakeoff: the record, a table that a person reads, and a picture."""

from collections.abc import Iterator

from wattline import charts, files
from wattline.bakeoff import choosing, duel, table
from wattline.bakeoff.record import Bakeoff
from wattline.errors import IntegrityError
from wattline.measuring import turns

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
        title=table.title(found),
        scores=scores,
        budget_joules=found.rule.budget_joules,
        floor=found.rule.floor,
    )


def read() -> Bakeoff:
    """The record that was written last. Raises InputError where there is none."""
    return files.read_record(FOLDER / RECORD, Bakeoff)


def check() -> Bakeoff:
    """Choose again, from the readings in the record alone.

    Raises IntegrityError when energies, choice, verdict or table are not those that follow from them.
    """
    found = read()
    try:
        problem = next(_untrue(found), None)
    except KeyError as error:
        problem = f"{FOLDER / RECORD}: {error} has no readings"
    if problem is not None:
        raise IntegrityError(f"{problem}; run `wattline bakeoff` again")
    return found


def _untrue(found: Bakeoff) -> Iterator[str]:
    """What in the record, or beside it, does not follow from the readings."""
    path = FOLDER / RECORD
    for entrant in found.entrants:
        if entrant.performance is not None and (
            found.turns is None or turns.per_1000(found.turns, entrant.name) != entrant.performance.energy_per_1000
        ):
            yield f"{path}: the energy of {entrant.name} is not that of the readings"
    if found.turns is not None and not found.turns.self_test.passed:
        yield f"{path}: the meter failed its self-test"
    again = choosing.choose(found.entrants, found.rule, headline=found.headline, evidence=found.evidence)
    if again != found.choice:
        was, now = (f"{one.name} of {', '.join(one.ranked) or 'none'}" for one in (found.choice, again))
        yield f"{path} says {was}, its figures say {now}"
    versus = found.versus
    if (versus.name if versus else None) != next(iter(again.ranked[1:2]), None):
        yield f"{path}: the closest competitor is another one"
    if versus and versus.comparison:
        judgement = duel.judged(versus, versus.comparison)
        if judgement.to_json() != versus.comparison.judgement.to_json():
            yield f"{path} says {versus.comparison.judgement.outcome}, the samples of the test say {judgement.outcome}"
    if not (FOLDER / TABLE).is_file() or (FOLDER / TABLE).read_bytes() != table.page(found).encode():
        yield f"{FOLDER / TABLE} does not say what {RECORD} says"
