"""validate: refuse rows that the platform or the task does not expect, naming column, rule, count and first rows."""

from collections.abc import Sequence

from wattline import files, splits
from wattline.errors import InputError
from wattline.params import ValidateParams
from wattline.quality import docs, expectations, rules, tables
from wattline.quality.expectations import Outcome
from wattline.quality.findings import finding, layout_finding
from wattline.records import Dataset, Finding, Validation
from wattline.task import Expectation, Task

PAGE = files.REPORTS / "validate" / "index.html"


def run(*, validate: ValidateParams, task: Task) -> None:
    """Write reports/validate.json and its page, then raise InputError when a critical expectation is not met."""
    dataset = splits.read_dataset()
    tables.verify(dataset)
    asked = task.expectations(dataset)
    expectations.check(asked, columns=[*tables.ADDED, *(column.name for column in dataset.columns)])
    outcomes, findings = examine(dataset, asked, first_rows=validate.first_rows)
    validation = Validation(
        data=dataset.id,
        rows=dataset.rows,
        units=len(dataset.units),
        expectations=1 + len(outcomes),
        findings=tuple(sorted(findings, key=lambda found: found.severity)),
    )
    with files.replace_directory(PAGE.parent) as folder:
        files.write_text(folder / PAGE.name, docs.render(dataset, validation, outcomes))
    files.write_report("validate", validation)
    refuse(validation)


def examine(dataset: Dataset, asked: Sequence[Expectation], *, first_rows: int) -> tuple[list[Outcome], list[Finding]]:
    """Outcomes of all expectations, and what does not meet them. With a wrong layout nothing else is looked at."""
    differences = list(tables.layout_differences(dataset))
    if differences:
        return [], [layout_finding(differences, units=len(dataset.units), first_rows=first_rows)]
    rows, units = tables.read(dataset)
    outcomes, findings = [], []
    for table, wanted in ((units, rules.rules_for_units()), (rows, (*rules.rules_for_rows(dataset), *asked))):
        found = expectations.evaluate(table, wanted, first_rows=first_rows)
        outcomes += found
        findings += [finding(outcome, table) for outcome in found if not outcome.passed]
    return outcomes, findings


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
