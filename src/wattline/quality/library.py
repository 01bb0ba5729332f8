"""Expectations of Great Expectations, run on a table in groups of columns that it is quick with."""

import inspect
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from wattline.errors import InputError
from wattline.quality.outcome import Outcome
from wattline.quality.quiet import quiet
from wattline.task import Expectation

if TYPE_CHECKING:
    import pandas

BOUNDS = ("min_value", "max_value", "value_set")
COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list")
OF_ONE_VALUE = frozenset(
    {
        "expect_column_values_to_be_between",
        "expect_column_values_to_be_in_set",
        "expect_column_values_to_not_be_in_set",
    }
)
"""Rules that look at each value alone, and not at missing ones."""


def evaluate(
    table: "pandas.DataFrame", expectations: Sequence[Expectation], *, first_rows: int | None
) -> list[Outcome]:
    """One outcome for each of `expectations`, in their order; `first_rows` as in wattline.quality.expectations."""
    if not expectations:
        return []
    columns = [str(column) for column in table.columns]
    results: dict[int, Any] = {}
    with quiet():
        import great_expectations
        import pandas

        # The context comes first: the library refuses a suite without one.
        context = great_expectations.get_context(mode="ephemeral")
        context.variables.progress_bars = {"globally": False}
        frames = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
        frame = frames.add_batch_definition_whole_dataframe("rows")
        wanted: dict[str, Any] = {"result_format": "COMPLETE"}
        if first_rows is not None:
            wanted = {"result_format": "SUMMARY", "partial_unexpected_count": first_rows}
        made = [built(as_stored(expectation), columns) for expectation in expectations]

        def run(rows: "pandas.DataFrame", places: Sequence[int]) -> None:
            suite = great_expectations.ExpectationSuite(name="rows")
            for place in places:
                made[place].meta = {"place": place}
                # Its `add_expectation` drops one that equals an earlier one, and compares each with all others first.
                suite.expectations.append(made[place])
            batch = frame.get_batch(batch_parameters={"dataframe": rows})
            for result in batch.validate(suite, result_format=wanted).results:
                results[result.expectation_config.meta["place"]] = result

        filled, fillable = _filled(table, expectations)
        if fillable:
            run(filled, fillable)
        left = [place for place in range(len(made)) if place not in results or not results[place].success]
        for needed, places in _groups(expectations, left, table).items():
            run(pandas.DataFrame({name: table[name] for name in needed}, copy=False), places)
        prose = [_prose(*pair) for pair in zip(expectations, made, strict=True)]
    return [_outcome(*item, results[place]) for place, item in enumerate(zip(expectations, prose, strict=True))]


def _filled(table: "pandas.DataFrame", expectations: Sequence[Expectation]) -> "tuple[pandas.DataFrame, Sequence[int]]":
    """Columns with missing values, each of which is the column's first value instead; and who may be asked about them.

    The library copies all columns of a table several times for an expectation on a column with missing values. A rule
    about single values is met by a column and by this one, or by neither; how many do not meet it has to be counted in
    the column itself.
    """
    import pandas

    alone = {
        place: one.arguments["column"]
        for place, one in enumerate(expectations)
        if one.rule in OF_ONE_VALUE and not {"mostly", "row_condition"} & one.arguments.keys()
    }
    columns = [name for name in dict.fromkeys(alone.values()) if table[name].hasnans and table[name].notna().any()]
    values = {name: table[name].fillna(table[name][table[name].first_valid_index()]) for name in columns}
    return pandas.DataFrame(values, copy=False), [place for place, name in alone.items() if name in values]


def _groups(
    expectations: Sequence[Expectation], places: Sequence[int], table: "pandas.DataFrame"
) -> dict[tuple[str, ...], list[int]]:
    """Columns that the expectations at `places` are given -> their places.

    A column with missing values gets a table of its own, as the library copies what is beside it, too. Without missing
    values it copies nothing, but takes a fingerprint of each table.
    """
    wanted = {
        place: () if "row_condition" in expectations[place].arguments else named_columns(expectations[place])
        for place in places
    }
    named_ones = dict.fromkeys(name for named in wanted.values() for name in named)
    complete = [name for name in named_ones if not table[name].hasnans]
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, named in wanted.items():
        needed = tuple(complete) if named and set(named) <= set(complete) else tuple(dict.fromkeys(named))
        groups.setdefault(needed or tuple(map(str, table.columns)), []).append(place)
    return groups


