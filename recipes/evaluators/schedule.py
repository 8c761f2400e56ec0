"""Learning rate: a linear start, then half a cosine down to 2 % of its peak."""

import math

WARM_STEPS = 200


def rate(peak: float, step: int, steps: int, warm: int = WARM_STEPS) -> float:
    return peak * min(1.0, (step + 1) / warm) * (0.02 + 0.98 * math.cos(step / steps * math.pi / 2) ** 2)
