"""KairosDB's answers as samples of units: what cannot be true is not taken, and counted by reason."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wattline.errors import InputError
from wattline.sources import epochs, readings
from wattline.sources.channels import Channel
from wattline.sources.examon.query import Aggregator, Asked, Page

UNASKED = "of a unit that was not asked for"
OUTSIDE = "outside of the span that was asked for"
NANOSECONDS = 1_000_000
TAGS = "datapoints/query/tags"


@dataclass
class Samples:
    """What one page holds.

    channels: unit -> column -> samples in the order of the answer
    refused: unit -> reason -> samples that were not taken
    full: whether a limit was reached, so that there may be more
    """

    channels: dict[str, dict[str, list[Channel]]] = field(default_factory=dict)
    refused: dict[str, Counter[str]] = field(default_factory=dict)
    full: bool = False


@dataclass(frozen=True)
class Question:
    """What was asked: the answer is held against it. `query.points` says what the fields mean."""

    page: Page
    metrics: Sequence[Asked]
    unit_tag: str
    units: frozenset[str]
    aggregator: Aggregator | None
    limit: int
    now: float


def samples(content: Any, question: Question) -> Samples:
    """Read an answer to `query.points`.

    A sample of an aggregator is stamped with the end of its window: before, it is not known.
    Raises InputError for an answer that has another form than KairosDB's, is not whole, mixes series of one unit, or
    has only instants in seconds, or only words as values.
    """
    found = Samples()
    for metric, answer in zip(question.metrics, _queries(content, question), strict=True):
        results = _list(answer, "results", metric.name)
        count = sum(len(_pairs(result, metric)[0]) for result in results)
        size = answer.get("sample_size")
        if not isinstance(size, int) or isinstance(size, bool):
            raise _malformed(metric.name, f"sample_size is {size!r}")
        if question.aggregator is None and size != count:
            raise InputError(
                f"the answer for metric {metric.name!r} says it has {size} samples and holds {count}: it is not whole; "
                "ask again, and see to the database if that does not help"
            )
        found.full |= max(size, count) >= question.limit
        wrong = sum((_take(result, metric, question, found) for result in results), Counter[str]())
        epochs.check_unit(wrong, count, unit="ms", where=f"metric {metric.name!r}")
        if wrong[readings.WORD] == count > 0:
            raise _words(results, metric)
    return found


def tags(content: Any, metrics: Sequence[Asked]) -> Iterator[tuple[Asked, Mapping[str, Sequence[str]]]]:
    """Tags of each metric, with their values, in an answer to `query.tags`. Raises InputError for another form."""
    # The documentation leaves out the list of queries that real servers send.
    listed = _list(content, "queries", TAGS) if isinstance(content, dict) and "queries" in content else [content]
    results = [result for query in listed for result in _list(query, "results", TAGS)]
    for metric in metrics:
        merged: dict[str, dict[str, None]] = {}
        for result in results:
            if isinstance(result, dict) and result.get("name") == metric.name:
                for tag, values in _tags(result, metric.name).items():
                    merged.setdefault(str(tag), {}).update(dict.fromkeys(str(value) for value in values))
        yield metric, {tag: tuple(values) for tag, values in merged.items()}


def _queries(content: Any, question: Question) -> list[dict[str, Any]]:
    queries = content.get("queries") if isinstance(content, dict) else None
    if not isinstance(queries, list) or not all(isinstance(query, dict) for query in queries):
        raise _malformed("datapoints/query", "there is no list of queries")
    if len(queries) != len(question.metrics):
        raise _malformed("datapoints/query", f"{len(queries)} answers to {len(question.metrics)} questions")
    return queries


def _take(result: Mapping[str, Any], metric: Asked, question: Question, found: Samples) -> Counter[str]:
    """Sort in what can be taken; give what cannot: reason -> count."""
    moments, numbers = _pairs(result, metric)
    if not moments:
        return Counter()
    unit = _unit(result, metric, question.unit_tag)
    if unit not in question.units:
        found.refused.setdefault(unit, Counter())[UNASKED] += len(moments)
        return Counter()
    if question.aggregator is None:
        _check_one_series(result, metric, unit, question.unit_tag)
    instants = epochs.read(moments, unit="ms", where=f"metric {metric.name!r} of {unit}", now=question.now)
    read = readings.numbers([number for number, taken in zip(numbers, instants.taken, strict=True) if taken])
    refused = Counter(instants.refused) + read.refused
    start, end = question.page.start * NANOSECONDS, question.page.end * NANOSECONDS
    inside = (instants.instants >= start) & (instants.instants < end)
    if outside := int((read.taken & ~inside).sum()):
        refused[OUTSIDE] += outside
    kept = read.taken & inside
    stamps = _ends(instants.instants[kept], question.aggregator)
    found.channels.setdefault(unit, {}).setdefault(metric.column, []).append((stamps, read.values[kept]))
    found.refused.setdefault(unit, Counter()).update(refused)
    return refused


def _pairs(result: Any, metric: Asked) -> tuple[list[Any], list[Any]]:
    """Instants and values."""
    values = _list(result, "values", metric.name)
    if not all(isinstance(pair, list) and len(pair) == 2 for pair in values):
        raise _malformed(metric.name, "a value is no pair of instant and number")
    return [pair[0] for pair in values], [pair[1] for pair in values]


def _ends(instants: "np.ndarray[tuple[int], np.dtype[np.int64]]", aggregator: Aggregator | None) -> Any:
    if aggregator is None:
        return instants
    window = aggregator.milliseconds * NANOSECONDS
    return (instants // window + 1) * window


def _unit(result: Mapping[str, Any], metric: Asked, unit_tag: str) -> str:
    for group in result.get("group_by") or ():
        if isinstance(group, dict) and group.get("name") == "tag" and isinstance(group.get("group"), dict):
            unit = group["group"].get(unit_tag)
            if isinstance(unit, str):
                return unit
    raise _malformed(metric.name, f"samples are not grouped by tag {unit_tag!r}")


def _check_one_series(result: Mapping[str, Any], metric: Asked, unit: str, unit_tag: str) -> None:
    for tag, values in _tags(result, metric.name).items():
        if tag != unit_tag and len(values) > 1:
            raise InputError(
                f"metric {metric.name!r} of {unit} is several series: tag {tag!r} is "
                f"{', '.join(map(str, values[:4]))}; choose one in `tags` of that metric, or set `aggregator`"
            )


def _words(results: Sequence[Any], metric: Asked) -> InputError:
    first = next(value for result in results for value in _pairs(result, metric)[1])
    return InputError(
        f"metric {metric.name!r} has no numbers, first {first!r}; ask for one that has, or leave it out of `metrics`"
    )


def _tags(result: Any, where: str) -> Mapping[str, list[Any]]:
    found = result.get("tags") or {}
    if not isinstance(found, dict) or not all(isinstance(values, list) for values in found.values()):
        raise _malformed(where, "tags are no lists of values by name")
    return found


def _list(tree: Any, key: str, where: str) -> list[Any]:
    found = tree.get(key) if isinstance(tree, dict) else None
    if not isinstance(found, list):
        raise _malformed(where, f"there is no list {key!r}")
    return found


def _malformed(where: str, what: str) -> InputError:
    return InputError(f"the answer for {where!r} does not look like KairosDB's: {what}; check `url`")
