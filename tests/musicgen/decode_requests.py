"""Small requests, and one steer of each kind, for the tests of the engines."""

import torch

from tonearm.model import Model
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Schedule, Steer, Steering, SteeringVector, VectorInfo
from tonearm.steering.resolve import resolve

PROMPTS = ["a fast folk tune", "slow jazz piece with flute and piano"]  # of unequal length: padding is at work
FRAMES = 12


def vector_for(
    model: Model, site: str = "residual", name: str = "v", seed: int = 0, size: float = 2.0
) -> SteeringVector:
    c = model.checkpoint
    generator = torch.Generator().manual_seed(seed)
    info = VectorInfo(
        name=name,
        checkpoint=c.shape.name,
        fingerprint=c.shape.fingerprint,
        width=c.shape.width,
        layer_count=c.shape.layer_count,
        site=site,
        best_layer=1,
    )
    return SteeringVector({i: size * torch.randn(c.shape.width, generator=generator) for i in range(c.shape.layer_count)}, info)


def request_for(
    model: Model, steering: Steering | None = None, vectors=None, guidance=3.0, shared=False, **kwargs
) -> DecodeRequest:
    c = model.checkpoint
    sampling = [Sampling(guidance=guidance, top_k=20)] * 2
    conditioning = condition(c, PROMPTS, guided=guidance > 1, **kwargs)
    plan = resolve([steering or Steering()] * 2, vectors or {}, c.shape, FRAMES, c.device)
    return DecodeRequest(conditioning, FRAMES, sampling, [5, 6], plan, shared_noise=shared)


STEERS = {
    "add": Steer(vector="v", strength=1.5, source_layer=1),
    "add, negative": Steer(vector="v", strength=-1.5, source_layer=2),
    "all-to-all": Steer(vector="v", strength=0.8, strategy="all-to-all"),
    "one-to-one": Steer(vector="v", strength=2.0, strategy="one-to-one", source_layer=1),
    "some layers": Steer(vector="v", strength=1.5, source_layer=0, layers=(1, 2)),
    "blend": Steer(vector="v", strength=0.7, operator="blend", source_layer=1),
    "blend, activation": Steer(vector="v", strength=0.5, operator="blend", scale="activation", source_layer=1),
    "rotate": Steer(vector="v", strength=0.6, operator="rotate", source_layer=1),
    "remove": Steer(vector="v", operator="remove", source_layer=1),
    "clamp": Steer(vector="v", operator="clamp", low=2.0, high=5.0, source_layer=1),
    "conditional": Steer(vector="v", strength=1.5, source_layer=1, branch="conditional"),
    "unconditional": Steer(vector="v", strength=1.5, source_layer=1, branch="unconditional"),
    "ramp": Steer(vector="v", strength=2.0, source_layer=1, schedule=Schedule.ramp(0.1, 0.4)),
    "window": Steer(vector="v", strength=2.0, source_layer=1, schedule=Schedule.window(0.1, 0.3)),
    "all positions": Steer(vector="v", strength=1.0, source_layer=1, positions="all"),
}
