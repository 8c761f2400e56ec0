"""Stage 2: train EnCodec, grown from the outside in.

It is a plain autoencoder at first; the quantiser follows.

A complete network from random weights does not find the phase of a waveform through a stride of
640; it converges to smeared magnitudes. A network of one stride finds the phase at once. Strides
are therefore added one by one, each around a network that already passes the waveform. The
quantiser comes last, since one trained from scratch collapses: k-means, codebook by codebook on the
residual, over a buffer of latents; then straight-through estimation with codebooks updated by
moving averages.
"""

import math
from pathlib import Path

import numpy as np
import torch
from torch import nn
from transformers import EncodecConfig, EncodecModel

from recipes.pocket.codec_loss import coherent_loss, reconstruction_loss
from recipes.pocket.corpus import as_float, load_audio, shards_present
from recipes.pocket.quantizer import TrainedQuantizer
from recipes.pocket.settings import Settings
from recipes.training import TrainingProgress, resume, save_pretrained_atomic, save_training_state
from tonearm.datasets.rendering.compose import FRAME_RATE
from tonearm.datasets.rendering.synthesizer import SAMPLE_RATE, SAMPLES_PER_FRAME

# the longest stride is outermost, since most of the time goes into the full rate
RATIOS = [2, 2, 4, 4, 10]
LATENTS = 128
GROWTH_RATE = 2e-3
WARM_UP_STEPS = 100


def build_codec(settings: Settings) -> EncodecModel:
    config = EncodecConfig(
        # EncodecConfig assumes 10 bits per codebook
        target_bandwidths=[settings.codebooks * FRAME_RATE * 10 / 1000],
        sampling_rate=SAMPLE_RATE,
        audio_channels=1,
        normalize=False,
        chunk_length_s=None,
        hidden_size=LATENTS,
        codebook_dim=LATENTS,
        codebook_size=settings.codebook_size,
        num_filters=settings.codec_filters,
        num_residual_layers=0,
        upsampling_ratios=RATIOS,
        num_lstm_layers=1,
        kernel_size=5,  # two frames on either side; each is 40 ms of lookahead when streaming
        use_conv_shortcut=False,
        use_causal_conv=False,
        norm_type="weight_norm",
        pad_mode="constant",
    )
    codec = EncodecModel(config)
    # With the library's initialisation the biases dominate the quiet input (-23 dBFS), and the
    # output stays one constant spectrum for thousands of steps. Zero biases, a louder first
    # convolution and a quieter last one avoid this.
    with torch.no_grad():
        for name, parameter in codec.named_parameters():
            if name.endswith("bias") and "lstm" not in name:
                parameter.zero_()
        codec.encoder.layers[0].conv.parametrizations.weight.original0.mul_(10)
        codec.decoder.layers[-1].conv.parametrizations.weight.original0.mul_(0.1)
    return codec


def outer_strides(codec: EncodecModel, strides: int) -> nn.Sequential:
    """Return the outermost `strides` strides of encoder and decoder, joined directly.

    It maps [B, 1, T] to [B, 1, T].
    """
    return nn.Sequential(
        *codec.encoder.layers[: 1 + 2 * strides], *codec.decoder.layers[-(2 + 2 * strides) :]
    )


