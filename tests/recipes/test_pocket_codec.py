"""Codec of pocket: growth, losses, initialisation of the quantiser, resuming, and metrics."""

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from recipes.pocket import codec as codec_recipe
from recipes.pocket import codec_finetune, codec_metrics
from recipes.pocket.codec import (
    RATIOS,
    Crops,
    build_codec,
    learning_rate,
    outer_strides,
    train_codec,
)
from recipes.pocket.codec_finetune import CodedCrops, deepen, finetune_codec
from recipes.pocket.codec_loss import (
    band_loss,
    bands,
    coherent_loss,
    finetune_loss,
    magnitude_loss,
    modulation_loss,
    peak_loss,
    reconstruction_loss,
    spectral_balance_loss,
    texture_loss,
)
from recipes.pocket.encode import codes_path
from recipes.pocket.quantizer import TrainedQuantizer
from recipes.pocket.settings import CPU, Settings
from transformers import EncodecModel

from tests.recipes.training_runs import assert_equal_states, train_with_interruption
from tonearm.audio import Clip
from tonearm.datasets.rendering.synthesizer import SAMPLE_RATE, SAMPLES_PER_FRAME

TINY = Settings(
    codec_filters=2,
    codebooks=2,
    codebook_size=512,
    codec_growth=1,
    codec_plain=1,
    codec_steps=9,
    codec_batch=1,
    codec_frames=8,
    codec_finetune_steps=9,
    checkpoint_every=3,
)


def tone(hertz: float, seconds: float = 1.28, phase: float = 0.0) -> torch.Tensor:
    time = torch.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return 0.1 * torch.sin(2 * torch.pi * hertz * time + phase)[None, None]


