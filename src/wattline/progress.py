"""How far long work is: a bar on a terminal, a line every few seconds in a log."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 5.0

Report = Callable[[str, float, Mapping[str, float]], None]


@contextmanager
def progress(title: str) -> Iterator[Report]:
    """Give a function (what, share done 0..1, figures) that shows how far `title` is."""
    if sys.stderr.isatty():
        with _bar(title) as report:
            yield report
    else:
        yield _lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        row = bar.add_task(title, total=1.0, figures="")

        def report(what: str, done: float, figures: Mapping[str, float]) -> None:
            bar.update(row, completed=done, description=f"{title}: {what}", figures=_figures(figures))

        yield report


def _lines(title: str) -> Report:
    last = time.monotonic()

    def report(what: str, done: float, figures: Mapping[str, float]) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_LINES or done >= 1:
            last = now
            print(f"{title}: {what} {done:4.0%} {_figures(figures)}".rstrip(), file=sys.stderr, flush=True)  # noqa: T201

    return report


def _figures(figures: Mapping[str, float]) -> str:
    return " ".join(f"{name}={value:.4g}" for name, value in figures.items())
