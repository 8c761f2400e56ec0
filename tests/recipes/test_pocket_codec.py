"""The codec's own logic: growth, losses that see phase, the quantiser's start, taking a run up again, and what is measured of it."""

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from recipes.pocket import codec_metrics
from recipes.pocket.codec import RATIOS, Crops, build_codec, learning_rate, outer, train_codec
from recipes.pocket.codec_finetune import CodedCrops, deepened, polish
from recipes.pocket.codec_loss import (
    band_loss,
    bands,
    coherent_loss,
    colour_loss,
    magnitude_loss,
    modulation_loss,
    peak_loss,
    polishing_loss,
    reconstruction_loss,
    texture_loss,
)
from recipes.pocket.encode import codes_path
from recipes.pocket.quantizer import TrainedQuantizer
from recipes.pocket.render import SAMPLE_RATE, SAMPLES_PER_FRAME
from recipes.pocket.settings import CPU, Settings
from transformers import EncodecModel

from tonearm.audio import Clip

TINY = Settings(
    codec_filters=2, codebooks=2, codebook_size=512, codec_growth=1, codec_plain=1, codec_steps=9, codec_batch=1, codec_frames=8,
    polish_steps=9, checkpoint_every=7,
)  # fmt: skip


def tone(hertz: float, seconds: float = 1.28, phase: float = 0.0) -> torch.Tensor:
    time = torch.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return 0.1 * torch.sin(2 * torch.pi * hertz * time + phase)[None, None]


