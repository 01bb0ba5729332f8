"""Turns: every server is started, measured at each point, and ended, one after the other."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from servers import environments, measure
from servers.catalogue import CATALOGUE, Peer, Place, Route, variables
from servers.environments import PEERS, InstallError
from servers.measure import BENCHMARKS, Asked, Reading
from servers.ours import Site
from servers.process import SERVER_CORE, Server, StartError, free_port, pinned
from servers.report import BATCH, CLIENTS, Results


@dataclass(frozen=True)
class Points:
    """What is measured of each server.

    seconds: for each point
    clients, batch_clients: that ask for one window, and for BATCH of them
    opened: whether an open loop follows, at half the rate of CLIENTS clients
    """

    seconds: float
    clients: tuple[int, ...]
    batch_clients: tuple[int, ...]
    opened: bool


class Visits:
    """Measures servers into `results`."""

    def __init__(self, points: Points, results: Results, *, scratch: Path, graph: Path) -> None:
        """scratch: an empty folder; graph: the ONNX file that all of them run"""
        self._points, self._results, self._scratch, self._graph = points, results, scratch, graph
        self._pythons: dict[str, Path] = {}

    def install(self, peers: list[Peer], cache: Path) -> list[Peer]:
        """Make the environments; returns the peers that have one. The others are noted as absent."""
        for peer in peers:
            try:
                self._pythons[peer.name] = environments.prepare(peer.name, cache)
                if peer.setup:
                    place = self._place(peer)
                    given = variables(peer, place, self._graph)
                    environments.run(peer.setup(place), variables=given, folder=PEERS / peer.name)
            except InstallError as error:
                self._results.absent[peer.name] = str(error)
        return [peer for peer in peers if peer.name not in self._results.absent]

    def turn(self, peers: list[Peer], sites: dict[str, Site], number: int) -> None:
        """Measure everybody once. The order alternates, so that a busy moment does not hit one alone."""
        self._results.readings.append([])
        self._results.limits.append(limit(self._graph, self._points.seconds))
        everybody: list[tuple[str, Peer | Site]] = [*((peer.name, peer) for peer in peers), *sites.items()]
        for name, one in everybody[:: 1 if number % 2 == 0 else -1]:
            print(f"turn {number + 1}: {name}", file=sys.stderr, flush=True)
            try:
                with one.start() if isinstance(one, Site) else self._start(one) as server:
                    self._visit(server, name, one.rows, headers=one.headers if isinstance(one, Site) else {})
            except (StartError, subprocess.CalledProcessError) as error:
                self._results.absent[f"{name}, turn {number + 1}"] = str(error)

    def _place(self, peer: Peer) -> Place:
        scratch = self._scratch / peer.name
        scratch.mkdir(exist_ok=True)
        return Place(self._pythons[peer.name], free_port(), scratch)

    def _start(self, peer: Peer) -> Server:
        place = self._place(peer)
        return Server(
            peer.command(place),
            port=place.port,
            ready=peer.ready,
            folder=PEERS / peer.name,
            variables=variables(peer, place, self._graph),
            log=place.scratch / "server.log",
        )

    def _visit(self, server: Server, name: str, rows: Mapping[str, Route], *, headers: Mapping[str, str]) -> None:
        for row, route in rows.items():
            # Ours names a version in its answers; "" stands for any.
            folder = self._scratch / name / "asked" / re.sub(r"\W+", "-", row)
            asked = Asked(folder, {"": self._graph.parent}, route, headers)
            self._results.readings[-1] += self._row(row, server, asked)
        for row in rows:
            self._results.starts.setdefault(row, []).append(server.ready_seconds)
            self._results.memory.setdefault(row, []).append(server.mebibytes())

    def _row(self, row: str, server: Server, asked: Asked) -> list[Reading]:
        points, seconds = self._points, self._points.seconds
        found = [measure.closed(row, server, asked, 1, clients=count, seconds=seconds) for count in points.clients]
        if points.opened:
            rate = next(one.per_second for one in found if one.clients == CLIENTS) / 2
            found.append(measure.open_loop(row, server, asked, 1, rate=rate, seconds=seconds))
        for count in points.batch_clients:
            found.append(measure.closed(row, server, asked, BATCH, clients=count, seconds=seconds))
        return found


def limit(graph: Path, seconds: float) -> dict[int, float]:
    """Windows per second of the session in a loop, on the core of the servers: windows in a run -> rate."""
    command = pinned(SERVER_CORE, [sys.executable, "-m", "servers.limit", str(seconds)])
    given = {"MODEL": str(graph), "PYTHONPATH": str(PEERS / "shared")}
    done = subprocess.run(command, cwd=BENCHMARKS, env=os.environ | given, stdout=subprocess.PIPE, check=True)
    return {int(batch): rate for batch, rate in json.loads(done.stdout).items()}


def chosen(names: list[str] | None, *, quick: bool) -> list[Peer]:
    """The peers of that name; without names all, or those of a quick run."""
    return [peer for peer in CATALOGUE if (peer.name in names if names else peer.quick or not quick)]
