import math

from wattline.records import Block

from ..observed import idle, record, sample, session
from ..promises import gives

E2, E4 = math.e**2, math.e**4


def block(kind, order, *net):
    """A block whose samples have these net energies [J]; idle power is taken as 2 W for 0.5 s."""
    letters = [("candidate" if kind == "pair" and letter == "A" else "baseline") for letter in order]
    samples = tuple(sample(name, 1.0 + joules) for name, joules in zip(letters, net, strict=True))
    return Block(kind=kind, order=order, samples=samples)


def observed(*blocks):
    return record(blocks, idle_before=idle(1.0), idle_after=idle(3.0))


def ratios(kind, *blocks):
    return lambda module: module.log_ratios(observed(*blocks), kind)


def near(kind, expected, *blocks):
    return lambda module: (
        len(found := module.log_ratios(observed(*blocks), kind)) == 1 and math.isclose(found[0], expected)
    )


CASES = (
    gives("idle power is the mean of before and after", lambda module: module.idle_watts(observed()), 2.0),
    *(
        gives(
            f"without {name} there is none", lambda m, name=name: math.isnan(m.idle_watts(record(**{name: None}))), True
        )
        for name in ("idle_before", "idle_after")
    ),
    gives(
        "net energy is what is left without idling as long",
        lambda module: module.net_joules(sample(joules=10.0, seconds=0.5), 4.0),
        8.0,
    ),
    gives("the first and the last of ABBA are A", near("pair", 3.0, block("pair", "ABBA", E2, 1, 1, E4)), True),
    gives("the two in the middle of BAAB are A", near("pair", 3.0, block("pair", "BAAB", 1, E2, E4, 1)), True),
    gives("each of them counts", near("pair", 2.0, block("pair", "BAAB", 1, E2, E2, 1)), True),
    gives("B is subtracted", near("pair", -3.0, block("pair", "ABBA", 1, E2, E4, 1)), True),
    gives("a control has an A too", near("control", 3.0, block("control", "ABBA", E2, 1, 1, E4)), True),
    gives("a control is no pair", ratios("pair", block("control", "ABBA", 1, 1, 1, 1)), ()),
    gives("a pair is no control", ratios("control", block("pair", "ABBA", 1, 1, 1, 1)), ()),
    gives("equal energies give 0", ratios("pair", block("pair", "ABBA", 4, 4, 4, 4)), (0.0,)),
    gives(
        "less than a joule has a logarithm, too", near("pair", -3.0, block("pair", "ABBA", 1 / E2, 1, 1, 1 / E4)), True
    ),
    *(
        gives(
            f"net energy of {bad} J makes its block undefined",
            lambda module, bad=bad: math.isnan(
                module.log_ratios(observed(block("pair", "ABBA", 1, bad, 1, 1)), "pair")[0]
            ),
            True,
        )
        for bad in (0.0, -1.0, math.nan)
    ),
    gives("all samples are in order", lambda module: len(list(module.samples(session()))), 48),
    *(
        gives(
            f"samples of the {name} are theirs alone",
            lambda module, name=name: [found.contender for found in module.samples(session(), name)],
            [name] * count,
        )
        for name, count in (("candidate", 12), ("baseline", 36))
    ),
)
