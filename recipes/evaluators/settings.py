"""Settings of a run: `CPU` made the bundled evaluators, `MINIATURE` is for tests."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    seed: int = 0
    clips_per_shard: int = 125
    performances: int = (
        16  # training shards of pocket's pieces in free performance: both evaluators
    )
    pieces: int = 12  # training shards of pocket's pieces as composed: the beat tracker
    grooves: int = 24  # training shards of free rhythms: the beat tracker
    held_out: int = 2  # shards of each kind
    frames: int = 300  # of 40 ms, 12 s; training draws windows of 10 s

    clap_width: int = 96
    clap_text_width: int = 128
    embedding: int = 128  # width; Fréchet distances use it too
    clap_steps: int = 4_200
    clap_batch: int = 32
    clap_rate: float = 1e-3

    beat_width: int = 128
    beat_layers: int = 3
    beat_stem: int = 16
    beat_steps: int = 7_750
    beat_batch: int = 8  # pieces of 10 s
    beat_rate: float = 1.5e-3

    checkpoint_every: int = 250  # steps


CPU = Settings()
MINIATURE = Settings(
    clips_per_shard=4,
    performances=1,
    pieces=1,
    grooves=1,
    held_out=1,
    frames=275,
    clap_width=32,
    clap_text_width=32,
    embedding=32,
    clap_steps=3,
    clap_batch=4,
    beat_width=32,
    beat_layers=1,
    beat_stem=8,
    beat_steps=3,
    beat_batch=2,
    checkpoint_every=2,
)
PRESETS = {"cpu": CPU, "miniature": MINIATURE}
