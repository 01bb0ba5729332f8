"""Does the server answer as fast as the machine allows, beside the servers that people use instead?

python benchmarks/serving.py                 every peer and every exercise: about forty minutes
python benchmarks/serving.py --quick         the main peers, a few seconds for each point: about five minutes
python benchmarks/serving.py --rounds N      other turns of every server than three, or two with --quick
python benchmarks/serving.py --peers NAME .. these only, of: mlflow bentoml litserve ray mlserver kserve fastapi raw
python benchmarks/serving.py --json FILE     and write everything that was measured to FILE

The server has one core, its clients another. Every server runs the same graph with the same options on the same
windows. Servers take turns, and ratios are taken within a turn. The environments of the peers are made once, below
.wattline/benchmarks.
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from clock import Figure, conclude
from servers import exercises, model, report, visits
from servers.catalogue import CATALOGUE
from servers.measure import Asked
from servers.ours import ROOT, ROWS, Site
from servers.process import StartError
from servers.visits import Points, Visits

from wattline import params

CACHE = ROOT / ".wattline" / "benchmarks"


@dataclass(frozen=True)
class Plan:
    """How much is measured.

    rounds: turns that every server takes
    starts: cold starts
    swaps: with kept connections, and as many with fresh ones
    overload_seconds, after_seconds: of the overload, and how long it is watched afterwards
    requests: of the soak
    """

    points: Points
    rounds: int
    starts: int
    swaps: int
    overload_seconds: float
    after_seconds: float
    requests: int


EVERY = (1, 8, 32, 128)
FULL = Plan(Points(4.0, EVERY, EVERY, opened=True), 3, 5, 20, 10.0, 32.0, 100_000)
QUICK = Plan(Points(2.0, (32,), (8,), opened=False), 2, 3, 4, 4.0, 8.0, 100_000)


def main() -> int:
    """Print every server's figures, and ours beside their limits."""
    arguments = parsed()
    plan = QUICK if arguments.quick else FULL
    if arguments.rounds:
        plan = replace(plan, rounds=arguments.rounds)
    energy = params.load(ROOT / "params.yaml").block.energy
    products = tuple(row for peer in CATALOGUE if peer.product for row in peer.rows)
    results = report.Results(energy.watts_per_core, energy.watts_source, products)
    models = model.prepare(CACHE)
    with TemporaryDirectory(prefix="wattline-") as temporary:
        scratch = Path(temporary)
        bench = Visits(plan.points, results, scratch=scratch, graph=models["first"] / "model.onnx")
        peers = bench.install(visits.chosen(arguments.peers, quick=arguments.quick), CACHE)
        site = Site(scratch / "site", models["first"])
        sites = {"wattline": site, "wattline-unlogged": Site(scratch / "unlogged", models["first"], logged=False)}
        for number in range(plan.rounds):
            bench.turn(peers, sites, number)
        print("\n".join(report.tables(results)))
        figures = [*report.comparisons(results)]
        try:
            figures += put_through(plan, scratch, site, models)
        except StartError as error:
            print(f"the exercises ended early: {error}")
            figures.append(Figure("exercises that were completed", report.NOTHING, 1, at_least=True))
    memory = max(results.memory.get(report.JSON, ()), default=report.NOTHING)
    figures.append(Figure("memory of all processes after the load (PSS)", memory, 200, "MiB"))
    if arguments.json:
        write(arguments.json, results, figures)
    return conclude(figures)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--peers", nargs="+", choices=[peer.name for peer in CATALOGUE], metavar="NAME")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def put_through(plan: Plan, scratch: Path, site: Site, models: dict[str, Path]) -> Iterator[Figure]:
    """What our server must withstand."""
    seconds, memory = exercises.cold_start(site, times=plan.starts)
    print(f"memory when ready: {memory:.0f} MiB")
    yield Figure("cold start to ready", seconds, 1.5, "s")
    asked = Asked(scratch / "swap", {"1": models["first"], "2": models["second"]}, ROWS[report.BINARY], site.headers)
    for kept in (True, False):
        with site.start() as server:
            seen, swaps = exercises.swaps_under_load(
                site, server, asked, list(models.values())[:2], swaps=plan.swaps, keep_alive=kept
            )
        how = f"{'kept' if kept else 'fresh'} connections"
        print(f"answers by version, {how}: {dict(sorted(seen.versions.items()))}")
        yield Figure(f"swaps under load, {how}", swaps, plan.swaps, at_least=True)
        yield Figure(f"requests lost meanwhile, {how}", seen.failures, 0)
        yield Figure(f"answers not of the version they name, {how}", seen.wrong, 0)
    yield from overloaded(plan, scratch, models["slow"])
    with site.start() as server:
        seen, mebibytes = exercises.soak(server, asked, requests=plan.requests)
    yield Figure(f"memory that {plan.requests:,} requests add", mebibytes, 1.0, "MiB")
    yield Figure("requests of them that failed or were answered wrongly", seen.failures + seen.wrong, 0)


def overloaded(plan: Plan, scratch: Path, slow: Path) -> Iterator[Figure]:
    """Ten times the peak, on a graph so slow that one client can offer it."""
    site = Site(scratch / "slow", slow)
    patience = {"X-Deadline-Ms": f"{1000 * exercises.PATIENCE_SECONDS:.0f}"}
    asked = Asked(scratch / "overload", {"": slow}, ROWS[report.BINARY], site.headers | patience)
    with site.start() as server:
        found = exercises.overload(server, asked, seconds=plan.overload_seconds, after=plan.after_seconds)
    print(f"overload: peak {found.peak:.0f}/s, goodput {found.goodput:.0f}/s; answers {dict(found.statuses)}")
    yield Figure("goodput at 10 times the peak / peak", found.goodput / found.peak, 0.8, at_least=True)
    yield Figure("until p99 is back after that", found.recovery_seconds, 30, "s")
    yield Figure("wrong answers in it", found.wrong, 0)


def write(path: Path, results: report.Results, figures: list[Figure]) -> None:
    """Everything, as JSON."""
    judged = [asdict(figure) | {"passed": bool(figure.passed)} for figure in figures]
    path.write_text(json.dumps(asdict(results) | {"figures": judged}, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
