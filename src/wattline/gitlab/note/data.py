"""The rows that it all rests on, and whether they are those of the target branch."""

from collections.abc import Iterator

from wattline.gitlab.note.escape import code
from wattline.gitlab.note.figures import number
from wattline.gitlab.note.known import Known
from wattline.gitlab.note.reports import Ingested
from wattline.gitlab.note.tables import table


def data(known: Known) -> str:
    """What they are, and what changed in them."""
    now, before = known.now.ingested, known.before.ingested
    if now is None:
        return f"### Data\n\nNot known: {code('reports/ingest.json')} is missing or cannot be read."
    said = [f"{code(now.dataset)}, id {code(now.data[:12])}: {_extent(now)}.", *_validated(known)]
    if before is None:
        said.append("Whether that changed is not known: the target branch has no readable `reports/ingest.json`.")
    elif now.data == before.data:
        said.append("The same rows as on the target branch.")
    else:
        said.append(f"**Other rows than on the target branch:**\n\n{_changes(now, before)}")
    return "\n\n".join(["### Data", " ".join(said[:-1]), said[-1]])


def _extent(rows: Ingested) -> str:
    return f"{rows.rows:,} rows of {rows.units:,} units over {number(rows.span_days)} days"


def _validated(known: Known) -> Iterator[str]:
    validation = known.now.validation
    if validation is None:
        yield "Their validation is missing or unreadable."
        return
    critical, warnings = len(validation.failures("critical")), len(validation.failures("warning"))
    if critical or warnings:
        yield f"Of {validation.expectations} expectations {critical} critical and {warnings} other ones are not met."
    else:
        left = " by the rows that are left" if validation.quarantined else ""
        yield f"All {validation.expectations} expectations are met{left}."
    if validation.quarantined:
        yield f"{validation.quarantined:,} rows are in quarantine: they break critical ones, and no stage uses them."


def _changes(now: Ingested, before: Ingested) -> str:
    rows = [
        ("dataset", code(now.dataset), code(before.dataset), ""),
        ("id", code(now.data[:12]), code(before.data[:12]), ""),
        ("rows", f"{now.rows:,}", f"{before.rows:,}", number(now.rows - before.rows, signed=True)),
        ("units", f"{now.units:,}", f"{before.units:,}", number(now.units - before.units, signed=True)),
        (
            "span [d]",
            number(now.span_days),
            number(before.span_days),
            number(now.span_days - before.span_days, signed=True),
        ),
    ]
    return table(("", "Now", "Target branch", "Difference"), rows, right=(1, 2, 3))
