"""A knob with a planted table, and takes whose measure is a function of the amount."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tests.steering.vectors import vector_of
from tonearm import Clip
from tonearm.model import Model
from tonearm.steering import (
    Calibration,
    SignCalibration,
    SteeringVector,
)
from tonearm.steering.response import POINTS, Response, ResponsePoint
from tonearm.steering.units import UnitName

RATE = 16_000
STRENGTH = 0.1


def knob_of(
    model: Model,
    limit: float = 4.0,
    measure: str = "spectral_centroid",
    unit: UnitName = "st",
    plain: float = 1000.0,
) -> SteeringVector:
    """A vector whose table says that an amount has `limit` times itself, in a unit."""
    points = tuple(
        ResponsePoint(amount=i / 10, effect=limit * i / 10, low=0, high=0) for i in range(POINTS)
    )
    mirrored = tuple(point.model_copy(update={"effect": -point.effect}) for point in points)
    signs = [
        SignCalibration(
            strength=STRENGTH,
            response=Response(measure=measure, unit=unit, plain=plain, points=one, prompts=30),
        )
        for one in (points, mirrored)
    ]
    vector = vector_of(model, "brightness", best_layer=1)
    calibration = Calibration(positive=signs[0], negative=signs[1])
    info = vector.info.model_copy(update={"calibration": calibration})
    return SteeringVector(vector.directions, info)


class PlantedModel(Model):
    """Stands in for a model: takes are tones whose frequency a function of seed and amount gives.

    The takes are copies of one real take, so that their provenance is whole.
    """

    def __init__(self, model: Model, hertz: Callable[[int, float, str], float]):
        vars(self).update(vars(model))
        self.hertz = hertz
        self.take = model.generate("a folk tune", seconds=0.4, seed=0)
        self.requests: list[tuple[int, float, str]] = []
        self.batch_sizes: list[int | None] = []

    def generate_batch(self, requests, vectors=None, batch_size=None, progress=None):
        self.batch_sizes.append(batch_size)
        for request in requests:
            amount = sum(steer.amount or 0.0 for steer in request.steering.steers)
            seen = (request.seed, amount, request.prompt)
            self.requests.append(seen)
            time = np.arange(2 * RATE) / RATE
            tone = 0.3 * np.sin(2 * np.pi * self.hertz(*seen) * time)
            provenance = self.take.provenance.model_copy(
                update={"seed": request.seed, "prompt": request.prompt}
            )
            yield replace(self.take, clip=Clip(tone[None], RATE), provenance=provenance)