def clip(samples) -> Clip:
    return Clip(np.asarray(samples, np.float32), SAMPLE_RATE)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A training shard whose samples encode their frame, and a held-out shard of tones."""
    folder = tmp_path_factory.mktemp("corpus")
    frames = np.arange(1, 41).repeat(SAMPLES_PER_FRAME).astype(np.int16)
    np.save(folder / "train-0000.npy", np.stack([100 * frames, -100 * frames]))
    held_out = (
        (32767 * torch.cat([tone(330, 2.56), tone(440, 2.56)]).squeeze(1)).numpy().astype(np.int16)
    )
    np.save(folder / "held-out-0000.npy", held_out)
    return folder


def test_strides_multiply_to_a_frame_and_outer_strides_preserve_the_length():
    assert np.prod(RATIOS) == SAMPLES_PER_FRAME
    codec = build_codec(TINY)
    for strides in range(1, len(RATIOS) + 1):
        assert outer_strides(codec, strides)(tone(440)).shape == tone(440).shape


def test_growing_trains_the_outer_strides_only():
    codec = build_codec(TINY)
    coherent_loss(outer_strides(codec, 2)(tone(440)), tone(440)).backward()
    touched = {
        name.rsplit(".conv", 1)[0] for name, p in codec.named_parameters() if p.grad is not None
    }
    assert touched == {f"encoder.layers.{i}" for i in (0, 2, 4)} | {
        f"decoder.layers.{i}" for i in (9, 11, 13)
    }


def test_the_learning_rate_decays_within_each_stage_and_ends_low():
    rates = [learning_rate(CPU, step) for step in range(CPU.codec_steps)]
    growth = CPU.codec_growth
    assert rates[0] == rates[growth] > 5 * rates[growth - 1]
    assert (
        max(rates[len(RATIOS) * growth :]) <= CPU.codec_rate and rates[-1] < 0.03 * CPU.codec_rate
    )


def test_crops_start_on_a_frame(corpus):
    crops = Crops(corpus, TINY)
    for seed in range(20):
        crop = crops.draw(np.random.default_rng(seed)).view(TINY.codec_frames, SAMPLES_PER_FRAME)
        assert (crop == crop[:, :1]).all()


def test_a_resumed_codec_ends_with_the_state_of_an_uninterrupted_one(corpus, tmp_path):
    """The interruption is while strides are added (3) or after the quantiser was added (6)."""
    train_codec(corpus, tmp_path / "uninterrupted", TINY)
    for step in (3, 6):
        folder = tmp_path / f"resumed at {step}"
        train_with_interruption(
            codec_recipe, step, lambda folder=folder: train_codec(corpus, folder, TINY)
        )
        assert_equal_states(tmp_path / "uninterrupted" / "codec.pt", folder / "codec.pt", steps=9)
        codes = [
            EncodecModel.from_pretrained(path / "codec").eval().encode(tone(440)).audio_codes
            for path in (tmp_path / "uninterrupted", folder)
        ]
        assert codes[0].shape[-2:] == (2, 32) and torch.equal(*codes)


def test_the_initial_quantiser_is_close_to_planted_centres():
    torch.manual_seed(0)
    codec = build_codec(Settings(codebooks=2, codebook_size=16))
    centres = 10 * torch.randn(16, 128)
    latents = centres[torch.arange(1600) % 16] + 0.1 * torch.randn(1600, 128)
    quantizer = TrainedQuantizer(codec)
    quantizer.initialise(latents)
    codes = codec.quantizer.encode(latents.T[None])
    error = (codec.quantizer.decode(codes)[0].T - latents).norm(dim=1).mean()
    assert error < 0.25 * latents.norm(dim=1).mean()


def test_the_loss_is_minimal_at_the_original_and_independent_of_its_level():
    torch.manual_seed(0)
    original = 0.1 * torch.randn(2, 1, 10240)
    worse = original + 0.05 * torch.randn_like(original)
    assert reconstruction_loss(original, original) < 1e-3 < reconstruction_loss(worse, original)
    loud, quiet = (
        reconstruction_loss(worse, original),
        reconstruction_loss(0.3 * worse, 0.3 * original),
    )
    assert abs(loud - quiet) < 0.1 * loud


def test_phase_affects_the_coherent_loss_below_its_limit_only():
    low, high = (
        coherent_loss(tone(hertz, phase=torch.pi), tone(hertz), below=0.3) for hertz in (440, 5000)
    )
    assert low > 0.1 and low > 20 * high


def test_magnitudes_detect_a_quarter_tone_and_bands_detect_a_filter():
    quarter_tone = magnitude_loss(tone(452.9), tone(440))
    assert quarter_tone > 5 * magnitude_loss(tone(440, phase=1.0), tone(440))
    torch.manual_seed(0)
    noise, other = 0.1 * torch.randn(2, 1, 1, 20480)
    dull = torch.nn.functional.avg_pool1d(other, 5, stride=1, padding=2)
    assert band_loss(dull, noise) > 3 * band_loss(other, noise)


def test_texture_loss_ignores_order_but_not_smoothness():
    """Two noises are close, noise and a buzz of the same spectrum are not.

    Per bin it is the reverse.
    """
    torch.manual_seed(0)
    noise, other = 0.1 * torch.randn(2, 1, 1, 20480)
    buzz = torch.zeros_like(noise)
    buzz[..., ::160] = noise.std() * 160**0.5  # 100 Hz, flat spectrum, equal level
    textures = [float(texture_loss(x, noise, np.random.default_rng(0))) for x in (other, buzz)]
    bin_by_bin = [float(magnitude_loss(x, noise)) for x in (other, buzz)]
    assert textures[0] < 0.5 * textures[1]
    assert textures[0] / textures[1] < 0.6 * bin_by_bin[0] / bin_by_bin[1]


def test_modulation_loss_detects_a_buzz():
    torch.manual_seed(0)
    noise, other = 0.1 * torch.randn(2, 1, 1, 20480)
    once = torch.randn(1, 1, 160)
    frozen = 0.1 * once.repeat(1, 1, 128)  # one noise pattern, every 10 ms
    assert modulation_loss(frozen, noise) > 3 * modulation_loss(other, noise)
    assert modulation_loss(0.3 * other, noise) == pytest.approx(
        float(modulation_loss(other, noise)), rel=0.01
    )


def test_spectral_balance_loss_depends_on_mean_energy_not_on_its_time():
    torch.manual_seed(0)
    burst = 0.1 * torch.randn(1, 1, 20480)
    burst[..., 5120:] *= 0.03
    moved = burst.roll(10240, -1)
    assert spectral_balance_loss(*bands(moved, burst)) < 0.2 * spectral_balance_loss(
        *bands(0.5 * burst, burst)
    )
    assert band_loss(moved, burst) > band_loss(0.5 * burst, burst)


def test_an_uncertain_peak_is_best_met_partly_by_squared_error_and_not_at_all_by_l1():
    """A burst in one of three crops that look equal to the decoder; steady noise sets the level."""
    torch.manual_seed(0)
    steady = 0.1 * torch.randn(1, 1, 20480)
    burst = steady.clone()
    burst[..., 8000:12000] *= 6
    part_way = steady.clone()
    part_way[..., 8000:12000] *= 2

    def cost(loss, guess):
        return sum(float(loss(guess, truth)) for truth in (burst, steady, steady))

    def squared(guess, truth):
        return peak_loss(*bands(guess, truth))

    assert cost(squared, part_way) < cost(squared, steady)
    assert cost(band_loss, part_way) > cost(band_loss, steady)


def test_a_deepened_codec_has_equal_codes_and_nearly_equal_audio():
    torch.manual_seed(0)
    codec = build_codec(TINY).eval()
    TrainedQuantizer(codec).initialise(torch.randn(600, 128))
    deep = deepen(codec).eval()
    assert deep.config.num_residual_layers == 1
    samples = tone(440) + 0.01 * torch.randn(1, 1, 20480)
    assert torch.equal(deep.encoder(samples), codec.encoder(samples))
    codes = codec.encode(samples).audio_codes
    assert torch.equal(deep.encode(samples).audio_codes, codes)
    plain, deeper = (x.decode(codes, [None]).audio_values for x in (codec, deep))
    assert (plain - deeper).abs().max() < 0.05 * plain.abs().max()


def test_a_deepened_decoder_has_the_same_lookahead():
    """A frame of NaN affects no earlier sample than before."""
    codec = build_codec(TINY).eval()
    latents = torch.randn(1, 128, 40)
    latents[..., 20] = torch.nan
    spoilt = [x.decoder(latents)[0, 0].isnan().nonzero() for x in (codec, deepen(codec).eval())]
    assert spoilt[0].min() == spoilt[1].min()


def test_finetuning_preserves_the_codes_and_resumes_exactly(corpus, tmp_path):
    codec = train_codec(corpus, tmp_path, TINY)
    (tmp_path / "codes").mkdir()
    audio = torch.from_numpy(np.load(corpus / "train-0000.npy").astype(np.float32) / 32768)[:, None]
    codes = codec.eval().encode(audio).audio_codes[0]
    np.save(codes_path(tmp_path, "train", 0), codes.numpy().astype(np.int16))
    finetune_codec(corpus, tmp_path, TINY)
    for name in ("codec_finetune.pt", "codec_finetuned"):
        (tmp_path / name).rename(tmp_path / f"uninterrupted {name}")
    train_with_interruption(codec_finetune, 6, lambda: finetune_codec(corpus, tmp_path, TINY))
    states = (tmp_path / "uninterrupted codec_finetune.pt", tmp_path / "codec_finetune.pt")
    assert_equal_states(*states, steps=9)
    finetuned = EncodecModel.from_pretrained(tmp_path / "codec_finetuned").eval()
    assert torch.equal(finetuned.encode(audio).audio_codes[0], codes)
    assert not torch.equal(codec.decoder.layers[0].conv.bias, finetuned.decoder.layers[0].conv.bias)


def test_coded_crops_are_aligned(corpus, tmp_path):
    """Samples and codes both encode their frame here."""
    (tmp_path / "codes").mkdir()
    frames = np.arange(1, 41, dtype=np.int16)
    np.save(codes_path(tmp_path, "train", 0), np.broadcast_to(frames, (2, 2, 40)))
    samples, codes = CodedCrops(corpus, tmp_path, TINY).draw(np.random.default_rng(0))
    frames_of_samples = (samples[:, 0, ::SAMPLES_PER_FRAME].abs() * 32768 / 100).round().long()
    assert codes.shape == (2, 1, TINY.codec_frames) and torch.equal(frames_of_samples, codes[0])


def test_the_finetuning_loss_is_minimal_at_the_original():
    torch.manual_seed(0)
    original = 0.1 * torch.randn(2, 1, 20480)
    ours, theirs = (
        finetune_loss(x, original, np.random.default_rng(0))
        for x in (original, original + 0.05 * torch.randn_like(original))
    )
    assert ours < 1e-2 < theirs


def test_distances_in_decibels_equal_the_planted_ones():
    samples = 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    original = clip(samples)
    assert codec_metrics.signal_to_noise(original, clip(0.9 * samples)) == pytest.approx(
        20, abs=0.01
    )
    assert codec_metrics.log_spectral_distance(original, clip(0.5 * samples)) == pytest.approx(
        6.02, abs=0.02
    )


def test_a_centroid_one_octave_up_has_an_error_of_100_percent():
    original, octave = clip(tone(500).flatten()), clip(tone(1000).flatten())
    assert codec_metrics.centroid_error(original, octave) == pytest.approx(1, abs=0.05)


def test_noise_instead_of_a_tone_lowers_the_harmonic_share():
    noise = clip(0.1 * np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE))
    assert (
        codec_metrics.harmonic_share(clip(tone(440, 2).flatten()))
        > 0.95
        > 0.8
        > codec_metrics.harmonic_share(noise)
    )


def test_blurred_attacks_lower_their_correlation():
    clicks = np.zeros(2 * SAMPLE_RATE)
    clicks[:: SAMPLE_RATE // 4] = 1.0
    decay = np.convolve(clicks, np.exp(-np.arange(2000) / 400))[: len(clicks)]
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(clicks))
    sharp, blurred = noise * decay, noise * np.convolve(decay, np.hanning(3000) / 1500, mode="same")
    assert codec_metrics.attack_correlation(clip(sharp), clip(0.5 * sharp)) > 0.99
    assert codec_metrics.attack_correlation(clip(sharp), clip(blurred)) < 0.7


def test_the_codec_preserves_the_length():
    assert (
        codec_metrics.reconstruct(build_codec(TINY).eval(), clip(tone(440).flatten())).mono.shape
        == tone(440).flatten().shape
    )
