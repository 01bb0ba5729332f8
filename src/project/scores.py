"""Scores that compare one unit's anomaly scores or alarms with its point labels, without point adjustment.

Shapes: `labels`, `scores` and `alarms` are (time,), one entry a step, in time order. Labels and alarms hold 0 or 1.
A score that its input leaves undefined (say, no anomaly to find) is NaN, so no mean over units can absorb it unseen.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

SECONDS_PER_DAY = 86_400
VUS_THRESHOLDS = 250

Flags = NDArray[np.bool_]
Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Count = int | np.integer[Any]


def auc_pr(labels: ArrayLike, scores: ArrayLike) -> float:
    """Average precision: sum over distinct scores of recall gained x precision; NaN unless both classes occur."""
    # Imported here, since it takes a second and most stages score nothing.
    from sklearn.metrics import average_precision_score

    anomalous, values = _labels_and_scores(labels, scores)
    return float(average_precision_score(anomalous, values)) if _has_both_classes(anomalous) else np.nan


def auc_roc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Probability that an anomalous point outscores a normal one, ties half; NaN unless both classes occur."""
    from sklearn.metrics import roc_auc_score

    anomalous, values = _labels_and_scores(labels, scores)
    return float(roc_auc_score(anomalous, values)) if _has_both_classes(anomalous) else np.nan


def vus_pr(labels: ArrayLike, scores: ArrayLike, *, maximum_buffer: int = 100) -> float:
    """Volume under the precision-recall surface: range average precision, mean over buffers 0..maximum_buffer.

    A buffer softens the edges of the labels: points close to a labelled segment count as partly anomalous.
    Paparrizos et al., PVLDB 15(11), 2022, with the numbers of TSB-AD 1.5 (`RangeAUC_volume_opt`, thre=250).
    NaN unless both classes occur.

    maximum_buffer: widest buffer [steps], half of it on each side of a segment
    """
    anomalous, values = _labels_and_scores(labels, scores)
    if maximum_buffer < 0:
        raise ValueError(f"vus_pr: maximum_buffer must be >= 0 steps, got {maximum_buffer}")
    if not _has_both_classes(anomalous):
        return np.nan
    levels = _alarm_levels(values)
    distances = _distances_to_segments(anomalous)
    # TSB-AD averages over every integer buffer although 0 and 1 are the same: both reach 0 steps out.
    buffers = range(maximum_buffer + 1)
    return float(np.mean([_range_precision(anomalous, levels, distances=distances, buffer=b) for b in buffers]))


def precision(labels: ArrayLike, alarms: ArrayLike) -> float:
    """Share of alarmed points that are anomalous; NaN without an alarm."""
    anomalous, alarmed = _labels_and_alarms(labels, alarms)
    return _share(np.count_nonzero(anomalous & alarmed), np.count_nonzero(alarmed))


def recall(labels: ArrayLike, alarms: ArrayLike) -> float:
    """Share of anomalous points that are alarmed; NaN without an anomaly."""
    anomalous, alarmed = _labels_and_alarms(labels, alarms)
    return _share(np.count_nonzero(anomalous & alarmed), np.count_nonzero(anomalous))


def f1_at(labels: ArrayLike, alarms: ArrayLike) -> float:
    """Point-wise F1 = 2 TP / (anomalous points + alarmed points); 0 without an alarm, NaN without an anomaly."""
    anomalous, alarmed = _labels_and_alarms(labels, alarms)
    if not anomalous.any():
        return np.nan
    return _share(2 * np.count_nonzero(anomalous & alarmed), np.count_nonzero(anomalous) + np.count_nonzero(alarmed))


def best_f1(labels: ArrayLike, scores: ArrayLike) -> float:
    """Highest point-wise F1 of any threshold: an oracle that LOOKS AT THE TEST LABELS; NaN without an anomaly.

    No deployed detector reaches it: report it beside `f1_at` of the threshold that was chosen without labels.
    """
    anomalous, values = _labels_and_scores(labels, scores)
    if not anomalous.any():
        return np.nan
    order = np.argsort(-values)
    # Equal scores cross a threshold together, so a candidate lies only where the next score differs.
    last_of_tie = np.append(np.flatnonzero(np.diff(values[order])), len(order) - 1)
    hits = np.cumsum(anomalous[order])[last_of_tie]
    return float(np.max(2 * hits / (last_of_tie + 1 + np.count_nonzero(anomalous))))


