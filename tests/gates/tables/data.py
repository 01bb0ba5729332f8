from ..cases import Asked
from ..samples import LIMITS, finding, validation

CRITICAL = finding("critical")
WARNING = finding("warning")
L = LIMITS.data


def case(promise, evidence, outcome, *figures, says=(), silent=(), unit=None):
    return Asked(promise, "data", (evidence, L), outcome, *figures, says=says, silent=silent, unit=unit)


CASES = (
    case(
        "good rows pass",
        validation(),
        "PASS",
        1000,
        100,
        says=("rows 1,000 >= 100: 4 units, 12 expectations", "12 expectations"),
        silent=("quarantine",),
    ),
    case(
        "rows in quarantine are told and do not count",
        validation(rows=102, quarantined=2),
        "PASS",
        100,
        100,
        says=("0 warnings, 2 rows in quarantine",),
    ),
    case(
        "too many rows in quarantine leave too few", validation(rows=102, quarantined=3), "FAIL", 99, 100, unit="rows"
    ),
    case(
        "a finding whose rows are in quarantine fails nothing",
        validation(findings=(CRITICAL.model_copy(update={"quarantined": True}),), quarantined=3),
        "PASS",
        997,
        100,
    ),
    case("no validation fails", None, "FAIL", says=("reports/validate.json is missing", "dvc repro validate")),
    case("a validation without expectations fails", validation(expectations=0), "FAIL", says=("no expectation",)),
    case("one expectation is a validation", validation(expectations=1), "PASS", 1000, 100),
    case(
        "one critical finding fails, named with rule, column, count and share",
        validation(findings=(CRITICAL,)),
        "FAIL",
        1,
        0,
        says=(
            "critical findings 1 > 0: first expect_column_values_to_not_be_null on power_watts",
            "3 times",
            "(6.25%)",
        ),
    ),
    case(
        "of three critical findings the first is named",
        validation(
            findings=(finding("critical", "first"), finding("critical", "second"), finding("critical", "third"))
        ),
        "FAIL",
        3,
        0,
        says=("first first on",),
    ),
    case(
        "as many warnings as are allowed pass", validation(findings=(WARNING,)), "PASS", 1000, 100, says=("1 warnings",)
    ),
    case(
        "one warning too many fails",
        validation(findings=(WARNING, WARNING)),
        "FAIL",
        2,
        1,
        says=("warnings 2 > 1: first expect_column",),
        unit="warnings",
    ),
    case(
        "a critical finding outranks warnings",
        validation(findings=(WARNING, WARNING, CRITICAL)),
        "FAIL",
        1,
        0,
        says=("critical",),
        unit="critical findings",
    ),
    case("exactly enough units pass", validation(units=2), "PASS", 1000, 100),
    case(
        "a unit too few fails", validation(units=1), "FAIL", 1, 2, says=("units 1 < 2: 12 expectations",), unit="units"
    ),
    case("exactly enough rows pass", validation(rows=100), "PASS", 100, 100),
    case("a row too few fails", validation(rows=99), "FAIL", 99, 100, says=("rows 99 < 100",), unit="rows"),
    case("no rows fail", validation(rows=0), "FAIL", 0, 100),
)
