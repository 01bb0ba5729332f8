"""index.yaml: every entry as YAML, written the same for the same entries and read strictly."""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ValidationError

from wattline import files
from wattline.errors import InputError
from wattline.params.unique import UniqueKeys
from wattline.records import Record
from wattline.supply.zoo.entry import CardPage, Entry, newest_first
from wattline.supply.zoo.page import MARKDOWN, index_markdown
from wattline.supply.zoo.picture import SVG, index_svg
from wattline.supply.zoo.problems import AGAIN, Problem

YAML = "index.yaml"
LARGEST = 32 * 1024 * 1024
"""Bytes of an index that are looked at."""
HEAD = "# Every registered version. Written by `wattline zoo`, with index.md: edit neither.\n"


class Index(Record):
    """All of index.yaml. format: of the file, so that a later one can be told apart"""

    format: Literal[1] = 1
    versions: tuple[Entry, ...]


class _Loader(UniqueKeys):
    """Also without references: a few lines of references to references unfold to more than any memory."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it holds a reference")
        return super().compose_node(parent, index)


def index_yaml(entries: Iterable[Entry]) -> str:
    """index.yaml of `entries`, in whatever order they come. Raises InputError when a version stands twice."""
    ordered = newest_first(entries)
    twice = [one.label for one, other in pairwise(ordered) if one.label == other.label]
    if twice:
        raise InputError(f"{twice[0]} stands twice among the entries; hand in each version once")
    content = Index(versions=tuple(ordered)).model_dump(mode="json")
    return HEAD + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)


def parse(text: str) -> tuple[Entry, ...]:
    """The entries of index.yaml. Raises InputError, in one sentence, when it is not what `wattline zoo` writes."""
    entries, problems = read(text)
    if problems:
        raise InputError(str(problems[0]))
    return entries


def read(text: str) -> tuple[tuple[Entry, ...], list[Problem]]:
    """The entries of index.yaml; none, and what is wrong, when it is not a strict record."""
    tree: Any = None
    try:
        if len(text) > LARGEST:
            raise ValueError(f"is larger than {LARGEST} bytes")
        tree = yaml.load(text, Loader=_Loader)  # noqa: S506  # a SafeLoader
        # As JSON, in which a number in quotes is no number and a list no text.
        return Index.model_validate_json(json.dumps(tree, allow_nan=False), strict=True).versions, []
    except ValidationError as error:
        return (), list(_broken(error, tree))
    except RecursionError:
        reason = "is nested too deeply"
    except (yaml.YAMLError, ValueError, TypeError) as error:
        reason = f"cannot be read: {' '.join(str(error).split())[:200]}"
    return (), [Problem(entry=YAML, field="", text=reason, remedy=AGAIN)]


def write(folder: Path, entries: Sequence[Entry]) -> None:
    """Write index.yaml, index.md and index.svg of `entries` to `folder`, where the cards lie."""
    found = linked(entries, folder)
    files.write_text(folder / YAML, index_yaml(found))
    files.write_text(folder / MARKDOWN, index_markdown(found))
    files.write_text(folder / SVG, index_svg(found))


def linked(entries: Sequence[Entry], folder: Path) -> tuple[Entry, ...]:
    """`entries` with links to their cards: to the page in `folder` that was registered with them, byte for byte."""
    return tuple(entry.model_copy(update={"card": _card(entry, folder)}) for entry in entries)


def _card(entry: Entry, folder: Path) -> CardPage | None:
    if entry.card is None:
        return None
    name = f"{entry.task}.md"
    path = folder / name
    # A task of another site may be called anything: what is no plain file here is no card.
    if Path(name).name == name and path.is_file() and files.sha256(path) == entry.card.sha256:
        return CardPage(sha256=entry.card.sha256, path=name)
    return CardPage(sha256=entry.card.sha256)


def _broken(error: ValidationError, tree: Any) -> Iterator[Problem]:
    """What is wrong with a field, under the name of the version it belongs to."""
    for one in error.errors(include_url=False):
        place = list(one["loc"])
        entry = YAML
        if place[:1] == ["versions"] and len(place) > 1:
            entry = _label(tree, place[1])
            place = place[2:]
        text = f"is not what it must be: {one['msg']}"
        yield Problem(entry=entry, field=".".join(map(str, place)), text=text, remedy=AGAIN)


def _label(tree: Any, place: Any) -> str:
    """Name and version as they stand there; the place in the list where there are none."""
    try:
        return f"{tree['versions'][place]['name']} version {tree['versions'][place]['version']}"
    except (KeyError, IndexError, TypeError):
        return f"{YAML} versions.{place}"
