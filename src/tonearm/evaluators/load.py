"""CLAP evaluators and beat trackers by name, a tagger and a transcriber.

The bundled CLAP and beat tracker were trained on pocket's corpus and count as one family; their
numbers are labelled "bundled" in every protocol. musicnn, which ships with Tonearm too, was trained
by others on real music. Published checkpoints are loaded by name or path into the same classes.
"""

from functools import cache
from pathlib import Path

from tonearm import assets, boundary, defaults
from tonearm.errors import TonearmError
from tonearm.evaluators.base import BeatTracker, Tagger, Transcriber
from tonearm.evaluators.beat_this import PUBLISHED, BeatThisTracker
from tonearm.evaluators.clap import BUNDLED, ClapEvaluator
from tonearm.evaluators.librosa_tracker import LibrosaTracker
from tonearm.text import quoted, warn_of_namesake

LIBROSA = "librosa"


def bundled_tracker_file() -> Path:
    return assets.BEAT_TRACKER


def load_tracker(name: str = defaults.TRACKER, device: str = "cpu") -> BeatTracker:
    """Load a beat tracker.

    Args:
        name: `librosa`, `bundled`, or a Beat This! checkpoint: a published name such as `final0`,
            or a local file. A file in the working directory that has one of these names is used
            by its path, such as `./final0`.
        device: torch device of a Beat This! model.

    Returns:
        The tracker.

    Raises:
        TonearmError: no such tracker or device, or the package `beat_this` is not installed.
    """
    name = boundary.path(name, "beat tracker")
    if name in (LIBROSA, BUNDLED, *PUBLISHED) and Path(name).exists():
        origin = "published" if name in PUBLISHED else "bundled" if name == BUNDLED else "built-in"
        warn_of_namesake(name, f"{origin} beat tracker", Path(name))
    if name == LIBROSA:
        return LibrosaTracker()
    _check_device(device)
    if name != BUNDLED:
        return BeatThisTracker(name, device)
    if not bundled_tracker_file().is_file():
        raise TonearmError(
            "this installation has no bundled beat tracker; give --beats librosa, final0, "
            "or a Beat This! checkpoint"
        )
    return BeatThisTracker(bundled_tracker_file(), device, name="bundled Beat This!")


@cache
def default_tracker() -> BeatTracker:
    """Load the default tracker, once."""
    return load_tracker()


def load_tagger(device: str = "cpu") -> Tagger:
    """Load musicnn, a tagger of real music.

    Args:
        device: torch device.

    Returns:
        The tagger.

    Raises:
        TonearmError: no such device, or this installation has no weights of it.
    """
    _check_device(device)
    from tonearm.evaluators.musicnn import MusicnnTagger

    return MusicnnTagger(device)


@cache
def default_tagger() -> Tagger:
    """Load the tagger, once."""
    return load_tagger()


def load_transcriber() -> Transcriber:
    """Load basic-pitch, a transcriber of notes.

    Raises:
        TonearmError: basic-pitch or onnxruntime is not installed.
    """
    from tonearm.evaluators.basic_pitch import BasicPitch

    return BasicPitch()


@cache
def default_transcriber() -> Transcriber:
    """Load the transcriber, once."""
    return load_transcriber()


def load_clap(name: str = defaults.CLAP, device: str = "cpu") -> ClapEvaluator:
    """Load a CLAP evaluator.

    Args:
        name: `bundled`, a hub id such as laion/clap-htsat-unfused, or a folder.
        device: torch device.

    Returns:
        The evaluator.

    Raises:
        TonearmError: no such checkpoint or device.
    """
    name = boundary.path(name, "CLAP")
    if name == BUNDLED and Path(BUNDLED).exists():
        warn_of_namesake(BUNDLED, "bundled CLAP", Path(BUNDLED))
    _check_device(device)
    return ClapEvaluator(name, device)


def _check_device(device: str) -> None:
    import torch

    boundary.text(device, "device")
    try:
        torch.zeros(1, device=device).cpu()  # the device "meta" has no values
    # An unknown name, an absent device, a torch that was built without it.
    except (RuntimeError, AssertionError) as error:
        raise TonearmError(
            f"device {quoted(device)} is not available; give cpu, or cuda or mps where the machine "
            "has one"
        ) from error
