"""The tables of all servers, and the figures that must keep their limits."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from math import isnan
from statistics import median

from clock import Figure

from servers.measure import Reading

JSON, BINARY, UNLOGGED = "Wattline, JSON", "Wattline, binary", "Wattline, binary, no log"
PYDANTIC, RAW = "FastAPI + pydantic", "raw ASGI + raw bytes"
CLIENTS, BATCH, BATCH_CLIENTS = 32, 64, 8
NOISY = 0.1
NOTHING = float("nan")

Rates = Mapping[int, float]
"""Round -> value."""


@dataclass
class Results:
    """Everything of one run.

    products: rows of servers that are made to serve models
    watts: of one busy core [W]
    readings: of each round
    limits: of each round: windows in a run of the graph -> windows per second without a server
    starts, memory: row -> seconds to ready, and MiB after the load, of each start
    absent: server -> why it was not measured
    """

    watts: float
    watts_source: str
    products: tuple[str, ...]
    readings: list[list[Reading]] = field(default_factory=list)
    limits: list[dict[int, float]] = field(default_factory=list)
    starts: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def all(self) -> list[Reading]:
        """The readings of all rounds."""
        return [one for turn in self.readings for one in turn]

    def rows(self) -> list[str]:
        """Names of all rows that were measured, in order."""
        return list(dict.fromkeys(one.row for one in self.all()))

    def values(self, row: str, windows: int, clients: int, value: Callable[[Reading], float]) -> Rates:
        """What one point gave in each round in which it was measured."""
        return {
            number: value(one)
            for number, turn in enumerate(self.readings)
            for one in turn
            if (one.row, one.windows, one.clients) == (row, windows, clients)
        }

    def middle(self, row: str, windows: int, clients: int, value: Callable[[Reading], float]) -> float:
        """Median over the rounds; NaN where the point was not measured."""
        found = self.values(row, windows, clients, value)
        return median(found.values()) if found else NOTHING

    def joules(self, one: Reading) -> float:
        """Estimated energy of 1,000 requests [J]."""
        return 1000 * one.cpu_seconds * self.watts / one.answers if one.answers else NOTHING


def per_second(one: Reading) -> float:
    return one.per_second


def p50(one: Reading) -> float:
    return one.p50_ms


def p99(one: Reading) -> float:
    return one.p99_ms


def tables(results: Results) -> Iterable[str]:
    """Lines to print."""
    yield from throughput(results)
    yield ""
    yield from costs(results)
    yield ""
    for name, reason in results.absent.items():
        yield f"not measured: {name}: {reason}"
    if shares := [one.foreign for one in results.all()]:
        yield f"others used {median(shares):.0%} of both cores meanwhile (median of all points; most {max(shares):.0%})"
        if median(shares) > NOISY:
            yield "this machine was busy: trust the ratios, not the rates"


def throughput(results: Results) -> Iterable[str]:
    """Closed loops: requests per second and p99 at each number of clients."""
    counts = sorted({one.clients for one in results.all() if one.clients})
    heads = "".join(f"{f'{count} clients':>19}" for count in counts)
    yield f"{'requests/s (p99 ms), closed loop':<36}{heads}"
    for windows in sorted({one.windows for one in results.all()}):
        for row in results.rows():
            pairs = [[results.middle(row, windows, count, value) for value in (per_second, p99)] for count in counts]
            cells = ["" if isnan(rate) else f"{rate:,.0f} ({late:,.1f})" for rate, late in pairs]
            if any(cells):
                size = "1 window" if windows == 1 else f"{windows} windows"
                yield f"{f'{row}, {size}':<36}" + "".join(f"{cell:>19}" for cell in cells)
    for windows in results.limits[0] if results.limits else ():
        rate = median(turn[windows] for turn in results.limits)
        yield f"the limit, in-process, {windows} in a run: {rate:,.0f} windows/s"


def costs(results: Results) -> Iterable[str]:
    """One window: CPU time, estimated energy, open loop, start, memory, and what went wrong."""
    yield (
        f"{'1 window':<24}{'CPU us':>9}{'J/1,000*':>10}{'open loop/s':>13}{'p50 ms':>9}{'p99 ms':>9}"
        f"{'start s':>9}{'MiB':>7}{'503':>8}{'failed':>8}{'wrong':>7}"
    )
    for row in results.rows():
        mine = [one for one in results.all() if one.row == row]
        energy = results.middle(row, 1, CLIENTS, results.joules)
        rate, middle, late = (results.middle(row, 1, 0, value) for value in (per_second, p50, p99))
        counts = [(one.sent_away, one.failures, one.wrong) for one in mine]
        away, failed, wrong = map(sum, zip(*counts, strict=True))
        yield (
            f"{row:<24}{1000 * energy / results.watts:>9,.0f}{energy:>10.3f}{rate:>13,.0f}{middle:>9.1f}{late:>9.1f}"
            f"{median(results.starts.get(row, [NOTHING])):>9.1f}{median(results.memory.get(row, [NOTHING])):>7.0f}"
            f"{away:>8}{failed:>8}{wrong:>7}"
        )
    yield f"* estimated: CPU time of all processes x {results.watts:g} W/core ({results.watts_source})"


def comparisons(results: Results) -> Iterable[Figure]:
    """Our server against the peers and the limit. What could not be measured does not pass."""
    rates = {row: results.values(row, 1, CLIENTS, per_second) for row in results.rows()}
    products = [row for row in results.products if rates.get(row)]
    best = max(products, key=lambda row: median(rates[row].values()), default="no product")
    print(f"products that count: {', '.join(products) or 'none'}")
    json, binary = rates.get(JSON, {}), rates.get(BINARY, {})
    yield at_least(f"JSON / {best}, the best product", ratio(json, rates.get(best, {})), 3.0)
    yield at_least(f"JSON / {PYDANTIC}", ratio(json, rates.get(PYDANTIC, {})), 3.5)
    late = {row: results.values(row, 1, CLIENTS, p99) for row in (*products, PYDANTIC) if rates.get(row)}
    lowest = min(late, key=lambda row: median(late[row].values()), default="no peer")
    share = ratio(results.values(JSON, 1, CLIENTS, p99), late.get(lowest, {}))
    yield Figure(f"JSON, p99 / {lowest}, the lowest of {len(late)}", share, 1.0)
    yield at_least(f"binary / {RAW}", ratio(binary, rates.get(RAW, {})), 0.9)
    limits = {number: turn[BATCH] for number, turn in enumerate(results.limits)}
    for row in (BINARY, UNLOGGED):
        windows = results.values(row, BATCH, BATCH_CLIENTS, lambda one: BATCH * one.per_second)
        yield at_least(f"{row}, {BATCH} windows, rows/s / in-process", ratio(windows, limits), 0.8)
    ours = [one for one in results.all() if one.row in (JSON, BINARY, UNLOGGED)]
    yield Figure("requests of ours that failed", sum(one.failures for one in ours), 0)
    yield Figure("answers of ours that were wrong", sum(one.wrong for one in ours), 0)


def at_least(name: str, measured: float, limit: float) -> Figure:
    return Figure(name, measured, limit, at_least=True)


def ratio(above: Rates, below: Rates) -> float:
    """Median of the ratios within a round; NaN where no round has both."""
    both = [above[number] / below[number] for number in above.keys() & below.keys() if below[number]]
    return median(both) if both else NOTHING
