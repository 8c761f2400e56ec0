"""Tonearm: steering of music generation by a model's activations.

import tonearm
model = tonearm.load()
take = model.generate("a folk tune with flute", steer={"brightness": -1}, seconds=10, seed=7)
take.save("flute.wav")
"""

# As little as possible is imported here: Ctrl-C is handled from `tonearm.cli.main` on.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tonearm.audio import Clip
    from tonearm.comparison import Comparison, compare
    from tonearm.errors import TonearmError
    from tonearm.generation.request import TakeRequest
    from tonearm.generation.stream import Stream
    from tonearm.generation.take import Take
    from tonearm.knobs import Outcome, Reached, reach
    from tonearm.measures.batch import measure_files
    from tonearm.measures.describe import describe
    from tonearm.methods.learn import learn
    from tonearm.methods.learn_from_audio import learn_from_audio
    from tonearm.model import Model, load
    from tonearm.musicgen.sampling import Sampling
    from tonearm.replaying import replay
    from tonearm.steering import (
        Control,
        Schedule,
        Steer,
        Steering,
        SteeringVector,
        load_bundle,
        load_vector,
        save_bundle,
        save_vector,
    )

    __version__: str

_HOME = {
    "Clip": "audio",
    "Comparison": "comparison",
    "Control": "steering",
    "Model": "model",
    "Outcome": "knobs",
    "Reached": "knobs",
    "Sampling": "musicgen.sampling",
    "Schedule": "steering",
    "Steer": "steering",
    "Steering": "steering",
    "SteeringVector": "steering",
    "Stream": "generation.stream",
    "Take": "generation.take",
    "TakeRequest": "generation.request",
    "TonearmError": "errors",
    "compare": "comparison",
    "describe": "measures.describe",
    "learn": "methods.learn",
    "learn_from_audio": "methods.learn_from_audio",
    "load": "model",
    "load_bundle": "steering",
    "load_vector": "steering",
    "measure_files": "measures.batch",
    "reach": "knobs",
    "replay": "replaying",
    "save_bundle": "steering",
    "save_vector": "steering",
}
__all__ = sorted(_HOME)


def __getattr__(name: str) -> "Any":
    """Import a public name at its first use; importing tonearm alone stays fast."""
    if name == "__version__":
        from importlib.metadata import version

        return version("tonearm")
    if name not in _HOME:
        raise AttributeError(f"module 'tonearm' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"tonearm.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
