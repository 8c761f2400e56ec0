"""Self-monitored steering: a closed loop from probes of attention heads to the strength of a steer.

At every generated frame the probes of the vector's monitor read the heads, before the steers of
that step act on them. C is the median of their probabilities; where the strength is negative, and
the attribute is to be removed, it is 1 minus the median. At the next frame:

    C >= τ                   the steer rests, and acts again once C < τ - hysteresis
    else, every s-th frame   it acts, at (1 - delta C) times its strength

Frames are counted from the first generated one, at which nothing was read yet: C is 0 there. So with
every = 1, delta = 0 and a τ that is never reached, this is the steer without a monitor.

Heads of a layer are read after the shifts of the layers below in the same step.

Shapes: n batch rows; M heads.

Source: Koo et al. 2025 (SMITIN): median of the 16 best heads, τ, every 5 steps. Ours: delta = 0.5,
the hysteresis, the delay of one frame, 1 - C for removal, and a τ of the user's own.
"""

import torch
from pydantic import ConfigDict, Field

from tonearm.schema import Declared

MAX_EVERY = 10_000


class Monitoring(Declared):
    """Settings of the loop.

    delta       0 to 1: share of the strength that is taken away as C grows to 1
    every       acts at every s-th generated frame
    hysteresis  0 to 1: distance below τ at which a steer that rests acts again
    threshold   τ, 0 to 1; default: that of the vector's monitor
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    delta: float = Field(default=0.5, ge=0, le=1)
    every: int = Field(default=5, ge=1, le=MAX_EVERY)
    hysteresis: float = Field(default=0.05, ge=0, le=1)
    threshold: float | None = Field(default=None, ge=0, le=1)


def presence(probabilities: torch.Tensor, strengths: torch.Tensor) -> torch.Tensor:
    """C: how far the attribute has what the strength asks for.

    Args:
        probabilities: of the probes, [n, M].
        strengths: [n].

    Returns:
        [n]; of an even number of probes, the median is the mean of the middle two.
    """
    ordered = probabilities.sort(dim=-1).values
    count = ordered.shape[-1]
    median = (ordered[:, (count - 1) // 2] + ordered[:, count // 2]) / 2
    return torch.where(strengths < 0, 1 - median, median)


def is_acting(
    present: torch.Tensor, was_acting: torch.Tensor, thresholds: torch.Tensor, hysteresis: float
) -> torch.Tensor:
    """Whether the steer acts, bool [n].

    Args:
        present: C, [n].
        was_acting: at the frame before, bool [n].
        thresholds: τ, [n].
        hysteresis: see Monitoring.
    """
    return present < torch.where(was_acting, thresholds, thresholds - hysteresis)


def factor(present: torch.Tensor, acting: torch.Tensor, delta: float) -> torch.Tensor:
    """Factor of the strength at a frame where the steer may act, [n]."""
    return acting * (1 - delta * present)