def built(expectation: Expectation, columns: Sequence[str]) -> Any:
    """The library's own expectation. Raises InputError naming an unknown rule, column or argument."""
    with quiet():
        from great_expectations.expectations import registry

        rules = registry.list_registered_expectation_implementations()
        if expectation.rule not in rules:
            raise InputError(f"{expectation.rule!r} is not a Great Expectations rule; {_near(expectation.rule, rules)}")
        check_columns(expectation.rule, named_columns(expectation), columns)
        kind = registry.get_expectation_impl(expectation.rule)
        try:
            return kind(**expectation.arguments, severity=expectation.severity)
        except (TypeError, ValueError) as error:
            raise InputError(f"{expectation.rule}: {_complaint(error, kind, expectation.arguments)}") from None


def check_columns(rule: str, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise InputError for the first name that is no column."""
    for name in names:
        if name not in known:
            raise InputError(f"{rule}: there is no column {name!r}; {_near(name, known)}")


def as_stored(expectation: Expectation) -> Expectation:
    """With bounds rounded to float32, as telemetry is stored: a recorded 0.1 is not above a maximum of 0.1."""
    arguments = {key: _single(value) if key in BOUNDS else value for key, value in expectation.arguments.items()}
    return expectation.model_copy(update={"arguments": arguments})


def _single(bound: Any) -> Any:
    if isinstance(bound, list | tuple):
        return [_single(item) for item in bound]
    fits = isinstance(bound, float) and abs(bound) <= np.finfo(np.float32).max
    return float(np.float32(bound)) if fits else bound


def named_columns(expectation: Expectation) -> tuple[str, ...]:
    """Columns that the arguments of `expectation` name; none when it is about the whole table."""
    found = [expectation.arguments[key] for key in COLUMN_ARGUMENTS if key in expectation.arguments]
    return tuple(str(name) for item in found for name in (item if isinstance(item, list | tuple) else [item]))


def _near(name: str, known: Sequence[str]) -> str:
    matches = get_close_matches(name, known, n=3, cutoff=0.5)
    return f"nearest: {', '.join(matches)}" if matches else f"known: {', '.join(sorted(known)[:8])}, ..."


def _complaint(error: Exception, kind: Any, arguments: Mapping[str, Any]) -> str:
    """One sentence for the first of the errors that the rule's own type reports."""
    if not hasattr(error, "errors"):
        return str(error)
    first = error.errors()[0]
    argument = str(first["loc"][0])
    if first["type"] == "value_error.extra":
        known = sorted({*kind.domain_keys, *kind.success_keys} - {"batch_id", "condition_parser", "table"})
        return f"unknown argument {argument!r}; {_near(argument, known)}"
    if argument == "__root__":
        return f"{first['msg']}, got {dict(arguments)}"
    return f"argument {argument!r}: {first['msg']}, got {arguments.get(argument)!r}"


def _outcome(expectation: Expectation, prose: str, result: Any) -> Outcome:
    columns = named_columns(expectation)
    error = _exception(result.exception_info)
    if error:
        # What cannot be evaluated is not met, however mild it was declared.
        grave = expectation.model_copy(update={"severity": "critical"})
        return Outcome(grave, columns, prose, False, 1, 1.0, observed=f"could not be evaluated: {error}")
    found = result.result
    if result.success:
        return Outcome(expectation, columns, prose, True, observed=_text(found.get("observed_value")))
    if "unexpected_count" not in found:
        return Outcome(expectation, columns, prose, False, 1, 1.0, observed=_text(found.get("observed_value")))
    count = found["unexpected_count"]
    rows = found.get("unexpected_index_list") or found.get("partial_unexpected_index_list") or ()
    share = count / found["element_count"]
    return Outcome(expectation, columns, prose, False, count, share, tuple(int(row) for row in rows))


def _exception(information: Mapping[str, Any]) -> str:
    """Message of the first exception; the library nests it by metric when it comes from one."""
    nested = [information] if "raised_exception" in information else list(information.values())
    raised = [item for item in nested if item["raised_exception"]]
    return " ".join(str(raised[0]["exception_message"]).split()) if raised else ""


def _prose(expectation: Expectation, built: Any) -> str:
    """Its own description, or the first line of what the rule says of itself with the arguments that were given.

    The library would render it, but takes longer for that than for a million rows.
    """
    if built.description:
        return str(built.description)
    demand = (inspect.getdoc(type(built)) or expectation.rule).splitlines()[0]
    named = (*COLUMN_ARGUMENTS, "description")
    given = ", ".join(f"{key} {value}" for key, value in expectation.arguments.items() if key not in named)
    return f"{demand} ({given})" if given else demand


def _text(observed: Any) -> str:
    text = "" if observed is None else f"{observed:.6g}" if isinstance(observed, float) else str(observed)
    return text if len(text) <= 120 else f"{text[:117]}..."
