"""Settings of a stream: their changes at the frames of the decoding, and their record at its end.

Shapes: C channels; m samples.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tonearm.errors import TonearmError
from tonearm.generation.live_steers import SCHEDULES, LiveSteers
from tonearm.generation.played import Played, PlayedSection
from tonearm.generation.provenance import MAX_REWINDS, MAX_SECTIONS, TextRecord
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import ConditioningByStart
from tonearm.musicgen.sampling import Sampling
from tonearm.steering.controls import GUIDANCE, MUTE, TEMPERATURE, Control
from tonearm.steering.schedule import Schedule
from tonearm.steering.spec import Steering


class StreamSettings:
    """Applies controls, prompts and rewinds to a decoding, and keeps what was applied.

    Args:
        decoding: of the rows.
        steers: of the steered row, as controls change them.
        sampling: of the rows.
        sections: prompts of the rows, the first one included.
    """

    def __init__(
        self,
        decoding: Decoding,
        steers: LiveSteers,
        sampling: Sampling,
        sections: Sequence[PlayedSection],
    ):
        self._decoding, self._steers, self._sampling = decoding, steers, sampling
        self._sections = {one.frame: one for one in sections}
        self._changed: set[str] = set()  # targets
        self._changed_steers: set[tuple[int, str]] = set()  # (position, setting)
        self._mutes: list[tuple[int, bool]] = []  # (first sample, muted)
        self._rewound: set[int] = set()  # frames

    def has(self, control: Control) -> bool:
        """Whether the stream has a steer that the control of a vector sets."""
        return self._steers.has(control)

    def check(self, control: Control) -> None:
        """Raise TonearmError for a control that this stream does not have, or not at this value."""
        if control.target == GUIDANCE and not self._decoding.request.conditioning.guided:
            raise TonearmError(
                "the stream was started without guidance; start another one with guidance above 1"
            )
        if control.vector is not None:
            self._steers.changes(control)

    def apply(self, control: Control, frame: int) -> None:
        """Apply a control from a frame on."""
        if control.target == MUTE:
            shape = self._decoding.decoder.checkpoint.shape
            first_sample = frame * shape.sample_rate // shape.frame_rate
            if self._mutes and self._mutes[-1][0] == first_sample:
                del self._mutes[-1]  # the last control of a frame wins
            self._mutes.append((first_sample, bool(control.value)))
            return
        if control.vector is None:
            self._decoding.apply(control, frame)
            self._changed.add(control.target)
            return
        buffers = self._decoding.buffers
        for change in self._steers.changes(control):
            by_setting = {"strength": buffers.set_strength, "level": buffers.set_level}
            by_setting[change.setting](change.position, change.value, frame)
            self._changed_steers.add((change.position, change.setting))

    @property
    def has_all_sections(self) -> bool:
        """Whether the prompt has changed as often as a take records."""
        return len(self._sections) > MAX_SECTIONS

    def begin_section(
        self, prompt: str, texts: TextRecord, conditioning: ConditioningByStart
    ) -> None:
        """Change the prompt from the frame on that the next step decides.

        Args:
            prompt: the other one.
            texts: record of its encoding.
            conditioning: of its windows.
        """
        frame = self._decoding.frame
        self._decoding.begin_section(conditioning)
        first = 0 if frame == self._decoding.request.prompt_frames else frame
        self._sections[first] = PlayedSection(first, prompt, texts)

    def rewind(self, pushed: int) -> None:
        """Go back to the first frame of which no audio was made, where the decoding can.

        Args:
            pushed: frames whose codes the codec has.
        """
        decoding = self._decoding
        first = decoding.first_rewindable
        if first is None or len(self._rewound) >= MAX_REWINDS:
            return
        frame = max(first, pushed)
        if frame < decoding.frame and frame <= decoding.frames_done:
            decoding.rewind(frame)
            self._rewound.add(frame)

    def cut(self) -> None:
        """End the clip after the frames that are decided, without a further step."""
        self._rewound.add(self._decoding.cut())

    def silence_muted(self, samples: np.ndarray, first: int) -> None:
        """Zero the muted part of samples [C, m] that begin at sample `first`; changes them in
        place.
        """
        if not self._mutes:
            return
        ends = [start for start, _ in self._mutes[1:]] + [first + samples.shape[1]]
        left = [(*mute, end) for mute, end in zip(self._mutes, ends, strict=True) if end > first]
        self._mutes = [(start, muted) for start, muted, _ in left]  # no samples before come again
        for start, muted, end in left:
            if muted:
                samples[:, max(0, start - first) : max(0, end - first)] = 0

    def played(self) -> Played:
        """The settings, with all changes as schedules, so that the sidecar reproduces the take."""
        decoding = self._decoding
        assert decoding.end is not None
        sections = [
            self._sections[frame] for frame in sorted(self._sections) if frame < decoding.end
        ]
        return Played(
            self._played_steering(),
            self._played_sampling(),
            tuple(sections),
            decoding.end,
            decoding.allocated,
            decoding.buffers.acted(0, decoding.end),
            tuple(frame for frame in sorted(self._rewound) if 0 < frame <= decoding.end),
        )

    def _played_steering(self) -> Steering:
        buffers, steering = self._decoding.buffers, self._steers.steering
        steers = list(steering.steers)
        tracks = {"strength": buffers.strengths, "level": buffers.levels}
        for position, setting in self._changed_steers:
            schedule = Schedule.steps(tracks[setting](0, position), self._rate)
            update = {setting: 1.0, SCHEDULES[setting]: schedule}
            steers[position] = steers[position].model_copy(update=update)
        return steering.model_copy(update={"steers": tuple(steers)})

    def _played_sampling(self) -> Sampling:
        sampler, sampling = self._decoding.sampler, self._sampling
        if GUIDANCE in self._changed:
            schedule = Schedule.steps(sampler.guidance.values[0].tolist(), self._rate)
            sampling = replace(sampling, guidance=1.0, guidance_schedule=schedule)
        if TEMPERATURE in self._changed:
            schedule = Schedule.steps(sampler.temperature.values[0].tolist(), self._rate)
            sampling = replace(sampling, temperature=1.0, temperature_schedule=schedule)
        return sampling

    @property
    def _rate(self) -> int:
        return self._decoding.decoder.checkpoint.shape.frame_rate
