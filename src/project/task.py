"""The task that the platform runs: find anomalies in node telemetry without having seen labelled ones."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from project import plausibility, scores
from project.options import TrainOptions
from wattline.records import Dataset, Description, Metric
from wattline.task import Expectation, Outputs, Predictor, Run, Series, Trained, TrainingData

DESCRIPTION = Description(
    name="node_anomaly",
    purpose="Finds anomalous behaviour of compute nodes in their telemetry (temperature, power, load), without labels.",
    intended_use="Points an operator to nodes whose telemetry departs from what it has been, with the columns that "
    "depart most. A person decides what follows.",
    out_of_scope="Automatic draining or shutdown of nodes; judging users or their jobs; safety functions.",
    limits="Learns what was normal in the training span: a new kind of workload alarms until it has been trained on, "
    "and what was broken all along counts as normal. Scores of units that were not trained on rest on pooled constants "
    "and are less sharp. Labels of public datasets are partly wrong, so the figures here are comparable, not absolute.",
    output="mean forecast error of the newest rows, over columns, in multiples of normal errors",
    output_unit="1",
    metrics=(
        Metric(
            name="vus_pr",
            unit="1",
            higher_is_better=True,
            description="volume under the precision-recall surface, buffers of 0 to 100 steps (Paparrizos et al. 2022)",
        ),
        Metric(name="auc_pr", unit="1", higher_is_better=True, description="average precision of points"),
        Metric(name="auc_roc", unit="1", higher_is_better=True, description="area under the ROC curve of points"),
        Metric(name="f1", unit="1", higher_is_better=True, description="F1 of points at the model's own threshold"),
        Metric(
            name="false_alarms_per_day",
            unit="1/d",
            higher_is_better=False,
            description="false alarm events per unit and day at the model's own threshold",
        ),
        Metric(
            name="detection_delay_seconds",
            unit="s",
            higher_is_better=False,
            description="mean time from the start of a labelled segment to the first alarm in it",
        ),
        Metric(
            name="missed_segments_share",
            unit="1",
            higher_is_better=False,
            description="share of labelled segments without an alarm",
        ),
    ),
)


class NodeAnomaly:
    """Unsupervised anomaly detection on windows of node telemetry."""

    description = DESCRIPTION
    options = TrainOptions

    def expectations(self, dataset: Dataset) -> Sequence[Expectation]:
        """What telemetry of nodes must satisfy; nothing physical is assumed of columns without a unit."""
        return plausibility.expectations(dataset)

    def target(self, series: Series) -> NDArray[np.float64]:
        """The publisher's label: 1 anomalous, 0 normal, NaN where nobody looked."""
        return series.target

    def train(self, data: TrainingData, options: TrainOptions, run: Run) -> Trained:
        """Fit, calibrate and export the detector that `options.model` names."""
        from project import export, fitting

        fitted = fitting.fit(options.model, data, options, run)
        detector, first = fitted.detector, run.processes.rank == 0
        return Trained(
            model=options.model,
            graph=export.to_onnx(detector, steps=options.steps, columns=len(data.columns)) if first else b"",
            steps=options.steps,
            tensors={name: tensor.numpy() for name, tensor in detector.state_dict().items()},
            reference=detector.judge,
            output_units={"score": "1", "threshold": "1", "contribution": "1"},
            curves=fitted.curves,
            notes=fitted.notes,
        )

    def baselines(self, data: TrainingData, options: TrainOptions) -> Mapping[str, Predictor]:
        """Simple detectors of other kinds than the model, and one that sees nothing."""
        from project import baselines

        return baselines.predictors(data, options)

    def score(self, truth: Series, outputs: Outputs, *, cadence_seconds: float) -> Mapping[str, float]:
        """All metrics on the rows that somebody labelled; NaN where nobody did."""
        labelled = np.isfinite(truth.target)
        if not labelled.any():
            return dict.fromkeys((metric.name for metric in DESCRIPTION.metrics), float("nan"))
        labels, score = truth.target[labelled] == 1, outputs["score"][labelled]
        alarms = score > outputs["threshold"][labelled]
        return {
            "vus_pr": scores.vus_pr(labels, score),
            "auc_pr": scores.auc_pr(labels, score),
            "auc_roc": scores.auc_roc(labels, score),
            "f1": scores.f1_at(labels, alarms),
            "false_alarms_per_day": scores.false_alarms_per_day(labels, alarms, cadence_seconds=cadence_seconds),
            "detection_delay_seconds": scores.detection_delay_seconds(labels, alarms, cadence_seconds=cadence_seconds),
            "missed_segments_share": scores.missed_segments_share(labels, alarms),
        }


TASK = NodeAnomaly()