def clip(samples) -> Clip:
    return Clip(np.asarray(samples, np.float32), SAMPLE_RATE)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A training shard whose samples tell where they stand, and one of tones held out."""
    folder = tmp_path_factory.mktemp("corpus")
    frames = np.arange(1, 41).repeat(SAMPLES_PER_FRAME).astype(np.int16)
    np.save(folder / "train-0000.npy", np.stack([100 * frames, -100 * frames]))
    held_out = (32767 * torch.cat([tone(330, 2.56), tone(440, 2.56)]).squeeze(1)).numpy().astype(np.int16)
    np.save(folder / "held-out-0000.npy", held_out)
    return folder


def test_strides_make_a_frame_and_the_outer_part_of_any_depth_returns_the_length():
    assert np.prod(RATIOS) == SAMPLES_PER_FRAME
    codec = build_codec(TINY)
    for strides in range(1, len(RATIOS) + 1):
        assert outer(codec, strides)(tone(440)).shape == tone(440).shape


def test_growing_trains_the_outer_strides_only():
    codec = build_codec(TINY)
    coherent_loss(outer(codec, 2)(tone(440)), tone(440)).backward()
    touched = {name.rsplit(".conv", 1)[0] for name, p in codec.named_parameters() if p.grad is not None}
    assert touched == {f"encoder.layers.{i}" for i in (0, 2, 4)} | {f"decoder.layers.{i}" for i in (9, 11, 13)}


def test_the_rate_falls_within_each_stage_and_ends_low():
    rates = [learning_rate(CPU, step) for step in range(CPU.codec_steps)]
    growth = CPU.codec_growth
    assert rates[0] == rates[growth] > 5 * rates[growth - 1]
    assert max(rates[len(RATIOS) * growth :]) <= CPU.codec_rate and rates[-1] < 0.03 * CPU.codec_rate


def test_crops_start_on_a_frame(corpus):
    crops = Crops(corpus, TINY)
    for seed in range(20):
        crop = crops.draw(np.random.default_rng(seed)).view(TINY.codec_frames, SAMPLES_PER_FRAME)
        assert (crop == crop[:, :1]).all()


def test_a_run_taken_up_again_ends_where_it_would_have(corpus, tmp_path):
    finished = train_codec(corpus, tmp_path, TINY)
    (tmp_path / "codec").rename(tmp_path / "first")
    assert torch.load(tmp_path / "codec.pt", weights_only=True)["step"] == 7
    again = train_codec(corpus, tmp_path, TINY)
    assert all(torch.equal(a, b) for a, b in zip(finished.parameters(), again.parameters(), strict=True))
    codes = [
        EncodecModel.from_pretrained(tmp_path / name).eval().encode(tone(440)).audio_codes
        for name in ("first", "codec")
    ]
    assert codes[0].shape[-2:] == (2, 32) and torch.equal(*codes)


def test_the_quantiser_starts_close_to_planted_centres():
    torch.manual_seed(0)
    codec = build_codec(Settings(codebooks=2, codebook_size=16))
    centres = 10 * torch.randn(16, 128)
    latents = centres[torch.arange(1600) % 16] + 0.1 * torch.randn(1600, 128)
    quantizer = TrainedQuantizer(codec)
    quantizer.start(latents)
    codes = codec.quantizer.encode(latents.T[None])
    error = (codec.quantizer.decode(codes)[0].T - latents).norm(dim=1).mean()
    assert error < 0.25 * latents.norm(dim=1).mean()


def test_the_loss_is_least_for_the_original_and_does_not_depend_on_its_level():
    torch.manual_seed(0)
    original = 0.1 * torch.randn(2, 1, 10240)
    worse = original + 0.05 * torch.randn_like(original)
    assert reconstruction_loss(original, original) < 1e-3 < reconstruction_loss(worse, original)
    loud, quiet = reconstruction_loss(worse, original), reconstruction_loss(0.3 * worse, 0.3 * original)
    assert abs(loud - quiet) < 0.1 * loud


def test_phase_counts_below_its_limit_and_not_above():
    low, high = (coherent_loss(tone(hertz, phase=torch.pi), tone(hertz), below=0.3) for hertz in (440, 5000))
    assert low > 0.1 and low > 20 * high


def test_magnitudes_know_a_quarter_tone_and_bands_know_a_colour():
    quarter_tone = magnitude_loss(tone(452.9), tone(440))
    assert quarter_tone > 5 * magnitude_loss(tone(440, phase=1.0), tone(440))
    torch.manual_seed(0)
    noise, other = 0.1 * torch.randn(2, 1, 1, 20480)
    dull = torch.nn.functional.avg_pool1d(other, 5, stride=1, padding=2)
    assert band_loss(dull, noise) > 3 * band_loss(other, noise)


def test_a_texture_forgives_order_and_not_smoothness():
    """Two noises are alike to it, and noise is not like a buzz of the same colour; bin by bin it is the other way about."""
    torch.manual_seed(0)
    noise, other = 0.1 * torch.randn(2, 1, 1, 20480)
    buzz = torch.zeros_like(noise)
    buzz[..., ::160] = noise.std() * 160**0.5  # 100 Hz, flat, as loud
    textures = [float(texture_loss(x, noise, np.random.default_rng(0))) for x in (other, buzz)]
    bin_by_bin = [float(magnitude_loss(x, noise)) for x in (other, buzz)]
    assert textures[0] < 0.5 * textures[1]
    assert textures[0] / textures[1] < 0.6 * bin_by_bin[0] / bin_by_bin[1]


def test_a_buzz_is_known_by_its_envelope():
    torch.manual_seed(0)
    noise, other = 0.1 * torch.randn(2, 1, 1, 20480)
    once = torch.randn(1, 1, 160)
    frozen = 0.1 * once.repeat(1, 1, 128)  # one pattern of noise, every 10 ms
    assert modulation_loss(frozen, noise) > 3 * modulation_loss(other, noise)
    assert modulation_loss(0.3 * other, noise) == pytest.approx(float(modulation_loss(other, noise)), rel=0.01)


def test_colour_asks_for_the_mean_energy_and_nothing_of_its_place():
    torch.manual_seed(0)
    burst = 0.1 * torch.randn(1, 1, 20480)
    burst[..., 5120:] *= 0.03
    moved = burst.roll(10240, -1)
    assert colour_loss(*bands(moved, burst)) < 0.2 * colour_loss(*bands(0.5 * burst, burst))
    assert band_loss(moved, burst) > band_loss(0.5 * burst, burst)


def test_where_a_peak_may_or_may_not_be_the_squared_error_asks_for_some_of_it_and_l1_for_none():
    """A burst in one of three crops that look alike to the decoder; steady noise holds the level."""
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


def test_a_deepened_codec_has_the_same_codes_and_nearly_the_same_sound():
    torch.manual_seed(0)
    codec = build_codec(TINY).eval()
    TrainedQuantizer(codec).start(torch.randn(600, 128))
    deep = deepened(codec).eval()
    assert deep.config.num_residual_layers == 1
    samples = tone(440) + 0.01 * torch.randn(1, 1, 20480)
    assert torch.equal(deep.encoder(samples), codec.encoder(samples))
    codes = codec.encode(samples).audio_codes
    assert torch.equal(deep.encode(samples).audio_codes, codes)
    plain, deeper = (x.decode(codes, [None]).audio_values for x in (codec, deep))
    assert (plain - deeper).abs().max() < 0.05 * plain.abs().max()


def test_a_deepened_decoder_looks_no_further_ahead():
    """A frame of NaN spoils no earlier sample than it did."""
    codec = build_codec(TINY).eval()
    latents = torch.randn(1, 128, 40)
    latents[..., 20] = torch.nan
    spoilt = [x.decoder(latents)[0, 0].isnan().nonzero() for x in (codec, deepened(codec).eval())]
    assert spoilt[0].min() == spoilt[1].min()


def test_polishing_leaves_the_codes_alone_and_ends_where_it_would_have(corpus, tmp_path):
    codec = train_codec(corpus, tmp_path, TINY)
    (tmp_path / "codes").mkdir()
    audio = torch.from_numpy(np.load(corpus / "train-0000.npy").astype(np.float32) / 32768)[:, None]
    codes = codec.eval().encode(audio).audio_codes[0]
    np.save(codes_path(tmp_path, "train", 0), codes.numpy().astype(np.int16))
    finished = polish(corpus, tmp_path, TINY)
    (tmp_path / "polished").rename(tmp_path / "first")
    assert torch.load(tmp_path / "polish.pt", weights_only=True)["step"] == 7
    again = polish(corpus, tmp_path, TINY)
    assert all(torch.equal(a, b) for a, b in zip(finished.parameters(), again.parameters(), strict=True))
    polished = EncodecModel.from_pretrained(tmp_path / "polished").eval()
    assert torch.equal(polished.encode(audio).audio_codes[0], codes)
    assert not torch.equal(codec.decoder.layers[0].conv.bias, polished.decoder.layers[0].conv.bias)


def test_coded_crops_belong_together(corpus, tmp_path):
    """Samples and codes of one place: both tell their frame here."""
    (tmp_path / "codes").mkdir()
    frames = np.arange(1, 41, dtype=np.int16)
    np.save(codes_path(tmp_path, "train", 0), np.broadcast_to(frames, (2, 2, 40)))
    samples, codes = CodedCrops(corpus, tmp_path, TINY).draw(np.random.default_rng(0))
    told = (samples[:, 0, ::SAMPLES_PER_FRAME].abs() * 32768 / 100).round().long()
    assert codes.shape == (2, 1, TINY.codec_frames) and torch.equal(told, codes[0])


def test_what_polishing_asks_for_is_least_for_the_original():
    torch.manual_seed(0)
    original = 0.1 * torch.randn(2, 1, 20480)
    ours, theirs = (
        polishing_loss(x, original, np.random.default_rng(0))
        for x in (original, original + 0.05 * torch.randn_like(original))
    )
    assert ours < 1e-2 < theirs


def test_distances_in_decibels_are_those_that_were_planted():
    samples = 0.1 * np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    original = clip(samples)
    assert codec_metrics.signal_to_noise(original, clip(0.9 * samples)) == pytest.approx(20, abs=0.01)
    assert codec_metrics.log_spectral_distance(original, clip(0.5 * samples)) == pytest.approx(6.02, abs=0.02)


def test_a_centroid_an_octave_up_is_wrong_by_its_whole_value():
    original, octave = clip(tone(500).flatten()), clip(tone(1000).flatten())
    assert codec_metrics.centroid_error(original, octave) == pytest.approx(1, abs=0.05)


def test_noise_in_the_place_of_a_tone_lowers_the_harmonic_share():
    noise = clip(0.1 * np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE))
    assert codec_metrics.harmonic_share(clip(tone(440, 2).flatten())) > 0.95 > 0.8 > codec_metrics.harmonic_share(noise)


def test_blurred_attacks_lower_their_correlation():
    clicks = np.zeros(2 * SAMPLE_RATE)
    clicks[:: SAMPLE_RATE // 4] = 1.0
    decay = np.convolve(clicks, np.exp(-np.arange(2000) / 400))[: len(clicks)]
    noise = 0.1 * np.random.default_rng(0).standard_normal(len(clicks))
    sharp, blurred = noise * decay, noise * np.convolve(decay, np.hanning(3000) / 1500, mode="same")
    assert codec_metrics.attack_correlation(clip(sharp), clip(0.5 * sharp)) > 0.99
    assert codec_metrics.attack_correlation(clip(sharp), clip(blurred)) < 0.7


def test_a_clip_goes_through_the_codec_at_its_length():
    assert (
        codec_metrics.through(build_codec(TINY).eval(), clip(tone(440).flatten())).mono.shape
        == tone(440).flatten().shape
    )
