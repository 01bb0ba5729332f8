import math

from ..promises import gives, refuses


def level(blocks, **changes):
    return lambda module: module.level(blocks, **({"minimum": 6, "maximum": 32, "alpha": 0.5} | changes))


def bounds(*log_ratios, level=0.025):
    return lambda module: module.bounds(log_ratios, level=level)


def needed(deviation, **changes):
    good = {"margin": 0.05, "level": 0.05, "power": 0.9}
    return lambda module: module.blocks_needed(deviation, **(good | changes))


# A margin of 5 % of the log-ratio, as the published table has it (the normal approximation leaves out the logarithm).
FIVE_PERCENT = math.expm1(0.05)

CASES = (
    gives("looks double until the maximum", lambda module: module.looks(6, 32), (6, 12, 24, 32)),
    gives("the maximum is looked at once", lambda module: module.looks(6, 12), (6, 12)),
    gives("one look may be all", lambda module: module.looks(6, 6), (6,)),
    gives("two blocks are a number of blocks", lambda module: module.looks(2, 3), (2, 3)),
    refuses(
        "a maximum under the minimum is an error", lambda module: module.looks(8, 7), "maximum_blocks", "(8), got 7"
    ),
    refuses("none is not, either", lambda module: module.looks(0, 7), "maximum_blocks"),
    refuses("one block is not enough", lambda module: module.looks(1, 7), "maximum_blocks"),
    gives("the first look takes the square of its share", level(8, minimum=8), 0.5 * 64 / 1024),
    gives("a later look takes what was spent since", level(16, minimum=8), 0.5 * (256 - 64) / 1024),
    gives("the last look takes the rest", level(32, minimum=8), 0.5 * (1024 - 256) / 1024),
    gives("one look takes all", level(32, minimum=32), 0.5),
    gives(
        "all looks together take alpha",
        lambda module: math.isclose(sum(level(look)(module) for look in (6, 12, 24, 32)), 0.5),
        True,
    ),
    # Quantiles of t are from tables: 12.706 for 1 degree of freedom at 2.5 %, 4.303 for 2.
    gives(
        "two blocks have bounds",
        lambda module: [round(bound, 3) for bound in bounds(1.0, 3.0)(module)],
        [2.0, round(2 - 12.7062, 3), round(2 + 12.7062, 3), 1.414],
    ),
    gives(
        "three blocks have closer ones",
        lambda module: [round(bound, 2) for bound in bounds(1.0, 2.0, 3.0)(module)],
        [2.0, round(2 - 4.30265 / 3**0.5, 2), round(2 + 4.30265 / 3**0.5, 2), 1.0],
    ),
    gives(
        "at a risk of one half the bound is the mean",
        lambda module: round(bounds(1, 3, level=0.5)(module).high, 9),
        2.0,
    ),
    *(
        gives(
            f"{len(bad)} blocks, {bad}, have none",
            lambda module, bad=bad: all(map(math.isnan, bounds(*bad)(module))),
            True,
        )
        for bad in ((), (1.0,), (1.0, math.nan), (math.inf, 1.0))
    ),
    gives(
        "a ratio is not a logarithm",
        lambda module: module.Bounds(0.0, -math.inf, math.inf, 1.0).interval,
        (0.0, math.inf),
    ),
    gives("a mean has a ratio", lambda module: module.Bounds(0.0, -1.0, 1.0, 1.0).ratio, 1.0),
    gives(
        "bounds are written as ratios",
        lambda module: str(module.Bounds(0.0, 0.0, math.log(2), 1)),
        "1.0000 [1.0000, 2.0000]",
    ),
    gives("garbage has an endless ratio", lambda module: module.ratio(1000.0), math.inf),
    # Pairs for a margin of 5 %, alpha 0.05 and power 0.9, as published for single pairs, whose deviation is sqrt(2) CV.
    *(
        gives(f"CV {variation:.0%} needs {pairs} single pairs", needed(variation * 2**0.5, margin=FIVE_PERCENT), pairs)
        for variation, pairs in ((0.01, 3), (0.03, 8), (0.05, 19), (0.1, 70), (0.2, 276))
    ),
    gives("a block of four needs about half as many", needed(0.05), 11),
    gives("less risk needs more", needed(0.05, level=0.02), 14),
    gives("more power needs more", needed(0.05, power=0.99), 19),
    gives("certainty is reached without noise", needed(0.0, power=1.0), 3),
    gives("no noise needs two, to see that there is none", needed(0.0), 2),
    gives("noise that is hardly there needs two", needed(1e-9), 2),
    gives("garbage needs more than any session takes", needed(100.0), 10_000),
)