class Crops:
    """Random crops of the training audio on the frame grid; silent ones are drawn again."""

    def __init__(self, corpus: Path, settings: Settings):
        self.shards = [load_audio(corpus, "train", i) for i in shards_present(corpus, "train")]
        self.settings = settings

    def draw(self, rng: np.random.Generator) -> torch.Tensor:
        """Return a batch of crops, [B, 1, frames * SAMPLES_PER_FRAME]."""
        return self.draw_with_positions(rng)[0]

    def draw_with_positions(
        self, rng: np.random.Generator
    ) -> tuple[torch.Tensor, list[tuple[int, int, int]]]:
        """Return a batch of crops, and shard, piece and first frame of each."""
        frames = self.settings.codec_frames
        crops, positions = [], []
        while len(crops) < self.settings.codec_batch:
            index = int(rng.integers(len(self.shards)))
            shard = self.shards[index]
            first = int(rng.integers(shard.shape[1] // SAMPLES_PER_FRAME - frames + 1))
            piece = int(rng.integers(len(shard)))
            samples = shard[piece, first * SAMPLES_PER_FRAME : (first + frames) * SAMPLES_PER_FRAME]
            crop = as_float(samples)
            if np.abs(crop).max() > 1e-3:
                crops.append(crop)
                positions.append((index, piece, first))
        return torch.from_numpy(np.stack(crops))[:, None], positions


@torch.no_grad()
def held_out_loss(codec: EncodecModel, corpus: Path, quantised: bool) -> float:
    """Return the reconstruction loss on held-out pieces, with or without the quantiser."""
    audio = as_float(load_audio(corpus, "held-out", 0)[:16, : 64 * SAMPLES_PER_FRAME])
    original = torch.from_numpy(audio)[:, None].to(codec.device)
    latents = codec.encoder(original)
    if quantised:
        latents = codec.quantizer.decode(codec.quantizer.encode(latents))
    return float(reconstruction_loss(codec.decoder(latents), original))


def learning_rate(settings: Settings, step: int) -> float:
    """Return the learning rate of a step.

    Linear decay per growth stage, then warm-up and a cosine to 2 %.
    """
    growth = settings.codec_growth * len(RATIOS)
    if step < growth:
        return GROWTH_RATE * (1 - 0.9 * (step % settings.codec_growth) / settings.codec_growth)
    warm = min(1.0, (step - growth + 1) / WARM_UP_STEPS)
    cosine = (1 + math.cos(math.pi * (step - growth) / (settings.codec_steps - growth))) / 2
    return settings.codec_rate * warm * (0.02 + 0.98 * cosine)


def train_codec(corpus: Path, out: Path, settings: Settings, device: str = "cpu") -> EncodecModel:
    """Train, or resume from `out/codec.pt`; write the finished codec to `out/codec/`.

    Args:
        corpus: folder of the rendered shards.
        out: folder of checkpoints.
        settings: sizes and steps.
        device: torch device.

    Returns:
        The trained codec.
    """
    torch.manual_seed(settings.seed)
    codec = build_codec(settings).to(device)
    quantizer = TrainedQuantizer(codec)
    optimizer = torch.optim.AdamW(
        codec.parameters(), lr=settings.codec_rate, betas=(0.8, 0.99), weight_decay=1e-3, fused=True
    )
    growth = settings.codec_growth * len(RATIOS)
    plain = growth + settings.codec_plain
    checkpoint = out / "codec.pt"
    first = resume(checkpoint, codec, optimizer, device)
    crops, progress = Crops(corpus, settings), TrainingProgress()
    for step in range(first, settings.codec_steps):
        # The batch is a function of the step, so that a resumed run draws the same batches.
        original = crops.draw(np.random.default_rng((settings.seed, 1, step))).to(device)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        if step == plain:
            with torch.no_grad():
                draws = [
                    crops.draw(np.random.default_rng((settings.seed, 2, i))).to(device)
                    for i in range(200)
                ]
                quantizer.initialise(
                    torch.cat(
                        [codec.encoder(x).transpose(1, 2).reshape(-1, LATENTS) for x in draws]
                    )
                )
        commitment, used = torch.zeros((), device=device), 0.0
        if step < growth:
            loss = coherent_loss(
                outer_strides(codec, 1 + step // settings.codec_growth)(original), original
            )
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
                f"codes used {used:.2f}, {progress.pace}",
                flush=True,
            )
            save_training_state(checkpoint, codec, optimizer, step + 1)
    save_pretrained_atomic(codec, out / "codec")
    return codec
