"""Rendering of notes: FluidSynth with the FluidR3 sound font.

Reverb and chorus are off, so that a repeated bar has the same samples and codes. In a piece, the
lead is balanced against the band; brightness filter and level follow.
"""

import ctypes
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import signal

from tonearm.datasets.rendering.compose import FRAME_RATE, FRAMES_PER_CLIP, LEAD, Note, Piece
from tonearm.errors import TonearmError

SAMPLE_RATE = 16_000
SAMPLES_PER_FRAME = SAMPLE_RATE // FRAME_RATE
SOUND_FONTS = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/fluidr3mono-gm-soundfont/FluidR3Mono_GM.sf3",
)
INSTALL = 'pip install "tonearm[render]", and apt-get install fluidsynth fluid-soundfont-gm'
LEAD_TO_BAND = 1.0  # of their RMS levels
DARK_CUTOFF, BRIGHT_CUTOFF = 1200, 3000  # Hz
LEVEL_DBFS = {"soft": -30.0, "normal": -23.0, "loud": -15.0}  # RMS of the whole clip


def find_sound_font(given: Path | None = None) -> Path:
    """Find a sound font: the given one, `$TONEARM_SOUND_FONT`, or Debian's path of FluidR3.

    Raises:
        TonearmError: none is there, or the file is no sound font.
    """
    named = given or os.environ.get("TONEARM_SOUND_FONT")
    for path in map(Path, [named] if named else SOUND_FONTS):
        if path.is_file():
            _check_sound_font(path)
            return path
    if named:
        raise TonearmError(f"no sound font at {named}; give a .sf2 or .sf3 file")
    raise TonearmError(
        "no FluidR3 sound font is installed: apt-get install fluid-soundfont-gm, "
        "or name a .sf2 or .sf3 file by --sound-font or TONEARM_SOUND_FONT"
    )


