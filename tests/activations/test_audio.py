"""Rows of given audio against plain hooks on transformers, with tokens written out by hand."""

import numpy as np
import pytest
import torch

from tests.activations.sounds import noise_clip
from tests.activations.test_capture import plain_hooks
from tests.checkpoints import VARIANTS
from tonearm.activations import AudioSpec, capture_segments
from tonearm.audio import Clip
from tonearm.backend import SITES
from tonearm.errors import TonearmError
from tonearm.model import Model
from tonearm.musicgen import reference
from tonearm.musicgen.codec import encode_audio
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.engine import ReferenceEngine, whole_positions
from tonearm.musicgen.sampling import Sampling

TEXT = "a fast folk tune"
SECONDS, FRAMES = 0.8, 20
POOLINGS = ("last", "first", "mean", "at:0.2,0.4")
PLACES = [
    (variant, site, text)
    for variant in VARIANTS
    for site in SITES
    for text in (None, TEXT)
    if site != "cross_attention" or (text and "melody" not in variant)
]


def stereo_noise(seconds: float = SECONDS, seed: int = 0) -> Clip:
    """Noise with different channels, so that a mono checkpoint mixes them."""
    return noise_clip(seconds, seed, channels=2)


def tokens_by_hand(codes: np.ndarray, bos: int, channels: int) -> np.ndarray:
    """Columns of the delay pattern: position p has codebook k of frame p - 1 - k // channels."""
    books, frames = codes.shape
    lags = [k // channels for k in range(books)]
    tokens = np.full((books, 1 + frames + max(lags)), bos)
    for k, lag in enumerate(lags):
        for position in range(tokens.shape[1]):
            frame = position - 1 - lag
            if 0 <= frame < frames:
                tokens[k, position] = codes[k, frame]
    return tokens


def states_by_hand(model: Model, clip: Clip, site: str, text: str | None) -> torch.Tensor:
    """States [L, P, D] of all code positions, by transformers' forward pass with plain hooks."""
    c = model.checkpoint
    codes = encode_audio(c, clip).numpy()
    tokens = torch.from_numpy(tokens_by_hand(codes, c.bos, c.shape.channels))
    conditioning = condition(c, [text], guided=False)
    with torch.no_grad(), plain_hooks(model, site) as seen:
        if c.shape.text_in_prefix:
            c.model.decoder(
                input_ids=tokens, encoder_hidden_states=conditioning.states, use_cache=False
            )
        else:
            c.model(
                encoder_outputs=(conditioning.states,),
                attention_mask=conditioning.mask,
                decoder_input_ids=tokens,
                use_cache=False,
            )
    states = torch.stack([seen[layer][0] for layer in range(c.shape.layer_count)])
    return states[:, conditioning.prefix :]


def pooled_by_hand(states: torch.Tensor, delay: int) -> dict[str, torch.Tensor]:
    """Rows [n, L, D] of each pooling, at positions of the tiny checkpoints' 25 frames per second."""
    return {
        "last": states[:, FRAMES][None],
        "first": states[:, 1 + delay][None],
        "mean": states[:, 1 + delay : FRAMES + 1].mean(1)[None],
        "at:0.2,0.4": torch.stack([states[:, 5], states[:, 10]]),
    }


def rows_of(model: Model, clips: list[Clip], **settings) -> dict[str, torch.Tensor]:
    spec = AudioSpec(**{"segment_seconds": SECONDS} | settings).resolved(model.checkpoint)
    return capture_segments(model.engine, clips, spec)


@pytest.mark.parametrize(("variant", "site", "text"), PLACES)
def test_rows_equal_those_of_plain_hooks_on_transformers(model_of, variant, site, text):
    model = model_of(variant)
    states = states_by_hand(model, stereo_noise(), site, text)
    expected = pooled_by_hand(states, model.shape.delay_frames)
    for pooling in POOLINGS:
        rows = rows_of(model, [stereo_noise()], sites=(site,), pooling=pooling, text=text)[site]
        assert rows.dtype == torch.float32
        assert torch.allclose(rows[0], expected[pooling], atol=1e-4), pooling


@pytest.mark.parametrize("variant", VARIANTS)
def test_rows_equal_those_of_the_reference_engine(model_of, variant):
    model = model_of(variant)
    clips = [stereo_noise(seed=seed) for seed in range(3)]
    settings = dict(sites=model.shape.sites, pooling="at:0.2,0.8", text=TEXT)
    ours = rows_of(model, clips, **settings)
    other = model.with_engine("reference")
    assert isinstance(other.engine, ReferenceEngine)
    theirs = rows_of(other, clips, **settings)
    assert tuple(ours) == tuple(theirs) == model.shape.sites
    for site, rows in ours.items():
        assert rows.shape == (3, 2, model.shape.layer_count, model.shape.width)
        assert rows.std(0).min() > 0  # the segments differ at every number
        assert torch.allclose(rows, theirs[site], atol=1e-4), site


@pytest.mark.parametrize("variant", VARIANTS)
def test_last_is_the_state_from_which_generate_continues_an_audio_prompt(model_of, variant):
    model = model_of(variant)
    c, clip = model.checkpoint, stereo_noise()
    codes = encode_audio(c, clip)[None]
    conditioning = condition(c, [TEXT], guided=False)
    request = DecodeRequest(
        conditioning, FRAMES + 2, [Sampling(guidance=1.0)], [0], (), prompt_codes=codes
    )
    first_calls: dict[int, torch.Tensor] = {}

    def keep(index: int):
        def hook(_module, _args, output) -> None:
            first_calls.setdefault(index, output[0] if isinstance(output, tuple) else output)

        return hook

    handles = [layer.register_forward_hook(keep(i)) for i, layer in enumerate(c.layers)]
    try:
        reference.decode(c, request)
    finally:
        for handle in handles:
            handle.remove()
    assert first_calls[0].shape[1] == conditioning.prefix + 1 + FRAMES
    continued = torch.stack([first_calls[i][0, -1] for i in range(c.shape.layer_count)])
    rows = rows_of(model, [clip], text=TEXT)["residual"]
    assert torch.allclose(rows[0, 0], continued, atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_whole_positions_are_those_without_a_hole_in_their_column(model_of, variant):
    shape = model_of(variant).shape
    codes = np.arange(shape.codebooks * FRAMES).reshape(shape.codebooks, FRAMES)
    tokens = tokens_by_hand(codes, -1, shape.channels)
    whole = [p for p in range(tokens.shape[1]) if (tokens[:, p] >= 0).all()]
    assert list(whole_positions(shape, FRAMES)) == whole


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_rows_do_not_depend_on_the_neighbours_in_a_batch(model_of, variant):
    model = model_of(variant)
    clips = [stereo_noise(seed=seed) for seed in range(3)]
    together = rows_of(model, clips)["residual"]
    alone = torch.cat([rows_of(model, [clip])["residual"] for clip in clips])
    assert torch.allclose(together, alone, atol=1e-5)


def test_later_audio_does_not_change_earlier_positions(melody):
    first = stereo_noise()
    half = first.samples.shape[1] // 2
    other = Clip(
        np.concatenate([first.samples[:, :half], stereo_noise(seed=1).samples[:, half:]], 1),
        first.sample_rate,
    )
    # The tiny codec looks ahead by a few frames, so a position well before the middle is compared.
    early = [rows_of(melody, [clip], pooling="at:0.2")["residual"] for clip in (first, other)]
    late = [rows_of(melody, [clip])["residual"] for clip in (first, other)]
    assert torch.equal(*early) and not torch.equal(*late)


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-melody"])
def test_a_text_changes_rows_and_no_text_is_the_null_text(model_of, variant):
    model = model_of(variant)
    plain, with_text = (
        rows_of(model, [stereo_noise()], text=text)["residual"] for text in (None, TEXT)
    )
    assert not torch.allclose(plain, with_text, atol=1e-2)
    conditioning = condition(model.checkpoint, [None], guided=False)
    assert not conditioning.mask.any()
    text_states = conditioning.states[:, -conditioning.mask.shape[1] :]
    assert not text_states.any()


def test_the_default_segment_is_ten_seconds_or_the_window(melody):
    spec = AudioSpec().resolved(melody.checkpoint)
    assert spec.segment_seconds == 10 and 1 <= spec.batch_size <= 8
    form = spec.format(melody.shape)
    assert (form.samples, form.sample_rate, form.seconds) == (16_000, 1600, 10)
    odd = AudioSpec(segment_seconds=0.99).resolved(melody.checkpoint)
    assert odd.segment_seconds == 1.0 and odd.format(melody.shape).samples == 25 * 64


@pytest.mark.parametrize(
    ("variant", "settings", "message"),
    [
        ("small", dict(sites=("roof",)), "has no site 'roof'"),
        ("melody", dict(sites=("cross_attention",), text=TEXT), "use one of residual, attention"),
        ("small", dict(sites=("cross_attention",)), "exactly 0 without a text"),
        ("small", dict(sites=()), r"sites \(none\)"),
        ("small", dict(sites=("heads", "heads")), "use each once"),
        ("small", dict(pooling="eos"), "use last, first, mean, or at:SECONDS"),
        ("small", dict(pooling="at:"), "no list of different seconds"),
        ("small", dict(pooling="at:1,1"), "no list of different seconds"),
        ("small", dict(pooling="at:nan"), "no list of different seconds"),
        (
            "small",
            dict(pooling="at:0.1"),
            "0.1 s is not possible in segments of 0.8 s; use 0.16 to",
        ),
        ("small", dict(pooling="at:0.9"), "0.9 s is not possible"),
        ("small", dict(segment_seconds=0), "segments of 0 s"),
        ("small", dict(segment_seconds=0.12), "use 0.16 to 30 s"),
        ("small", dict(segment_seconds=31.0), "segments of 31 s"),
        ("small", dict(segment_seconds=float("nan")), "segments of nan s"),
        ("small", dict(segment_seconds=float("inf")), "segments of inf s"),
        ("small", dict(text=" "), "the text is empty"),
        ("small", dict(text="zzz"), "no word of 'zzz' is in the vocabulary"),
        ("small", dict(batch_size=0), "batch size 0"),
    ],
)
def test_impossible_captures_are_refused(model_of, variant, settings, message):
    with pytest.raises(TonearmError, match=message):
        rows_of(model_of(variant), [stereo_noise()], **settings)


def test_a_batch_that_fits_no_memory_is_refused(small, monkeypatch):
    monkeypatch.setattr("tonearm.activations.audio.memory_budget", lambda _: 1000.0)
    with pytest.raises(TonearmError, match="GiB"):
        AudioSpec().resolved(small.checkpoint)
