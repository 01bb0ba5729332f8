import math

from wattline.records import Block, Idle

from ..observed import ALONE, IDLE_JOULES, every, joules, reading, record, sample, sensor, session
from ..promises import gives, says, silent

NONE = Idle(watts=0.0, seconds=1, other_cores=0)
HERE = {"idle_before": NONE, "idle_after": NONE}


def counted(**changes):
    return lambda module: module._counted(sample().model_copy(update=changes))


def unusable(**changes):
    test = session(**changes)
    return lambda module: module.unusable(test)


def one(number=5, **changes):
    return unusable(alter=reading(number, **changes))


def times(found):
    """CPU and wall time of a sample that does not keep still."""
    share = 0.8 + (found.joules * 1e4 % 17) / 100
    return {"cpu_seconds": found.seconds * share}


def computed(*, per_cpu=12.5, per_second=0.0, shift=0.0, **changes):
    def alter(number, found):
        cpu = times(found)["cpu_seconds"]
        late = shift * (1 if number % 2 else -1)
        return {"cpu_seconds": cpu, **joules(per_cpu * (cpu + late) + per_second * found.seconds)}

    return unusable(alter=alter, **(HERE | changes))


def run_of(length):
    """So many readings in a row are the same, among both contenders."""
    return unusable(alter=lambda number, found: joules(48.0) if number < length else {})


