"""validate: refuse rows that the platform or the task does not expect, naming column, rule, count and first rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from wattline import files, quarantine, splits
from wattline.errors import InputError
from wattline.params import ValidateParams
from wattline.quality import docs, expectations, offenders, rules, tables
from wattline.quality.findings import finding, layout_finding
from wattline.quality.outcome import Outcome
from wattline.records import Dataset, Finding, Quarantine, Validation
from wattline.task import Expectation, Task

PAGE = files.REPORTS / "validate" / "index.html"


def run(*, validate: ValidateParams, task: Task) -> None:
    """Write reports/validate.json, its page and data/quarantine.

    Raises InputError after that when a critical expectation is not met by the rows that are left.
    """
    dataset = splits.read_dataset()
    tables.verify(dataset)
    asked = task.expectations(dataset)
    expectations.check(asked, columns=[*tables.ADDED, *(column.name for column in dataset.columns)])
    found = examine(dataset, asked, validate)
    validation = Validation(
        data=dataset.id,
        rows=dataset.rows,
        units=len(dataset.units),
        expectations=1 + len(found.outcomes),
        findings=tuple(sorted(found.findings, key=lambda one: (one.severity, one.quarantined))),
        quarantined=found.taken.rows,
    )
    with files.replace_directory(PAGE.parent) as folder:
        files.write_text(folder / PAGE.name, docs.render(dataset, validation, found.outcomes, found.taken))
    files.write_report("validate", validation)
    refuse(validation)


@dataclass(frozen=True)
class Examined:
    """Outcomes of all expectations, what does not meet them, and the rows that were taken out for it."""

    outcomes: list[Outcome]
    findings: list[Finding]
    taken: Quarantine


def examine(dataset: Dataset, asked: Sequence[Expectation], validate: ValidateParams) -> Examined:
    """Look at the rows, and write data/quarantine. With a wrong layout nothing else is looked at."""
    differences = list(tables.layout_differences(dataset))
    if differences:
        wrong = layout_finding(differences, units=len(dataset.units), first_rows=validate.first_rows)
        return Examined([], [wrong], quarantine.write(dataset, {}))
    rows, units = tables.read(dataset)
    of_units = expectations.evaluate(units, rules.rules_for_units(), first_rows=validate.first_rows)
    wanted = (*rules.rules_for_rows(dataset), *asked)
    of_rows = expectations.evaluate(rows, wanted, first_rows=validate.first_rows)
    chosen = [outcome for outcome in of_rows if validate.quarantine.mode == "rows" and offenders.names_rows(outcome)]
    taken = quarantine.write(dataset, offenders.reasons(rows, chosen))
    findings = [finding(outcome, units) for outcome in of_units if not outcome.passed]
    findings += [finding(outcome, rows, quarantined=outcome in chosen) for outcome in of_rows if not outcome.passed]
    findings += offenders.excess(taken, dataset, maximum_share=validate.quarantine.maximum_share)
    return Examined([*of_units, *of_rows], findings, taken)


def refuse(validation: Validation) -> None:
    """Raise InputError with one line about the first critical finding, if there is any."""
    critical = validation.failures("critical")
    if not critical:
        return
    first = critical[0]
    where = f"column {first.column}" if first.column else "the table"
    row = f", first {first.first_rows[0]}" if first.first_rows else ""
    more = f"; {len(critical) - 1} more critical findings" if len(critical) > 1 else ""
    raise InputError(
        f"{where}: {first.rule} fails {first.count:,} times ({first.share:.3%}){row}{more}; "
        f"see {PAGE} and correct the source"
    )
