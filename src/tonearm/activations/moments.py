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
        added = RunningMoments()
        added.count, added._mean = len(rows), rows.mean(0)
        added._squares = rows.var(0, unbiased=False) * len(rows)
        added._norms = rows.norm(dim=-1).sum(0)
        self.merge(added)

    def merge(self, other: "RunningMoments") -> None:
        """Add all rows of another one; its own moments do not change."""
        if other._mean is None or other._squares is None or other._norms is None:
            return
        if self._mean is None or self._squares is None or self._norms is None:
            self.count, self._mean = other.count, other._mean
            self._squares, self._norms = other._squares, other._norms
            return
        total = self.count + other.count
        gap = other._mean - self._mean
        self._mean = self._mean + gap * (other.count / total)
        self._squares = (
            self._squares + other._squares + gap.square() * (self.count * other.count / total)
        )
        self._norms = self._norms + other._norms
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
