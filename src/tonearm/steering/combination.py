"""Rules by which several steers of one take are combined.

| rule       | every steer                                                                        |
|------------|------------------------------------------------------------------------------------|
| none       | as it stands                                                                       |
| sqrt       | strength divided by sqrt(n)                                                        |
| mean       | strength divided by n                                                              |
| orthogonal | of its direction what is orthogonal to those of earlier steers (orthogonal.py)     |

n counts the steers with an amount or a strength other than 0 anywhere in their schedules; in a
stream all steers, since each can be set while it plays.

sqrt and mean divide the strengths of operators that push (PUSHES), whose effects add up. The strength
of remove, set and clamp is the share of the way to a stated end, at which the push ends by itself:
divided, the end would be missed.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from math import sqrt
from typing import NamedTuple

import torch

from tonearm.backend import ModelShape, Site
from tonearm.steering.amounts import with_strengths
from tonearm.steering.operators import Operator, unit
from tonearm.steering.resolve import target_layers
from tonearm.steering.spec import Steer, Steering
from tonearm.steering.units import ABSOLUTE
from tonearm.steering.vector import SteeringVector

PUSHES: tuple[Operator, ...] = ("add", "blend", "rotate", "slerp")
ONE_KNOB = 0.8  # mean |cosine| above which two directions are one knob


def with_combined_strengths(
    steering: Steering,
    vectors: Mapping[str, SteeringVector],
    *,
    live: bool = False,
    recorded: bool = False,
) -> Steering:
    """Replace amounts by strengths, and carry out the rule of combination as far as strengths do.

    Args:
        steering: as requested.
        vectors: by the names that it uses.
        live: all steers count, and both signs of amounts are kept, since they can be set while
            decoding.
        recorded: of a sidecar: a steer that never acts counts, too, since it may be that of a
            stream.

    Returns:
        A steering with strengths whose rule is none or orthogonal. It reproduces the take.

    Raises:
        TonearmError: see `with_strengths`.
    """
    if steering.combine == "orthogonal" and not (live or recorded):
        acting = tuple(steer for steer in steering.steers if acts(steer))
        steering = steering.model_copy(update={"steers": acting})
    return with_share(with_strengths(steering, vectors, live), share_of(steering, live))


def with_share(steering: Steering, share: float) -> Steering:
    """Carry out rules sqrt and mean; a steering of another rule stays as it is.

    Args:
        steering: with strengths.
        share: factor of the strengths of operators that push (`share_of`).
    """
    if steering.combine not in ("sqrt", "mean"):
        return steering
    steers = tuple(
        steer.model_copy(update={"strength": steer.raw_strength * share_of_steer(steer, share)})
        for steer in steering.steers
    )
    return steering.model_copy(update={"steers": steers, "combine": "none"})


def share_of(steering: Steering, live: bool = False) -> float:
    """Factor of the strengths of operators that push.

    Args:
        steering: as requested.
        live: all steers count.
    """
    count = sum(1 for steer in steering.steers if live or acts(steer))
    if steering.combine == "sqrt":
        return 1 / sqrt(max(1, count))
    return 1 / max(1, count) if steering.combine == "mean" else 1.0


def share_of_steer(steer: Steer, share: float) -> float:
    """Factor of one steer's strength, where that of operators that push is `share`."""
    return share if steer.operator in PUSHES else 1.0


def acts(steer: Steer) -> bool:
    """Whether the target, amount or strength is other than 0 anywhere in the schedule. 0 of an
    absolute unit, such as 0 LUFS, is a target like any other.
    """
    value = next(one for one in (steer.target, steer.amount, steer.strength) if one is not None)
    return (bool(value) or steer.unit in ABSOLUTE) and (
        steer.schedule is None or any(factor for _, factor in steer.schedule.points)
    )


class OneKnob(NamedTuple):
    """Two vectors whose directions are nearly one; `cosine` is a mean over layers."""

    first: str
    second: str
    cosine: float

    def __str__(self) -> str:
        return (
            f"{self.first} and {self.second} are one knob: the cosine of their directions is "
            f"{self.cosine:+.2f}; steer by one of them"
        )


def one_knobs(
    steers: Sequence[Steer], vectors: Mapping[str, SteeringVector], shape: ModelShape
) -> Iterator[OneKnob]:
    """Find pairs of vectors that act at the same places along nearly one line.

    Args:
        steers: with strengths.
        vectors: by the names that they use.
        shape: of the checkpoint.

    Yields:
        Pairs whose |cosine|, a mean over the layers that both steer at one site, is above ONE_KNOB.
    """
    if len({steer.vector for steer in steers}) < 2:  # of most requests: no tensor is needed
        return
    units: dict[str, dict[tuple[Site, int], torch.Tensor]] = {}
    for steer in steers:
        vector = vectors[steer.vector]
        for layer, source in target_layers(shape, steer, vector).items():
            places = units.setdefault(steer.vector, {})
            places.setdefault((vector.info.site, layer), unit(vector[source]))
    for first, second in combinations(units, 2):
        common = units[first].keys() & units[second].keys()
        if not common:
            continue
        pairs = [(units[first][place], units[second][place]) for place in sorted(common)]
        ours, theirs = (torch.stack(side) for side in zip(*pairs, strict=True))
        cosines = (ours * theirs).sum(-1)
        if float(cosines.abs().mean()) > ONE_KNOB:
            yield OneKnob(first, second, float(cosines.mean()))
