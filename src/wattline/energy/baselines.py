"""Energy of the baselines, as the task computes them: what a model must be worth more than.

They are Python, and no graphs: what is read includes the interpreter, and nothing of them was made fast. It says what
a site would pay that took the baseline as it stands here.
"""

import time
from collections.abc import Mapping, Sequence
from itertools import cycle
from statistics import median

from wattline.energy.meters import Meter, MeterError
from wattline.energy.paired.figures import NET
from wattline.progress import progress
from wattline.records import Energy
from wattline.task import Predictor, Series, Split


def energies(
    baselines: Mapping[str, Predictor], test: Split, *, meter: Meter, seconds: float, repeats: int, idle_watts: float
) -> dict[str, Energy]:
    """Energy of 1,000 answers of each baseline, above idle power; one that the meter cannot tell from nothing has none.

    seconds: length of one sample; it is longer where the meter wants that [s]
    repeats: samples of each; the interval spans those of all, wide but never too narrow
    idle_watts: what the meter reads while nothing is asked [W]; 0 for a meter that sees nothing but this process
    Raises MeterError when the meter stops working.
    """
    found = {}
    with progress("baselines") as report:
        for done, (name, answer) in enumerate(baselines.items(), start=1):
            work = _work(answer, list(test.values()), seconds=max(seconds, meter.minimum_seconds))
            samples = [_sample(answer, work, meter, idle_watts) for _ in range(repeats)]
            if min(one.joules for one in samples) > 0:
                found[name] = _summary(samples)
            report(name, done / len(baselines), {})
    return found


def _work(answer: Predictor, units: Sequence[Series], *, seconds: float) -> list[Series]:
    """Units, over and over, whose answers take about `seconds`: the same in every sample. It warms up, too.

    Raises MeterError where there is no row to ask about.
    """
    asked: list[Series] = []
    began = time.perf_counter()
    for unit in cycle([unit for unit in units if len(unit)]):
        answer(unit)
        asked.append(unit)
        if time.perf_counter() - began >= seconds:
            return asked
    raise MeterError("no baseline can be measured: the test part has no rows; run `dvc repro prepare`")


def _sample(answer: Predictor, work: Sequence[Series], meter: Meter, idle_watts: float) -> Energy:
    """Energy of 1,000 answers, above idle power."""
    meter.start()
    for unit in work:
        answer(unit)
    read = meter.stop()
    idle = idle_watts * read.seconds
    low, high = read.interval
    above = {
        "joules": max(0.0, read.joules - idle),
        "interval": (low - idle, high - idle),
        "boundary": f"{read.boundary}; {NET}",
    }
    return read.model_copy(update=above).scaled(1000 / sum(len(unit) for unit in work))


def _summary(samples: Sequence[Energy]) -> Energy:
    return samples[0].model_copy(
        update={
            "joules": median(one.joules for one in samples),
            "interval": (min(one.interval[0] for one in samples), max(one.interval[1] for one in samples)),
            "seconds": median(one.seconds for one in samples),
        }
    )
