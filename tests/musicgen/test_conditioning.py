"""Conditioning against that of transformers' generate() and against numpy."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.request import TakeRequest
from tonearm.model import Model
from tonearm.musicgen.codec import decode_codes, encode_audio
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.melody import check_melody, chromagram
from tonearm.musicgen.text_tokens import tokenise

PROMPTS = ["a fast folk tune", "slow jazz piece with flute and piano"]


def tone(hertz: float, seconds: float = 1.0, rate: int = 32_000, channels: int = 1) -> Clip:
    samples = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return Clip(np.stack([samples] * channels), rate)


def noise_clip(seconds: float, rate: int = 1600, channels: int = 1, seed: int = 0) -> Clip:
    """Noise loud enough for the codes of the tiny random codec to vary from frame to frame."""
    return Clip(
        1e4 * np.random.default_rng(seed).standard_normal((channels, round(seconds * rate))), rate
    )


def prepared_by_transformers(model: Model, guided: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """States and mask as generate() builds them from token ids."""
    m = model.checkpoint.model
    tokens = model.checkpoint.tokenizer(PROMPTS, padding=True, return_tensors="pt")
    generation = copy.deepcopy(m.generation_config)
    generation.guidance_scale = 3.0 if guided else 1.0
    kwargs = {"attention_mask": tokens.attention_mask}
    arguments = (tokens.input_ids, kwargs, "input_ids", generation)
    with torch.no_grad():
        if model.shape.text_in_prefix:
            built = m._prepare_encoder_hidden_states_kwargs_for_generation(*arguments)
            mask = tokens.attention_mask  # consumed by the call above
            return built["encoder_hidden_states"], torch.cat([mask, 0 * mask]) if guided else mask
        built = m._prepare_text_encoder_kwargs_for_generation(*arguments)
    assert isinstance(built["encoder_outputs"], BaseModelOutput)
    return built["encoder_outputs"].last_hidden_state, built["attention_mask"]


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("variant", ["small", "melody", "stereo-melody"])
def test_conditioning_equals_that_of_generate(model_of, variant, guided):
    model = model_of(variant)
    ours = condition(model.checkpoint, PROMPTS, guided=guided)
    states, mask = prepared_by_transformers(model, guided)
    assert torch.equal(ours.states, states) and torch.equal(ours.mask, mask)
    assert ours.prefix == (states.shape[1] if model.checkpoint.shape.text_in_prefix else 0)
    assert ours.states.shape[0] == (4 if guided else 2) and ours.rows == 2 and ours.guided == guided


def test_negative_prompts_replace_the_null_text_of_their_rows(model_of):
    for variant in ("small", "melody"):
        c = model_of(variant).checkpoint
        mixed = condition(c, PROMPTS, guided=True, negatives=[None, PROMPTS[0]])
        plain = condition(c, PROMPTS, guided=True)
        assert torch.allclose(mixed.states[:3], plain.states[:3], atol=1e-6)
        chroma = plain.prefix - plain.text_ids.shape[1] if plain.prefix else 0
        assert torch.allclose(mixed.states[3, chroma:], plain.states[0, chroma:], atol=1e-6)
        assert torch.equal(mixed.mask[3], plain.mask[0])


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-melody"])
@pytest.mark.parametrize("nothing", [None, ""])
def test_rows_without_a_text_are_the_unconditional_rows_of_guidance(model_of, variant, nothing):
    c = model_of(variant).checkpoint
    guided = condition(c, PROMPTS, guided=True)
    alone = condition(c, [nothing, nothing], guided=False, text_tokens=guided.text_ids.shape[1])
    assert torch.equal(alone.states, guided.states[2:]) and torch.equal(alone.mask, guided.mask[2:])
    mixed = condition(c, [PROMPTS[0], nothing], guided=False)
    assert mixed.has_text.tolist() == [True, False]
    short = condition(c, [nothing], guided=False)
    assert short.states.shape[1] == alone.states.shape[1] - guided.text_ids.shape[1] + 1


def test_text_is_padded_or_cut_to_a_given_number_of_tokens(small):
    c = small.checkpoint
    assert tokenise(c, PROMPTS, 12).ids.shape == (2, 12) and tokenise(c, PROMPTS).ids.shape == (
        2,
        8,
    )
    assert tokenise(c, PROMPTS, 12).mask.sum(1).tolist() == [5, 8]
    cut = tokenise(c, PROMPTS, 4)
    assert (cut.ids[:, -1] == c.tokenizer.eos_token_id).all()  # the EOS is kept


def test_eos_positions_are_those_of_the_last_unmasked_token(melody):
    c = melody.checkpoint
    right = condition(c, PROMPTS, guided=False, text_tokens=10)
    eos = right.text_ids[torch.arange(2), right.eos_positions - (right.prefix - 10)]
    assert (eos == c.tokenizer.eos_token_id).all() and right.eos_positions.tolist() == [
        7 + 4,
        7 + 7,
    ]


def chromagram_in_numpy(clip: Clip) -> np.ndarray:
    """Strongest pitch class per window in numpy, by the filter bank of transformers."""
    from transformers.audio_utils import chroma_filter_bank

    size, hop = 16_384, 4_096
    samples = np.pad(clip.mono.astype(np.float64), size // 2, mode="reflect")
    window = np.hanning(size + 1)[:-1]
    frames = np.stack(
        [samples[i : i + size] * window for i in range(0, len(samples) - size + 1, hop)]
    )
    power = np.abs(np.fft.rfft(frames)) ** 2
    filters = chroma_filter_bank(
        sampling_rate=32_000, num_frequency_bins=size, tuning=0, num_chroma=12
    )
    return (power @ filters.T).argmax(-1)


@pytest.mark.parametrize(
    ("hertz", "pitch_class"), [(440.0, 9), (220.0, 9), (261.63, 0), (392.0, 7), (987.77, 11)]
)
def test_a_tone_has_its_pitch_class(hertz, pitch_class):
    chroma = chromagram(tone(hertz))
    assert (
        chroma.shape[1] == 12
        and (chroma.sum(1) == 1).all()
        and set(chroma.unique().tolist()) == {0, 1}
    )
    assert (chroma.argmax(-1) == pitch_class).all()


def test_the_chromagram_equals_numpy_and_follows_the_melody_in_time():
    first, second = tone(440, 2.0), tone(261.63, 2.0)
    melody = Clip(np.concatenate([first.samples, 0.5 * second.samples], axis=1), 32_000)
    chroma = chromagram(melody).argmax(-1).numpy()
    assert np.array_equal(chroma, chromagram_in_numpy(melody))
    assert (chroma[:12] == 9).all() and (chroma[-12:] == 0).all()
    louder = Clip(tone(440).samples + 0.5 * tone(587.33).samples, 32_000)
    assert (chromagram(louder).argmax(-1) == 9).all()  # only the strongest class counts


def test_a_melody_may_have_any_rate_and_channels():
    for clip in (tone(440, rate=44_100), tone(440, rate=16_000, channels=2)):
        assert (chromagram(clip).argmax(-1)[2:-2] == 9).all()


def test_a_melody_is_tiled_or_cut_to_the_prefix_and_null_in_the_unconditional_rows(melody):
    c = melody.checkpoint
    length = c.model.config.chroma_length
    short, long = tone(440, 0.5), tone(440, 3.0)
    for clip in (short, long):
        guided = condition(c, PROMPTS, guided=True, melody=clip)
        assert guided.states.shape[1] == length + guided.text_ids.shape[1]
        plain = condition(c, PROMPTS, guided=True)
        assert torch.equal(guided.states[2:], plain.states[2:])
        assert not torch.equal(guided.states[:2, :length], plain.states[:2, :length])
        assert torch.equal(guided.states[:2, length:], plain.states[:2, length:])
    # The null chroma is pitch class 0 throughout.
    c_tone = condition(c, PROMPTS, guided=True, melody=tone(261.63))
    assert torch.equal(c_tone.states, condition(c, PROMPTS, guided=True).states)


def test_a_checkpoint_that_was_not_trained_on_melodies_refuses_one(melody):
    untrained = replace(melody.shape, melody_trained=False)
    clip = Clip(np.sin(np.arange(32_000) / 20).astype(np.float32), 16_000)
    with pytest.raises(TonearmError, match="was not trained to follow a melody"):
        check_melody(untrained, clip)
    check_melody(melody.shape, clip)


def test_a_melody_changes_the_take_and_is_refused_by_cross_attention_checkpoints(melody, small):
    settings = dict(seconds=0.4, seed=1)
    plain = melody.generate("a calm tune", **settings)
    assert (melody.generate("a calm tune", melody=tone(440), **settings).codes != plain.codes).any()
    assert (
        melody.generate("a calm tune", melody=tone(261.63), **settings).codes == plain.codes
    ).all()
    with pytest.raises(TonearmError, match="takes no melody; use a melody checkpoint"):
        small.generate("a calm tune", melody=tone(440), **settings)


@pytest.mark.parametrize("variant", ["small", "stereo-small", "stereo-melody"])
@pytest.mark.parametrize("channels", [1, 2])
def test_audio_is_encoded_and_decoded_with_its_shapes(model_of, variant, channels):
    c = model_of(variant).checkpoint
    codes = encode_audio(c, noise_clip(0.4, channels=channels))
    assert codes.shape == (c.shape.codebooks, 10) and codes.dtype == torch.int64
    assert codes.min() >= 0 and codes.max() < 64
    clip = decode_codes(c, codes)
    assert clip.samples.shape == (c.shape.channels, 640) and clip.sample_rate == 1600
    assert encode_audio(c, noise_clip(0.4, rate=3200, channels=channels)).shape == codes.shape


def test_stereo_alternates_left_and_right_books(model_of):
    stereo = model_of("stereo-small").checkpoint
    left, right = noise_clip(0.4, seed=1), noise_clip(0.4, seed=2)
    codes = encode_audio(stereo, Clip(np.concatenate([left.samples, right.samples]), 1600))
    both_left = encode_audio(stereo, left)
    assert torch.equal(codes[::2], both_left[::2]) and torch.equal(both_left[::2], both_left[1::2])
    assert not torch.equal(codes[1::2], codes[::2])
    clip = decode_codes(stereo, codes)
    flipped = decode_codes(stereo, codes.view(4, 2, -1).flip(1).flatten(0, 1))
    assert np.array_equal(clip.samples, flipped.samples[::-1])


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small", "stereo-melody"])
def test_a_take_begins_with_the_codes_of_its_audio_prompt(model_of, variant):
    model = model_of(variant)
    prompt = noise_clip(0.31)  # not a whole number of frames
    codes = encode_audio(model.checkpoint, prompt).numpy()
    assert len(np.unique(codes[0])) > 1
    requests = [
        TakeRequest(text, 1 + i, seconds=0.4, continue_from=prompt)
        for i, text in enumerate(["a calm tune", "a fast tune"])
    ]
    takes = list(model.generate_batch(requests))
    for take in takes:
        assert np.array_equal(take.codes[:, : codes.shape[1]], codes)
        assert take.codes.shape[1] == codes.shape[1] + 10
    assert not np.array_equal(takes[0].codes, takes[1].codes)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (Clip(np.zeros((1, 1600)), 1600), "silent"),
        (Clip(np.sin(np.arange(1600)) * [[1], [-1]], 1600), "silent to the model"),
        (Clip(np.full(1600, 0.5), 1600), "silent to the model"),
        (Clip(np.sin(np.arange(1600)) * 1e-3, 1600), "silent to the model"),
        (Clip(np.ones((1, 20)), 1600), "long; give at least"),
        (Clip(np.zeros((1, 0)), 1600), "0.00 s long"),
        (Clip(np.array([0.5] * 1600 + [np.nan]), 1600), "NaN"),
        (Clip(np.array([0.5] * 1600 + [np.inf]), 1600), "infinite"),
    ],
)
def test_unusable_audio_is_refused(melody, clip, message):
    with pytest.raises(TonearmError, match=f"the audio prompt.*{message}"):
        melody.generate("a calm tune", continue_from=clip, seconds=0.4)
    with pytest.raises(TonearmError, match=f"the melody.*{message}"):
        melody.generate("a calm tune", melody=clip, seconds=0.4)
