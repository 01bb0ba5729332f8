"""A challenger that is worse goes soon, one that is not stays, whatever luck and the machine do meanwhile."""

import math
from typing import Any

import numpy as np
import pytest

from wattline.params.serving import CanaryParams
from wattline.serving.versions.judge import BLOCKS, EVIDENCE, FAILURES_IN_A_ROW, RATES, RUNS_IN_A_BLOCK, Judge

REQUESTS = 10_000


def judge(**changes: Any) -> Judge:
    params = {"minimum_requests": 200, "maximum_error_rate": 0.01, "maximum_latency_ratio": 3.0} | changes
    return Judge(CanaryParams(mode="canary", percent=5, **params))


def requests_until_verdict(one: Judge, rate: float, generator: np.random.Generator, most: int) -> int | None:
    """How many requests of a challenger that fails at `rate` it takes; None where `most` are not enough."""
    for number, failed in enumerate((generator.random(most) < rate).tolist(), start=1):
        one.counted("canary", ok=not failed)
        if one.verdict() is not None:
            assert one.verdict() == "errors"
            return number
    return None


class TestErrors:
    """How often it fails."""

    def test_the_promised_rate_of_false_alarms_is_below_one_percent(self):
        assert REQUESTS * RATES * math.exp(-EVIDENCE) < 0.01

    @pytest.mark.parametrize("allowed", [0.001, 0.01, 0.1])
    def test_one_that_fails_as_often_as_it_may_stays(self, allowed: float):
        generator = np.random.default_rng(1)
        trials = [
            requests_until_verdict(judge(maximum_error_rate=allowed), allowed, generator, REQUESTS) for _ in range(20)
        ]
        assert trials.count(None) >= 19

    @pytest.mark.parametrize(
        ("allowed", "rate", "at_most"),
        [
            (0.01, 0.5, 200),
            (0.01, 0.2, 250),
            (0.01, 0.1, 400),
            (0.01, 0.05, 1500),
            (0.01, 0.03, 5000),
            (0.05, 0.2, 600),
        ],
    )
    def test_one_that_fails_more_often_goes_within_so_many_requests(self, allowed: float, rate: float, at_most: int):
        generator = np.random.default_rng(2)
        for _ in range(10):
            needed = requests_until_verdict(judge(maximum_error_rate=allowed), rate, generator, at_most)
            assert needed is not None
            assert needed >= 200

    @pytest.mark.parametrize("allowed", [0.0, 0.0001, 0.001, 0.01, 0.1])
    def test_one_unlucky_failure_in_two_hundred_is_forgiven(self, allowed: float):
        for unlucky in (0, 100, 199):
            one = judge(maximum_error_rate=allowed)
            for number in range(REQUESTS):
                one.counted("canary", ok=number % 5000 != unlucky)
                assert one.verdict() is None

    def test_one_that_always_fails_goes_before_its_minimum_of_requests(self):
        assert requests_until_verdict(judge(), 1.0, np.random.default_rng(3), 200) == FAILURES_IN_A_ROW

    def test_where_half_may_fail_ten_failures_are_no_proof(self):
        needed = requests_until_verdict(judge(maximum_error_rate=0.5), 1.0, np.random.default_rng(3), 200)
        assert needed is not None
        assert needed > 20

    def test_where_all_may_fail_it_stays(self):
        assert requests_until_verdict(judge(maximum_error_rate=1), 1.0, np.random.default_rng(3), REQUESTS) is None

    def test_nothing_is_judged_before_the_minimum_unless_all_failed(self):
        one = judge()
        for number in range(199):
            one.counted("canary", ok=number % 2 == 0)
            assert one.verdict() is None
        one.counted("canary", ok=False)
        assert one.verdict() == "errors"

    def test_one_that_breaks_after_a_good_month_goes_as_soon(self):
        one = judge()
        for _ in range(100_000):
            one.counted("canary", ok=True)
        assert requests_until_verdict(one, 1.0, np.random.default_rng(4), 20) is not None

    def test_failures_of_the_champion_are_not_the_challengers(self):
        one = judge()
        for _ in range(1000):
            one.counted("stable", ok=False)
            one.counted("shadow", ok=True)
        assert one.verdict() is None

    def test_a_shadow_is_judged_like_a_canary(self):
        one = judge()
        for _ in range(10):
            one.counted("shadow", ok=False)
        assert one.verdict() == "errors"


class Machine:
    """Runs of two versions on one machine: jitter, rare stalls, and other work that comes and goes."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)
        self._busy = 1.0

    def seconds(self, windows: int) -> float:
        draw = self._generator
        seconds = (50e-6 + 10e-6 * windows) * self._busy * draw.lognormal(0, 0.3)
        return float(seconds + (draw.pareto(1.5) * 10e-3 if draw.random() < 0.002 else 0))

    def run(
        self, one: Judge, *, requests: int, slower: float = 1.0, share: float = 0.1, sizes: Any = (4, 4)
    ) -> int | None:
        """Requests of the challenger until there is a verdict.

        slower: the challenger's time over the champion's; sizes: most windows in a run of challenger and champion
        """
        challengers = 0
        for number in range(requests):
            if number % 300 == 0:
                self._busy = float(self._generator.choice([1, 1, 4]))
            canary = bool(self._generator.random() < share)
            challengers += canary
            windows = int(self._generator.integers(1, sizes[not canary] + 1))
            role = "canary" if canary else "stable"
            one.counted(role, ok=True)
            one.timed(role, windows=windows, seconds=self.seconds(windows) * (slower if canary else 1))
            if one.verdict() is not None:
                assert one.verdict() == "latency"
                return challengers
        return None


class TestLatency:
    """How long it takes."""

    @pytest.mark.parametrize("sizes", [(4, 4), (2, 32), (32, 2)])
    def test_the_same_model_under_another_name_stays(self, sizes: tuple[int, int]):
        found = [Machine(seed).run(judge(), requests=REQUESTS, sizes=sizes) for seed in range(4)]
        assert found == [None] * 4

    def test_it_stays_also_where_little_more_is_allowed(self):
        found = [
            Machine(seed).run(judge(maximum_latency_ratio=1.5), requests=REQUESTS, sizes=(2, 32)) for seed in range(4)
        ]
        assert found == [None] * 4

    @pytest.mark.parametrize("share", [0.05, 0.5, 0.8])
    def test_a_slow_one_goes_with_its_minimum_of_requests(self, share: float):
        for seed in range(3):
            needed = Machine(seed).run(judge(), requests=REQUESTS, slower=6, share=share)
            assert needed is not None
            assert 200 <= needed <= 400

    def test_one_that_becomes_slow_later_goes_within_so_many_runs(self):
        machine, one = Machine(5), judge()
        assert machine.run(one, requests=REQUESTS) is None
        needed = machine.run(one, requests=REQUESTS, slower=6)
        assert needed is not None
        assert needed <= 2 * BLOCKS * RUNS_IN_A_BLOCK

    def test_a_slow_one_in_small_runs_goes_beside_a_champion_in_large_ones(self):
        assert Machine(6).run(judge(), requests=REQUESTS, slower=20, sizes=(1, 16)) is not None

    def test_a_single_stall_is_no_verdict(self):
        one = judge(minimum_requests=1)
        for number in range(2000):
            role = "canary" if number % 2 else "stable"
            one.counted(role, ok=True)
            one.timed(role, windows=1, seconds=60.0 if number == 501 else 1e-4)
            assert one.verdict() is None

    def test_without_the_champion_beside_it_nothing_is_slow(self):
        assert Machine(7).run(judge(), requests=3000, slower=100, share=1.0) is None
