"""Resolution of a steering specification into interventions: names, strategies and seconds become
tensors, layers and frames.

Shapes: n batch rows with equal settings, G distinct directions per row, D width, T frames.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from tonearm.backend import ModelShape, Site
from tonearm.errors import TonearmError
from tonearm.steering.operators import apply
from tonearm.steering.spec import Steer, Steering
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import SUFFIX


@dataclass(frozen=True)
class Intervention:
    """One steer at all its layers, for the batch rows whose steers share its settings.

    steer       the settings; vector, strength and schedule are those of the first row
    position    index of the steer in its rows' lists; lower positions are applied first
    vectors     name of each row's vector [n]
    site        where in a block the activation is edited
    rows        int64 [n], batch rows
    directions  float32 [G, n, D]
    layers      target layer -> index into the first axis of `directions`
    strengths   float32 [n, T]; the last column holds for later frames
    """

    steer: Steer
    position: int
    vectors: tuple[str, ...]
    site: Site
    rows: torch.Tensor
    directions: torch.Tensor
    layers: Mapping[int, int]
    strengths: torch.Tensor

    @property
    def bounds(self) -> tuple[float, float]:
        """Bounds of the projection, for clamp; infinite where the steer has none."""
        low, high = self.steer.low, self.steer.high
        return float("-inf") if low is None else low, float("inf") if high is None else high

    def apply(
        self,
        h: torch.Tensor,
        directions: torch.Tensor,
        strength: torch.Tensor,
        bounds: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Edit activations.

        Args:
            h: [n, S, D].
            directions: [n, 1, D].
            strength: [n, S, 1].
            bounds: [2], those of the projection, in a tensor; default: those of the steer.
        """
        low, high = self.bounds if bounds is None else bounds.unbind()
        steer = self.steer
        return apply(steer.operator, h, directions, strength, scale=steer.scale, low=low, high=high)


def resolve(
    steerings: Sequence[Steering],
    vectors: Mapping[str, SteeringVector],
    shape: ModelShape,
    frames: int,
    device: torch.device,
    *,
    live: bool = False,
) -> list[Intervention]:
    """Resolve the steering of a batch into interventions, in order of application.

    Steers at one position whose settings and target layers are equal become one Intervention.

    Args:
        steerings: one per batch row.
        vectors: the vectors that the steers name.
        shape: of the checkpoint.
        frames: T, frames for which strengths are tabulated.
        device: of the tensors.
        live: keep steers whose strength is 0 throughout, so that it can be set while decoding.

    Raises:
        TonearmError: a vector of another checkpoint or operator, or a layer that does not exist.
    """
    seconds = [frame / shape.frame_rate for frame in range(frames)]
    grouped: dict[tuple, list[tuple[int, Steer, list[torch.Tensor], torch.Tensor]]] = defaultdict(
        list
    )
    for row, steering in enumerate(steerings):
        for position, steer in enumerate(steering.steers):
            vector = vectors[steer.vector]
            check_vector(shape, vector)
            check_operator(steer, vector)
            sources = target_layers(shape, steer, vector)
            factors = steer.schedule.factors(seconds) if steer.schedule else [1.0] * frames
            strengths = steer.raw_strength * torch.as_tensor(factors, dtype=torch.float32)
            if not live and not strengths.any():
                continue
            settings = steer.model_copy(
                update={"vector": "", "strength": 0.0, "schedule": None, "source_layer": None}
            )
            shared = steer.strategy != "all-to-all"
            directions = [vector[layer] for layer in sources.values()]
            key = (position, vector.info.site, tuple(sources), shared, settings.model_dump_json())
            grouped[key].append((row, steer, directions[:1] if shared else directions, strengths))
    in_order = sorted(grouped.items(), key=lambda item: item[0][0])
    return [
        Intervention(
            steer=members[0][1],
            position=position,
            vectors=tuple(steer.vector for _, steer, *_ in members),
            site=site,
            rows=torch.tensor([row for row, *_ in members], device=device),
            directions=torch.stack(
                [torch.stack(directions) for _, _, directions, _ in members], dim=1
            ).to(device),
            layers={layer: 0 if shared else index for index, layer in enumerate(layers)},
            strengths=torch.stack([strengths for *_, strengths in members]).to(device),
        )
        for (position, site, layers, shared, _), members in in_order
    ]


