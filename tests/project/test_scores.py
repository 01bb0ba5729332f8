"""Scores agree with their definitions, and VUS-PR with the implementation whose published numbers we compare with."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from project import scores

# Written by `python benchmarks/vus_pr.py --write-reference`, which runs TSB-AD itself.
REFERENCE = json.loads(Path(__file__).with_name("vus_pr_reference.json").read_text(encoding="utf-8"))

MINUTE = 60.0

# A busy runner is slow, not wrong.
unhurried = settings(deadline=None)

labels_and_scores = st.integers(2, 40).flatmap(
    lambda length: st.tuples(
        st.lists(st.integers(0, 1), min_size=length, max_size=length),
        st.lists(st.integers(-4, 4), min_size=length, max_size=length),
    )
)
labels_and_alarms = st.integers(1, 60).flatmap(
    lambda length: st.tuples(*[st.lists(st.integers(0, 1), min_size=length, max_size=length)] * 2)
)


def segments_of(flags: list[int]) -> list[tuple[int, int]]:
    """First and last index of each run of ones."""
    starts = [i for i, flag in enumerate(flags) if flag and (i == 0 or not flags[i - 1])]
    ends = [i for i, flag in enumerate(flags) if flag and (i == len(flags) - 1 or not flags[i + 1])]
    return list(zip(starts, ends, strict=True))


def soft_label(point: int, segments: list[tuple[int, int]], buffer: int) -> float:
    """How anomalous a point is: 1 in a segment, else the sum of the ramps around all segments, at most 1."""
    weight = 0.0
    for first, last in segments:
        distance = max(first - point, point - last, 0)
        if distance <= buffer // 2:
            weight += math.sqrt(1 - distance / buffer) if distance else 1.0
    return min(weight, 1.0)


def widened(segments: list[tuple[int, int]], reach: int) -> list[tuple[int, int]]:
    """Segments with `reach` more points on each side, as one where they share a point."""
    merged = [(segments[0][0] - reach, segments[0][1] + reach)]
    for first, last in segments[1:]:
        if first - reach <= merged[-1][1]:
            merged[-1] = (merged[-1][0], last + reach)
        else:
            merged.append((first - reach, last + reach))
    return merged


def obvious_vus_pr(labels: list[int], values: list[int], maximum_buffer: int) -> float:
    """VUS-PR point by point, from the paper's definition and TSB-AD's choice of thresholds and positives."""
    segments, count = segments_of(labels), len(labels)
    ranked = sorted(values, reverse=True)
    thresholds = sorted({ranked[int(rank)] for rank in np.linspace(0, count - 1, 250)}, reverse=True)
    volume = 0.0
    for buffer in range(maximum_buffer + 1):
        soft = [soft_label(point, segments, buffer) for point in range(count)]
        regions = widened(segments, buffer // 2)
        recalls = [0.0]
        for threshold in thresholds:
            alarms = [point for point in range(count) if values[point] >= threshold]
            hits = sum(soft[point] for point in alarms)
            buffered = sum(soft[point] for point in alarms if not labels[point])
            found = sum(any(first <= point <= last for point in alarms) for first, last in regions)
            recalls.append(min(hits / (sum(labels) + buffered / 2), 1) * found / len(regions))
            volume += (recalls[-1] - recalls[-2]) * hits / len(alarms)
    return volume / (maximum_buffer + 1)


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["name"])
def test_vus_pr_is_the_number_tsb_ad_computes(case: dict[str, Any]) -> None:
    labels = np.zeros(len(case["scores"]), dtype=np.int8)
    for start, stop in case["segments"]:
        labels[start:stop] = 1
    ours = scores.vus_pr(labels, case["scores"], maximum_buffer=case["maximum_buffer"])
    assert ours == pytest.approx(case["vus_pr"], rel=0, abs=1e-9)


def test_the_reference_can_tell_a_wrong_vus_pr_from_a_right_one() -> None:
    """Scores that ignore the buffer, or average precision in its place, must not pass for TSB-AD's number."""
    wrong = 0
    for case in REFERENCE["cases"]:
        labels = np.zeros(len(case["scores"]), dtype=np.int8)
        for start, stop in case["segments"]:
            labels[start:stop] = 1
        impostors = (scores.vus_pr(labels, case["scores"], maximum_buffer=99), scores.auc_pr(labels, case["scores"]))
        wrong += all(abs(impostor - case["vus_pr"]) > 1e-9 for impostor in impostors)
    assert wrong > 0.8 * len(REFERENCE["cases"])


