"""Stage 3b: train the codec's decoder further, while encoder and codes are fixed.

It gets one residual block per stride.

The language model learns codes, so their decoder can be improved at any time. EncodecModel has as
many residual blocks in its encoder; those are zero and stay zero.
"""

import math
from pathlib import Path

import numpy as np
import torch
from transformers import EncodecConfig, EncodecModel
from transformers.models.encodec.modeling_encodec import EncodecResnetBlock

from recipes.pocket.codec import Crops
from recipes.pocket.codec_loss import finetune_loss
from recipes.pocket.codec_metrics import centroid_error, reconstruct
from recipes.pocket.corpus import as_float, load_audio, shards_present
from recipes.pocket.encode import codes_path
from recipes.pocket.evaluate import chroma_correlation
from recipes.pocket.settings import Settings
from recipes.training import TrainingProgress, resume, save_pretrained_atomic, save_training_state
from tonearm.audio import Clip
from tonearm.datasets.rendering.synthesizer import SAMPLE_RATE

WARM_UP_STEPS = 50
FIRST_GAIN = 1e-3  # of the decoder's new blocks


def deepen(codec: EncodecModel) -> EncodecModel:
    """Return the codec with one residual block per stride.

    The blocks are zero in the encoder, nearly zero in the decoder.
    """
    # A wider kernel adds 40 ms of lookahead in streaming.
    changes = {"num_residual_layers": 1, "residual_kernel_size": 1}
    deep = EncodecModel(EncodecConfig.from_dict({**codec.config.to_dict(), **changes}))
    deep.quantizer.load_state_dict(codec.quantizer.state_dict())
    for old, new, gain in (
        (codec.encoder, deep.encoder, 0.0),
        (codec.decoder, deep.decoder, FIRST_GAIN),
    ):
        kept = [layer for layer in new.layers if not isinstance(layer, EncodecResnetBlock)]
        for ours, theirs in zip(kept, old.layers, strict=True):
            ours.load_state_dict(theirs.state_dict())
        with torch.no_grad():
            for layer in new.layers:
                if isinstance(layer, EncodecResnetBlock):
                    last = layer.block[-1].conv
                    last.parametrizations.weight.original0.fill_(gain)
                    last.bias.zero_()
    return deep


class CodedCrops:
    """Crops of the training audio with their codes."""

    def __init__(self, corpus: Path, out: Path, settings: Settings):
        self.crops, self.frames = Crops(corpus, settings), settings.codec_frames
        self.codes = [np.load(codes_path(out, "train", i)) for i in shards_present(corpus, "train")]

    def draw(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return samples [B, 1, frames * SAMPLES_PER_FRAME] and codes [K, B, frames]."""
        samples, positions = self.crops.draw_with_positions(rng)
        codes = [
            self.codes[shard][piece, :, first : first + self.frames]
            for shard, piece, first in positions
        ]
        return samples, torch.from_numpy(np.stack(codes, 1).astype(np.int64))


def learning_rate(settings: Settings, step: int) -> float:
    """Return the learning rate of a step: warm-up, then a cosine to 3 %."""
    cosine = (1 + math.cos(math.pi * step / settings.codec_finetune_steps)) / 2
    return (
        settings.codec_finetune_rate * min(1.0, (step + 1) / WARM_UP_STEPS) * (0.03 + 0.97 * cosine)
    )


def finetune_codec(
    corpus: Path, out: Path, settings: Settings, device: str = "cpu"
) -> EncodecModel:
    """Train, or resume from `out/codec_finetune.pt`; write to `out/codec_finetuned/`.

    Args:
        corpus: folder of the rendered shards.
        out: folder of checkpoints, with `codec/` and `codes/`.
        settings: sizes and steps.
        device: torch device.

    Returns:
        The trained codec.
    """
    torch.manual_seed(settings.seed)
    codec = deepen(EncodecModel.from_pretrained(out / "codec")).to(device)
    codec.requires_grad_(False)
    codec.decoder.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        codec.decoder.parameters(),
        lr=settings.codec_finetune_rate,
        betas=(0.8, 0.99),
        weight_decay=1e-3,
        fused=True,
    )
    checkpoint = out / "codec_finetune.pt"
    first = resume(checkpoint, codec, optimizer, device)
    crops, progress = CodedCrops(corpus, out, settings), TrainingProgress()
    codec.train()
    for step in range(first, settings.codec_finetune_steps):
        rng = np.random.default_rng((settings.seed, 6, step))
        original, codes = (x.to(device) for x in crops.draw(rng))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        loss = finetune_loss(codec.decoder(codec.quantizer.decode(codes)), original, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(codec.decoder.parameters(), 1.0)
        optimizer.step()
        progress.step(loss)
        if (step + 1) % settings.checkpoint_every == 0:
            held_out = evaluate_held_out(codec, corpus)
            print(
                f"codec_finetune step {step + 1}: train {progress.loss:.3f} "
                f"held-out {held_out}, {progress.pace}",
                flush=True,
            )
            save_training_state(checkpoint, codec, optimizer, step + 1)
    save_pretrained_atomic(codec, out / "codec_finetuned")
    return codec


def evaluate_held_out(codec: EncodecModel, corpus: Path, pieces: int = 12) -> str:
    """Return chroma correlation and centroid error of a few held-out pieces, as text."""
    codec.eval()
    audio = as_float(load_audio(corpus, "held-out", 0)[:pieces])
    originals = [Clip(samples, SAMPLE_RATE) for samples in audio]
    pairs = [(original, reconstruct(codec, original)) for original in originals]
    codec.train()
    chroma = np.mean([chroma_correlation(*pair) for pair in pairs])
    error = np.median([centroid_error(*pair) for pair in pairs])
    return f"chroma {chroma:.3f}, centroid error {error:.1%}"
