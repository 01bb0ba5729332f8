"""Closed-form fits from sums over rows: autoregression by ridge regression, and principal directions."""

import numpy as np
import torch
from torch import Tensor

from wattline.task import FloatArray, Series

ROWS_AT_ONCE = 4096


def standardised(series: Series, *, center: FloatArray, scale: FloatArray) -> Tensor:
    """Rows in standard deviations, history included, 0 where nothing was recorded; (rows, columns) float32."""
    values = (series.values - center) / scale
    return torch.from_numpy(np.nan_to_num(values, nan=0.0).astype(np.float32))


class Autoregression:
    """Sums for a ridge regression of each column on its own past, in float64 so that their order hardly matters."""

    def __init__(self, columns: int, *, history: int) -> None:
        self.history = history
        self.pairs = 0
        self.gram = torch.zeros(columns, history, history, dtype=torch.float64)
        self.moment = torch.zeros(columns, history, 1, dtype=torch.float64)

    def add(self, rows: Tensor) -> None:
        """Take standardised rows of one unit in time order, (rows, columns)."""
        for begin in range(0, len(rows) - self.history, ROWS_AT_ONCE):
            block = rows[begin : begin + ROWS_AT_ONCE + self.history].double()
            past = block[:-1].unfold(0, self.history, 1).permute(1, 0, 2)
            present = block[self.history :].T.unsqueeze(2)
            self.gram += past.mT @ past
            self.moment += past.mT @ present
            self.pairs += past.shape[1]

    def solve(self, penalty: float) -> Tensor:
        """Weights (history, columns) that minimise squared error / pairs + penalty x squared weights.

        Hoerl and Kennard, Technometrics 12 (1970).
        """
        penalised = self.gram + penalty * self.pairs * torch.eye(self.history, dtype=torch.float64)
        weights: Tensor = torch.cholesky_solve(self.moment, torch.linalg.cholesky(penalised))
        return weights[:, :, 0].T.to(torch.float32)


def residual_projection(second_moment: Tensor, *, components: int) -> Tensor:
    """(columns, columns) projection on all but the `components` directions of largest variance.

    second_moment: (columns, columns) sum of outer products of centred rows
    """
    _, directions = torch.linalg.eigh(second_moment.double())
    kept = directions[:, -components:]
    projection: Tensor = torch.eye(len(second_moment), dtype=torch.float64) - kept @ kept.T
    return projection.to(torch.float32)
