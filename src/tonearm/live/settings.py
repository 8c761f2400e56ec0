"""Settings of a session: those that the next performance starts with, the lead, and the stream that
is played.
"""

import math
import secrets
from collections.abc import Sequence
from typing import Literal

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.check import usable_prompt
from tonearm.generation.stream import Stream
from tonearm.live.commands import MAX_KNOBS, MAX_LEAD, MIN_LEAD
from tonearm.live.desk import (
    RESEARCH_SETTINGS,
    check_control,
    delayed,
    is_set_by,
    steering_of,
    with_controls,
)
from tonearm.live.manifest import Knob, Manifest
from tonearm.live.state import MODES, Listening
from tonearm.model import Model
from tonearm.schema import validated
from tonearm.steering.controls import GUIDANCE, MUTE, TEMPERATURE, Control
from tonearm.steering.spec import Steer
from tonearm.text import quoted

Role = Literal["continue_from", "melody"]
ROLES: tuple[Role, ...] = ("continue_from", "melody")
MELODY_RATE = 32_000  # Hz; melody checkpoints read a melody at this rate, and mono


def check_playing(mode: object, lead: float) -> None:
    """Raise TonearmError for a mode other than `live`, `phrase` and None, or a lead that is not
    possible.
    """
    if mode not in (*MODES, None):
        raise TonearmError(f"mode {quoted(mode)} is unknown; use one of {', '.join(MODES)}")
    if not MIN_LEAD <= boundary.number(lead, "lead") <= MAX_LEAD:
        raise TonearmError(f"a lead of {lead:g} s is not possible; use {MIN_LEAD} to {MAX_LEAD}")