@unhurried
@given(series=labels_and_scores, maximum_buffer=st.integers(0, 30))
def test_vus_pr_is_what_its_definition_says_point_by_point(
    series: tuple[list[int], list[int]], maximum_buffer: int
) -> None:
    labels, values = series
    assume(0 < sum(labels) < len(labels))
    expected = obvious_vus_pr(labels, values, maximum_buffer)
    assert scores.vus_pr(labels, values, maximum_buffer=maximum_buffer) == pytest.approx(expected, rel=0, abs=1e-9)


@unhurried
@given(series=labels_and_scores)
def test_curves_depend_on_the_order_of_scores_only(series: tuple[list[int], list[int]]) -> None:
    labels, values = series
    assume(0 < sum(labels) < len(labels))
    stretched = np.exp(np.array(values, dtype=np.float64))
    for score in (scores.auc_pr, scores.auc_roc, scores.vus_pr, scores.best_f1):
        assert score(labels, stretched) == pytest.approx(score(labels, values), abs=1e-12)


@unhurried
@given(series=labels_and_scores)
def test_areas_are_those_of_sklearn_with_ties(series: tuple[list[int], list[int]]) -> None:
    labels, values = series
    assume(0 < sum(labels) < len(labels))
    assert scores.auc_pr(labels, values) == average_precision_score(labels, values)
    assert scores.auc_roc(labels, values) == roc_auc_score(labels, values)


@pytest.mark.parametrize("score", [scores.auc_pr, scores.auc_roc, scores.vus_pr, scores.best_f1])
def test_a_perfect_score_reaches_one(score: Any) -> None:
    labels = [0, 1, 1, 0, 0, 0, 1, 0]
    assert score(labels, labels) == pytest.approx(1.0)


@pytest.mark.parametrize("score", [scores.auc_pr, scores.auc_roc, scores.vus_pr])
@pytest.mark.parametrize("label", [0, 1])
def test_a_curve_of_one_class_is_undefined_not_zero(score: Any, label: int) -> None:
    assert math.isnan(score([label] * 5, [1, 2, 3, 4, 5]))


def test_an_alarm_beside_a_segment_counts_in_vus_pr_and_not_in_auc_pr() -> None:
    labels = np.zeros(200)
    labels[100:110] = 1
    late, far = np.zeros(200), np.zeros(200)
    late[112:116] = 1
    far[10:14] = 1
    assert scores.vus_pr(labels, late) > scores.vus_pr(labels, far)
    assert scores.auc_pr(labels, late) == scores.auc_pr(labels, far)


@unhurried
@given(series=labels_and_alarms)
def test_point_scores_are_those_of_sklearn_where_they_are_defined(series: tuple[list[int], list[int]]) -> None:
    labels, alarms = series
    assume(any(labels) and any(alarms))
    assert scores.precision(labels, alarms) == pytest.approx(precision_score(labels, alarms))
    assert scores.recall(labels, alarms) == pytest.approx(recall_score(labels, alarms))
    assert scores.f1_at(labels, alarms) == pytest.approx(f1_score(labels, alarms))


def test_point_scores_without_their_denominator_are_undefined() -> None:
    assert math.isnan(scores.precision([0, 1], [0, 0]))
    assert math.isnan(scores.recall([0, 0], [0, 1]))
    assert math.isnan(scores.f1_at([0, 0], [0, 1]))
    assert math.isnan(scores.best_f1([0, 0], [0, 1]))


def test_a_detector_that_never_alarms_has_f1_zero() -> None:
    assert scores.f1_at([0, 1, 1], [0, 0, 0]) == 0.0


def test_one_alarm_in_a_long_segment_is_one_point_not_the_whole_segment() -> None:
    """Point adjustment would call this recall 1."""
    assert scores.recall([1] * 10, [1] + [0] * 9) == pytest.approx(0.1)


@unhurried
@given(series=labels_and_scores)
def test_the_best_f1_is_the_best_of_all_thresholds(series: tuple[list[int], list[int]]) -> None:
    labels, values = series
    assume(any(labels))
    at_thresholds = [scores.f1_at(labels, np.array(values) >= threshold) for threshold in set(values)]
    assert scores.best_f1(labels, values) == pytest.approx(max(at_thresholds))


def test_false_alarms_are_counted_as_events_and_not_as_points() -> None:
    labels = [0] * 1440
    alarms = [0] * 1440
    alarms[10:40] = [1] * 30
    alarms[50] = alarms[1439] = 1
    assert scores.false_alarms_per_day(labels, alarms, cadence_seconds=MINUTE) == pytest.approx(3.0)


