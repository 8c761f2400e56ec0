"""Stage 2, audio -> EnCodec: trained as a plain autoencoder first, then with its quantiser.

A quantiser trained from scratch collapses. So: (1) no quantiser for the first part of the steps; (2) k-means, book by book
on the residual, over a buffer of latents; (3) straight-through estimation with codebooks that follow by exponential
moving average, dead codes restarted from the batch.
"""

import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import EncodecConfig, EncodecModel

from recipes.pocket.compose import FRAME_RATE
from recipes.pocket.corpus import load_audio, shards_present
from recipes.pocket.render import SAMPLE_RATE, SAMPLES_PER_FRAME
from recipes.pocket.settings import Settings
from tonearm.files import write_aside

EMA_DECAY = 0.99
STFT_SIZES = (128, 512, 2048)
COMPLEX_STFT_SIZE = 512


def build_codec(settings: Settings) -> EncodecModel:
    config = EncodecConfig(
        target_bandwidths=[settings.codebooks * FRAME_RATE * 10 / 1000],  # EncodecConfig counts 10 bits a book
        sampling_rate=SAMPLE_RATE, audio_channels=1, normalize=False, chunk_length_s=None,
        hidden_size=128, codebook_dim=128, codebook_size=settings.codebook_size,
        num_filters=settings.codec_filters, num_residual_layers=settings.codec_residual_layers,
        upsampling_ratios=[4, 4, 5, 8],  # the full rate is left by the longest stride: steps are cheap
        num_lstm_layers=1, use_conv_shortcut=False, use_causal_conv=False, norm_type="weight_norm",
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


class TrainedQuantizer:
    """The training-time side of EnCodec's residual quantiser: k-means start, EMA, straight-through."""

    def __init__(self, codec: EncodecModel):
        self.books = [layer.codebook for layer in codec.quantizer.layers]

    @torch.no_grad()
    def start(self, latents: torch.Tensor, rounds: int = 12) -> None:
        """k-means on latents [N, D], book by book on what the books before left over."""
        residual = latents.clone()
        for book in self.books:
            centres = residual[torch.randperm(len(residual))[: book.codebook_size]].clone()
            for _ in range(rounds):
                nearest = torch.cdist(residual, centres).argmin(1)
                counts = torch.bincount(nearest, minlength=len(centres)).clamp(min=1)
                sums = torch.zeros_like(centres).index_add_(0, nearest, residual)
                occupied = torch.bincount(nearest, minlength=len(centres)) > 0
                centres[occupied] = (sums / counts[:, None])[occupied]
                centres[~occupied] = residual[torch.randint(len(residual), (int((~occupied).sum()),))]
            book.embed.copy_(centres)
            book.embed_avg.copy_(centres)
            book.cluster_size.fill_(1.0)
            residual = residual - centres[torch.cdist(residual, centres).argmin(1)]

    def __call__(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Latents [B, D, T] -> quantised (straight-through), commitment loss, share of codes in use."""
        flat = latents.detach().transpose(1, 2).reshape(-1, latents.shape[1])
        residual, total, used = flat, torch.zeros_like(flat), []
        for book in self.books:
            codes = book.quantize(residual)
            chosen = F.embedding(codes, book.embed)
            self._follow(book, codes, residual)
            used.append(float((book.cluster_size > 0.05).float().mean()))
            total, residual = total + chosen, residual - chosen
        quantised = total.view(latents.shape[0], -1, latents.shape[1]).transpose(1, 2)
        commitment = F.mse_loss(latents, quantised)
        return latents + (quantised - latents).detach(), commitment, float(np.mean(used))

    @torch.no_grad()
    def _follow(self, book, codes: torch.Tensor, residual: torch.Tensor) -> None:
        counts = torch.bincount(codes, minlength=book.codebook_size).float()
        sums = torch.zeros_like(book.embed).index_add_(0, codes, residual)
        book.cluster_size.mul_(EMA_DECAY).add_(counts, alpha=1 - EMA_DECAY)
        book.embed_avg.mul_(EMA_DECAY).add_(sums, alpha=1 - EMA_DECAY)
        book.embed.copy_(book.embed_avg / book.cluster_size.clamp(min=1e-5)[:, None])
        dead = book.cluster_size < 0.01
        if dead.any():
            fresh = residual[torch.randint(len(residual), (int(dead.sum()),), device=residual.device)]
            book.embed[dead] = fresh
            book.embed_avg[dead] = fresh
            book.cluster_size[dead] = 1.0


def reconstruction_loss(decoded: torch.Tensor, original: torch.Tensor) -> torch.Tensor:
    """Log and linear magnitudes at three resolutions, the complex spectrum at one, and the waveform; [B, 1, T].

    Both sides are divided by the original's level, so that soft clips count as much as loud ones.
    """
    level = original.pow(2).mean(-1, keepdim=True).sqrt() + 1e-3
    decoded, original = (decoded / level).squeeze(1), (original / level).squeeze(1)
    loss = 0.5 * (decoded - original).abs().mean()
    for size in STFT_SIZES:
        window = torch.hann_window(size, device=decoded.device)
        both = torch.stft(
            torch.cat([decoded, original]),
            size,
            size // 4,
            window=window,
            center=False,
            normalized=True,
            return_complex=True,
        )
        ours, theirs = torch.view_as_real(both).pow(2).sum(-1).add(1e-8).sqrt().chunk(2)
        loss = loss + ((ours + 1e-2).log() - (theirs + 1e-2).log()).abs().mean() + (ours - theirs).abs().mean()
        if size == COMPLEX_STFT_SIZE:
            ours, theirs = torch.view_as_real(both).chunk(2)
            loss = loss + (ours - theirs).abs().mean()
    return loss


class Crops:
    """Random crops of the training audio, [B, 1, frames * SAMPLES_PER_FRAME]; silent ones are drawn again."""

    def __init__(self, corpus: Path, settings: Settings):
        self.shards = [load_audio(corpus, "train", i) for i in shards_present(corpus, "train")]
        self.settings = settings

    def draw(self, rng: np.random.Generator) -> torch.Tensor:
        length = self.settings.codec_frames * SAMPLES_PER_FRAME
        crops = []
        while len(crops) < self.settings.codec_batch:
            shard = self.shards[rng.integers(len(self.shards))]
            start = rng.integers(shard.shape[1] - length)
            crop = shard[rng.integers(len(shard)), start : start + length].astype(np.float32) / 32768
            if np.abs(crop).max() > 1e-3:
                crops.append(crop)
        return torch.from_numpy(np.stack(crops))[:, None]


@torch.no_grad()
def held_out_loss(codec: EncodecModel, corpus: Path, quantised: bool) -> float:
    audio = load_audio(corpus, "held-out", 0)[:16, : 64 * SAMPLES_PER_FRAME].astype(np.float32) / 32768
    original = torch.from_numpy(audio)[:, None].to(codec.device)
    latents = codec.encoder(original)
    if quantised:
        latents = codec.quantizer.decode(codec.quantizer.encode(latents))
    return float(reconstruction_loss(codec.decoder(latents), original))


def train_codec(corpus: Path, out: Path, settings: Settings, device: str = "cpu") -> EncodecModel:
    """Train, or take up again where `out/codec.pt` stopped; the finished codec lies in `out/codec/`."""
    torch.manual_seed(settings.seed)
    codec = build_codec(settings).to(device)
    quantizer = TrainedQuantizer(codec)
    optimizer = torch.optim.AdamW(
        codec.parameters(), lr=settings.codec_rate, betas=(0.8, 0.99), weight_decay=1e-3, fused=True
    )
    plain_steps = int(settings.codec_plain * settings.codec_steps)
    checkpoint, first = out / "codec.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        codec.load_state_dict(state["codec"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    crops, began, running = Crops(corpus, settings), time.time(), None
    for step in range(first, settings.codec_steps):
        # The batch is a function of the step, so that a run taken up again sees what it would have seen.
        original = crops.draw(np.random.default_rng((settings.seed, 1, step))).to(device)
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 200)
            cosine = (1 + math.cos(math.pi * step / settings.codec_steps)) / 2
            group["lr"] = settings.codec_rate * warm * (0.02 + 0.98 * cosine)
        if step == plain_steps:
            with torch.no_grad():
                draws = [crops.draw(np.random.default_rng((settings.seed, 2, i))).to(device) for i in range(200)]
                buffer = torch.cat([codec.encoder(x).transpose(1, 2).reshape(-1, 128) for x in draws])
            quantizer.start(buffer)
        latents = codec.encoder(original)
        commitment, used = torch.zeros((), device=device), 0.0
        if step >= plain_steps:
            latents, commitment, used = quantizer(latents)
        loss = reconstruction_loss(codec.decoder(latents), original)
        optimizer.zero_grad(set_to_none=True)
        (loss + 0.25 * commitment).backward()
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        optimizer.step()
        value = float(loss.detach())
        running = value if running is None else 0.98 * running + 0.02 * value
        if (step + 1) % settings.checkpoint_every == 0:
            held_out = held_out_loss(codec, corpus, step >= plain_steps)
            pace = (time.time() - began) / (step + 1 - first)
            print(
                f"codec step {step + 1}: train {running:.3f} held-out {held_out:.3f} "
                f"codes used {used:.2f}, {pace:.3f} s a step", flush=True
            )  # fmt: skip
            with write_aside(checkpoint) as aside:
                torch.save({"codec": codec.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}, aside)
    aside = out / "codec.part"
    codec.save_pretrained(aside)
    aside.rename(out / "codec")  # whole, or not there
    return codec
