"""Interface between steering and a model: its numbers, its sites, and the taps at them.

Shapes: B batch rows; R forward rows (B, or 2 B with classifier-free guidance); S positions; D
width.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from tonearm.errors import TonearmError

Site = Literal["residual", "attention", "cross_attention", "heads"]
SITES: tuple[Site, ...] = ("residual", "attention", "cross_attention", "heads")


@dataclass(frozen=True)
class ModelShape:
    """Numbers of a checkpoint, apart from its weights.

    `name` is the name that the user gave, `fingerprint` identifies the weights. `layer_count`
    blocks of `width`, with `heads` attention heads and `ffn_width` in the feed-forward network.
    `codebooks` counts those of all `channels`, each of `codebook_size` entries. `frame_rate` counts
    frames (columns of codes) per second; `delay_frames` is the lag of the last codebook behind the
    first. `window_seconds` is the longest clip that is decoded at once. `prefix_positions` counts
    the positions before the text in the prefix of prefix checkpoints (`text_in_prefix`). `guidance`
    and `temperature` are the checkpoint's own sampling defaults. `vectors` maps the names of
    bundled steering vectors to their files.
    """

    name: str
    fingerprint: str
    licence: str
    layer_count: int
    width: int
    heads: int
    ffn_width: int
    sites: tuple[Site, ...]
    codebooks: int
    codebook_size: int
    channels: int
    sample_rate: int
    frame_rate: int
    delay_frames: int
    window_seconds: float
    text_in_prefix: bool
    prefix_positions: int
    default_pooling: str
    melody_trained: bool
    guidance: float
    temperature: float
    vectors: Mapping[str, Path] = field(default_factory=dict)

    @property
    def window_frames(self) -> int:
        """Frames of the longest clip that is decoded at once."""
        return round(self.window_seconds * self.frame_rate)

    @property
    def min_frames(self) -> int:
        """Shortest clip that fills every delayed codebook."""
        return max(1, self.codebooks // self.channels - 1)

    @property
    def public_name(self) -> str:
        """Name to write in files: of a local folder, its last part only."""
        path = Path(self.name)
        return path.resolve().name if path.is_dir() or path.is_absolute() else self.name

    def heads_at(self, site: Site) -> int | None:
        """Attention heads whose outputs an activation holds one after the other; None where it
        holds none.
        """
        return self.heads if site == "heads" else None

    def check_site(self, site: str) -> None:
        """Raise TonearmError unless the checkpoint has this site."""
        if site not in self.sites:
            raise TonearmError(
                f"{self.name} has no site {site!r}; use one of {', '.join(self.sites)}"
            )


@dataclass(frozen=True)
class Span:
    """Positions of one forward call.

    `prefix` text positions (first call of prefix checkpoints only), then code positions `first`,
    `first + 1`, ...; `length` counts both. Code position p decides codebook 0 of frame p.
    """

    prefix: int
    first: int
    length: int

    @property
    def code_positions(self) -> range:
        return range(self.first, self.first + self.length - self.prefix)


Tap = Callable[[torch.Tensor, Span], torch.Tensor | None]
"""Called with activations [R, S, D] and their Span; returns their replacement, or None to keep them."""

Taps = Mapping[tuple[Site, int], Sequence[Tap]]  # by site and layer


def run_taps(taps: Sequence[Tap], h: torch.Tensor, span: Span) -> torch.Tensor:
    """Apply taps to activations h [R, S, D], one after the other."""
    for tap in taps:
        changed = tap(h, span)
        h = h if changed is None else changed
    return h
