"""The server without its sockets: who may ask what, which handler answers, and what ends with the process."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from wattline.errors import InputError
from wattline.params.serving import ServingParams
from wattline.serving.access.gate import Gatekeeper
from wattline.serving.bridge import Application, bridged
from wattline.serving.call import ANYONE, Admission, Call, Cancel, Reply, Route, failure, refusal
from wattline.serving.handlers import Scorers, Send, asynchronous
from wattline.serving.inference import cpus
from wattline.serving.information import Information, immediate
from wattline.serving.live import Feedback, Observer
from wattline.serving.metrics.counters import Metrics
from wattline.serving.prediction_log.log import PredictionLog
from wattline.serving.refusal import RefusedError
from wattline.serving.routes import Routes
from wattline.serving.scoring import Scoring
from wattline.serving.transport import wire
from wattline.serving.transport.connection import Connection
from wattline.serving.versions.models import Models

LOG = logging.getLogger("wattline.serving")
SECONDS_BETWEEN_CHECKS = 0.025
SECONDS_BETWEEN_REFUSALS = 0.004
"""A tenth of what a refusal may take. In an overload, every other caller waits so long too [s]."""
OTHER = "other"
LEFT = 499
"""The code that is counted, never sent, for a caller who left before the answer."""


class Service:
    """Everything behind the sockets of one process."""

    def __init__(
        self,
        params: ServingParams,
        *,
        models: Callable[["Service"], Models],
        gatekeeper: Gatekeeper,
        metrics: Metrics,
        log: PredictionLog | None,
        new_id: Callable[[], str],
        watts_per_core: float,
    ) -> None:
        """Raises InputError when a file that state is kept in cannot be used."""
        self.params, self.limits = params, params.limits
        self.connections: set[Connection] = set()
        self.draining = self._yielding = False
        self.arriving = self.body_bytes = 0
        self.new_id = new_id
        self.metrics, self.gatekeeper = metrics, gatekeeper
        self.models = models(self)
        self._log, self._watts = log, watts_per_core
        # Only the thread that runs a graph is timed: its helpers, where there are any, work beside it.
        self._graph_threads = cpus.threads(params.batching, params.workers)
        scoring = Scoring(self.models, metrics=metrics, log=log)
        self.observer = Observer(params, self.models, scoring)
        self.routes = Routes(
            _table(
                Scorers(params, self.models, scoring),
                self.observer,
                Feedback(log, metrics),
                Information(self.models, metrics, ready=lambda: not self.draining),
                reload_seconds=params.model.reload_seconds,
            )
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._application: Route | None = None

    def mount(self, make: Callable[[], Application]) -> None:
        """Let the application that `make` gives answer what no route of ours does."""
        self._application = Route("*", OTHER, None, bridged(make))

    async def start(self) -> None:
        """Load the model and start what runs beside the requests. Raises WattlineError when there is no model."""
        found = await self.models.reload()
        if self.models.stable is None:
            raise InputError(found["stable_error"])
        await self.gatekeeper.start()
        work = [self._check()]
        if self.params.model.poll_seconds:
            work.append(self.models.watch())
        self._tasks = [asyncio.get_running_loop().create_task(one) for one in work]

    async def stop(self) -> None:
        """Finish what is queued, then close everything; what was accepted is on disk."""
        await self.models.drain()
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.gatekeeper.stop()
        self.observer.close()
        if self._log is not None:
            await asyncio.to_thread(self._log.close)

    # What a connection asks for.

    def admit(self, method: str, path: str, headers: dict[str, str], peer: str) -> Admission:
        """Who asks for which route. Raises RefusedError: 400, 401, 403, 404, 405, 429 or 503."""
        route = self.routes.find(method, path)
        if route is not None and route.role is None:
            return Admission(ANYONE, route)
        if route is not None and route.scores:
            # Before it is asked who this is: under more load than there is room for, this is what most requests cost.
            try:
                self.models.queue.check(1, wire.seconds_allowed(headers, self.limits))
            except RefusedError:
                self._yield_core()
                raise
        what = f"{method} {route.template if route else path}"
        principal = self.gatekeeper.principal(headers, what=what, peer=peer)
        if route is not None:
            self.gatekeeper.demand(principal, str(route.role), what=what, peer=peer)
        self.gatekeeper.spend(principal, what=what, peer=peer)
        return Admission(principal, route)

    def _yield_core(self) -> None:
        """Leave the core to a thread that runs the graph for a moment, if there is one: then refuse many together.

        Waking up for each request that is sent away costs the run its place in the caches, and more than the refusal.
        """
        if self.models.queue.running and not self._yielding:
            self._yielding = True
            asyncio.get_running_loop().call_soon(self._pause)

    def _pause(self) -> None:
        time.sleep(SECONDS_BETWEEN_REFUSALS)
        self._yielding = False

    def handle(self, call: Call, send: Send) -> Cancel | None:
        """Answer `call`. Whatever happens inside, `send` is called once, unless the caller left before."""
        route = call.route or self._application
        if route is None:
            send(refusal(RefusedError(f"{call.path[:200]} is not served here", status=404, reason="path")))
            return None
        finish = self.metrics.began(route.template, call.method)

        def sent(reply: Reply) -> None:
            finish(reply.status, time.monotonic() - call.received, reply.reason)
            send(reply)

        try:
            cancel = route.handler(call, sent)
        except RefusedError as error:
            sent(refusal(error))
            return None
        except Exception:
            LOG.exception("%s %s failed, request %s", call.method, route.template, call.id)
            sent(failure())
            return None
        if cancel is None:
            return None

        def left() -> None:
            finish(LEFT, time.monotonic() - call.received, "left")
            cancel()

        return left

    def refused(self, error: RefusedError, method: str, path: str) -> None:
        """Count a request that never became a call."""
        try:
            route = self.routes.find(method, path)
        except RefusedError:
            route = None
        self.metrics.began(route.template if route else OTHER, method)(error.status, 0.0, error.reason)

    async def _check(self) -> None:
        """Look after everything that is overdue, for ever."""
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_CHECKS)
            now = time.monotonic()
            self.models.expire(now)
            for connection in list(self.connections):
                connection.check(now)
            self.metrics.state(
                queue_windows=self.models.queue.windows,
                connections=len(self.connections),
                joules=time.process_time() * self._watts,
                inference_joules=self.metrics.graph_cpu_seconds * self._graph_threads * self._watts,
            )


def _table(
    scorers: Scorers, observer: Observer, feedback: Feedback, information: Information, *, reload_seconds: float
) -> list[Route]:
    model = "/v2/models/{name}"
    version = f"{model}/versions/{{version}}"
    return [
        Route("POST", "/predict", "predict", scorers.predict, scores=True),
        Route("POST", "/predict/batch", "predict", asynchronous(scorers.batch), scores=True),
        Route("POST", "/observe", "predict", asynchronous(observer.observe), scores=True),
        Route("POST", "/feedback", "feedback", asynchronous(feedback.accept)),
        Route("POST", f"{model}/infer", "predict", scorers.infer, scores=True),
        Route("POST", f"{version}/infer", "predict", scorers.infer, scores=True),
        Route("GET", "/v2", "predict", immediate(information.server)),
        Route("GET", "/v2/health/live", None, immediate(information.live)),
        Route("GET", "/v2/health/ready", None, immediate(information.ready)),
        Route("GET", model, "predict", immediate(information.metadata)),
        Route("GET", version, "predict", immediate(information.metadata)),
        Route("GET", f"{model}/ready", "predict", immediate(information.model_ready)),
        Route("GET", f"{version}/ready", "predict", immediate(information.model_ready)),
        Route("GET", "/livez", None, immediate(information.livez)),
        Route("GET", "/readyz", None, immediate(information.readyz)),
        Route("GET", "/model", "audit", immediate(information.model)),
        Route("GET", "/metrics", "audit", information.metrics),
        Route("POST", "/admin/reload", "operate", asynchronous(information.reload, seconds=reload_seconds)),
        Route("GET", "/admin/canary", "operate", immediate(information.canary)),
        Route("POST", "/admin/canary", "operate", asynchronous(information.steer, seconds=reload_seconds)),
    ]