def false_alarms_per_day(labels: ArrayLike, alarms: ArrayLike, *, cadence_seconds: float) -> float:
    """False-alarm events per day of this unit; an event is a maximal run of alarms without one labelled point.

    cadence_seconds: time between two steps [s]
    """
    anomalous, alarmed = _labels_and_alarms(labels, alarms)
    starts, stops = _segments(alarmed)
    false_alarms = np.count_nonzero(_first_inside(anomalous, starts, stops=stops) == stops)
    return float(false_alarms * SECONDS_PER_DAY / (len(anomalous) * _positive(cadence_seconds)))


def detection_delay_seconds(labels: ArrayLike, alarms: ArrayLike, *, cadence_seconds: float) -> float:
    """Mean time from a labelled segment's first point to the first alarm inside it [s]; NaN when none is detected.

    A missed segment has no delay: always report `missed_segments_share` beside this.

    cadence_seconds: time between two steps [s]
    """
    anomalous, alarmed = _labels_and_alarms(labels, alarms)
    starts, stops = _segments(anomalous)
    first_alarms = _first_inside(alarmed, starts, stops=stops)
    detected = first_alarms < stops
    steps = _share(np.sum((first_alarms - starts)[detected]), np.count_nonzero(detected))
    return steps * _positive(cadence_seconds)


def missed_segments_share(labels: ArrayLike, alarms: ArrayLike) -> float:
    """Share of labelled segments without one alarm inside; NaN without an anomaly."""
    anomalous, alarmed = _labels_and_alarms(labels, alarms)
    starts, stops = _segments(anomalous)
    return _share(np.count_nonzero(_first_inside(alarmed, starts, stops=stops) == stops), len(starts))


