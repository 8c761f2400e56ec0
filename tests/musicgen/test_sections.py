"""Sections under other texts: the window ends where one begins, and the next one continues it."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from tests.musicgen.decode_requests import PROMPTS
from tests.musicgen.recorded_graphs import codes_of, recording_decoder
from tests.musicgen.test_windows import OVERLAP, WINDOW, long_request, windows_of
from tests.steering.vectors import vector_of
from tonearm import Steer, Steering
from tonearm.musicgen.conditioning import condition, encode_texts, with_melody
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import Section
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.engine import DecoderEngine
from tonearm.musicgen.sampling import Sampling

OTHER = ["a calm piano piece with flute", "loud"]
GREEDY = [Sampling(temperature=0)] * 2
VARIANTS = ["small", "melody", "stereo-small"]


def section(model, frame, texts=OTHER):
    """A section of texts that are padded to another length than PROMPTS."""
    encoded = encode_texts(model.checkpoint, texts, guided=True)
    return Section(frame, encoded, lambda _: with_melody(model.checkpoint, encoded, None))


def sectioned(model, *frames, **changes):
    """A request whose texts alternate between two at `frames`."""
    texts = [OTHER, PROMPTS]
    sections = [section(model, frame, texts[i % 2]) for i, frame in enumerate(frames)]
    return long_request(model, sections=sections, **changes)


def test_a_window_ends_where_a_section_begins_and_the_next_one_overlaps(small):
    windows = partial(windows_of, small)
    assert windows(sectioned(small, 10)) == [
        *(range(0, 20), range(0, 10), range(2, 22), range(14, 34), range(26, 44))
    ]
    # With fewer frames than the overlap before it, all of them are known.
    assert windows(sectioned(small, 3, frames=20)) == [range(0, 20), range(0, 3), range(0, 20)]
    # At a window's end, and within the known frames of no window.
    assert windows(sectioned(small, 20, frames=30)) == [range(0, 20), range(12, 30)]
    assert windows(sectioned(small, 20, 21, frames=30)) == [
        *(range(0, 20), range(12, 30), range(12, 21), range(13, 30))
    ]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_section_continues_the_music_before_it_under_its_own_texts(model_of, variant):
    model = model_of(variant)
    engine = DecoderEngine(model.checkpoint)
    codes = engine.decode(sectioned(model, 13, frames=25, sampling=GREEDY))
    before = engine.decode(long_request(model, frames=13, sampling=GREEDY))
    assert torch.equal(codes[..., :13], before)
    conditioning = condition(model.checkpoint, OTHER, guided=True)
    known = codes[..., 13 - OVERLAP : 13]
    request = long_request(
        model, 20, sampling=GREEDY, prompt_codes=known, conditioning=conditioning
    )
    assert torch.equal(codes[..., 13 - OVERLAP :], engine.decode(request))
    plain = engine.decode(long_request(model, frames=25, sampling=GREEDY))
    assert not torch.equal(codes[..., 13:], plain[..., 13:])


@pytest.mark.parametrize("variant", ["small", "melody"])
@pytest.mark.parametrize("frames", [(1,), (5, 6), (19,), (20,), (21, 30), (2, 9, 17, 28, 43)])
def test_a_section_that_begins_while_decoding_is_one_of_the_request(
    model_of, allocated, variant, frames
):
    model = model_of(variant)
    decoder = Decoder(model.checkpoint)
    steering = Steering(steers=(Steer(vector="v", strength=2.0, source_layer=1),))
    settings = dict(steering=steering, vectors={"v": vector_of(model)})
    given = Decoding(decoder, sectioned(model, *frames, **settings))
    for _ in given:
        pass
    before = list(allocated)
    del allocated[:]
    live = Decoding(decoder, long_request(model, **settings))
    sections = list(sectioned(model, *frames).sections)
    while not live.done:
        if sections and live.frame == sections[0].frame and not live.between_windows:
            live.begin_section(sections.pop(0).conditioning)
        live.step()
    assert not sections and torch.equal(live.codes, given.codes)
    assert allocated == before


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_captured_steps_decode_the_same(model_of, variant):
    """The texts of the sections have other lengths, and so other graphs; these are kept."""
    model = model_of(variant)
    decoder, recorder = recording_decoder(model)
    settings = dict(
        steering=Steering(steers=(Steer(vector="v", strength=2.0, source_layer=1),)),
        vectors={"v": vector_of(model)},
    )
    request = sectioned(model, 9, 17, 30, **settings)
    expected = DecoderEngine(model.checkpoint).decode(request)
    assert torch.equal(codes_of(decoder, request).cpu(), expected)
    captures = recorder.captures
    assert torch.equal(codes_of(decoder, request).cpu(), expected)
    assert recorder.captures == captures > 0


def test_a_section_replaces_one_at_its_frame_and_the_first_texts_at_the_start(small):
    engine = DecoderEngine(small.checkpoint)
    first, second = section(small, 0), section(small, 0, ["loud", "soft"])
    replaced = Decoding(engine.decoder, long_request(small))
    replaced.begin_section(second.conditioning)
    replaced.begin_section(first.conditioning)
    while replaced.frame < 9:
        replaced.step()
    replaced.begin_section(first.conditioning)
    replaced.begin_section(second.conditioning)
    for _ in replaced:
        pass
    request = long_request(small, conditioning=first.conditioning(0))
    expected = replace(request, sections=[replace(second, frame=9)])
    assert torch.equal(replaced.codes.cpu(), engine.decode(expected))


def test_no_section_begins_between_windows_or_after_the_end(small):
    decoding = Decoding(Decoder(small.checkpoint), long_request(small, frames=30))
    conditioning = section(small, 0).conditioning
    while not decoding.between_windows:
        decoding.step()
    with pytest.raises(ValueError, match=f"begin at frame {WINDOW}"):
        decoding.begin_section(conditioning)
    while decoding.frame < 30:
        decoding.step()
    with pytest.raises(ValueError, match="begin at frame 30"):
        decoding.begin_section(conditioning)


def test_a_stop_after_a_section_has_begun_ends_the_clip(small):
    """Also where nothing of the section was decided: its window never opens."""
    for steps in range(1, 8):
        decoding = Decoding(Decoder(small.checkpoint), replace(sectioned(small, 10), frames=None))
        while decoding.frame < 10:
            decoding.step()
        for _ in range(steps):
            decoding.step()
        end = min(decoding.frame, decoding.frames.stop)
        decoding.stop()
        for _ in decoding:
            pass
        assert decoding.codes.shape[-1] == decoding.end == end
        frames = decoding.allocated
        lengths = [end] * 2
        sections = (10,) if end > 10 else ()
        request = sectioned(small, *sections, frames=frames, lengths=lengths)
        again = DecoderEngine(small.checkpoint).decode(request)
        assert torch.equal(again[..., :end], decoding.codes)
