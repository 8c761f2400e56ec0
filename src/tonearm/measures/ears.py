"""Ears: the judge and the beat tracker, by the name that a person gives.

The embedded ones ship with Tonearm and were trained on pocket's corpus; wherever their numbers appear they are called "embedded". The real ones are a
name or a path away, through the same classes.
"""

from importlib import resources
from pathlib import Path

from tonearm.errors import TonearmError
from tonearm.measures.beat_this import BeatThisTracker
from tonearm.measures.clap import EMBEDDED, ClapJudge
from tonearm.measures.tempo import BeatTracker, LibrosaTracker

LIBROSA = "librosa"
DEFAULT_JUDGE = EMBEDDED
DEFAULT_TRACKER = LIBROSA


def embedded_beats_file() -> Path:
    return Path(str(resources.files("tonearm"))) / "ears" / "beats.ckpt"


def open_tracker(name: str = DEFAULT_TRACKER, device: str = "cpu") -> BeatTracker:
    """`librosa`, `embedded`, a published Beat This! checkpoint such as `final0`, or a local one. Raises TonearmError for anything else."""
    if name == LIBROSA:
        return LibrosaTracker()
    if name != EMBEDDED:
        return BeatThisTracker(name, device)
    if not embedded_beats_file().is_file():
        raise TonearmError(
            "this Tonearm carries no embedded beat tracker; give --beats librosa, final0, or a Beat This! checkpoint"
        )
    return BeatThisTracker(embedded_beats_file(), device, name="embedded beats")


def open_judge(name: str = DEFAULT_JUDGE, device: str = "cpu") -> ClapJudge:
    """`embedded`, a hub id such as laion/clap-htsat-unfused, or a folder. Raises TonearmError for anything else."""
    return ClapJudge(name, device)
