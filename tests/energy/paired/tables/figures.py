import math

from wattline.records import Requests

from ..observed import ALONE, idle, joules, record, sensor, session
from ..promises import gives, refuses

REQUESTS = Requests(sha256="", windows=250, batch=1, passes=2)
T_5 = 2.570582  # quantile of Student's t at 97.5 %, 5 degrees of freedom


def observed(**changes):
    """Both samples of the candidate in a block read 47, 48 or 49 J, 16 J of them idle power."""

    def alter(number, found):
        value = 47.0 + number // 8 % 3
        return {"joules": value, "low": value - 0.25, "high": value + 0.5}

    return session(alter=alter, **({"requests": REQUESTS, "sensor": sensor(resolution_joules=0.25)} | changes))


def energy(name="per_1000", **changes):
    test = observed(**changes)
    return lambda module: getattr(module, name)(test, "candidate")


def field(name, of="per_1000", **changes):
    return lambda module: getattr(energy(of, **changes)(module), name)


def interval(of="per_1000", **changes):
    return lambda module: tuple(round(bound, 4) for bound in energy(of, **changes)(module).interval)


CHANCE = T_5 * 0.8**0.5 / 6**0.5  # of block means 47, 48, 49, 47, 48, 49 J
CASES = (
    gives("1,000 predictions cost what is left without idle power", field("joules"), 64.0),
    gives("they cost more with it", field("joules", of="gross_per_1000"), 96.0),
    gives("they take as long as their samples", field("seconds"), 1.0),
    gives("the sensor's step is that of so many predictions", field("resolution_joules"), 0.5),
    gives("no step stays none", field("resolution_joules", sensor=sensor()), None),
    gives(
        "chance and resolution widen the interval",
        interval(of="gross_per_1000"),
        (round(2 * (48 - 0.25 - CHANCE), 4), round(2 * (48 + 0.5 + CHANCE), 4)),
    ),
    gives(
        "half the change of idle power does, too",
        interval(idle_before=idle(31.0), idle_after=idle(33.0)),
        (round(2 * (32 - 0.25 - CHANCE - 0.5), 4), round(2 * (32 + 0.5 + CHANCE + 0.5), 4)),
    ),
    gives(
        "whichever way it went",
        lambda m: (
            interval(idle_before=idle(33.0), idle_after=idle(31.0))(m)
            == interval(idle_before=idle(31.0), idle_after=idle(33.0))(m)
        ),
        True,
    ),
    gives("the boundary says that idle power is taken off", field("boundary"), "CPU packages; idle power is taken off"),
    gives("or that it is not", field("boundary", of="gross_per_1000"), "CPU packages; idle power is included"),
    gives(
        "parameters stay, and idle power joins them",
        field("parameters", idle_before=idle(31.0), idle_after=idle(33.0)),
        {"refresh": "1 ms", "idle power taken off": "32 W +/- 1 W, mean of before and after"},
    ),
    gives("without idle power nothing joins them", field("parameters", of="gross_per_1000"), {"refresh": "1 ms"}),
    gives("a measurement stays one", field("provenance"), "measured"),
    gives("an estimate stays one", field("provenance", sensor=sensor(provenance="estimated")), "estimated"),
    gives("the sensor is named", field("sensor"), "rapl:package-0"),
    gives("the scope is kept", field("scope"), "machine"),
    gives(
        "the samples of controls are the contender's, too",
        field("joules", pairs=0, controls=12, contenders=ALONE),
        64.0,
    ),
    gives("two blocks are enough", lambda m: math.isfinite(field("joules", pairs=2, controls=0)(m)), True),
    *(
        refuses(f"{pairs} are not", energy(pairs=pairs), f"{pairs} blocks hold samples of the candidate")
        for pairs in (0, 1)
    ),
    *(
        refuses(f"without {name} nothing can be taken off", energy(**{name: None}), "idle power was not read")
        for name in ("idle_before", "idle_after")
    ),
    refuses("idle power that no float can sum is none", energy(idle_after=idle(1.7e308)), "the meter did not count"),
    gives(
        "nor do bounds that none can sum break anything",
        lambda module: module.per_1000(session(alter=lambda *_: {"low": -1.7e308}), "candidate").interval[0],
        -math.inf,
    ),
    refuses(
        "idle power may not be all",
        energy(idle_before=idle(96.0), idle_after=idle(96.0)),
        "cost 0 J",
        "idle power outweighs",
    ),
    refuses("nor more than all", energy(idle_before=idle(97.0), idle_after=idle(97.0)), "cost -0.5 J"),
    gives("half a joule is enough", field("joules", idle_before=idle(95.0), idle_after=idle(95.0)), 1.0),
    refuses(
        "endless energy is none",
        lambda m: m.gross_per_1000(session(alter=lambda *_: joules(math.inf)), "candidate"),
        "inf J",
    ),
    gives("idle power has a share", lambda m: m.idle_share(observed(), "candidate"), 1 / 3),
    gives(
        "little has a share, too", lambda m: m.idle_share(session(alter=lambda *_: joules(1 / 64)), "candidate"), 1024.0
    ),
    *(
        gives(
            f"of {value} J nothing has a share",
            lambda m, value=value: math.isnan(m.idle_share(session(alter=lambda *_: joules(value)), "candidate")),
            True,
        )
        for value in (0.0, -1 / 64)
    ),
    gives("without samples nothing has a share", lambda m: math.isnan(m.idle_share(record(), "candidate")), True),
)
