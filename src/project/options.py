"""The `train` section of params.yaml, typed."""

from typing import Literal

from pydantic import Field

from wattline.records import Record


class ConvolutionOptions(Record):
    """Knobs of the convolutional forecaster.

    patience: epochs without a better validation loss before training stops
    windows_per_epoch: windows drawn from all units for one epoch
    """

    channels: int = Field(ge=1)
    kernel: int = Field(ge=1)
    epochs: int = Field(ge=1)
    batch: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    patience: int = Field(ge=1)
    windows_per_epoch: int = Field(ge=1)


class TrainOptions(Record):
    """Knobs of training.

    history_steps: rows that one forecast looks back on
    smoothing_steps: rows over which forecast errors are averaged into a score
    threads: CPU threads of torch; part of the params because sums of floats depend on it
    ridge: penalty of the linear forecaster, relative to the number of rows
    components: directions that the PCA reconstruction keeps
    tolerated_error: multiples of a normal error that count as none
    largest_error: multiples of a normal error beyond which more does not count
    error_floor: added to the spread of a column's errors [standard deviations of the column], so that a column
        that was all but constant cannot shout down the others
    threshold_quantile: share of calm validation rows that must stay below the alarm threshold
    threshold_factor: how far above that quantile the threshold lies, as a multiple of it
    """

    model: Literal["linear", "pca", "convolution"]
    history_steps: int = Field(ge=1, le=128)
    smoothing_steps: int = Field(ge=1, le=128)
    threads: int = Field(ge=1)
    ridge: float = Field(gt=0)
    components: int = Field(ge=1)
    tolerated_error: float = Field(ge=0)
    largest_error: float = Field(gt=0)
    error_floor: float = Field(gt=0)
    threshold_quantile: float = Field(gt=0.5, le=1)
    threshold_factor: float = Field(ge=1)
    convolution: ConvolutionOptions

    @property
    def steps(self) -> int:
        """Rows of one window: the newest `smoothing_steps` rows are forecast, each from its `history_steps`."""
        return self.history_steps + self.smoothing_steps
