"""The `train` section of params.yaml, typed."""

from typing import Literal

from pydantic import ConfigDict, Field, field_validator

from wattline.records import Record


class Options(Record):
    """Knobs are finite numbers."""

    model_config = ConfigDict(allow_inf_nan=False)


class ConvolutionOptions(Options):
    """Knobs of the convolutional forecaster.

    channels: width of the hidden layers
    kernel: rows that the first convolution sees at once
    epochs: at most so many
    batch: windows in one step of descent
    learning_rate: of Adam
    patience: epochs without a better validation loss before training stops
    windows_per_epoch: windows drawn from all units for one epoch
    shards: parts of a batch, a power of two. Their gradients are computed one by one and added up in a fixed order, so
        that 1, 2, 4, ... up to so many processes end in the same weights. The batch stays what it is, and each part
        costs one process a little
    device: auto takes a GPU where PyTorch sees one. Weights depend on it in their last digits
    precision: of the network while it learns; weights, sums, validation loss and the exported graph stay in float32
    deterministic: whether a GPU uses only algorithms that give the same bits again
    """

    channels: int = Field(ge=1)
    kernel: int = Field(ge=1)
    epochs: int = Field(ge=1)
    batch: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    patience: int = Field(ge=1)
    windows_per_epoch: int = Field(ge=1)
    shards: int = Field(default=2, ge=1, le=1024)
    device: Literal["auto", "cpu", "cuda"] = "auto"
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    deterministic: bool = True

    @field_validator("shards")
    @classmethod
    def _is_a_power_of_two(cls, shards: int) -> int:
        if shards & (shards - 1):
            raise ValueError("must be a power of two, so that every share of them is a tree of its own")
        return shards


class TrainOptions(Options):
    """Knobs of training.

    model: which forecaster is fitted
    history_steps: rows that one forecast looks back on
    smoothing_steps: rows over which forecast errors are averaged into a score
    smoothing_decay_steps: rows after which an error counts 1/e of what it did [steps]
    threads: CPU threads of torch; part of the params because sums of floats depend on it
    ridge: penalty of the linear forecaster, relative to the number of rows
    components: directions that the PCA reconstruction keeps
    largest_error: multiples of a normal error beyond which more does not count
    error_floor: added to the spread of a column's errors [standard deviations of the column], so that a column
        that was all but constant cannot shout down the others
    threshold_quantile: share of a unit's train and validation rows that stay below its alarm threshold
    convolution: knobs of that model alone
    """

    model: Literal["linear", "pca", "convolution"]
    history_steps: int = Field(ge=1, le=128)
    smoothing_steps: int = Field(ge=1, le=128)
    smoothing_decay_steps: float = Field(gt=0)
    threads: int = Field(ge=1)
    ridge: float = Field(gt=0)
    components: int = Field(ge=1)
    largest_error: float = Field(gt=0)
    error_floor: float = Field(gt=0)
    threshold_quantile: float = Field(gt=0.5, le=1)
    convolution: ConvolutionOptions

    @property
    def steps(self) -> int:
        """Rows of one window: the newest `smoothing_steps` rows are forecast, each from its `history_steps`."""
        return self.history_steps + self.smoothing_steps
