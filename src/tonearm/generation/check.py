"""Stage 2 of preparation: pure checks of requests against a checkpoint's numbers, without tensors."""

from collections.abc import Mapping, Sequence
from itertools import chain, pairwise

import numpy as np

from tonearm import boundary
from tonearm.audio import Clip, check_audible
from tonearm.backend import ModelShape
from tonearm.errors import TonearmError
from tonearm.generation.inputs import RequestInputs
from tonearm.generation.provenance import MAX_FRAMES, MAX_SECTIONS
from tonearm.generation.request import TakeRequest
from tonearm.musicgen.kept_codes import Rewind, kept_lengths
from tonearm.musicgen.melody import check_melody
from tonearm.musicgen.sampling import Sampling, check_sampling
from tonearm.steering.resolve import check_steering
from tonearm.steering.spec import Steering
from tonearm.steering.vector import SteeringVector
from tonearm.text import quoted

MAX_SEED = 2**63 - 1
MAX_SECONDS = 3600


def check_settings(
    requests: Sequence[TakeRequest],
    default: Sampling,
    shape: ModelShape,
    *,
    recorded: bool = False,
) -> None:
    """Check everything that is known before inputs are read.

    Args:
        requests: to be generated.
        default: sampling of requests that give none.
        shape: of the checkpoint.
        recorded: they were streams. A stream can be longer than other takes, and guidance can have
            been switched off while it played.

    Raises:
        TonearmError: the first fault.
    """
    if not requests:
        raise TonearmError("no prompt was given; give at least one")
    for request in requests:
        sampling = request.sampling or default
        _check_settings(request, sampling)
        if not recorded:
            _check_use_of_guidance(request, sampling.strongest_guidance)
            if request.seconds > MAX_SECONDS:
                raise TonearmError(_length_message(shape, request.seconds))
        new_frames(shape, request.seconds)


def _check_settings(request: TakeRequest, sampling: Sampling) -> None:
    for prompt in (request.prompt, *(one.prompt for one in request.sections)):
        check_prompt(prompt)
    if len(request.sections) > MAX_SECTIONS:
        raise TonearmError(
            f"{len(request.sections)} sections are too many; give at most {MAX_SECTIONS}"
        )
    check_seed(request.seed)
    check_sampling(sampling)


def check_prompt(prompt: str) -> None:
    """Raise TonearmError for an empty prompt."""
    if not prompt.strip():
        raise TonearmError("the prompt is empty; describe the music in a few words")


def section_frames(request: TakeRequest, rate: float, known: int, frames: int | None) -> list[int]:
    """First frame of each section.

    Args:
        request: with sections.
        rate: frames per second.
        known: frames of the audio prompt.
        frames: length of the clip, audio prompt included; None for a stream without an end.

    Raises:
        TonearmError: sections that are not in order, or one outside the new music.
    """
    found: list[int] = []
    end = MAX_FRAMES if frames is None else frames
    for seconds, prompt in request.sections:
        frame = round(seconds * rate) if 0 < seconds < end / rate else 0
        if not known < frame < end:
            raise TonearmError(
                f"the section {quoted(prompt)} cannot begin at {seconds:g} s; the new music is from "
                f"{known / rate:g} s to {end / rate:g} s"
            )
        if found and frame <= found[-1]:
            raise TonearmError(
                f"the section {quoted(prompt)} at {seconds:g} s does not begin after the one before "
                f"it, at {found[-1] / rate:g} s; give sections in order of time"
            )
        found.append(frame)
    return found


def _check_use_of_guidance(request: TakeRequest, strongest: float) -> None:
    if strongest > 1:
        return
    if request.negative:
        raise TonearmError(
            f"a negative prompt acts through guidance, which is off at {strongest:g}; "
            "use guidance above 1"
        )
    check_branches(request.steering, strongest)


def check_branches(steering: Steering, strongest: float) -> None:
    """Raise TonearmError for a steer on unconditional rows that guidance `strongest` does not make."""
    if strongest <= 1 and any(steer.branch == "unconditional" for steer in steering.steers):
        raise TonearmError(
            f"branch unconditional needs guidance, which is off at {strongest:g}; "
            "use guidance above 1"
        )


