"""Tomorrow's mean power of each compute node, from daily statistics of its telemetry."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tabular import scores
from tabular.columns import POWER, alike, check_columns, ordered, plausible
from tabular.options import TrainOptions
from wattline.records import Dataset, Description, Metric
from wattline.task import Expectation, Outputs, Predictor, Run, Series, Trained, TrainingData

DESCRIPTION = Description(
    name="node_power",
    purpose="Forecasts the mean power of each compute node on the next day, from its last days of telemetry.",
    intended_use="Planning of power and cooling a day ahead: per node, per rack, and summed over the fleet.",
    out_of_scope="Capping or switching nodes without a person; billing of users; power within a day, or of peaks.",
    limits="Knows telemetry alone, and neither the queue nor maintenance: jobs that start tomorrow are a surprise, "
    "which is most of the error. Forecasts pull towards the node's median of the training span, so a lasting change of "
    "load biases them until it has been trained on. Rows after a lost day rest on older ones. Nodes that were not "
    "trained on are taken for the median node.",
    output="mean power of the node on the day after the newest row",
    output_unit="W",
    metrics=(
        Metric(
            name="rmse_watts",
            unit="W",
            higher_is_better=False,
            description="root of the mean squared error over the days of a node",
        ),
        Metric(name="mae_watts", unit="W", higher_is_better=False, description="mean absolute error"),
        Metric(
            name="mape_percent",
            unit="%",
            higher_is_better=False,
            description="mean of absolute error by observed power",
        ),
        Metric(
            name="absolute_bias_watts",
            unit="W",
            higher_is_better=False,
            description="size of the mean error: what does not cancel out when the days of a node are summed",
        ),
    ),
)


class NodePower:
    """Regression on a window of days."""

    description = DESCRIPTION
    options = TrainOptions

    def expectations(self, dataset: Dataset) -> Sequence[Expectation]:
        """Power comes first; readings are physically possible; a mean does not exceed its maximum."""
        check_columns(dataset.columns)
        return [*plausible(dataset.columns), *ordered(dataset.columns), *alike(dataset.columns)]

    def target(self, series: Series) -> NDArray[np.float64]:
        """The next row's mean power [W]; NaN where it is missing, as it always is after the last row."""
        return np.append(series.values[1:, POWER], np.float32(np.nan)).astype(np.float64)

    def train(self, data: TrainingData, options: TrainOptions, run: Run) -> Trained:
        """Fit the regression and export it with all that surrounds it."""
        from tabular import export, fitting

        check_columns(data.columns)
        forecaster, curves = fitting.fit(data, options, run)
        return Trained(
            model="ridge",
            graph=export.to_onnx(forecaster, steps=options.history_days, columns=len(data.columns)),
            steps=options.history_days,
            tensors=forecaster.tensors(),
            reference=forecaster.judge,
            output_units={"score": "W"},
            curves=curves,
        )

    def baselines(self, data: TrainingData, options: TrainOptions) -> Mapping[str, Predictor]:  # noqa: ARG002
        """Forecasts that need no training."""
        from tabular import baselines

        return baselines.predictors(data)

    def score(self, truth: Series, outputs: Outputs, *, cadence_seconds: float) -> Mapping[str, float]:  # noqa: ARG002
        """Errors on the days whose next day is known; NaN where none is."""
        known = np.isfinite(truth.target)
        if not known.any():
            return dict.fromkeys((metric.name for metric in DESCRIPTION.metrics), float("nan"))
        return scores.errors(truth.target[known], outputs["score"][known].astype(np.float64))


TASK = NodePower()
