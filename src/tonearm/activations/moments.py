"""Running mean and variance of activation rows, so that memory does not grow with their number."""

import torch


class RunningMoments:
    """Mean and variance of rows [n, ...], added batch by batch in float64 (Chan, Golub & LeVeque
    1983).
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: torch.Tensor | None = None
        self._squares: torch.Tensor | None = None  # sum of squared deviations
        self._norms: torch.Tensor | None = None  # sum of row norms, [..., without the last axis]

    def add(self, rows: torch.Tensor) -> None:
        rows = rows.double()
        mean, squares, norms = (
            rows.mean(0),
            rows.var(0, unbiased=False) * len(rows),
            rows.norm(dim=-1).sum(0),
        )
        if self._mean is None or self._squares is None or self._norms is None:
            self.count, self._mean, self._squares, self._norms = len(rows), mean, squares, norms
            return
        total = self.count + len(rows)
        gap = mean - self._mean
        self._mean = self._mean + gap * (len(rows) / total)
        self._squares = self._squares + squares + gap.square() * (self.count * len(rows) / total)
        self._norms = self._norms + norms
        self.count = total

    @property
    def mean(self) -> torch.Tensor:
        """float64 [...]."""
        return self._filled(self._mean)

    @property
    def variance(self) -> torch.Tensor:
        """Population variance, float64 [...]."""
        return self._filled(self._squares) / self.count

    @property
    def mean_norm(self) -> torch.Tensor:
        """Mean length of a row along the last axis."""
        return self._filled(self._norms) / self.count

    def _filled(self, value: torch.Tensor | None) -> torch.Tensor:
        if value is None:
            raise ValueError("no rows were added yet")
        return value
