"""Decodings that are rewound: steps that are made again, and codes that are kept."""

from dataclasses import replace

import pytest
import torch

from tests.musicgen.decode_requests import FRAMES, STEERS, request_for, with_window
from tests.musicgen.recorded_graphs import codes_of, recording_decoder
from tests.steering.vectors import monitored_vector, vector_of
from tonearm import Steer, Steering
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.kept_codes import UNKNOWN, kept_codes, rewind_of
from tonearm.steering import Control

VARIANTS = ["small", "melody", "stereo-small"]


@pytest.fixture(params=VARIANTS)
def model(model_of, request):
    return model_of(request.param)


def decoder_of(model, captured):
    return recording_decoder(model)[0] if captured else Decoder(model.checkpoint)


def request_of(model, name="add"):
    vectors = {"v": vector_of(model), "attention": vector_of(model, "attention", site="attention")}
    return request_for(model, Steering(steers=(STEERS[name],)), vectors)


@pytest.mark.parametrize("captured", [False, True], ids=["plain steps", "captured steps"])
@pytest.mark.parametrize("name", ["add", "ramp", "gate", "set"])
def test_steps_that_are_made_again_decide_the_same(model, name, captured):
    request = request_of(model, name)
    expected = codes_of(Decoder(model.checkpoint), request)
    decoding, generator = Decoding(decoder_of(model, captured), request), torch.Generator()
    generator.manual_seed(1)
    rewinds = 0
    while not decoding.done:
        decoding.step()
        back = int(torch.randint(6, (), generator=generator))
        frame = decoding.frames_done - back
        if back and frame > 0 and rewinds < 12:
            decoding.rewind(frame)
            rewinds += 1
    assert rewinds > 4
    assert torch.equal(decoding.codes, expected)


@pytest.mark.parametrize("captured", [False, True], ids=["plain steps", "captured steps"])
def test_all_frames_of_the_first_window_can_be_decided_again(model, captured):
    request = request_of(model)
    expected = codes_of(Decoder(model.checkpoint), request)
    decoding = Decoding(decoder_of(model, captured), request)
    while decoding.frames_done < 4:
        decoding.step()
    decoding.rewind(0)
    assert decoding.frame == 0
    while not decoding.done:
        decoding.step()
    assert torch.equal(decoding.codes, expected)


@pytest.mark.parametrize("captured", [False, True], ids=["plain steps", "captured steps"])
def test_a_change_after_a_rewind_equals_a_decoding_that_kept_the_codes(model, captured):
    """The way in which a stream's changes act, and that in which its take is replayed."""
    shape, request = model.shape, request_for(model)
    decoding = Decoding(decoder_of(model, captured), request)
    while decoding.frames_done < FRAMES // 2:
        decoding.step()
    frame = decoding.frames_done
    before = decoding.codes[..., :frame]
    decoding.rewind(frame)
    assert decoding.frame == frame
    for target, value in (("guidance", 5.0), ("temperature", 0.7)):
        decoding.apply(Control(target=target, value=value), frame)
    for _ in decoding:
        pass
    codes = decoding.codes
    assert torch.equal(codes[..., :frame], before)
    assert not torch.equal(
        codes[..., frame:], codes_of(Decoder(model.checkpoint), request)[..., frame:]
    )

    rows = [(rewind_of(own, frame, shape.channels),) for own in codes]
    kept = kept_codes(rows, shape.codebooks, shape.channels)
    again = Decoding(Decoder(model.checkpoint), replace(request, kept_codes=kept))
    for target, value in (("guidance", 5.0), ("temperature", 0.7)):
        again.apply(Control(target=target, value=value), frame)
    for _ in again:
        pass
    assert torch.equal(again.codes, codes)


def test_a_rewind_to_the_known_frames_reads_them_in_one_pass_as_a_replay_does(model_of):
    model = with_window(model_of("small"), 12)
    request = replace(request_for(model, frames=20), window=12, overlap=5)
    decoding = Decoding(Decoder(model.checkpoint), request)
    while decoding.known == 0 or decoding.frames_done <= decoding.known:
        decoding.step()
    known = decoding.known
    decoding.rewind(known)
    assert decoding.frame == decoding.known == known
    assert decoding.state is not None and decoding.state.codes_read == 0
    for _ in decoding:
        pass
    assert torch.equal(decoding.codes, codes_of(Decoder(model.checkpoint), request))


def test_frames_of_another_window_and_frames_that_are_not_complete_are_refused(model_of):
    model = with_window(model_of("small"), 12)
    request = replace(request_for(model, frames=20), window=12, overlap=5)
    decoding = Decoding(Decoder(model.checkpoint), request)
    while decoding.known == 0:
        decoding.step()
    decoding.step()
    assert decoding.first_rewindable == decoding.known == 12
    with pytest.raises(ValueError, match="frame 11"):
        decoding.rewind(11)
    with pytest.raises(ValueError, match="frame 14"):
        decoding.rewind(14)
    decoding.rewind(12)
    for _ in decoding:
        pass
    assert torch.equal(decoding.codes, codes_of(Decoder(model.checkpoint), request))
    assert (decoding.codes != UNKNOWN).all()


def test_what_depends_on_every_step_cannot_be_rewound(model_of):
    model = model_of("small")
    shared = Decoding(Decoder(model.checkpoint), request_for(model, shared_noise=True))
    steer = Steer(vector="m", strength=1.0, monitor={})
    vectors = {"m": monitored_vector(model, "m")}
    monitored = Decoding(
        Decoder(model.checkpoint), request_for(model, Steering(steers=(steer,)), vectors)
    )
    for decoding in (shared, monitored):
        for _ in range(8):
            decoding.step()
        assert decoding.first_rewindable is None
        with pytest.raises(ValueError, match="frame 1"):
            decoding.rewind(1)