def check_steering(
    steering: Steering, vectors: Mapping[str, SteeringVector], shape: ModelShape
) -> None:
    """Check a steering against a checkpoint without building tensors.

    Raises:
        TonearmError: a vector of another checkpoint or operator, a layer that does not exist or that
            the vector has no direction for, or no source layer.
    """
    for steer in steering.steers:
        vector = vectors[steer.vector]
        check_vector(shape, vector)
        check_operator(steer, vector)
        for source in set(target_layers(shape, steer, vector).values()):
            vector[source]


def check_vector(shape: ModelShape, vector: SteeringVector) -> None:
    """Raise TonearmError unless the vector was made for this checkpoint and one of its sites."""
    info = vector.info
    if info.fingerprint != shape.fingerprint:
        raise TonearmError(
            f"vector {vector.name} was made for {info.checkpoint} ({info.fingerprint}), not for "
            f"{shape.name} ({shape.fingerprint}); learn it again with "
            f"`tonearm learn --model {shape.name}`"
        )
    if info.site not in shape.sites:
        raise TonearmError(
            f"vector {vector.name} is for site {info.site}; {shape.name} has {', '.join(shape.sites)}"
        )


def check_operator(steer: Steer, vector: SteeringVector) -> None:
    """Raise TonearmError for directions that are for another operator than that of the steer."""
    needed = vector.info.operator
    if needed is not None and steer.operator != needed:
        raise TonearmError(
            f"vector {vector.name} is for operator {needed}, as the file that it was imported from "
            f"states, not for {steer.operator}; write {steer.vector}=1@{needed}"
        )


def target_layers(shape: ModelShape, steer: Steer, vector: SteeringVector) -> dict[int, int]:
    """Target layer -> source layer of its direction, by the steer's strategy (layers 0-based)."""
    last = shape.layer_count - 1
    named = [*(steer.layers or ())]
    named += [] if steer.source_layer is None else [steer.source_layer]
    for layer in named:
        if layer > last:
            raise TonearmError(
                f"steer {steer.vector}: layer {layer} does not exist; "
                f"{shape.name} has layers 0..{last}"
            )
    if steer.strategy == "all-to-all":
        return {layer: layer for layer in (vector.layers if steer.layers is None else steer.layers)}
    source = vector.info.best_layer if steer.source_layer is None else steer.source_layer
    if source is None:
        raise TonearmError(
            f"steer {steer.vector}: the vector names no best layer; "
            "set source_layer, or strategy all-to-all"
        )
    if steer.strategy == "one-to-one":
        return {source: source}
    targets = range(shape.layer_count) if steer.layers is None else steer.layers
    return dict.fromkeys(targets, source)


def with_source_layers(steering: Steering, vectors: Mapping[str, SteeringVector]) -> Steering:
    """Write out every source layer, so that a sidecar does not depend on a vector's best layer."""
    steers = []
    for steer in steering.steers:
        best = vectors[steer.vector].info.best_layer
        if steer.strategy != "all-to-all" and steer.source_layer is None and best is not None:
            steer = steer.model_copy(update={"source_layer": best})
        steers.append(steer)
    return Steering(steers=tuple(steers))


def with_public_names(
    steering: Steering,
    vectors: Mapping[str, SteeringVector],
    public_name: Callable[[str], str],
) -> tuple[Steering, dict[str, SteeringVector]]:
    """Rename vectors that are named by a path, which may contain a user's name.

    Args:
        steering: as it was used.
        vectors: by the names that it uses; a tempo in BPM may be without, and keeps its name.
        public_name: of a name; two vectors of one public name get the start of their content hash.

    Returns:
        The steering and its vectors, by their public names.
    """
    named: dict[str, SteeringVector] = {}
    steers = []
    for steer in steering.steers:
        if steer.vector not in vectors:
            steers.append(steer)
            continue
        vector = vectors[steer.vector]
        name = public_name(steer.vector)
        if named.setdefault(name, vector).content_hash() != vector.content_hash():
            name = f"{name.removesuffix(SUFFIX)}-{vector.content_hash()[:8]}{SUFFIX}"
            named[name] = vector
        steers.append(steer.model_copy(update={"vector": name}))
    return Steering(steers=tuple(steers)), named
