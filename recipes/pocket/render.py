"""Rendering of pieces: FluidSynth with the FluidR3 sound font.

The lead is balanced against the band; brightness filter and level follow.

Reverb and chorus are off, so that a repeated bar has the same samples and codes.
"""

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy import signal

from recipes.pocket.compose import FRAME_RATE, FRAMES_PER_CLIP, LEAD, Note, Piece

SAMPLE_RATE = 16_000
SAMPLES_PER_FRAME = SAMPLE_RATE // FRAME_RATE
SOUND_FONTS = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/fluidr3mono-gm-soundfont/FluidR3Mono_GM.sf3",
)
LEAD_TO_BAND = 1.0  # of their RMS levels
DARK_CUTOFF, BRIGHT_CUTOFF = 1200, 3000  # Hz
LEVEL_DBFS = {"soft": -30.0, "normal": -23.0, "loud": -15.0}  # RMS of the whole clip


def find_sound_font() -> str:
    """Return `$TONEARM_SOUND_FONT`, or Debian's path of FluidR3."""
    for path in (os.environ.get("TONEARM_SOUND_FONT", ""), *SOUND_FONTS):
        if path and Path(path).exists():
            return path
    raise FileNotFoundError(
        "no FluidR3 sound font: apt-get install fluidsynth fluid-soundfont-gm, "
        "or set TONEARM_SOUND_FONT to a .sf2 or .sf3"
    )


class Renderer:
    """A synthesizer for many pieces."""

    def __init__(self, sound_font: str | None = None, sample_rate: int = SAMPLE_RATE):
        import fluidsynth  # needs libfluidsynth, for this stage only

        self.sample_rate = sample_rate
        self.synth = fluidsynth.Synth(gain=0.4, samplerate=sample_rate)
        self.synth.setting("synth.reverb.active", 0)
        self.synth.setting("synth.chorus.active", 0)
        self.font = self.synth.sfload(sound_font or find_sound_font())

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
