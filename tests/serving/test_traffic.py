"""A share of the keys goes to the challenger: the right share, and always the same keys."""

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wattline.serving.versions.traffic import Split

PERCENT = st.floats(0, 100)
# What a header or a JSON string may hold; lone surrogates too, which no encoder likes.
KEYS = st.text(max_size=40)


@settings(deadline=None)
@given(KEYS, PERCENT)
def test_a_key_is_always_answered_by_the_same_version(key: str, percent: float):
    assert Split("canary", percent).choose(key) == Split("canary", percent).choose(key)


@settings(deadline=None)
@given(KEYS, PERCENT, PERCENT)
def test_a_larger_share_takes_no_key_away(key: str, one: float, other: float):
    small, large = sorted((one, other))
    if Split("canary", small).choose(key) == "canary":
        assert Split("canary", large).choose(key) == "canary"


@settings(deadline=None)
@given(KEYS)
def test_none_and_all_are_exact(key: str):
    assert Split("canary", 0).choose(key) == "stable"
    assert Split("canary", 100).choose(key) == "canary"
    assert Split("shadow", 100).choose(key) == "both"
    assert Split("off", 100).choose(key) == "stable"


@settings(deadline=None)
@given(KEYS, PERCENT)
def test_a_shadow_copies_what_a_canary_would_answer(key: str, percent: float):
    copied = Split("shadow", percent).choose(key) == "both"
    assert copied == (Split("canary", percent).choose(key) == "canary")


@pytest.mark.parametrize("percent", [0.1, 1, 5, 33.3, 50, 99])
@pytest.mark.parametrize("pattern", ["node-{:05d}", "{}", "rack{0}/node{0}", "\u00fc{}", "node-{}" + "x" * 200])
def test_the_share_is_what_was_asked_for_whatever_the_units_are_called(percent: float, pattern: str):
    count = 20_000
    split = Split("canary", percent)
    chosen = sum(split.choose(pattern.format(number)) == "canary" for number in range(count))
    share = percent / 100
    # Five standard deviations: one wrong alarm in millions, and these keys never change.
    assert abs(chosen - count * share) <= 5 * math.sqrt(count * share * (1 - share))


def test_every_process_chooses_alike():
    program = (
        "from wattline.serving.versions.traffic import Split\n"
        "split = Split('canary', 30)\n"
        "print([number for number in range(200) if split.choose(f'node-{number}') == 'canary'])"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    here = [number for number in range(200) if Split("canary", 30).choose(f"node-{number}") == "canary"]
    assert answers == {f"{here}\n"}
