"""Stage 3b, codes and audio -> the codec's decoder once more, deeper, while encoder and codes stay as they are.

What the language model learns is codes, so that their decoder can be made better at any time. It gets a residual block behind each
stride. An EncodecModel has as many in its encoder: those are nothing, and stay so.
"""

import math
from pathlib import Path

import numpy as np
import torch
from transformers import EncodecConfig, EncodecModel
from transformers.models.encodec.modeling_encodec import EncodecResnetBlock

from recipes.pocket.codec import Crops
from recipes.pocket.codec_loss import polishing_loss
from recipes.pocket.codec_metrics import centroid_error, through
from recipes.pocket.corpus import as_float, load_audio, shards_present
from recipes.pocket.encode import codes_path
from recipes.pocket.evaluate import chroma_correlation
from recipes.pocket.render import SAMPLE_RATE
from recipes.pocket.settings import Settings
from recipes.training import Progress, keep, save_whole, take_up
from tonearm.audio import Clip

WARM_STEPS = 50
FIRST_GAIN = 1e-3  # of the decoder's new blocks


def deepened(codec: EncodecModel) -> EncodecModel:
    """The codec with a residual block a stride: the encoder's add nothing, the decoder's next to nothing."""
    # A wider kernel looks 40 ms further ahead in streaming.
    changes = {"num_residual_layers": 1, "residual_kernel_size": 1}
    deep = EncodecModel(EncodecConfig.from_dict({**codec.config.to_dict(), **changes}))
    deep.quantizer.load_state_dict(codec.quantizer.state_dict())
    for old, new, gain in ((codec.encoder, deep.encoder, 0.0), (codec.decoder, deep.decoder, FIRST_GAIN)):
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
        """Samples [B, 1, frames * SAMPLES_PER_FRAME] and codes [K, B, frames]."""
        samples, places = self.crops.draw_placed(rng)
        codes = [self.codes[shard][piece, :, first : first + self.frames] for shard, piece, first in places]
        return samples, torch.from_numpy(np.stack(codes, 1).astype(np.int64))


def learning_rate(settings: Settings, step: int) -> float:
    """A short warm-up, and a cosine down to three hundredths."""
    cosine = (1 + math.cos(math.pi * step / settings.polish_steps)) / 2
    return settings.polish_rate * min(1.0, (step + 1) / WARM_STEPS) * (0.03 + 0.97 * cosine)


def polish(corpus: Path, out: Path, settings: Settings, device: str = "cpu") -> EncodecModel:
    """Train, or take up again where `out/polish.pt` stopped; the finished codec lies in `out/polished/`."""
    torch.manual_seed(settings.seed)
    codec = deepened(EncodecModel.from_pretrained(out / "codec")).to(device)
    codec.requires_grad_(False)
    codec.decoder.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        codec.decoder.parameters(), lr=settings.polish_rate, betas=(0.8, 0.99), weight_decay=1e-3, fused=True
    )
    checkpoint = out / "polish.pt"
    first = take_up(checkpoint, codec, optimizer, device)
    crops, progress = CodedCrops(corpus, out, settings), Progress()
    codec.train()
    for step in range(first, settings.polish_steps):
        rng = np.random.default_rng((settings.seed, 6, step))
        original, codes = (x.to(device) for x in crops.draw(rng))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings, step)
        loss = polishing_loss(codec.decoder(codec.quantizer.decode(codes)), original, rng)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(codec.decoder.parameters(), 1.0)
        optimizer.step()
        progress.step(loss)
        if (step + 1) % settings.checkpoint_every == 0:
            heard = watch(codec, corpus)
            print(f"polish step {step + 1}: train {progress.loss:.3f} held-out {heard}, {progress.pace}", flush=True)
            keep(checkpoint, codec, optimizer, step + 1)
    save_whole(codec, out / "polished")
    return codec


def watch(codec: EncodecModel, corpus: Path, pieces: int = 12) -> str:
    """Chroma and centroid of a few held-out pieces."""
    codec.eval()
    audio = as_float(load_audio(corpus, "held-out", 0)[:pieces])
    originals = [Clip(samples, SAMPLE_RATE) for samples in audio]
    pairs = [(original, through(codec, original)) for original in originals]
    codec.train()
    chroma = np.mean([chroma_correlation(*pair) for pair in pairs])
    return f"chroma {chroma:.3f}, centroid off by {np.median([centroid_error(*pair) for pair in pairs]):.1%}"