CASES = (
    silent("sound readings are usable", unusable()),
    silent("a candidate alone is, too", unusable(pairs=0, contenders=ALONE)),
    silent("noise of 0.3 % is noise", unusable(spread=0.003)),
    gives("a reading counts", counted(), True),
    gives("half a joule counts", counted(**joules(0.5)), True),
    *(
        gives(f"{value} J do not count", counted(**joules(value)), False)
        for value in (0.0, -0.5, -1.0, math.nan, math.inf, -math.inf, 1e12, 2e12)
    ),
    gives("a joule less than the impossible counts", counted(**joules(1e12 - 1)), True),
    gives("it may be uncertain", counted(low=47.0, high=49.0), True),
    gives("half a second counts", counted(seconds=0.5), True),
    *(
        gives(f"{value} s do not count", counted(seconds=value), False)
        for value in (0.0, -0.5, math.nan, math.inf, 1e12, 2e12)
    ),
    gives("a second less than the impossible counts", counted(seconds=1e12 - 1), True),
    gives("no CPU time at all counts, on an accelerator", counted(cpu_seconds=0.0), True),
    *(
        gives(f"{value} s of CPU time do not count", counted(cpu_seconds=value), False)
        for value in (-0.5, math.nan, math.inf, 1e12, 2e12)
    ),
    gives("a second of CPU time less than the impossible counts", counted(cpu_seconds=1e12 - 1), True),
    gives("a reading over its own bounds does not", counted(high=47.0, low=46.0), False),
    gives("a reading under its own bounds does not", counted(high=50.0, low=49.0), False),
    gives("endless bounds do not, below", counted(low=-math.inf), False),
    gives("endless bounds do not, above", counted(high=math.inf), False),
    says(
        "what did not count is named",
        one(number=0, **joules(0.0)),
        "sample 1 (",
        "reads 0 J in 0.5 s (0.5 s of CPU time), within 0 and 0 J",
        "wattline energy doctor",
    ),
    *(
        says(
            f"{net} J without idle power are refused",
            one(**joules(IDLE_JOULES + net)),
            f"{net} J without idle power of 32 W",
        )
        for net in (0, -0.5)
    ),
    silent("half a joule without idle power is something", lambda module: module._impossible(record_of([0.5]))),
    silent("three times the median is much, and possible", one(**joules(IDLE_JOULES + 96 * 0.9))),
    says("more than three times is not", one(**joules(IDLE_JOULES + 96 * 1.1)), "cost 105.6 J", "for the same work"),
    says("less than a third is not", one(**joules(IDLE_JOULES + 32 / 3 * 0.9)), "cost 9.6 J"),
    silent("a third is", one(**joules(IDLE_JOULES + 32 / 3 * 1.1))),
    *(
        gives(
            f"net energy of {net} J is {'possible' if possible else 'impossible'} among 96 J and 32 J",
            lambda module, net=net, among=among: module._implausible(record_of([among] * 4 + [net])) is None,
            possible,
        )
        for net, among, possible in ((96.0, 32.0, True), (96.5, 32.0, False), (32.0, 96.0, True), (31.5, 96.0, False))
    ),
    *(
        gives(
            f"{seconds} s are {'possible' if possible else 'impossible'} among {among} s",
            lambda module, seconds=seconds, among=among: (
                module._implausible(record_of([32.0] * 5, seconds=[among] * 4 + [seconds])) is None
            ),
            possible,
        )
        for seconds, among, possible in ((5.0, 0.5, True), (5.25, 0.5, False), (0.5, 5.0, True), (0.25, 5.0, False))
    ),
    says("a clock that steps is named", one(seconds=8.0, **joules(8 * 32 + 32.0)), "took 8 s", "the clock stepped"),
    silent("samples as long as the meter needs are enough", unusable(sensor=sensor(minimum_seconds=0.5))),
    says(
        "shorter ones are not",
        unusable(sensor=sensor(minimum_seconds=0.5625)),
        "take 0.5 s and meter 'rapl' needs 0.5625 s",
        "sample_seconds",
    ),
    says(
        "a stuck sensor is refused", unusable(alter=every(**joules(48.0))), "all 12 samples of the candidate read 48 J"
    ),
    says(
        "a sensor stuck for one contender is refused",
        unusable(alter=lambda _, found: joules(48.0) if found.contender == "baseline" else {}),
        "all 36 samples of the baseline",
    ),
    says("a third of all readings in a row is refused", run_of(16), "16 of 48 samples in a row read the same"),
    says("more than a third is, too", run_of(20), "20 of 48 samples"),
    silent("a reading less is a coincidence", run_of(15)),
    says("CPU time in disguise is refused", computed(), "rapl:package-0 calls itself measured", "0.00%"),
    says(
        "wall time in disguise is refused",
        unusable(alter=lambda number, _: {"seconds": 0.5 + number / 256, **joules(90 * (0.5 + number / 256))}),
        "calls itself measured",
    ),
    says("both together are", computed(per_second=4.0), "calls itself measured"),
    says("clocks that are a little apart hide nothing", computed(shift=0.0001), "calls itself measured", "0.02%"),
    silent("an estimate that is called one may be one", computed(sensor=sensor(provenance="estimated"))),
    gives("what is left may be nothing", lambda m: m._nothing_left(0.0, step=None, mean=1.0), True),
    gives("0.05 % are nothing", lambda m: m._nothing_left(5e-4, step=None, mean=1.0), True),
    gives("a little more is something", lambda m: m._nothing_left(5.1e-4, step=None, mean=1.0), False),
    gives("rounding is nothing", lambda m: m._nothing_left(0.3 * 2 / 32, step=2.0, mean=32.0), True),
    gives("more than rounding is something", lambda m: m._nothing_left(0.31 * 2 / 32, step=2.0, mean=32.0), False),
    gives("fine steps forgive nothing", lambda m: m._nothing_left(5.1e-4, step=1e-6, mean=32.0), False),
    says(
        "coarse steps hide nothing",
        computed(shift=0.001, sensor=sensor(resolution_joules=1.0)),
        "calls itself measured",
    ),
)


def record_of(net, seconds=None):
    """A session of one contender whose readings have these net energies [J] and durations [s]."""
    seconds = seconds or [0.5] * len(net)
    found = [sample("candidate", 32.0 * long + joule, seconds=long) for joule, long in zip(net, seconds, strict=True)]
    block = Block.model_construct(kind="control", order="ABBA", samples=tuple(found))
    return record((block,), contenders=ALONE)
