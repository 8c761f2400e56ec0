"""Tonearm steers music generation from the inside.

import tonearm
model = tonearm.load()
take = model.generate("a folk tune with flute", steer={"brightness": -0.1}, seconds=10, seed=7)
take.save("flute.wav")
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tonearm.audio import Clip
    from tonearm.errors import TonearmError
    from tonearm.generation.request import TakeRequest
    from tonearm.generation.take import Take
    from tonearm.methods.learn import learn
    from tonearm.model import Model, load
    from tonearm.musicgen.sampling import Sampling
    from tonearm.replaying import replay
    from tonearm.steering import Schedule, Steer, Steering, SteeringVector, load_vector, save_vector

__version__ = version("tonearm")

_HOME = {
    "Clip": "audio",
    "Model": "model",
    "TakeRequest": "generation.request",
    "Sampling": "musicgen.sampling",
    "Schedule": "steering",
    "Steer": "steering",
    "Steering": "steering",
    "SteeringVector": "steering",
    "Take": "generation.take",
    "TonearmError": "errors",
    "learn": "methods.learn",
    "load": "model",
    "load_vector": "steering",
    "replay": "replaying",
    "save_vector": "steering",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Heavy imports wait until a name is used."""
    if name not in _HOME:
        raise AttributeError(f"module 'tonearm' has no attribute {name!r}")
    return getattr(import_module(f"tonearm.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
