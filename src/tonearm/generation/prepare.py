"""Preparation of requests: read inputs, check, encode on the device."""

import logging
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from tonearm.audio import Clip
from tonearm.backend import ModelShape
from tonearm.generation.check import (
    check_branches,
    check_inputs,
    check_schedules,
    check_steerings,
    max_prompt_frames,
    new_frames,
    section_frames,
    usable_prompt,
)
from tonearm.generation.inputs import AudioInput, read_inputs
from tonearm.generation.request import TakeRequest
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.codec import encode_audio
from tonearm.musicgen.kept_codes import Rewind
from tonearm.musicgen.sampling import Sampling
from tonearm.musicgen.text_tokens import count_tokens, padded_tokens
from tonearm.steering.combination import OneKnob, acts, one_knobs, with_combined_strengths
from tonearm.steering.resolve import with_source_layers
from tonearm.steering.spec import Steering
from tonearm.steering.vector import SteeringVector

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedSection:
    """A section: its first frame, its prompt, and the length to which texts are padded in it, 0
    where padding is masked.
    """

    frame: int
    prompt: str
    text_tokens: int


@dataclass(frozen=True)
class PreparedRequest:
    """A request that passed all checks, with its inputs encoded.

    sampling      settings, the checkpoint's own where the request gave none
    steering      with strengths in place of amounts and of the rules that divide them, and every
                  source layer written out
    frames        length in frames, audio prompt included; None plays until it is stopped
    token_count   tokens of the longest text
    text_tokens   length to which the first texts are padded; 0 where padding is masked
    prompt_codes  audio prompt, or its end, int64 [K, T0]
    rewinds       of the stream that is reproduced
    """

    request: TakeRequest
    sampling: Sampling
    steering: Steering
    frames: int | None
    token_count: int
    text_tokens: int
    prompt_codes: torch.Tensor | None
    audio_prompt: AudioInput | None
    melody: AudioInput | None
    sections: tuple[PreparedSection, ...] = ()
    rewinds: tuple[Rewind, ...] = ()

    @property
    def prompt_frames(self) -> int:
        return 0 if self.prompt_codes is None else self.prompt_codes.shape[1]

    @property
    def batch_key(self) -> tuple[Hashable, ...]:
        """Properties that must be equal within a batch.

        Prefix checkpoints read the padding of a text, so a row must not be padded to another row's
        length. Sections begin at the same frames in all rows.
        """
        melody = self.melody.sha256 if self.melody else ""
        sections = tuple((one.frame, one.text_tokens) for one in self.sections)
        return (self.text_tokens, self.prompt_frames, melody, sections)

    @property
    def prompts(self) -> list[tuple[int, str]]:
        """Prompts with their first frames; the first prompt begins at frame 0."""
        return [(0, self.request.prompt), *((one.frame, one.prompt) for one in self.sections)]

    @property
    def inputs(self) -> dict[str, Clip]:
        return {key: value.clip for key, value in self._given.items()}

    @property
    def input_files(self) -> dict[str, Path]:
        """Absolute paths of the inputs that came from files."""
        return {key: value.file for key, value in self._given.items() if value.file}

    @property
    def _given(self) -> dict[str, AudioInput]:
        inputs = {"audio_prompt": self.audio_prompt, "melody": self.melody}
        return {key: value for key, value in inputs.items() if value}


