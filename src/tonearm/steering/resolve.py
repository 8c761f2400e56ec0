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
class Intervention:
    """One steer at all its layers, for the batch rows whose steers share its settings.

    Args:
        steer: the settings; vector, strength and schedule are those of the first row.
        position: index of the steer in its rows' lists; lower positions are applied first.
        site: where in a block the activation is edited.
        rows: int64 [n], batch rows.
        directions: float32 [G, n, D], G different directions for each row.
        layers: target layer -> index into the first axis of `directions`; layers that share a direction share the index.
        strengths: float32 [n, T] over frames; the last column holds for later frames.
    """

    steer: Steer
    position: int
    site: Site
    rows: torch.Tensor
    directions: torch.Tensor
    layers: Mapping[int, int]
    strengths: torch.Tensor

    def apply(self, h: torch.Tensor, directions: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        """Edit activations h [n, S, D] along directions [n, 1, D] with strength [n, S, 1]."""
        low = float("-inf") if self.steer.low is None else self.steer.low
        high = float("inf") if self.steer.high is None else self.steer.high
        return apply(self.steer.operator, h, directions, strength, scale=self.steer.scale, low=low, high=high)


Plan = Sequence[Intervention]


def compile_plan(
    checkpoint: Checkpoint,
    steerings: Sequence[Steering],
    vectors: Mapping[str, SteeringVector],
    frames: int,
    *,
    live: bool = False,
) -> Plan:
    """The interventions for a batch whose row b is steered by steerings[b], over `frames` frames, in order of application.

    Steers at one position whose settings and target layers are equal become one Intervention. Steers whose strength is 0 throughout
    are left out, unless the plan is `live`, to be changed while decoding. Raises TonearmError for a vector of another checkpoint and
    for layers that do not exist.
    """
    seconds = [frame / checkpoint.frame_rate for frame in range(frames)]
    grouped: dict[tuple, list[tuple[int, Steer, list[torch.Tensor], torch.Tensor]]] = defaultdict(list)
    for row, steering in enumerate(steerings):
        for position, steer in enumerate(steering.steers):
            vector = vectors[steer.vector]
            check_vector(checkpoint, vector)
            directions = _directions(checkpoint, steer, vector)
            factors = steer.schedule.factors(seconds) if steer.schedule else [1.0] * frames
            strengths = steer.strength * torch.as_tensor(factors, dtype=torch.float32)
            if not live and not strengths.any():
                continue
            settings = steer.model_copy(update={"vector": "", "strength": 0.0, "schedule": None, "source_layer": None})
            shared = steer.strategy != "all-to-all"
            key = (position, vector.info.site, tuple(directions), shared, settings.model_dump_json())
            distinct = list(directions.values())[:1] if shared else list(directions.values())
            grouped[key].append((row, steer, distinct, strengths))
    return [
        Intervention(
            steer=members[0][1],
            position=position,
            site=site,
            rows=torch.tensor([row for row, *_ in members], device=checkpoint.device),
            directions=torch.stack([torch.stack(parts) for _, _, parts, _ in members], dim=1).to(checkpoint.device),
            layers={layer: 0 if shared else index for index, layer in enumerate(layers)},
            strengths=torch.stack([strengths for *_, strengths in members]).to(checkpoint.device),
        )
        for (position, site, layers, shared, _), members in sorted(grouped.items(), key=lambda item: item[0][0])
    ]


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
