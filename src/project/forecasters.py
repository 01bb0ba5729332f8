"""What a normal row looks like: modules from a standardised window to the errors of its newest rows.

Each has one set of weights for every unit it was fitted on and one more, the last, for units it has never seen.
"""

import torch
from torch import Tensor, nn


class Forecaster(nn.Module):  # type: ignore[misc]
    """What they share.

    history: rows that one forecast looks back on
    """

    history: int


class Persistence(Forecaster):
    """Each row like the row before it: the forecast that a model must beat to be worth its energy."""

    def __init__(self, *, history: int) -> None:
        super().__init__()
        self.history = history

    def forward(self, window: Tensor, unit: Tensor) -> Tensor:  # noqa: ARG002
        """(batch, history + smoothing, columns), (batch,) -> errors (batch, smoothing, columns)."""
        return window[:, self.history :] - window[:, self.history - 1 : -1]


class LinearForecaster(Forecaster):
    """Each value as a linear function of the same column's values before it.

    weight: (units + 1, history, columns), oldest first
    """

    weight: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.history = weight.shape[1]

    def forward(self, window: Tensor, unit: Tensor) -> Tensor:
        """(batch, history + smoothing, columns), (batch,) -> errors (batch, smoothing, columns)."""
        newest = torch.arange(window.shape[1] - self.history)
        past = window[:, newest.unsqueeze(1) + torch.arange(self.history)]
        forecast = (past * self.weight[unit].unsqueeze(1)).sum(dim=2)
        return window[:, self.history :] - forecast


class PrincipalComponents(Forecaster):
    """Each row as its projection on the directions in which normal rows vary most.

    residual: (units + 1, columns, columns), the projection on everything else
    """

    residual: Tensor

    def __init__(self, residual: Tensor, *, history: int) -> None:
        super().__init__()
        self.register_buffer("residual", residual)
        self.history = history

    def forward(self, window: Tensor, unit: Tensor) -> Tensor:
        """(batch, history + smoothing, columns), (batch,) -> errors (batch, smoothing, columns)."""
        return torch.bmm(window[:, self.history :], self.residual[unit])


class ConvolutionalForecaster(Forecaster):
    """Each row from the rows before it by two causal convolutions, with one set of weights for all units."""

    def __init__(self, columns: int, *, channels: int, kernel: int, history: int) -> None:
        super().__init__()
        self.history = history
        self.network = nn.Sequential(
            nn.Conv1d(columns, channels, kernel),
            nn.GELU(),
            nn.Conv1d(channels, channels, history - kernel + 1),
            nn.GELU(),
            nn.Conv1d(channels, columns, 1),
        )

    def forward(self, window: Tensor, unit: Tensor) -> Tensor:  # noqa: ARG002
        """(batch, history + smoothing, columns), (batch,) -> errors (batch, smoothing, columns)."""
        forecast: Tensor = self.network(window[:, :-1].transpose(1, 2))
        return window[:, self.history :] - forecast.transpose(1, 2)