class Settings:
    """The settings, and the streams that start with them.

    prompt       the music in words
    seed         of the next performance; None for a random one
    seed_locked  whether later performances have the same seed
    controls     values by target
    desk         knobs of the next performance
    research     additional steers of the next performance; their schedules begin with its new music
    inputs       audio that the next performance continues or follows, by role
    lead         seconds between the play head and the newest sample
    listening    which of the two streams is played

    Args:
        model: to play.
        manifest: of the model.
        prompt: the music in words.
        seed: of all performances, until it is unlocked; default: a random one for each.
        lead: seconds between the play head and the newest sample.
        desk: names of knobs.
        chunk_seconds: length of a chunk.

    Raises:
        TonearmError: a knob that the model does not have, or too many.
    """

    def __init__(
        self,
        model: Model,
        manifest: Manifest,
        *,
        prompt: str,
        seed: int | None,
        lead: float,
        desk: Sequence[str],
        chunk_seconds: float,
    ):
        self.desk: tuple[Knob, ...]
        self._model, self._manifest, self._chunk_seconds = model, manifest, chunk_seconds
        self.set_desk(desk)
        self.prompt, self.lead = prompt, lead
        self.seed, self.seed_locked = seed, seed is not None
        self.controls: dict[str, float] = {
            GUIDANCE: model.shape.guidance,
            TEMPERATURE: model.shape.temperature,
            MUTE: 0.0,
        }
        self.listening: Listening = "steered"
        self.research: tuple[Steer, ...] = ()
        self.inputs: dict[Role, Clip] = {}

    def stream(
        self, seed: int, continue_from: Clip | None = None, melody_start: float = 0.0
    ) -> Stream:
        """Open a twin stream that plays until it is stopped.

        Args:
            seed: of the sampling noise.
            continue_from: audio prompt; default: the one that was given, if any.
            melody_start: second of the melody at the first frame.

        Raises:
            TonearmError: settings that are not possible.
        """
        melody = self.inputs.get("melody")
        continue_from = continue_from or self.inputs.get("continue_from")
        research = tuple(
            delayed(steer, self._prompt_seconds(continue_from)) for steer in self.research
        )
        return self._model.stream(
            self.prompt,
            steer=steering_of(self.desk, self.controls, research) or None,
            seconds=None,
            seed=seed,
            guidance=self.controls[GUIDANCE],
            temperature=self.controls[TEMPERATURE],
            continue_from=continue_from,
            melody=melody.rolled(melody_start) if melody and melody_start else melody,
            chunk_seconds=self._chunk_seconds,
            twin=True,
        )

    def _prompt_seconds(self, prompt: Clip | None) -> float:
        """Length of an audio prompt in whole frames, after which the new music begins."""
        if prompt is None:
            return 0.0
        shape = self._model.shape
        # a product such as 245.00000000000003 is a whole number
        frames = round(usable_prompt(shape, prompt).seconds * shape.frame_rate, 6)
        return math.ceil(frames) / shape.frame_rate

    def use_audio(self, role: Role, clip: Clip | None) -> None:
        """Set the clip with which the next performances begin; None removes it.

        Takes keep the clips, so they have the rate and channels that are used, that of the model or
        of the chromagram of a melody; those of a file can need twelve times the memory.

        Args:
            role: of the clip.
            clip: at any rate.

        Raises:
            TonearmError: a clip that is too long for the model's rate.
        """
        if clip is None:
            self.inputs.pop(role, None)
            return
        shape = self._model.shape
        if role == "continue_from":
            clip = clip.resampled(shape.sample_rate).with_channels(shape.channels)
        else:
            clip = clip.resampled(MELODY_RATE).with_channels(1)
        self.inputs[role] = clip

    def next_seed(self) -> int:
        """The seed of the next performance."""
        return secrets.randbelow(2**31) if self.seed is None else self.seed

    def use_seed(self, seed: int) -> None:
        """Count the seed of a performance that starts as used; one that is locked stays."""
        if self.seed_locked and self.seed is None:
            self.seed = seed
        elif seed == self.seed and not self.seed_locked:
            self.seed = None

    def set(self, control: Control) -> None:
        """Set the value of a control for the next performance.

        Raises:
            TonearmError: the next performance does not have it, or not at this value.
        """
        if self.has_research(control):
            self.check_research(control)
        else:
            check_control(control, self.desk, self._model.vectors)
        self.hold(control)

    def has_research(self, control: Control) -> bool:
        """Whether a control sets an additional steer."""
        return any(is_set_by(steer, control) for steer in self.research)

    def check_research(self, control: Control) -> None:
        """Raise TonearmError for a value that an additional steer cannot have."""
        for steer in self.research:
            if is_set_by(steer, control):
                changed = with_controls(steer, {control.target: control.value})
                validated(Steer, changed.model_dump(), where=f"steer {steer.vector}")

    def hold(self, control: Control) -> None:
        """Keep the value of a control that the performance has taken, for later ones."""
        self.controls[control.target] = control.value
        self.research = tuple(with_controls(steer, self.controls) for steer in self.research)

    def set_desk(self, names: Sequence[str]) -> None:
        """Choose the knobs of the next performance.

        Raises:
            TonearmError: a knob that the model does not have, or too many.
        """
        desk = tuple(self._manifest.knob(name) for name in dict.fromkeys(names))
        if len(desk) > MAX_KNOBS:
            raise TonearmError(f"{len(desk)} knobs are too many; choose {MAX_KNOBS} at most")
        self.desk = desk

    def set_research(self, steers: tuple[Steer, ...]) -> None:
        """Set further steers, whose names are those of the library alone, no paths.

        Raises:
            TonearmError: steers that no stream can start with.
        """
        known = {vector.name for vector in self._manifest.vectors}
        for steer in steers:
            if steer.vector not in known:
                raise TonearmError(
                    f"vector {steer.vector!r} is not in the library; its vectors are {', '.join(sorted(known))}"
                )
        before, self.research = self.research, steers
        try:
            self.stream(seed=0).cancel()
        except TonearmError:
            self.research = before
            raise
        for steer in steers:  # values of steers that are replaced
            for setting in RESEARCH_SETTINGS:
                self.controls.pop(f"{setting}/{steer.vector}", None)
