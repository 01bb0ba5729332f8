"""The report site: pages that stand alone, for GitLab Pages or a disk, written also after a run that failed."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wattline import files
from wattline.errors import InputError
from wattline.gitlab import reports
from wattline.gitlab.reports.left import Left
from wattline.gitlab.site import energy, gates, html, markdown, plots, scores
from wattline.gitlab.site.origin import Origin
from wattline.records import Decision, Evaluation

__all__ = ["Origin", "write"]

SHOWN = (".css", ".csv", ".html", ".json", ".md", ".png", ".svg", ".txt", ".xml", ".yaml")
"""What is copied of reports/ and model_cards/, beside the dataset card; nothing else has a place on a site."""
PAGES = {"validate": "Data Docs: every expectation", "profile": "profile of the raw rows"}
"""Stage -> its own page, at reports/<stage>/index.html."""


def write(folder: Path, *, task: str, origin: Origin, units: Mapping[str, str] | None = None) -> Left:
    """Replace `folder` by the site of the project in the current folder, in one step; what it was made from.

    task: whose card and bills are shown
    units: unit of each metric, where it is known
    Raises InputError when `folder` is a file, or holds something that is no site.
    """
    _check(folder)
    left = reports.left()
    with files.replace_directory(folder) as fresh:
        _copy(left, task, fresh)
        pages = dict(_pages(left, task))
        links = [("index.html", "overview"), *((name, words) for name, (words, _) in pages.items())]
        footer = f"{origin.project or task}, made by Wattline. An estimate is no measurement and is called one."
        for name, (title, parts) in pages.items():
            text = html.page(f"{task}: {title}", *parts, links=links, footer=footer)
            files.write_text(fresh / name, text)
        files.write_text(
            fresh / "index.html",
            _index(left, fresh, task=task, origin=origin, links=links, units=units or {}, footer=footer),
        )
    return left


def _check(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file; name a folder")
    here = Path.cwd().resolve()
    if folder.resolve() == here or folder.resolve() in here.parents:
        raise InputError(
            f"{folder} would be replaced with all that is in it; name a folder of its own, such as public/"
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "index.html").is_file():
        raise InputError(f"{folder} holds something that is no site; name another folder, or empty it")


def _index(
    left: Left,
    fresh: Path,
    *,
    task: str,
    origin: Origin,
    links: Sequence[tuple[str, str]],
    units: Mapping[str, str],
    footer: str,
) -> str:
    problems = html.bullets(html.text(one).html for one in left.problems)
    return html.page(
        f"{task}: {_headline(left)}",
        gates.answer(left),
        html.section("What is missing", problems),
        html.section("What was found out", scores.summary(left)),
        html.section("What each gate answered", gates.table(left)),
        html.section("Scores of every contender", scores.table(left, units)),
        html.section("Plots", plots.gallery(left)),
        html.section("Everything behind it", html.bullets(_documents(left, fresh))),
        html.section("Where it comes from", html.bullets([*origin.items(), *_identities(left)])),
        links=links,
        subtitle=origin.project,
        footer=footer,
    )


def _headline(left: Left) -> str:
    decision = left.current("decide", Decision)
    if decision is None or left.problems:
        return "the run did not end well"
    return "the candidate was accepted" if decision.accepted else "the candidate was rejected"


def _identities(left: Left) -> Iterator[str]:
    decision, evaluation = left.current("decide", Decision), left.current("evaluate", Evaluation)
    if decision is not None:
        yield f"candidate <code>{html.text(decision.candidate).html}</code>"
        yield f"dataset <code>{html.text(decision.data).html}</code>"
    if evaluation is not None:
        yield f"test rows <code>{html.text(evaluation.rows_sha256).html}</code>"


def _pages(left: Left, task: str) -> Iterator[tuple[str, tuple[str, list[str]]]]:
    """Name -> title and parts of every page but the first one."""
    found = energy.sections(left)
    if found:
        yield "energy.html", ("energy report", found)
    card = files.CARDS / f"{task}.md"
    if card.is_file() and _current(left, "card"):
        yield markdown.page_of(task), ("model card", [_text(card)])
    zoo = files.CARDS / "index.md"
    if zoo.is_file():
        yield markdown.page_of("index"), ("model zoo, every registered version", [_text(zoo)])


def _text(path: Path) -> str:
    inner = markdown.render(path.read_text(), folder=str(files.CARDS))
    return f'<article class="text">\n{inner}\n</article>'


def _current(left: Left, name: str) -> bool:
    return any(one.name == name and not one.problem for one in left.reports)


def _documents(left: Left, fresh: Path) -> Iterator[str]:
    """Links to what was copied."""
    for stage, words in PAGES.items():
        place = files.REPORTS / stage / "index.html"
        if (fresh / place).is_file():
            yield html.link(str(place), words)
    for name, words in {
        "bom.cdx.json": "bill of materials of the model, CycloneDX",
        "software.cdx.json": "bill of materials of the software, CycloneDX",
    }.items():
        if (fresh / name).is_file():
            yield html.link(name, words)
    for one in left.reports:
        if (fresh / one.path).is_file():
            note = f": {one.problem}" if one.problem else ""
            yield html.link(str(one.path), f"report {one.name}") + html.text(note).html


def _copy(left: Left, task: str, fresh: Path) -> None:
    """Pages, plots and reports of this run, the zoo, and the bills; nothing that an earlier run left."""
    for one in left.reports:
        if one.state in ("current", "unfinished"):
            _take(one.path, fresh)
            for path in sorted((files.REPORTS / one.stage).rglob("*")):
                _take(path, fresh)
    for path in sorted(files.CARDS.glob("index.*")):
        _take(path, fresh)
    if _current(left, "card"):  # which links to it
        _take(files.DATASET_CARD, fresh)
    for name, source in reports.bills(left, task).items():
        if source is not None:
            files.write_bytes(fresh / name, source.read_bytes())


def _take(path: Path, fresh: Path) -> None:
    if path.is_file() and path.suffix in SHOWN:  # DVC may link a file to its cache
        (fresh / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, fresh / path)
