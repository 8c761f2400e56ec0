"""Ears: the judge and the beat tracker, by the name that a person gives.

The embedded ones ship with Tonearm and were trained on pocket's corpus; wherever their numbers appear they are called
"embedded". The real ones are a name or a path away, through the same classes.
"""

from functools import cache
from pathlib import Path

from tonearm import assets, defaults
from tonearm.errors import TonearmError
from tonearm.evaluators.base import BeatTracker
from tonearm.evaluators.beat_this import BeatThisTracker
from tonearm.evaluators.clap import EMBEDDED, ClapEvaluator
from tonearm.evaluators.librosa_tracker import LibrosaTracker

LIBROSA = "librosa"


def bundled_tracker_file() -> Path:
    return assets.BEAT_TRACKER


def load_tracker(name: str = defaults.TRACKER, device: str = "cpu") -> BeatTracker:
    """`librosa`, `embedded`, or a Beat This! checkpoint: `final0`, a local file. Raises TonearmError for anything else."""
    if name == LIBROSA:
        return LibrosaTracker()
    _check_device(device)
    if name != EMBEDDED:
        return BeatThisTracker(name, device)
    if not bundled_tracker_file().is_file():
        raise TonearmError(
            "this Tonearm carries no embedded beat tracker; give --beats librosa, final0, or a Beat This! checkpoint"
        )
    return BeatThisTracker(bundled_tracker_file(), device, name="embedded beats")


@cache
def default_tracker() -> BeatTracker:
    """The tracker that is used where none is given, loaded once."""
    return load_tracker()


def load_clap(name: str = defaults.JUDGE, device: str = "cpu") -> ClapEvaluator:
    """`embedded`, a hub id such as laion/clap-htsat-unfused, or a folder. Raises TonearmError for anything else."""
    _check_device(device)
    return ClapEvaluator(name, device)


def _check_device(device: str) -> None:
    import torch

    try:
        torch.zeros(1, device=device)
    except (
        RuntimeError,
        AssertionError,
    ) as error:  # an unknown name, a device that is not there, a torch built without it
        raise TonearmError(
            f"device {device!r} is not there; give cpu, or cuda or mps where the machine has one"
        ) from error
