"""The paired energy test with measured joules: two loads on a GPU, by its energy counter.

On a machine with an NVIDIA GPU and PyTorch with CUDA, about seven minutes for each comparison:
PYTHONPATH=src python benchmarks/gpu/compare.py 8 10    layers of the baseline, and of the candidate

The candidate's true ratio is about that of the layers, as each is one product of the same matrices. Both loads have the
same answers, and so the same score: accuracy is no part of this benchmark.
"""

import hashlib
import os
import sys
import time
from collections.abc import Mapping

import numpy as np
import torch

from wattline.energy.meters.nvml import Nvml
from wattline.energy.meters.self_test import self_test
from wattline.energy.paired import idle_share, judge, looks, per_1000, session
from wattline.energy.paired.session import Plan
from wattline.energy.paired.worker import Answered, Entrant, Name
from wattline.params import EnergyLimits, SessionParams
from wattline.records import EnergyTest, Judgement, Metric, Requests
from wattline.task import Outputs

SIZE = 4096
REQUESTS = 64
LIMITS = EnergyLimits(
    margin=0.1, alpha=0.05, power=0.9, budget_joules=1e9, training_budget_kwh=1e9, evidence="measured"
)
SESSION = SessionParams(
    minimum_blocks=4,
    maximum_blocks=4,
    sample_seconds=1.0,
    idle_seconds=10.0,
    warm_up_seconds=60.0,
    timeout_seconds=120.0,
    idle_drift=0.1,
    other_cores=1.0,
)


class Load:
    """So many matrix products for each request, on the GPU, in this process."""

    def __init__(self, layers: int) -> None:
        self.pid = os.getpid()
        self._layers = layers
        self._factor = torch.randn(SIZE, SIZE, device="cuda", dtype=torch.bfloat16) / SIZE**0.5

    def answer(self, passes: int) -> Answered:
        begin, cpu = time.perf_counter(), time.process_time()
        for _ in range(passes * REQUESTS):
            answer = self._factor
            for _ in range(self._layers):
                answer = answer @ self._factor
        torch.cuda.synchronize()
        return Answered(time.perf_counter() - begin, time.process_time() - cpu, 0.0)

    def answers(self) -> Outputs:
        return {"score": np.ones(REQUESTS, np.float32)}

    def answers_sha256(self) -> str:
        return hashlib.sha256(self.answers()["score"].tobytes()).hexdigest()

    def stop(self) -> None:
        del self._factor


def main() -> None:
    baseline, candidate = map(int, sys.argv[1:])
    meter = Nvml()
    test = session.hold(
        [entrant("candidate", candidate), entrant("baseline", baseline)],
        plan=Plan(
            requests=Requests(sha256="matrices", windows=REQUESTS, batch=1, passes=1),
            headline=Metric(name="score", unit="1", higher_is_better=True, description="the same for both"),
            params=SESSION,
            seed=7,
            looks=looks(SESSION.minimum_blocks, SESSION.maximum_blocks),
            more=lambda test: judged(test).more,
        ),
        meter=meter,
        self_test=self_test,
        say=say,
    )
    show(test, truth=candidate / baseline)


def say(what: str, share: float, _: Mapping[str, float]) -> None:
    print(f"{time.strftime('%X')} {what} {share:.0%}", flush=True)


def entrant(name: Name, layers: int) -> Entrant:
    return Entrant(name=name, digest=f"{layers} layers", load=lambda: Load(layers), score=lambda _: 1.0)


def judged(test: EnergyTest) -> Judgement:
    return judge(test, LIMITS, tolerance=0.0, maximum_blocks=SESSION.maximum_blocks, session=SESSION)


def show(test: EnergyTest, *, truth: float) -> None:
    found = judged(test)
    print(f"{torch.cuda.get_device_name()}: {test.sensor.sensor}, {test.sensor.boundary}")
    print(f"layers {truth:.3f} : 1; {found.outcome}: {found.reason}")
    print(f"control {found.control_ratio:.4f} [{found.control_interval[0]:.4f}, {found.control_interval[1]:.4f}]")
    for contender in test.contenders:
        energy = per_1000(test, contender.name)
        low, high = energy.interval
        share = idle_share(test, contender.name)
        figures = f"{energy.joules:.4g} J [{low:.4g}, {high:.4g}] per 1,000, {energy.provenance}"
        print(f"{contender.name}: {figures}; idle share {share:.1%}")
    if test.idle_before and test.idle_after:
        print(f"idle {test.idle_before.watts:.1f} W before, {test.idle_after.watts:.1f} W after")
    print(f"session {test.seconds:.0f} s, overhead {test.overhead:.2%}")


if __name__ == "__main__":
    main()
