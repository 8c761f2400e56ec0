"""Stage 2, audio -> EnCodec: grown from the outside in, trained as a plain autoencoder, then with its quantiser.

A whole network that starts at random never finds the phase of a waveform through a stride of 640: it settles on smeared
magnitudes. A network of one stride finds it at once, so the strides are added one by one, each around a network that already hands the
waveform through. The quantiser comes last, since one trained from scratch collapses: k-means, book by book on the residual, over a buffer
of latents; then straight-through estimation with codebooks that follow by moving averages.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import EncodecConfig, EncodecModel

from recipes.pocket.codec_loss import coherent_loss, reconstruction_loss
from recipes.pocket.compose import FRAME_RATE
from recipes.pocket.corpus import as_float, load_audio, shards_present
from recipes.pocket.quantizer import TrainedQuantizer
from recipes.pocket.render import SAMPLE_RATE, SAMPLES_PER_FRAME
from recipes.pocket.settings import Settings
from recipes.training import Progress, keep, save_whole, take_up

RATIOS = [
    2,
    2,
    4,
    4,
    10,
]  # the full rate is left by the longest stride, where a step's time goes; width sits at the low rates
LATENTS = 128
GROWTH_RATE = 2e-3
WARM_STEPS = 100


def build_codec(settings: Settings) -> EncodecModel:
    config = EncodecConfig(
        target_bandwidths=[settings.codebooks * FRAME_RATE * 10 / 1000],  # EncodecConfig counts 10 bits a book
        sampling_rate=SAMPLE_RATE, audio_channels=1, normalize=False, chunk_length_s=None,
        hidden_size=LATENTS, codebook_dim=LATENTS, codebook_size=settings.codebook_size,
        num_filters=settings.codec_filters, num_residual_layers=0, upsampling_ratios=RATIOS, num_lstm_layers=1,
        kernel_size=5,  # on both sides of a frame two more: each is 40 ms of lookahead when streaming
        use_conv_shortcut=False, use_causal_conv=False, norm_type="weight_norm", pad_mode="constant",
    )  # fmt: skip
    codec = EncodecModel(config)
    # At the library's start the quiet input (-23 dBFS) drowns in the biases, and training stays at one constant spectrum
    # for thousands of steps. So: no biases, a louder first convolution, a quieter last one.
    with torch.no_grad():
        for name, parameter in codec.named_parameters():
            if name.endswith("bias") and "lstm" not in name:
                parameter.zero_()
        codec.encoder.layers[0].conv.parametrizations.weight.original0.mul_(10)
        codec.decoder.layers[-1].conv.parametrizations.weight.original0.mul_(0.1)
    return codec


def outer(codec: EncodecModel, strides: int) -> nn.Sequential:
    """The outermost `strides` strides of encoder and decoder, joined where the rest would lie: [B, 1, T] -> [B, 1, T]."""
    return nn.Sequential(*codec.encoder.layers[: 1 + 2 * strides], *codec.decoder.layers[-(2 + 2 * strides) :])


class Crops:
    """Random crops of the training audio on the frame grid; silent ones are drawn again."""

    def __init__(self, corpus: Path, settings: Settings):
        self.shards = [load_audio(corpus, "train", i) for i in shards_present(corpus, "train")]
        self.settings = settings

    def draw(self, rng: np.random.Generator) -> torch.Tensor:
        """[B, 1, frames * SAMPLES_PER_FRAME]."""
        return self.draw_placed(rng)[0]

    def draw_placed(self, rng: np.random.Generator) -> tuple[torch.Tensor, list[tuple[int, int, int]]]:
        """The same, and where each crop is from: shard, piece and first frame."""
        frames = self.settings.codec_frames
        crops, places = [], []
        while len(crops) < self.settings.codec_batch:
            index = int(rng.integers(len(self.shards)))
            shard = self.shards[index]
            first = int(rng.integers(shard.shape[1] // SAMPLES_PER_FRAME - frames + 1))
            piece = int(rng.integers(len(shard)))
            samples = shard[piece, first * SAMPLES_PER_FRAME : (first + frames) * SAMPLES_PER_FRAME]
            crop = as_float(samples)
            if np.abs(crop).max() > 1e-3:
                crops.append(crop)
                places.append((index, piece, first))
        return torch.from_numpy(np.stack(crops))[:, None], places


@torch.no_grad()
def held_out_loss(codec: EncodecModel, corpus: Path, quantised: bool) -> float:
    audio = as_float(load_audio(corpus, "held-out", 0)[:16, : 64 * SAMPLES_PER_FRAME])
    original = torch.from_numpy(audio)[:, None].to(codec.device)
    latents = codec.encoder(original)
    if quantised:
        latents = codec.quantizer.decode(codec.quantizer.encode(latents))
    return float(reconstruction_loss(codec.decoder(latents), original))


def learning_rate(settings: Settings, step: int) -> float:
    """Within each stage of growth a line down to a tenth; then a short warm-up and a cosine down to a fiftieth."""
    growth = settings.codec_growth * len(RATIOS)
    if step < growth:
        return GROWTH_RATE * (1 - 0.9 * (step % settings.codec_growth) / settings.codec_growth)
    warm = min(1.0, (step - growth + 1) / WARM_STEPS)
    cosine = (1 + math.cos(math.pi * (step - growth) / (settings.codec_steps - growth))) / 2
    return settings.codec_rate * warm * (0.02 + 0.98 * cosine)


def train_codec(corpus: Path, out: Path, settings: Settings, device: str = "cpu") -> EncodecModel:
    """Train, or take up again where `out/codec.pt` stopped; the finished codec lies in `out/codec/`."""
    torch.manual_seed(settings.seed)
    codec = build_codec(settings).to(device)
    quantizer = TrainedQuantizer(codec)
    optimizer = torch.optim.AdamW(
        codec.parameters(), lr=settings.codec_rate, betas=(0.8, 0.99), weight_decay=1e-3, fused=True
    )
    growth = settings.codec_growth * len(RATIOS)
    plain = growth + settings.codec_plain
    checkpoint = out / "codec.pt"
    first = take_up(checkpoint, codec, optimizer, device)
    crops, progress = Crops(corpus, settings), Progress()
    for step in range(first, settings.codec_steps):
        # The batch is a function of the step, so that a run taken up again sees what it would have seen.
        original = crops.draw(np.random.default_rng((settings.seed, 1, step))).to(device)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        if step == plain:
            with torch.no_grad():
                draws = [crops.draw(np.random.default_rng((settings.seed, 2, i))).to(device) for i in range(200)]
                quantizer.start(torch.cat([codec.encoder(x).transpose(1, 2).reshape(-1, LATENTS) for x in draws]))
        commitment, used = torch.zeros((), device=device), 0.0
        if step < growth:
            loss = coherent_loss(outer(codec, 1 + step // settings.codec_growth)(original), original)
        else:
            latents = codec.encoder(original)
            if step >= plain:
                latents, commitment, used = quantizer(latents)
            loss = reconstruction_loss(codec.decoder(latents), original)
        optimizer.zero_grad(set_to_none=True)
        (loss + 0.25 * commitment).backward()
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimizer.step()
        progress.step(loss)
        if (step + 1) % settings.checkpoint_every == 0:
            held_out = held_out_loss(codec, corpus, step >= plain)
            print(
                f"codec step {step + 1}: train {progress.loss:.3f} held-out {held_out:.3f} "
                f"codes used {used:.2f}, {progress.pace}", flush=True
            )  # fmt: skip
            keep(checkpoint, codec, optimizer, step + 1)
    save_whole(codec, out / "codec")
    return codec
