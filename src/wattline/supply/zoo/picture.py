"""index.svg: score against energy, so that a person sees which version buys what; equal entries, equal bytes."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from xml.sax.saxutils import escape

from wattline.charts import CANDIDATE, OTHER
from wattline.supply.zoo.entry import Entry, newest_first

SVG = "index.svg"
MOST = 30
"""Versions of a model that are drawn: the newest."""
WIDTH, HEIGHT = 900, 340
LEFT, RIGHT, TOP, BOTTOM = 80, 870, 64, 280
Scale = Callable[[float], float]


def index_svg(entries: Iterable[Entry]) -> str:
    """A panel for each model, below each other."""
    models = [list(versions) for _, versions in groupby(newest_first(entries), key=lambda entry: entry.name)]
    height = HEIGHT * max(len(models), 1)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
    lines = [head, f'<rect width="{WIDTH}" height="{height}" fill="white"/>']
    for place, versions in enumerate(models):
        lines += [f'<g transform="translate(0 {place * HEIGHT})">', *_panel(versions), "</g>"]
    return "\n".join([*lines, "</svg>"]) + "\n"


def front(versions: Sequence[Entry]) -> list[Entry]:
    """Those of which no other is at least as good in score and energy, and better in one; by their point values."""
    return [entry for entry in versions if not any(_beats(other, entry) for other in versions)]


def comparable(versions: Sequence[Entry]) -> list[Entry]:
    """Those that were scored by the newest one's headline on its dataset, with every figure defined."""
    newest = versions[0]
    return [
        entry
        for entry in versions[:MOST]
        if (entry.headline.name, entry.dataset.id) == (newest.headline.name, newest.dataset.id)
        and all(map(math.isfinite, (*_scores(entry), *_joules(entry))))
    ]


def _beats(one: Entry, other: Entry) -> bool:
    direction = 1 if one.headline.higher_is_better else -1
    better = direction * (one.score.value - other.score.value)
    saved = other.energy_per_1000.joules - one.energy_per_1000.joules
    return better >= 0 and saved >= 0 and better + saved > 0


def _panel(versions: Sequence[Entry]) -> Iterator[str]:
    shown, newest = comparable(versions), versions[0]
    if not shown:
        yield _text(LEFT, 28, f"{newest.name}: no version has a defined score", size=16)
        return
    best = ", ".join(entry.version for entry in front(shown))
    yield _text(LEFT, 28, f"{newest.name}: no version beats {best} in both score and energy", size=16)
    left = len(versions) - len(shown)
    rest = f"; {left} of other data or without a score left out" if left else ""
    yield _text(LEFT, 48, f"point values with 95 % intervals; hollow: energy estimated, filled: measured{rest}")
    horizontal = _scale([value for entry in shown for value in _joules(entry)], LEFT, RIGHT)
    vertical = _scale([value for entry in shown for value in _scores(entry)], BOTTOM, TOP)
    yield from _axes(shown, horizontal, vertical)
    for entry in reversed(shown):
        yield from _point(entry, horizontal, vertical)


def _axes(shown: Sequence[Entry], horizontal: Scale, vertical: Scale) -> Iterator[str]:
    metric = shown[0].headline
    yield f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="black"/>'
    for value in _ticks([value for entry in shown for value in _joules(entry)]):
        yield _text(horizontal(value), BOTTOM + 18, f"{value:g}", anchor="middle")
    for value in _ticks([value for entry in shown for value in _scores(entry)]):
        yield _text(LEFT - 8, vertical(value) + 4, f"{value:g}", anchor="end")
    yield _text((LEFT + RIGHT) / 2, BOTTOM + 40, "energy of 1,000 predictions [J], lower is better", anchor="middle")
    way = "higher" if metric.higher_is_better else "lower"
    middle = (TOP + BOTTOM) / 2
    turned = _text(0, 0, f"{metric.name} [{metric.unit}], {way} is better", anchor="middle")
    yield f'<g transform="translate(18 {middle:.1f}) rotate(-90)">{turned}</g>'


def _point(entry: Entry, horizontal: Scale, vertical: Scale) -> Iterator[str]:
    colour = CANDIDATE if entry.status == "champion" else OTHER
    (x, left, right), (y, low, high) = map(horizontal, _joules(entry)), map(vertical, _scores(entry))
    yield f'<path d="M{left:.1f} {y:.1f}H{right:.1f}M{x:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" fill="none"/>'
    fill = colour if entry.energy_per_1000.provenance == "measured" else "white"
    yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{fill}" stroke="{colour}" stroke-width="2"/>'
    serves = " serves" if entry.status == "champion" else ""
    yield _text(x + 8, y - 8, f"{entry.version}{serves}")


def _joules(entry: Entry) -> tuple[float, float, float]:
    return (entry.energy_per_1000.joules, *entry.energy_per_1000.interval)


def _scores(entry: Entry) -> tuple[float, float, float]:
    return entry.score.value, entry.score.low, entry.score.high


def _scale(values: Sequence[float], start: float, stop: float) -> Scale:
    """From values to places, with a margin at both ends."""
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or abs(high) or 1.0
    return lambda value: start + (value - low + margin) / (high - low + 2 * margin) * (stop - start)


def _ticks(values: Sequence[float]) -> list[float]:
    """Round values within `values`, about five."""
    low, high = min(values), max(values)
    if high == low:
        return [low]
    power = 10 ** math.floor(math.log10((high - low) / 5))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= (high - low) / 5)
    return [place * step for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _text(x: float, y: float, words: str, *, size: int = 12, anchor: str = "start") -> str:
    shown = escape("".join(character for character in words if character.isprintable()))
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{shown}</text>'
