"""Clips longer than the checkpoint's window: decoded window by window, steered throughout."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from tests.musicgen.decode_requests import FRAMES, PROMPTS, STEERS, request_for, with_window
from tests.steering.vectors import vector_of
from tonearm import Clip, Steer, Steering, replay
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.engine import DecoderEngine
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Schedule
from tonearm.steering.resolve import resolve

WINDOW, OVERLAP = 20, 8


def long_request(model, frames=44, steering=None, vectors=None, **changes):
    checkpoint = model.checkpoint
    plan = resolve(
        [steering or Steering()] * 2, vectors or {}, model.shape, frames, checkpoint.device
    )
    request = DecodeRequest(
        condition(checkpoint, PROMPTS, guided=True),
        frames,
        [Sampling(top_k=20)] * 2,
        [5, 6],
        plan,
        window=WINDOW,
        overlap=OVERLAP,
    )
    return replace(request, **changes)


def windows_of(model, request):
    """Frames of each window that is decoded."""
    decoding = Decoding(Decoder(model.checkpoint), request)
    windows = [decoding.frames]
    for _ in decoding:
        if decoding.frames != windows[-1]:
            windows.append(decoding.frames)
    return windows


def test_windows_cover_the_clip_and_overlap(small):
    assert windows_of(small, long_request(small)) == [range(0, 20), range(12, 32), range(24, 44)]
    assert windows_of(small, long_request(small, frames=45))[-1] == range(36, 45)
    assert windows_of(small, long_request(small, frames=20)) == [range(0, 20)]
    assert windows_of(small, request_for(small)) == [range(FRAMES)]


def test_the_window_at_a_frame_ends_with_the_clip_if_it_has_an_end(small):
    request = long_request(small)
    assert request.window_from(12, 44) == range(12, 32)
    assert request.window_from(36, 44) == range(36, 44)
    assert request.window_from(1200, None) == range(1200, 1220)


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
def test_the_first_window_is_the_short_clip_and_later_ones_continue_it(model_of, variant):
    model = model_of(variant)
    engine = DecoderEngine(model.checkpoint)
    codes = engine.decode(long_request(model))
    assert torch.equal(codes[..., :WINDOW], engine.decode(long_request(model, frames=WINDOW)))
    assert ((codes >= 0) & (codes < model.checkpoint.bos)).all()
    # Greedily, the second window is a continuation of the end of the first.
    greedy = [Sampling(temperature=0)] * 2
    codes = engine.decode(long_request(model, frames=32, sampling=greedy))
    prompt = codes[..., 12:20]
    again = engine.decode(long_request(model, frames=20, sampling=greedy, prompt_codes=prompt))
    assert torch.equal(codes[..., 12:], again)


def test_noise_differs_from_window_to_window(small):
    """At temperature 10 the noise decides, so equal noise would give equal windows."""
    hot = [Sampling(temperature=10.0, top_k=0)] * 2
    codes = DecoderEngine(small.checkpoint).decode(long_request(small, sampling=hot))
    first, second = codes[..., OVERLAP:WINDOW], codes[..., WINDOW : WINDOW + 12]
    assert (first == second).float().mean() < 0.2


@pytest.mark.parametrize(
    "name", ["add", "rotate", "slerp", "set", "clamp", "all positions", "blend"]
)
def test_every_window_is_steered(melody, name):
    """Equal to each window steered by itself, the known beginning of a later window included."""
    steering, vectors = Steering(steers=(STEERS[name],)), {"v": vector_of(melody)}
    engine, greedy = DecoderEngine(melody.checkpoint), [Sampling(temperature=0)] * 2
    codes = engine.decode(long_request(melody, 32, steering, vectors, sampling=greedy))
    plain = engine.decode(long_request(melody, 32, sampling=greedy))
    assert not torch.equal(codes, plain)
    everywhere = Steering(steers=(STEERS[name].model_copy(update={"positions": "audio"}),))
    if name == "all positions":
        everywhere = steering
    prompt = codes[..., 12:20]
    request = long_request(melody, 20, everywhere, vectors, sampling=greedy, prompt_codes=prompt)
    if name == "all positions":
        assert torch.equal(codes[..., 12:], engine.decode(request))
    else:
        # The overlap was generated, so "generated" positions include it, unlike an audio prompt.
        decoding = Decoding(engine.decoder, request)
        for track in decoding.buffers.tracks:
            track.first_frame = 0
        for _ in decoding:
            pass
        assert torch.equal(codes[..., 12:], decoding.codes)


def test_a_schedule_counts_from_the_start_of_the_clip(small):
    rate = small.shape.frame_rate
    schedule = Schedule.window(30 / rate, 36 / rate)
    steer = Steer(vector="v", strength=3.0, source_layer=1, schedule=schedule)
    engine, vectors = DecoderEngine(small.checkpoint), {"v": vector_of(small)}
    steered = engine.decode(long_request(small, 44, Steering(steers=(steer,)), vectors))
    plain = engine.decode(long_request(small))
    # Codebook 0 only: later ones are decided with later frames.
    assert torch.equal(steered[:, 0, :30], plain[:, 0, :30])
    assert not torch.equal(steered[..., 30:36], plain[..., 30:36])


@pytest.mark.parametrize("gate", [1.0, 0.5])
def test_rows_of_unequal_length_end_as_they_do_alone(small, gate):
    engine = DecoderEngine(small.checkpoint)
    rising = Schedule.ramp(0, 2)  # not constant at the end of either row
    steer = Steer(vector="v", strength=3.0, source_layer=1, schedule=rising, gate=gate)
    sampling = [Sampling(top_k=20, guidance_schedule=rising, temperature_schedule=rising)] * 2

    def request(frames, **changes):
        seconds = [frame / small.shape.frame_rate for frame in range(frames)]
        return long_request(
            small,
            frames,
            Steering(steers=(steer,)),
            {"v": vector_of(small)},
            sampling=sampling,
            guidance=torch.stack([one.guidance_at(seconds) for one in sampling]),
            temperature=torch.stack([one.temperature_at(seconds) for one in sampling]),
            **changes,
        )

    completed = Decoding(engine.decoder, request(44, lengths=[44, 27])).rows()
    groups = [(one.members, one.codes) for one in completed]
    codes = {row: own for rows, group in groups for row, own in zip(rows, group, strict=True)}
    assert list(codes) == [1, 0] and codes[0].shape[-1] == 44
    assert torch.equal(codes[0], engine.decode(request(44))[0])
    assert torch.equal(codes[1], engine.decode(request(27))[1])


def test_frames_done_increase_by_one_at_most(melody):
    counts = list(Decoding(Decoder(melody.checkpoint), long_request(melody)))
    assert counts[-1] == 44 and all(0 <= b - a <= 1 for a, b in pairwise(counts))


def test_a_long_take_with_a_melody_replays(melody, tmp_path):
    model = with_window(melody, WINDOW)
    tones = [np.sin(np.arange(12800) / 5), np.sin(np.arange(12800) / 8)]
    clip = Clip(np.concatenate(tones) * 0.4, 16000)
    take = model.generate("a folk tune", seconds=2.2, seed=1, melody=clip)
    assert take.codes.shape[-1] == 55 and take.seconds == pytest.approx(2.2)
    assert (take.codes != model.generate("a folk tune", seconds=2.2, seed=1).codes).any()
    assert replay(take.save(tmp_path / "long.wav"), model=model).identical
