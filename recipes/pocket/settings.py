"""Settings of a run: `CPU` for two cores, `GPU` for one large GPU.

LOG.md describes how the bundled weights were trained.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    seed: int = 0
    train_shards: int = 60  # of 500 clips of 10.24 s
    held_out_shards: int = 1

    codec_growth: int = 250  # steps per stride, from the outside in
    codec_steps: int = 16_400  # growth is part of it
    codec_plain: int = 4_250  # steps after growth before the quantiser is switched on
    codec_batch: int = 4
    codec_frames: int = 32  # crop, 1.28 s
    codec_rate: float = 1e-3
    codec_filters: int = 16
    codebooks: int = 6
    codebook_size: int = 512
    codec_finetune_steps: int = 15_500
    codec_finetune_rate: float = 2e-3

    width: int = 256
    first_layers: int = 6  # of the decoder, until step `decoder_growth_step`
    layers: int = 9
    heads: int = 8  # of width 32; many, since initial.py gives each its own lookback distance
    text_width: int = 128
    text_layers: int = 2
    text_steps: int = 1_000
    text_batch: int = 192
    text_rate: float = 2e-3
    text_tokens: int = 24  # length of the text, padded on the left
    decoder_steps: int = 28_500
    decoder_growth_step: int = 15_750
    decoder_batch: int = 12
    decoder_rate: float = 1e-3
    guidance_dropout: float = 0.15
    robust_steps: int = 2_400
    robust_rate: float = 3e-4
    checkpoint_every: int = 250  # steps


CPU = Settings()
GPU = Settings(
    train_shards=240,
    codec_steps=60_000,
    codec_batch=32,
    codec_finetune_steps=40_000,
    width=384,
    first_layers=8,
    layers=12,
    heads=12,
    decoder_steps=60_000,
    decoder_growth_step=40_000,
    decoder_batch=64,
    decoder_rate=6e-4,
)
PRESETS = {"cpu": CPU, "gpu": GPU}
