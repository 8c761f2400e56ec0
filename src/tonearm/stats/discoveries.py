"""Which of many tests count."""

import numpy as np
from scipy.stats import false_discovery_control


def discoveries(p: np.ndarray, rate: float = 0.05) -> np.ndarray:
    """Select tests so that the expected share of false ones among them is at most `rate`.

    Source: Benjamini and Hochberg 1995, "Controlling the false discovery rate", JRSS B 57.

    Args:
        p: of a family of tests, any shape; NaN where there was none.
        rate: of false discoveries.

    Returns:
        bool of the same shape; False where p is NaN.
    """
    found = np.zeros(p.shape, dtype=bool)
    known = np.isfinite(p)
    if known.any():
        found[known] = false_discovery_control(p[known]) <= rate
    return found