def prepare(
    checkpoint: Checkpoint,
    requests: Sequence[TakeRequest],
    vectors: Mapping[str, SteeringVector],
    *,
    live: bool = False,
    open_ended: bool = False,
    recorded: bool = False,
) -> list[PreparedRequest]:
    """Read inputs, check and encode requests whose settings were checked (`check_settings`).

    The cost is linear in the number of requests.

    Args:
        checkpoint: to generate with.
        requests: to be generated.
        vectors: the vectors that they name.
        live: keep both signs of amounts, so that they can be set while decoding.
        open_ended: ignore `seconds`: the takes end when they are stopped.
        recorded: they were streams, which can have been stopped before a schedule began.

    Raises:
        TonearmError: the first fault, before anything is decoded.
    """
    shape, default = checkpoint.shape, checkpoint.sampling
    raw = {
        steering: with_combined_strengths(steering, vectors, live=live, recorded=recorded)
        for steering in dict.fromkeys(one.steering for one in requests)
    }
    check_steerings(list(raw.values()), vectors, shape)
    if not recorded:
        _warn_of_one_knobs(raw.values(), vectors, shape, live)
    for one in () if recorded else requests:
        check_branches(raw[one.steering], (one.sampling or default).strongest_guidance)
    read = read_inputs(requests)
    checked = set()
    for inputs in read:
        key = (id(inputs.audio_prompt), id(inputs.melody))
        if key not in checked:
            check_inputs(inputs, shape)
            checked.add(key)
    counts = _token_counts(checkpoint, requests)
    resolved = {
        steering: with_source_layers(strengths, vectors) for steering, strengths in raw.items()
    }
    codes: dict[int, torch.Tensor] = {}
    prepared = []
    for inputs in read:
        request, audio_prompt = inputs.request, inputs.audio_prompt
        prompt_codes = None
        if audio_prompt:
            if id(audio_prompt) not in codes:
                codes[id(audio_prompt)] = _encode_prompt(checkpoint, audio_prompt.clip)
            prompt_codes = codes[id(audio_prompt)]
        known = 0 if prompt_codes is None else prompt_codes.shape[1]
        frames = None if open_ended else known + new_frames(shape, request.seconds)
        if not recorded:
            check_schedules(request.steering, known, frames, shape.frame_rate)

        def padded(prompt: str, negative: str = request.negative or "") -> int:
            return padded_tokens(checkpoint, prompt, max(counts[prompt], counts[negative]))

        firsts = section_frames(request, shape.frame_rate, known, frames)
        sections = tuple(
            PreparedSection(frame, one.prompt, padded(one.prompt))
            for frame, one in zip(firsts, request.sections, strict=True)
        )
        prepared.append(
            PreparedRequest(
                request=request,
                sampling=request.sampling or default,
                steering=resolved[request.steering],
                frames=frames,
                token_count=max(counts[text] for text in _texts(request)),
                text_tokens=padded(request.prompt),
                prompt_codes=prompt_codes,
                audio_prompt=audio_prompt,
                melody=inputs.melody,
                sections=sections,
            )
        )
    return prepared


def unsteered(prepared: PreparedRequest) -> PreparedRequest:
    """The same request without steering."""
    request = replace(prepared.request, steering=Steering())
    return replace(prepared, request=request, steering=Steering())


def _warn_of_one_knobs(
    steerings: Iterable[Steering],
    vectors: Mapping[str, SteeringVector],
    shape: ModelShape,
    live: bool,
) -> None:
    """Warn once of every pair of vectors with nearly one direction, of steers that can act."""
    found: list[OneKnob] = []
    for steering in steerings:
        steers = [steer for steer in steering.steers if live or acts(steer)]
        found += one_knobs(steers, vectors, shape)
    for pair in dict.fromkeys(found):
        _log.warning("%s", pair)


def _encode_prompt(checkpoint: Checkpoint, prompt: Clip) -> torch.Tensor:
    """Codes of an audio prompt, or of its end where it is longer than the window leaves room for."""
    shape, usable = checkpoint.shape, usable_prompt(checkpoint.shape, prompt)
    if usable is not prompt:
        _log.warning(
            "the audio prompt of %.1f s is longer than the window of %s leaves room for; the take "
            "begins with its last %.2f s",
            prompt.seconds,
            shape.name,
            usable.seconds,
        )
    # Resampling can round up to one more frame.
    return encode_audio(checkpoint, usable)[:, -max_prompt_frames(shape) :]


def _token_counts(checkpoint: Checkpoint, requests: Sequence[TakeRequest]) -> dict[str, int]:
    """Tokens of every distinct text, by text."""
    texts = list(dict.fromkeys(text for one in requests for text in _texts(one)))
    return dict(zip(texts, count_tokens(checkpoint, texts), strict=True))


def _texts(request: TakeRequest) -> list[str]:
    """All texts of a request."""
    return [request.prompt, *(one.prompt for one in request.sections), request.negative or ""]
