"""Small decode requests and one steer of each kind, for the tests of the engines."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tonearm.model import Model
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Schedule, Steer, Steering, SteeringVector
from tonearm.steering.resolve import resolve

PROMPTS = ["a fast folk tune", "slow jazz piece with flute and piano"]  # lengths differ: padded
FRAMES = 12


def request_for(
    model: Model,
    steering: Steering | None = None,
    vectors: Mapping[str, SteeringVector] | None = None,
    *,
    guidance: float = 3.0,
    shared_noise: bool = False,
    frames: int = FRAMES,
    live: bool = False,
    prompts: Sequence[str] = PROMPTS,
    seeds: Sequence[int] = (5, 6),
) -> DecodeRequest:
    """Request of one row per prompt, all with the same steering.

    Args:
        model: to decode.
        steering: default: none.
        vectors: the vectors that it names.
        guidance: of all rows.
        shared_noise: one generator for all rows, as plain generate() draws.
        frames: length.
        live: strengths will be changed while decoding.
        prompts: of the rows.
        seeds: of the rows.
    """
    checkpoint = model.checkpoint
    sampling = [Sampling(guidance=guidance, top_k=20)] * len(prompts)
    conditioning = condition(checkpoint, prompts, guided=guidance > 1)
    plan = resolve(
        [steering or Steering()] * len(prompts),
        vectors or {},
        model.shape,
        frames,
        checkpoint.device,
        live=live,
    )
    return DecodeRequest(conditioning, frames, sampling, seeds, plan, shared_noise=shared_noise)


def reshaped(model: Model, **numbers: Any) -> Model:
    """The model with other numbers in its shape; the original is not changed."""
    shape = replace(model.shape, **numbers)
    other = Model(replace(model.checkpoint, shape=shape))
    for name in model.vectors:
        if not model.vectors.is_bundled(name):
            other.vectors[name] = model.vectors[name]
    return other


def with_window(model: Model, frames: int) -> Model:
    """The model with a window of `frames`."""
    return reshaped(model, window_seconds=frames / model.shape.frame_rate)


STEERS = {
    "add": Steer(vector="v", strength=1.5, source_layer=1),
    "add, negative": Steer(vector="v", strength=-1.5, source_layer=2),
    "all-to-all": Steer(vector="v", strength=0.8, strategy="all-to-all"),
    "one-to-one": Steer(vector="v", strength=2.0, strategy="one-to-one", source_layer=1),
    "some layers": Steer(vector="v", strength=1.5, source_layer=0, layers=(1, 2)),
    "blend": Steer(vector="v", strength=0.7, operator="blend", source_layer=1),
    "blend, activation": Steer(
        vector="v", strength=0.5, operator="blend", scale="activation", source_layer=1
    ),
    "rotate": Steer(vector="v", strength=0.6, operator="rotate", source_layer=1),
    "slerp": Steer(vector="v", strength=0.4, operator="slerp", source_layer=1),
    "remove": Steer(vector="v", operator="remove", source_layer=1),
    "set": Steer(vector="v", operator="set", level=4.0, strategy="all-to-all"),
    "set, one layer": Steer(
        vector="v",
        strength=0.7,
        operator="set",
        level=-5.0,
        level_schedule=Schedule.ramp(0.1, 0.4, first=-1.0),
        strategy="one-to-one",
        source_layer=1,
    ),
    "clamp": Steer(vector="v", operator="clamp", low=2.0, high=5.0, source_layer=1),
    "feature": Steer(vector="v", strength=2.0, operator="feature", strategy="all-to-all"),
    "feature, silenced": Steer(
        vector="v", strength=-1.0, operator="feature", strategy="one-to-one", source_layer=1
    ),
    "feature, level": Steer(
        vector="v",
        strength=0.8,
        operator="feature",
        level=1.5,
        level_schedule=Schedule.ramp(0.1, 0.4),
        strategy="one-to-one",
        source_layer=1,
    ),
    "gate": Steer(vector="v", strength=1.5, source_layer=1, gate=0.5),
    "gate, own directions": Steer(
        vector="v", strength=0.6, operator="rotate", strategy="all-to-all", gate=0.3
    ),
    "conditional": Steer(vector="v", strength=1.5, source_layer=1, branch="conditional"),
    "unconditional": Steer(vector="v", strength=1.5, source_layer=1, branch="unconditional"),
    "ramp": Steer(vector="v", strength=2.0, source_layer=1, schedule=Schedule.ramp(0.1, 0.4)),
    "window": Steer(vector="v", strength=2.0, source_layer=1, schedule=Schedule.window(0.1, 0.3)),
    "all positions": Steer(vector="v", strength=1.0, source_layer=1, positions="all"),
}
