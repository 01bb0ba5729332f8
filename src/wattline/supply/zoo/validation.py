"""Does the index say what the registry says, and are page and picture what the index renders to?"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from wattline.supply.zoo.entry import Entry
from wattline.supply.zoo.index import YAML, index_yaml, linked, read
from wattline.supply.zoo.page import MARKDOWN, index_markdown
from wattline.supply.zoo.picture import SVG, index_svg
from wattline.supply.zoo.problems import AGAIN, Problem
from wattline.supply.zoo.schema import changes, malformed


def validate(folder: Path, registered: Sequence[Entry]) -> list[Problem]:
    """What is wrong with index.yaml, index.md and index.svg in `folder`, and notes: only these is fine.

    registered: every version in the registry
    """
    text, problems = _text(folder / YAML)
    if problems:
        return problems
    listed, problems = read(text)
    if problems:
        return problems
    problems = [*_versions(listed, linked(registered, folder)), *_holders(listed)]
    for entry in listed:
        problems += malformed(entry)
    if not problems and index_yaml(listed) != text:
        problems.append(
            Problem(entry=YAML, field="", text="was edited: its form is not the generated one", remedy=AGAIN)
        )
    rendered = {MARKDOWN: index_markdown(listed), SVG: index_svg(listed)}
    for name, expected in rendered.items():
        problems += _rendered(folder / name, expected)
    return [*problems, *changes(listed)]


def _text(path: Path) -> tuple[str, list[Problem]]:
    """Content of a file of the index, or what is wrong with it."""
    try:
        return path.read_bytes().decode(), []
    except UnicodeDecodeError:
        reason = "is no UTF-8 text"
    except OSError as error:
        reason = f"cannot be read ({type(error).__name__})"
    return "", [Problem(entry=path.name, field="", text=reason, remedy=AGAIN)]


def _versions(listed: Sequence[Entry], registered: Sequence[Entry]) -> Iterator[Problem]:
    """Every registered version has one entry, which says the same, and there is no other."""
    known = {entry.label: entry for entry in registered}
    for label, count in Counter(entry.label for entry in listed).items():
        if count > 1:
            yield Problem(entry=label, field="", text=f"has {count} entries, one is right", remedy=AGAIN)
    for entry in listed:
        if entry.label not in known:
            yield Problem(entry=entry.label, field="", text="is not in the registry", remedy=AGAIN)
            continue
        pair = entry.model_dump(mode="json"), known[entry.label].model_dump(mode="json")
        for field, found, expected in _differences(*pair):
            source = "model_cards/ holds" if field == "card.path" else "the registry says"
            text = f"is {_short(found)}, {source} {_short(expected)}"
            yield Problem(entry=entry.label, field=field, text=text, remedy=AGAIN)
    for label in sorted(known.keys() - {entry.label for entry in listed}):
        yield Problem(entry=label, field="", text="is registered and has no entry", remedy=AGAIN)


def _holders(listed: Sequence[Entry]) -> Iterator[Problem]:
    """One version of a model serves, and one challenges it."""
    held = Counter((entry.name, entry.status) for entry in listed if entry.status in ("champion", "challenger"))
    for (name, status), count in held.items():
        if count > 1:
            text = f"is {status} for {count} versions, one is possible"
            yield Problem(entry=name, field="status", text=text, remedy=AGAIN)


def _rendered(path: Path, expected: str) -> list[Problem]:
    """The file is what the index renders to, byte for byte."""
    text, problems = _text(path)
    if problems or text == expected:
        return problems
    pairs = zip_longest(text.split("\n"), expected.split("\n"))
    line = next(number for number, (one, other) in enumerate(pairs, start=1) if one != other)
    return [Problem(entry=path.name, field=f"line {line}", text=f"is not what {YAML} says", remedy=AGAIN)]


def _differences(found: Any, expected: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted place, and both values, of everything in which two trees differ."""
    pairs: list[tuple[Any, Any, Any]] = []
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        pairs = [(key, found.get(key), expected.get(key)) for key in dict.fromkeys([*found, *expected])]
    elif isinstance(found, list | tuple) and isinstance(expected, list | tuple) and len(found) == len(expected):
        pairs = [(key, one, other) for key, (one, other) in enumerate(zip(found, expected, strict=True))]
    elif found != expected:
        yield place, found, expected
    for key, one, other in pairs:
        yield from _differences(one, other, f"{place}.{key}" if place else str(key))


def _short(value: Any) -> str:
    text = "absent" if value is None else repr(value)
    return text if len(text) <= 72 else f"{text[:69]}..."
