"""The life of a serving process: listen, load, answer, drain, end."""

import asyncio
import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from tempfile import TemporaryDirectory
from typing import Any

from wattline import settings
from wattline.errors import InputError, WattlineError
from wattline.serving import memory
from wattline.serving.access.exposure import check_exposure
from wattline.serving.job import Job

LOG = logging.getLogger("wattline.serving")
BACKLOG = 2048
SECONDS_TO_FINISH = 10.0
"""After the drain time, how long requests under way may still take [s]."""
SECONDS_BETWEEN_RESTARTS = 1.0
SWITCH_SECONDS = 0.001
"""How long the event loop may keep the interpreter from the thread that runs the graph [s]."""


def serve(job: Job) -> None:
    """Serve until SIGTERM or SIGINT, and say on one line where, once it answers.

    Raises InputError or IntegrityError when the model cannot be loaded or the address cannot be had.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    params = job.params
    if warning := check_exposure(params.auth, params.host):
        LOG.warning(warning)
    with _listener(params.host, params.port) as listener:
        if params.workers == 1:
            run(listener, job, announce=lambda: _announce(listener), worker="0")
        else:
            _supervise(listener, job)


def run(listener: socket.socket, job: Job, *, announce: Callable[[], None], worker: str) -> None:
    """Serve on `listener` in this process until it is told to end."""
    import uvloop

    sys.setswitchinterval(SWITCH_SECONDS)
    uvloop.run(_life(listener, job, announce=announce, worker=worker))


async def _life(listener: socket.socket, job: Job, *, announce: Callable[[], None], worker: str) -> None:
    from wattline.serving.assembly import assemble
    from wattline.serving.transport.connection import Connection

    loop = asyncio.get_running_loop()
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    if parent := multiprocessing.parent_process():
        # A supervisor that was killed cannot say so.
        loop.add_reader(parent.sentinel, end.set)
    service = assemble(job, worker=worker)
    # Before the first model is loaded, since one that is swapped out must be let go of.
    memory.spare_the_collector()
    memory.keep_freed()
    try:
        await service.start()
        listening = await loop.create_server(lambda: Connection(service), sock=listener, backlog=BACKLOG)
        announce()
        await end.wait()
        service.draining = True
        await asyncio.sleep(job.params.drain_seconds)
        listening.close()
        await _finish(service)
    finally:
        await service.stop()


async def _finish(service: Any) -> None:
    """Close idle connections and wait for the others, but not for ever."""
    overdue = time.monotonic() + SECONDS_TO_FINISH
    while service.connections and time.monotonic() < overdue:
        for connection in list(service.connections):
            connection.leave()
        await asyncio.sleep(0.01)
    for connection in list(service.connections):
        connection.abort()


def process_ended(pid: int | None) -> None:
    """Take a worker that has ended out of the gauges; its counters stay."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]


def _listener(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --host or --port") from None
    listener.setblocking(False)
    return listener


def _announce(listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    sys.stdout.write(f"serving at http://{f'[{host}]' if ':' in host else host}:{port}\n")
    sys.stdout.flush()


def _supervise(listener: socket.socket, job: Job) -> None:
    """Keep `workers` processes on one socket; one that dies is replaced and takes no answers with it but its own."""
    ended: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda which, _: ended.append(which))
    with TemporaryDirectory(prefix="wattline-metrics-") as folder:
        # prometheus_client reads this when it is imported, which only the workers do.
        settings.preset({"PROMETHEUS_MULTIPROC_DIR": folder})
        workers = _Workers(listener, job)
        try:
            workers.start_all()
            _announce(listener)
            while not ended:
                workers.replace_dead()
        finally:
            workers.end()


class _Workers:
    """The processes under one supervisor."""

    def __init__(self, listener: socket.socket, job: Job) -> None:
        self._listener, self._job = listener, job
        self._context = multiprocessing.get_context("spawn")
        self._running: dict[int, SpawnProcess] = {}

    def start_all(self) -> None:
        """Start every worker. Raises InputError when one ends before it is ready."""
        for place in range(self._job.params.workers):
            self._start(place)

    def replace_dead(self) -> None:
        """Wait a moment; start those anew that have died."""
        sentinels = {process.sentinel: place for place, process in self._running.items()}
        for sentinel in multiprocessing.connection.wait(list(sentinels), timeout=0.1):
            place = sentinels[sentinel]  # type: ignore[index]
            dead = self._running.pop(place)
            LOG.error("worker %d ended with exit code %s; starting it again", place, dead.exitcode)
            process_ended(dead.pid)
            dead.close()
            time.sleep(SECONDS_BETWEEN_RESTARTS)
            with contextlib.suppress(WattlineError):
                self._start(place)

    def end(self) -> None:
        """Tell all of them to end, and wait until they have."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            process.join(self._job.params.drain_seconds + 2 * SECONDS_TO_FINISH)
            if process.is_alive():
                process.kill()
                process.join()

    def _start(self, place: int) -> None:
        ready, told = self._context.Pipe(duplex=False)
        process = self._context.Process(target=_work, args=(self._listener, self._job, told, str(place)))
        process.start()
        told.close()
        self._running[place] = process
        try:
            message = ready.recv()
        except EOFError:
            message = "it ended before it was ready; its log says why"
        if message:
            process.join()
            raise InputError(message)


def _work(listener: socket.socket, job: Job, told: Any, worker: str) -> None:
    """The body of a worker: says "" once it is ready, or why it cannot be."""
    form = f"%(levelname)s %(name)s worker {worker} %(message)s"
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format=form)
    listener.setblocking(False)
    try:
        run(listener, job, announce=lambda: told.send(""), worker=worker)
    except WattlineError as error:
        told.send(str(error))
        sys.exit(error.exit_code)