def _check_sound_font(path: Path) -> None:
    """Raise TonearmError for a file that is no sound font, before FluidSynth prints lines of it."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise TonearmError(
            f"cannot read {path} ({error.strerror}); check its permissions, or give another"
        ) from error
    if not (head.startswith(b"RIFF") and head.endswith(b"sfbk")):
        raise TonearmError(f"{path} is no sound font; give a .sf2 or .sf3 file")


def load_fluidsynth() -> Any:
    """Import pyfluidsynth. Raises TonearmError where it or libfluidsynth is missing."""
    try:
        import fluidsynth
    except ImportError as error:  # of the package, or of the library, which it looks for
        missing = "pyfluidsynth" if error.name == "fluidsynth" else "libfluidsynth"
        raise TonearmError(f"{missing} is not installed: {INSTALL}") from error
    if not hasattr(fluidsynth, "Synth"):  # another package of that name
        raise TonearmError(f"the package fluidsynth is not pyfluidsynth: {INSTALL}")
    return fluidsynth


def _seed_dither() -> None:
    """Make a rendering the same in every process.

    FluidSynth draws its dither from C's rand() at the first synthesizer of a process; 1 is the seed
    that rand() has where nothing has called it yet.
    """
    ctypes.CDLL("msvcrt" if os.name == "nt" else None).srand(1)


class Renderer(AbstractContextManager["Renderer"]):
    """A synthesizer for many pieces.

    Args:
        sound_font: .sf2 or .sf3 file; default: `find_sound_font()`.
        sample_rate: in Hz.
        lazy: load the samples of an instrument at its first use. This is faster for few pieces.

    Raises:
        TonearmError: FluidSynth, its Python package or the sound font is missing or damaged.
    """

    def __init__(
        self, sound_font: Path | None = None, sample_rate: int = SAMPLE_RATE, lazy: bool = False
    ) -> None:
        path = find_sound_font(sound_font)
        self.sample_rate = sample_rate
        _seed_dither()
        self.synth = load_fluidsynth().Synth(gain=0.4, samplerate=sample_rate)
        self.synth.setting("synth.reverb.active", 0)
        self.synth.setting("synth.chorus.active", 0)
        self.synth.setting("synth.dynamic-sample-loading", int(lazy))
        self.font = self.synth.sfload(str(path))
        if self.font < 0:
            self.close()
            raise TonearmError(f"FluidSynth cannot load {path}; copy it again, or give another")

    def close(self) -> None:
        """Free the synthesizer and the samples of the sound font."""
        self.synth.delete()

    def __exit__(self, *error: object) -> None:
        self.close()

    def render(self, piece: Piece) -> np.ndarray:
        """Return mono float32 [FRAMES_PER_CLIP * SAMPLES_PER_FRAME], within [-1, 1]."""
        audio = self.mix(piece.notes, piece.programs, FRAMES_PER_CLIP)
        return master(audio, piece.brightness, piece.dynamics, self.sample_rate)

    def mix(
        self, notes: Sequence[Note], programs: dict[int, int], frames: int, kit: int = 0
    ) -> np.ndarray:
        """Render lead and band at a fixed ratio of levels.

        Leads of any loudness are then equally prominent.

        Args:
            notes: notes of all channels.
            programs: channel -> General MIDI program.
            frames: length in frames.
            kit: program of the drum bank.

        Returns:
            Mono float32 [samples].
        """
        lead = self.play([note for note in notes if note.channel == LEAD], programs, frames, kit)
        band = self.play([note for note in notes if note.channel != LEAD], programs, frames, kit)
        return lead * (LEAD_TO_BAND * _rms(band) / _rms(lead)) + band

    def play(
        self, notes: Sequence[Note], programs: dict[int, int], frames: int, kit: int = 0
    ) -> np.ndarray:
        """Render notes without a change of levels.

        Args:
            notes: notes of all channels.
            programs: channel -> General MIDI program.
            frames: length in frames.
            kit: program of the drum bank.

        Returns:
            Mono float32 [samples].
        """
        for channel in range(16):
            self.synth.all_sounds_off(channel)
        self.synth.system_reset()
        self.synth.get_samples(self.sample_rate // 10)  # discards the release of the previous piece
        for channel, program in programs.items():
            self.synth.program_select(channel, self.font, 0, program)
        self.synth.program_select(9, self.font, 128, kit)
        samples_per_frame = self.sample_rate / FRAME_RATE
        starts: dict[int, list[Note]] = {}
        ends: dict[int, list[Note]] = {}
        for note in notes:
            starts.setdefault(round(note.frame * samples_per_frame), []).append(note)
            ends.setdefault(round((note.frame + note.length) * samples_per_frame), []).append(note)
        length = round(frames * samples_per_frame)
        stops = sorted({0, length, *(at for at in (*starts, *ends) if at < length)})
        parts = []
        for at, following in pairwise(stops):
            for note in ends.get(at, ()):
                self.synth.noteoff(note.channel, note.key)
            for note in starts.get(at, ()):
                self.synth.noteon(note.channel, note.key, min(127, note.velocity))
            parts.append(self.synth.get_samples(following - at))
        stereo = np.concatenate(parts).reshape(-1, 2).astype(np.float32)
        return stereo.mean(1) / 32768


def master(
    audio: np.ndarray, brightness: str, dynamics: str, sample_rate: int = SAMPLE_RATE
) -> np.ndarray:
    """Apply the brightness filter, then the level of `dynamics`; peaks are limited softly.

    Args:
        audio: mono samples.
        brightness: dark, neutral or bright.
        dynamics: soft, normal or loud.
        sample_rate: in Hz.

    Returns:
        Mono float32, within [-1, 1].
    """
    if brightness == "dark":
        audio = signal.sosfilt(
            signal.butter(2, DARK_CUTOFF, "low", fs=sample_rate, output="sos"), audio
        )
    elif brightness == "bright":
        lift = signal.sosfilt(
            signal.butter(1, BRIGHT_CUTOFF, "high", fs=sample_rate, output="sos"), audio
        )
        thin = signal.sosfilt(signal.butter(1, 300, "high", fs=sample_rate, output="sos"), audio)
        audio = thin + 4.0 * lift
    audio = audio * 10 ** (LEVEL_DBFS[dynamics] / 20) / _rms(audio)
    return np.tanh(audio).astype(np.float32)


def _rms(audio: np.ndarray) -> float:
    return float(np.sqrt(np.mean(audio**2))) + 1e-9
