"""Steering spec + vectors -> what an engine does: per layer, site and row, in order.

A spec speaks of names, strategies and seconds; a plan of tensors, layers and frames. Rows of a batch may differ in everything.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.steering.operators import apply
from tonearm.steering.spec import Steer, Steering
from tonearm.steering.vector import Site, SteeringVector


@dataclass(frozen=True)
class Move:
    """One operator at one layer and site, for some rows of the batch.

    rows int64 [n]; directions [n, D]; strengths [n, T] over frames, the last column held for later frames. The layers of one steer share
    `strengths`, and those that take the same directions share these too. `place` is the steer's index in its rows' lists.
    """

    steer: Steer
    place: int
    rows: torch.Tensor
    directions: torch.Tensor
    strengths: torch.Tensor

    def __call__(self, h: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """h [n, S, D] with strength [n, S, 1]."""
        return self.apply(h, self.directions[:, None], strength)

    def apply(self, h: torch.Tensor, directions: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """The operator with other directions than this move's own."""
        low = float("-inf") if self.steer.low is None else self.steer.low
        high = float("inf") if self.steer.high is None else self.steer.high
        return apply(self.steer.operator, h, directions, strength, scale=self.steer.scale, low=low, high=high)


Plan = Mapping[tuple[Site, int], Sequence[Move]]


def compile_plan(
    checkpoint: Checkpoint,
    steerings: Sequence[Steering],
    vectors: Mapping[str, SteeringVector],
    frames: int,
    *,
    live: bool = False,
) -> Plan:
    """The plan for a batch whose row b is steered by steerings[b], over `frames` frames.

    Steers of equal place in their lists whose settings are equal are joined into one Move. Steers whose strength is 0 throughout do
    nothing and are left out, unless the plan is `live`, to be turned while decoding. Raises TonearmError for a vector of another checkpoint and for layers that are not there.
    """
    seconds = [frame / checkpoint.frame_rate for frame in range(frames)]
    grouped: dict[tuple, list[tuple[int, Steer, torch.Tensor, torch.Tensor]]] = defaultdict(list)
    for row, steering in enumerate(steerings):
        for place, steer in enumerate(steering.steers):
            vector = vectors[steer.vector]
            check_vector(checkpoint, vector)
            factors = steer.schedule.factors(seconds) if steer.schedule else [1.0] * frames
            strengths = steer.strength * torch.as_tensor(factors, dtype=torch.float32)
            if not live and not strengths.any():
                continue
            settings = steer.model_copy(update={"vector": "", "strength": 0.0, "schedule": None, "source_layer": None})
            for layer, direction in _directions(checkpoint, steer, vector).items():
                key = (vector.info.site, layer, place, settings.model_dump_json())
                grouped[key].append((row, steer, direction, strengths))
    plan: dict[tuple[Site, int], list[Move]] = defaultdict(list)
    stacked: dict[tuple[int, ...], torch.Tensor] = {}

    def stack(parts: list[torch.Tensor]) -> torch.Tensor:
        """The same tensor for the same parts."""
        key = tuple(map(id, parts))
        if key not in stacked:
            stacked[key] = torch.stack(parts).to(checkpoint.device)
        return stacked[key]

    for (site, layer, place, _), members in sorted(grouped.items(), key=lambda item: item[0][:3]):
        plan[site, layer].append(
            Move(
                steer=members[0][1],
                place=place,
                rows=torch.tensor([row for row, *_ in members], device=checkpoint.device),
                directions=stack([direction for _, _, direction, _ in members]),
                strengths=stack([strengths for *_, strengths in members]),
            )
        )
    return plan


def check_vector(checkpoint: Checkpoint, vector: SteeringVector) -> None:
    """Raise TonearmError unless the vector was made for this checkpoint and one of its sites."""
    info = vector.info
    if info.fingerprint != checkpoint.fingerprint:
        raise TonearmError(
            f"vector {vector.name} was made for {info.checkpoint} ({info.fingerprint}), not for {checkpoint.name} "
            f"({checkpoint.fingerprint}); learn it again with `tonearm learn --model {checkpoint.name}`"
        )
    if info.site not in checkpoint.family.sites:
        raise TonearmError(
            f"vector {vector.name} is for site {info.site}; {checkpoint.name} has {', '.join(checkpoint.family.sites)}"
        )


def _directions(checkpoint: Checkpoint, steer: Steer, vector: SteeringVector) -> dict[int, torch.Tensor]:
    """Target layer -> direction, by the steer's strategy."""
    last = checkpoint.layer_count - 1
    for layer in (*(steer.layers or ()), *([steer.source_layer] if steer.source_layer is not None else [])):
        if layer > last:
            raise TonearmError(
                f"steer {steer.vector}: layer {layer} is not there; {checkpoint.name} has layers 0..{last}"
            )
    if steer.strategy == "all-to-all":
        return {layer: vector[layer] for layer in (steer.layers if steer.layers is not None else vector.layers)}
    source = steer.source_layer if steer.source_layer is not None else vector.info.best_layer
    if source is None:
        raise TonearmError(
            f"steer {steer.vector}: the vector names no best layer; set source_layer, or strategy all-to-all"
        )
    if steer.strategy == "one-to-one":
        return {source: vector[source]}
    return dict.fromkeys(steer.layers if steer.layers is not None else range(checkpoint.layer_count), vector[source])