def _range_precision(anomalous: Flags, levels: Integers, *, distances: tuple[Integers, Integers], buffer: int) -> float:
    """Range average precision at one buffer [steps]: recall also asks for a hit in every segment.

    levels: (time,) from `_alarm_levels`; distances: from `_distances_to_segments`
    """
    near, weights = _buffer_weights(*distances, buffer=buffer)
    buffered = _up_to_level(levels[near], weights)
    hits = _up_to_level(levels[anomalous]) + buffered
    # TSB-AD grows the positives with alarmed buffer only, and by half of it: recall could pass 1 and is cut there.
    point_recall = np.minimum(hits / (np.count_nonzero(anomalous) + buffered / 2), 1)
    segment_recall = _detected_share(anomalous, levels, reach=buffer // 2)
    recall_gained = np.diff(point_recall * segment_recall, prepend=0)
    return float(np.dot(recall_gained, hits / _up_to_level(levels)))


def _alarm_levels(scores: Floats) -> Integers:
    """(time,) index of the highest of 250 thresholds that a point's score reaches."""
    # TSB-AD samples 250 ranks, not 250 values; the truncation and the repeats in a short series are part of its number.
    ranks = np.linspace(0, len(scores) - 1, VUS_THRESHOLDS).astype(int)
    thresholds = np.sort(-scores)[ranks]
    levels: Integers = np.searchsorted(thresholds, -scores)
    return levels


def _up_to_level(levels: Integers, weights: Floats | None = None) -> Floats:
    """(250,) count, or summed weight, of the points that alarm at each threshold."""
    return np.cumsum(np.bincount(levels, weights, minlength=VUS_THRESHOLDS)).astype(np.float64)


def _distances_to_segments(anomalous: Flags) -> tuple[Integers, Integers]:
    """(time,) steps from each point to the nearest and to the second nearest labelled segment; 0 inside one."""
    starts, stops = _segments(anomalous)
    far = np.iinfo(np.intp).max // 4
    points = np.flatnonzero(~anomalous)
    following = np.searchsorted(starts, points)
    # Both may lie on the same side, hence two neighbours each way; the padding stands in for those that do not exist.
    ends = np.concatenate(([-far, -far], stops - 1))
    begins = np.concatenate((starts, [far, far]))
    sides = [points - ends[following], points - ends[following + 1]]
    sides += [begins[following] - points, begins[following + 1] - points]
    nearest, second = np.zeros((2, len(anomalous)), dtype=np.intp)
    nearest[points], second[points] = np.sort(sides, axis=0)[:2]
    return nearest, second


def _buffer_weights(nearest: Integers, second: Integers, *, buffer: int) -> tuple[Integers, Floats]:
    """Indices of the unlabelled points within half a buffer of a segment; weights sqrt(1 - distance / buffer)."""
    reach = buffer // 2
    near = np.flatnonzero((nearest > 0) & (nearest <= reach))
    # TSB-AD sums the ramps of all segments and cuts at 1; a ramp is never below sqrt(1/2), so two always reach 1.
    return near, np.where(second[near] <= reach, 1.0, np.sqrt(1 - nearest[near] / buffer))


def _detected_share(anomalous: Flags, levels: Integers, *, reach: int) -> Floats:
    """(250,) share of the segments, widened by `reach` steps and merged where they meet, that hold an alarm."""
    starts, stops = _segments(anomalous)
    apart = starts[1:] - stops[:-1] >= 2 * reach
    begins = np.maximum(starts[np.append(True, apart)] - reach, 0)
    ends = np.minimum(stops[np.append(apart, True)] + reach, len(levels))
    # Only the even entries are segments; the sentinel lets the last one end with the series.
    first_levels = np.minimum.reduceat(np.append(levels, 0), np.column_stack((begins, ends)).ravel())[::2]
    return _up_to_level(first_levels) / len(first_levels)


def _segments(flags: Flags) -> tuple[Integers, Integers]:
    """Starts and (exclusive) stops of the maximal runs of true flags, in time order."""
    edges = np.diff(np.concatenate(([0], flags, [0])))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def _first_inside(flags: Flags, starts: Integers, *, stops: Integers) -> Integers:
    """Index of the first true flag in each start:stop; its stop where there is none."""
    hits = np.append(np.flatnonzero(flags), len(flags))
    first: Integers = np.minimum(hits[np.searchsorted(hits, starts)], stops)
    return first


def _has_both_classes(anomalous: Flags) -> bool:
    return bool(anomalous.any() and not anomalous.all())


def _share(part: Count, whole: Count) -> float:
    return float(part / whole) if whole else np.nan


def _positive(cadence_seconds: float) -> float:
    if not 0 < cadence_seconds < np.inf:
        raise ValueError(f"scores: cadence_seconds must be a positive number of seconds, got {cadence_seconds}")
    return cadence_seconds


def _labels_and_scores(labels: ArrayLike, scores: ArrayLike) -> tuple[Flags, Floats]:
    anomalous, values = _flags(labels, name="labels"), np.asarray(scores, dtype=np.float64)
    _check_same_shape(anomalous, values, name="scores")
    if not np.isfinite(values).all():
        raise ValueError(f"scores: all scores must be finite, {np.sum(~np.isfinite(values))} of {len(values)} are not")
    return anomalous, values


def _labels_and_alarms(labels: ArrayLike, alarms: ArrayLike) -> tuple[Flags, Flags]:
    anomalous, alarmed = _flags(labels, name="labels"), _flags(alarms, name="alarms")
    _check_same_shape(anomalous, alarmed, name="alarms")
    return anomalous, alarmed


def _flags(values: ArrayLike, *, name: str) -> Flags:
    array = np.asarray(values)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"scores: {name} must be one non-empty series of shape (time,), got shape {array.shape}")
    if not np.isin(array, (0, 1)).all():
        raise ValueError(f"scores: {name} must hold only 0 and 1; apply a threshold first")
    return array.astype(np.bool_)


def _check_same_shape(labels: Flags, other: Flags | Floats, *, name: str) -> None:
    if labels.shape != other.shape:
        raise ValueError(f"scores: {name} must have one entry a label, got shapes {other.shape} and {labels.shape}")
