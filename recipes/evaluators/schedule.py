"""Learning rate: linear warm-up, then half a cosine down to 2 % of the peak."""

import math

WARM_UP_STEPS = 200


def learning_rate(peak: float, step: int, steps: int, warm_up: int = WARM_UP_STEPS) -> float:
    """Return the learning rate of a step.

    Args:
        peak: largest learning rate.
        step: 0-based step.
        steps: number of steps of the run.
        warm_up: number of warm-up steps.

    Returns:
        The learning rate.
    """
    return (
        peak
        * min(1.0, (step + 1) / warm_up)
        * (0.02 + 0.98 * math.cos(step / steps * math.pi / 2) ** 2)
    )
