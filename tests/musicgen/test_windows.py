"""Clips longer than the checkpoint's window: window by window, steered throughout."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from tests.musicgen.decode_requests import FRAMES, PROMPTS, STEERS, request_for, vector_for
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
    c = model.checkpoint
    plan = resolve([steering or Steering()] * 2, vectors or {}, c.shape, frames, c.device)
    conditioning = condition(c, PROMPTS, guided=True)
    request = DecodeRequest(
        conditioning, frames, [Sampling(top_k=20)] * 2, [5, 6], plan, window=WINDOW, overlap=OVERLAP
    )
    return replace(request, **changes)


def test_windows_cover_the_clip_and_overlap(small):
    windows = long_request(small).windows
    assert windows == [range(0, 20), range(12, 32), range(24, 44)]
    assert long_request(small, frames=45).windows[-1] == range(36, 45)
    assert long_request(small, frames=20).windows == [range(0, 20)]
    assert request_for(small).windows == [range(FRAMES)]


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
def test_the_first_window_is_the_short_clip_and_each_later_one_continues_the_one_before(model_of, variant):
    model = model_of(variant)
    engine = DecoderEngine(model.checkpoint)
    codes = engine.decode(long_request(model))
    assert torch.equal(codes[..., :WINDOW], engine.decode(long_request(model, frames=WINDOW)))
    assert ((codes >= 0) & (codes < model.checkpoint.bos)).all()
    # The second window, greedily: what continuing the first one's end gives.
    greedy = [Sampling(temperature=0)] * 2
    codes = engine.decode(long_request(model, frames=32, sampling=greedy))
    heard = codes[..., 12:20]
    again = engine.decode(long_request(model, frames=20, sampling=greedy, prompt_codes=heard))
    assert torch.equal(codes[..., 12:], again)


def test_noise_is_not_repeated_from_window_to_window(small):
    """At a temperature at which only the noise speaks, windows that drew the same would be the same."""
    wild = [Sampling(temperature=10.0, top_k=0)] * 2
    codes = DecoderEngine(small.checkpoint).decode(long_request(small, sampling=wild))
    first, second = codes[..., OVERLAP:WINDOW], codes[..., WINDOW : WINDOW + 12]
    assert (first == second).float().mean() < 0.2


@pytest.mark.parametrize("name", ["add", "rotate", "clamp", "all positions", "blend"])
def test_steering_goes_on_in_every_window(melody, name):
    """The same as steering each window by itself, the known beginning of a later window included."""
    steering, vectors = Steering(steers=(STEERS[name],)), {"v": vector_for(melody)}
    engine, greedy = DecoderEngine(melody.checkpoint), [Sampling(temperature=0)] * 2
    codes = engine.decode(long_request(melody, 32, steering, vectors, sampling=greedy))
    plain = engine.decode(long_request(melody, 32, sampling=greedy))
    assert not torch.equal(codes, plain)
    everywhere = Steering(steers=(STEERS[name].model_copy(update={"positions": "audio"}),))
    if name == "all positions":
        everywhere = steering
    request = long_request(melody, 20, everywhere, vectors, sampling=greedy, prompt_codes=codes[..., 12:20])
    if name == "all positions":
        assert torch.equal(codes[..., 12:], engine.decode(request))
    else:
        # "generated" positions leave an audio prompt alone, but what the clip itself generated was generated steered
        decoding = Decoding(engine.decoder, request)
        for track in decoding.buffers.tracks:
            track.first_frame = 0
        for _ in decoding:
            pass
        assert torch.equal(codes[..., 12:], decoding.codes)


def test_a_schedule_counts_from_the_beginning_of_the_clip(small):
    rate = small.checkpoint.shape.frame_rate
    steer = Steer(vector="v", strength=3.0, source_layer=1, schedule=Schedule.window(30 / rate, 36 / rate))
    engine, vectors = DecoderEngine(small.checkpoint), {"v": vector_for(small)}
    steered = engine.decode(long_request(small, 44, Steering(steers=(steer,)), vectors))
    plain = engine.decode(long_request(small))
    assert torch.equal(steered[:, 0, :30], plain[:, 0, :30])  # codebook 0: later ones are decided with later frames
    assert not torch.equal(steered[..., 30:36], plain[..., 30:36])


def test_rows_of_unequal_length_end_where_they_end_alone(small):
    engine = DecoderEngine(small.checkpoint)
    steer = Steer(vector="v", strength=3.0, source_layer=1, schedule=Schedule.ramp(0, 2))  # still rising at either end
    sampling = [Sampling(top_k=20, guidance_schedule=Schedule.ramp(0, 2))] * 2

    def made(frames, **changes):
        seconds = [frame / small.checkpoint.shape.frame_rate for frame in range(frames)]
        guidance = torch.stack([s.guidance_at(seconds) for s in sampling])
        steering = Steering(steers=(steer,))
        return long_request(
            small, frames, steering, {"v": vector_for(small)}, sampling=sampling, guidance=guidance, **changes
        )

    codes = dict(Decoding(engine.decoder, made(44, lengths=[44, 27])).rows())
    assert codes[0].shape[-1] == 44
    assert torch.equal(codes[0], engine.decode(made(44))[0]) and torch.equal(codes[1], engine.decode(made(27))[1])


def test_frames_done_never_go_back(melody):
    counts = list(Decoding(Decoder(melody.checkpoint), long_request(melody)))
    assert counts[-1] == 44 and all(0 <= b - a <= 1 for a, b in pairwise(counts))


def test_a_long_take_is_whole_and_made_again(model_of, monkeypatch, tmp_path):
    model = model_of("melody")
    monkeypatch.setattr(type(model.checkpoint), "max_frames", WINDOW)
    tone = Clip(np.concatenate([np.sin(np.arange(12800) / 5), np.sin(np.arange(12800) / 8)]) * 0.4, 16000)
    take = model.generate("a folk tune", seconds=2.2, seed=1, melody=tone)
    assert take.codes.shape[-1] == 55 and take.seconds == pytest.approx(2.2)
    assert (take.codes != model.generate("a folk tune", seconds=2.2, seed=1).codes).any()
    again = replay(take.save(tmp_path / "long.wav"), model=model)
    assert again.identical
