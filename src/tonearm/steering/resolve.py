"""Resolution of a steering specification into interventions: names, strategies and seconds become
tensors, layers and frames.

Shapes: D width, T frames.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from tonearm.backend import ModelShape, Site
from tonearm.errors import TonearmError
from tonearm.steering.intervention import Intervention
from tonearm.steering.monitor import Monitor, RowMonitors
from tonearm.steering.orthogonal import Orthogonaliser
from tonearm.steering.schedule import Schedule
from tonearm.steering.spec import Steer, Steering
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import SUFFIX

# Settings of a steer that each row of an intervention has for itself.
OWN: Mapping[str, Any] = {
    "vector": "",
    "strength": 0.0,
    "schedule": None,
    "source_layer": None,
    "level": None,
    "level_schedule": None,
}


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

    Steers at one position with equal `_Key` become one Intervention.

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
    grouped: dict[_Key, list[_Member]] = defaultdict(list)
    for row, steering in enumerate(steerings):
        orthogonaliser = Orthogonaliser() if steering.combine == "orthogonal" else None
        for position, steer in enumerate(steering.steers):
            vector = vectors[steer.vector]
            check_vector(shape, vector)
            check_operator(steer, vector)
            member = _member(row, steer, vector, shape, seconds, orthogonaliser)
            if not live and not member.strengths.any():
                continue
            settings = steer.model_copy(update=OWN).model_dump_json()
            key = _Key(
                position=position,
                site=vector.info.site,
                layers=member.layers,
                shared=member.shared,
                has_level=member.levels is not None,
                probes=len(member.monitor) if member.monitor else 0,
                settings=settings,
            )
            grouped[key].append(member)
    in_order = sorted(grouped.items(), key=lambda item: item[0].position)
    return [_intervention(key.position, key.site, members, device) for key, members in in_order]


class _Key(NamedTuple):
    """Properties that must be equal within an intervention.

    position   index of the steer in its row's list
    site       of the vector
    layers     target layers
    shared     one direction serves all target layers
    has_level  operator feature can be with and without one
    probes     heads that the monitor reads
    settings   of the steer, without OWN, as JSON
    """

    position: int
    site: Site
    layers: tuple[int, ...]
    shared: bool
    has_level: bool
    probes: int
    settings: str


@dataclass(frozen=True)
class _Member:
    """A steer of one batch row.

    layers      target layers
    shared      one direction serves all target layers
    directions  one per target layer, or the shared one, float32 [D] each
    strengths   float32 [T]
    levels      float32 [T]; None for a steer without a level
    scales      offset and unit of the levels on each direction; likewise
    monitor     of the vector, where the steer is monitored
    readers     one per direction, float32 [D + 2] each; None for operators other than feature
    """

    row: int
    steer: Steer
    layers: tuple[int, ...]
    shared: bool
    directions: Sequence[torch.Tensor]
    strengths: torch.Tensor
    levels: torch.Tensor | None
    scales: Sequence[tuple[float, float]] | None
    monitor: Monitor | None
    readers: Sequence[torch.Tensor] | None


def _member(
    row: int,
    steer: Steer,
    vector: SteeringVector,
    shape: ModelShape,
    seconds: Sequence[float],
    orthogonaliser: Orthogonaliser | None,
) -> _Member:
    sources = target_layers(shape, steer, vector)
    directions = {layer: vector[source] for layer, source in sources.items()}
    shared = steer.strategy != "all-to-all"
    remainders = orthogonaliser and orthogonaliser(vector, steer.operator, directions)
    if remainders:
        directions, shared = remainders, False
    levels = scales = readers = None
    if steer.level is not None:
        levels = steer.level * _factors(steer.level_schedule, seconds)
        scales = level_scales(steer, vector, list(sources.values()))
    if steer.operator == "feature":
        readers = [vector.reader(source) for source in sources.values()]
    return _Member(
        row=row,
        steer=steer,
        layers=tuple(sources),
        shared=shared,
        directions=list(directions.values())[: 1 if shared else None],
        strengths=steer.raw_strength * _factors(steer.schedule, seconds),
        levels=levels,
        scales=scales,
        monitor=monitor_of(steer, vector, shape) if steer.monitor else None,
        readers=readers,
    )


def _factors(schedule: Schedule | None, seconds: Sequence[float]) -> torch.Tensor:
    """Factors of a schedule at the times of all frames, float32 [T]."""
    if schedule is None:
        return torch.ones(len(seconds))
    return torch.as_tensor(schedule.factors(seconds), dtype=torch.float32)


def _intervention(
    position: int, site: Site, members: Sequence[_Member], device: torch.device
) -> Intervention:
    """The steers of several rows, whose settings are equal, as one intervention."""
    first = members[0]
    levels = [one.levels for one in members if one.levels is not None]
    scales = [one.scales for one in members if one.scales is not None]
    monitors = [one.monitor for one in members if one.monitor]
    readers = [torch.stack(list(one.readers)) for one in members if one.readers is not None]
    return Intervention(
        steer=first.steer,
        position=position,
        vectors=tuple(one.steer.vector for one in members),
        site=site,
        rows=torch.tensor([one.row for one in members], device=device),
        directions=torch.stack([torch.stack(list(one.directions)) for one in members], dim=1).to(
            device
        ),
        layers={layer: 0 if first.shared else i for i, layer in enumerate(first.layers)},
        strengths=torch.stack([one.strengths for one in members]).to(device),
        levels=torch.stack(levels).to(device) if levels else None,
        scales=_scales(scales, device) if scales else None,
        monitors=RowMonitors.of(monitors, device) if monitors else None,
        readers=torch.stack(readers, dim=1).to(device) if readers else None,
    )


def _scales(members: Sequence[Sequence[tuple[float, float]]], device: torch.device) -> torch.Tensor:
    """Scales of n rows as float32 [G, n, 2]."""
    return torch.tensor(members, dtype=torch.float32, device=device).transpose(0, 1)


def check_steering(
    steering: Steering, vectors: Mapping[str, SteeringVector], shape: ModelShape
) -> None:
    """Check a steering against a checkpoint without building tensors.

    Raises:
        TonearmError: a vector of another checkpoint or operator, a layer that does not exist or that
            the vector has no direction for, no source layer, a level without frame scales,
            monitoring without a monitor, or operator feature with a vector that reads none.
    """
    for steer in steering.steers:
        vector = vectors[steer.vector]
        check_vector(shape, vector)
        check_operator(steer, vector)
        sources = set(target_layers(shape, steer, vector).values())
        for source in sources:
            vector[source]
        if steer.monitor:
            monitor_of(steer, vector, shape)
        if steer.level is not None:
            level_scales(steer, vector, sources)
        if steer.operator == "feature":
            for source in sources:
                vector.reader(source)


def level_scales(
    steer: Steer, vector: SteeringVector, layers: Iterable[int]
) -> list[tuple[float, float]]:
    """Offset and unit of a steer's level on the directions of some layers.

    Levels of set are in standard deviations from the mean projection, those of feature in peaks:
    lengths of the direction.

    Raises:
        TonearmError: the vector has no frame scales, which set needs.
    """
    if steer.operator == "feature":
        return [(0.0, float(vector[layer].norm())) for layer in layers]
    return frame_scales(steer, vector, layers)


def frame_scales(
    steer: Steer, vector: SteeringVector, layers: Iterable[int]
) -> list[tuple[float, float]]:
    """Mean and standard deviation of the projection on the directions of some layers.

    Raises:
        TonearmError: the vector does not have them.
    """
    scales = vector.info.frame_scales
    if scales is None:
        raise TonearmError(
            f"steer {steer.vector}: the vector has no frame scales, the unit of level; measure "
            f"them with `tonearm calibrate {steer.vector} --scales`"
        )
    missing = [layer for layer in layers if layer not in scales.means]
    if missing:
        raise TonearmError(
            f"steer {steer.vector}: the vector has no frame scale of layer {missing[0]}; measure "
            f"them again with `tonearm calibrate {steer.vector} --scales`, or use other layers"
        )
    return [(scales.means[layer], scales.deviations[layer]) for layer in layers]


def monitor_of(steer: Steer, vector: SteeringVector, shape: ModelShape) -> Monitor:
    """The monitor of a steer's vector, with the threshold of the steer where it has one.

    Raises:
        TonearmError: the vector has none, or one of heads of another size.
    """
    monitor = vector.monitor
    if monitor is None:
        raise TonearmError(
            f"steer {steer.vector}: the vector has no monitor; learn it with method smitin or iti, "
            "from audio or with pooling mean or last, or omit monitor"
        )
    size = monitor.weights.shape[1]
    if size * shape.heads != shape.width:
        raise TonearmError(
            f"steer {steer.vector}: the monitor reads heads of {size} outputs, and those of "
            f"{shape.name} have {shape.width // shape.heads}; learn the vector again"
        )
    own = steer.monitor.threshold if steer.monitor else None
    return monitor if own is None else replace(monitor, threshold=own)


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
    return steering.model_copy(update={"steers": tuple(steers)})


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
        if not named.setdefault(name, vector).steers_like(vector):
            name = f"{name.removesuffix(SUFFIX)}-{vector.content_hash()[:8]}{SUFFIX}"
            named[name] = vector
        steers.append(steer.model_copy(update={"vector": name}))
    return steering.model_copy(update={"steers": tuple(steers)}), named
