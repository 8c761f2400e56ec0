"""Poolings: the positions of a sequence whose activations become rows.

    pooling  positions                                                     rows   checkpoints
    eos      the text's EOS in the prefix (Facchiano et al. 2025, 3.1)     1      prefix only
    first    code position 0, where the first frame is decided             1      all
    last     the last code position                                        1      all
    mean     mean over all code positions                                  1      all
    frames   every EVERY_FRAMES-th code position                           many   all

Rows are those of the conditional branch; text padding never counts. A pooling reads the forward
passes of one decoding or of one teacher-forced pass alike.

Shapes: B examples; S positions of a call; D width; n rows.
"""

from collections.abc import Callable
from typing import ClassVar, Protocol

import torch

from tonearm.backend import Span
from tonearm.errors import TonearmError
from tonearm.musicgen.conditioning import Conditioning

EVERY_FRAMES = 25  # half a second at 50 frames per second


class Pool(Protocol):
    """Accumulates the activations of one layer over the forward passes of a batch; a tap."""

    needs_codes: ClassVar[bool]  # music has to be generated or given
    needs_prefix: ClassVar[bool]  # the text has to be in the prefix

    def __call__(self, h: torch.Tensor, span: Span) -> None:
        """Add the activations h [R, S, D] of one call."""
        ...

    def rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows float32 [n, D] and the index of each row's example, int64 [n], on the CPU."""
        ...


class _OneRow:
    """Base of poolings with one row per example."""

    needs_codes: ClassVar[bool] = True
    needs_prefix: ClassVar[bool] = False

    def __init__(self, conditioning: Conditioning):
        self.conditioning = conditioning
        self.total: torch.Tensor | None = None
        self.count = 1

    def rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        assert self.total is not None, "the tap was never reached"
        return (self.total / self.count).cpu(), torch.arange(len(self.total))

    def conditional(self, h: torch.Tensor) -> torch.Tensor:
        return self.conditioning.conditional(h).float()


class EosPool(_OneRow):
    needs_codes: ClassVar[bool] = False
    needs_prefix: ClassVar[bool] = True

    def __call__(self, h: torch.Tensor, span: Span) -> None:
        if span.prefix:
            self.total = self.conditioning.at_eos(self.conditional(h))


class FirstPool(_OneRow):
    needs_codes: ClassVar[bool] = False

    def __call__(self, h: torch.Tensor, span: Span) -> None:
        if span.first == 0:
            self.total = self.conditional(h)[:, span.prefix]


class LastPool(_OneRow):
    def __call__(self, h: torch.Tensor, span: Span) -> None:
        self.total = self.conditional(h)[:, -1]


class MeanPool(_OneRow):
    def __call__(self, h: torch.Tensor, span: Span) -> None:
        codes = self.conditional(h)[:, span.prefix :]
        if span.first == 0:  # generate() runs its first step twice on cross-attention checkpoints
            self.total, self.count = None, 0
        added = codes.sum(1)
        self.total = added if self.total is None else self.total + added
        self.count += codes.shape[1]


class FramesPool:
    needs_codes: ClassVar[bool] = True
    needs_prefix: ClassVar[bool] = False

    def __init__(self, conditioning: Conditioning):
        self.conditioning = conditioning
        self.kept: list[torch.Tensor] = []  # [B, D] each

    def __call__(self, h: torch.Tensor, span: Span) -> None:
        if span.first == 0:
            self.kept = []
        codes = self.conditioning.conditional(h)[:, span.prefix :].float()
        for offset, position in enumerate(span.code_positions):
            if position % EVERY_FRAMES == 0:
                self.kept.append(codes[:, offset].cpu())

    def rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        assert self.kept, "the tap was never reached"
        examples = torch.arange(self.conditioning.rows).repeat(len(self.kept))
        return torch.cat(self.kept), examples


POOLINGS: dict[str, Callable[[Conditioning], Pool]] = {
    "eos": EosPool,
    "first": FirstPool,
    "last": LastPool,
    "mean": MeanPool,
    "frames": FramesPool,
}


def check_pooling(name: str) -> type[Pool]:
    """The pooling of this name. Raises TonearmError for an unknown one."""
    if name not in POOLINGS:
        raise TonearmError(f"pooling {name!r} is not known; use one of {', '.join(POOLINGS)}")
    return POOLINGS[name]  # type: ignore[return-value]