def test_an_alarm_that_overlaps_a_segment_is_no_false_alarm_and_one_that_only_borders_it_is() -> None:
    labels = [0, 0, 1, 1, 0, 0, 0, 0]
    day = 86_400 / len(labels)
    assert scores.false_alarms_per_day(labels, [0, 1, 1, 0, 0, 0, 0, 0], cadence_seconds=day) == 0.0
    assert scores.false_alarms_per_day(labels, [0, 0, 0, 1, 1, 1, 1, 1], cadence_seconds=day) == 0.0
    assert scores.false_alarms_per_day(labels, [0, 1, 0, 0, 1, 0, 0, 0], cadence_seconds=day) == 2.0


def test_twice_the_cadence_means_half_the_false_alarms_per_day() -> None:
    minutely = scores.false_alarms_per_day([0] * 10, [0, 1] * 5, cadence_seconds=MINUTE)
    assert scores.false_alarms_per_day([0] * 10, [0, 1] * 5, cadence_seconds=2 * MINUTE) == pytest.approx(minutely / 2)


@unhurried
@given(series=labels_and_alarms)
def test_events_are_those_a_walk_through_the_series_finds(series: tuple[list[int], list[int]]) -> None:
    labels, alarms = series
    false_alarms = sum(not any(labels[first : last + 1]) for first, last in segments_of(alarms))
    day = 86_400 / len(labels)
    assert scores.false_alarms_per_day(labels, alarms, cadence_seconds=day) == pytest.approx(false_alarms)

    delays = [alarms[first : last + 1].index(1) for first, last in segments_of(labels) if any(alarms[first : last + 1])]
    missed = len(segments_of(labels)) - len(delays)
    expected_delay = MINUTE * sum(delays) / len(delays) if delays else math.nan
    expected_missed = missed / len(segments_of(labels)) if any(labels) else math.nan
    delay = scores.detection_delay_seconds(labels, alarms, cadence_seconds=MINUTE)
    assert delay == pytest.approx(expected_delay, nan_ok=True)
    assert scores.missed_segments_share(labels, alarms) == pytest.approx(expected_missed, nan_ok=True)


def test_the_delay_runs_from_the_start_of_the_segment_to_the_first_alarm_inside_it() -> None:
    labels = [0, 1, 1, 1, 1, 0, 1, 1]
    alarms = [1, 0, 0, 1, 1, 0, 1, 0]
    assert scores.detection_delay_seconds(labels, alarms, cadence_seconds=MINUTE) == pytest.approx(MINUTE)


def test_a_missed_segment_shows_in_the_missed_share_and_leaves_the_delay_alone() -> None:
    labels = [0, 1, 1, 0, 1, 1, 0]
    alarms = [0, 0, 1, 1, 0, 0, 1]
    assert scores.missed_segments_share(labels, alarms) == 0.5
    assert scores.detection_delay_seconds(labels, alarms, cadence_seconds=MINUTE) == pytest.approx(MINUTE)


def test_the_delay_of_a_detector_that_finds_nothing_is_undefined_not_zero() -> None:
    assert math.isnan(scores.detection_delay_seconds([0, 1, 1], [1, 0, 0], cadence_seconds=MINUTE))
    assert scores.missed_segments_share([0, 1, 1], [1, 0, 0]) == 1.0


@pytest.mark.parametrize(
    ("labels", "values", "message"),
    [
        ([0, 1], [0.1, math.nan], "finite, 1 of 2"),
        ([0, 1], [0.1, math.inf], "finite"),
        ([0, 1], [0.1], "one entry a label"),
        ([0, 2], [0.1, 0.2], "only 0 and 1"),
        ([[0, 1]], [[0.1, 0.2]], "shape"),
        ([], [], "non-empty"),
    ],
)
def test_a_series_that_cannot_be_scored_is_refused_by_name(labels: Any, values: Any, message: str) -> None:
    for score in (scores.auc_pr, scores.auc_roc, scores.vus_pr, scores.best_f1):
        with pytest.raises(ValueError, match=message):
            score(labels, values)


def test_scores_in_place_of_alarms_are_refused() -> None:
    with pytest.raises(ValueError, match="threshold first"):
        scores.f1_at([0, 1], [0.2, 0.9])


@pytest.mark.parametrize("cadence_seconds", [0, -60, math.nan, math.inf])
def test_a_cadence_that_is_no_time_is_refused(cadence_seconds: float) -> None:
    for score in (scores.false_alarms_per_day, scores.detection_delay_seconds):
        with pytest.raises(ValueError, match="cadence_seconds"):
            score([0, 1], [0, 1], cadence_seconds=cadence_seconds)


def test_a_negative_buffer_is_refused() -> None:
    with pytest.raises(ValueError, match="maximum_buffer"):
        scores.vus_pr([0, 1], [0, 1], maximum_buffer=-1)