def check_seed(seed: object) -> int:
    """Return a seed as a Python integer; raises TonearmError for one that is not possible."""
    number = boundary.integer(seed, "seed")
    if not 0 <= number <= MAX_SEED:
        raise TonearmError(
            f"seed {quoted(number)} is not possible; use a whole number from 0 to {MAX_SEED}"
        )
    return number


def check_steerings(
    steerings: Sequence[Steering], vectors: Mapping[str, SteeringVector], shape: ModelShape
) -> None:
    """Check steerings against a checkpoint, equal ones once; raises TonearmError for the first
    fault.
    """
    for steering in dict.fromkeys(steerings):
        check_steering(steering, vectors, shape)


def check_inputs(inputs: RequestInputs, shape: ModelShape) -> None:
    """Check a request's audio inputs; raises TonearmError if the checkpoint cannot use one."""
    if inputs.audio_prompt:
        prompt = usable_prompt(shape, inputs.audio_prompt.clip)
        label = "the audio prompt"
        if prompt is not inputs.audio_prompt.clip:
            label = f"the end of {label}"
        check_audible(prompt, label, 1 / shape.frame_rate, shape.channels)
    if inputs.melody:
        check_melody(shape, inputs.melody.clip)


def check_rewinds(rewinds: Sequence[Rewind], shape: ModelShape) -> None:
    """Raise TonearmError for rewinds that no stream of the checkpoint has."""
    for one in rewinds:
        wanted = kept_lengths(one.frame, shape.codebooks, shape.channels)
        if [len(codes) for codes in one.codes] != wanted:
            raise TonearmError(
                f"the rewind to frame {one.frame} has other numbers of codes than {shape.name} keeps; "
                "give it as it was recorded"
            )
        for code in chain(*one.codes):
            if not 0 <= code < shape.codebook_size:
                raise TonearmError(
                    f"the rewind to frame {one.frame} has code {code}; {shape.name} has 0 to "
                    f"{shape.codebook_size - 1}"
                )


def new_frames(shape: ModelShape, seconds: float) -> int:
    """Frames of `seconds` of new music. Raises TonearmError for a length that is not possible."""
    rate = shape.frame_rate
    frames = round(seconds * rate) if seconds == seconds and abs(seconds) < 1e6 else 0
    if frames < shape.min_frames:
        raise TonearmError(_length_message(shape, seconds))
    return frames


def _length_message(shape: ModelShape, seconds: float) -> str:
    shortest = shape.min_frames / shape.frame_rate
    return f"{seconds:g} s is not possible; ask for {shortest:g} to {MAX_SECONDS} s"


def max_prompt_frames(shape: ModelShape) -> int:
    """Frames of an audio prompt that leave room for the shortest new music in the first window."""
    return shape.window_frames - shape.min_frames


def usable_prompt(shape: ModelShape, prompt: Clip) -> Clip:
    """The end of an audio prompt that fits the first window; the same clip if all of it does."""
    return prompt.last(max_prompt_frames(shape) / shape.frame_rate)


def check_schedules(steering: Steering, known: int, frames: int | None, rate: float) -> None:
    """Raise TonearmError for a schedule that is zero wherever its steer acts: it would steer nothing.

    Args:
        steering: of a clip.
        known: frames of its audio prompt.
        frames: of the clip, the audio prompt included; None of one without an end.
        rate: frames per second.
    """
    for steer in steering.steers:
        schedule = steer.schedule
        if schedule is None or not any(factor for _, factor in schedule.points):
            continue
        first = known if steer.positions == "generated" else 0
        if frames is None:
            later = [factor for seconds, factor in schedule.points if seconds > first / rate]
            acts = any([*later, *schedule.factors([first / rate])])
        else:
            acts = bool(schedule.factors(np.arange(first, frames) / rate).any())
        if acts:
            continue
        if frames is None or schedule.factors(np.arange(first) / rate).any():
            raise TonearmError(
                f"the schedule of {steer.vector} is zero from {known / rate:g} s on, where the new "
                "music begins; its seconds count from the start of the audio prompt"
            )
        points = pairwise(((0.0, 0.0), *schedule.points))
        begins = next(before for before, (_, factor) in points if factor)[0]
        raise TonearmError(
            f"the schedule of {steer.vector} is zero until {begins:g} s, when the clip of "
            f"{frames / rate:g} s is over; let it begin earlier, or ask for more seconds"
        )
