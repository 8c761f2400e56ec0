"""Engines: decoding of requests and reading of activations.

decoder    Tonearm's own forward pass and loop (decoder.py, decode_loop.py): the default
reference  transformers' generate() with hooks (reference.py): slow and plain, the oracle
"""

from collections.abc import Iterator
from typing import ClassVar, Protocol

import torch

from tonearm import boundary
from tonearm.backend import ModelShape, Taps
from tonearm.errors import TonearmError
from tonearm.musicgen import reference
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.completed_rows import CompletedRows
from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.delay import delay, whole_columns
from tonearm.musicgen.self_check import check_reference
from tonearm.progress import Progress


class Engine(Protocol):
    """Decodes batches. `uniform_batches`: one window, and rows of one length."""

    name: ClassVar[str]
    uniform_batches: ClassVar[bool]

    @property
    def checkpoint(self) -> Checkpoint: ...

    def decode(
        self, request: DecodeRequest, progress: Progress | None = None, read: Taps | None = None
    ) -> torch.Tensor:
        """Codes int64 [B, K, T], on the CPU.

        `read` adds taps that see the activations as steered.
        """
        ...

    def rows(
        self, request: DecodeRequest, progress: Progress | None = None
    ) -> Iterator[CompletedRows]:
        """Rows of equal length, as soon as they are complete."""
        ...

    def read(
        self, conditioning: Conditioning, taps: Taps, codes: torch.Tensor | None = None
    ) -> None:
        """One forward pass over the conditioning, BOS and given codes (teacher forcing), for taps.

        Args:
            conditioning: B rows.
            taps: called once per site and layer.
            codes: [B, K, T], delayed as in decoding; default: none, so that BOS is the only code
                position.
        """
        ...

    def release(self) -> bool:
        """Free the memory that is kept for later batches; return whether there was any."""
        ...


def forced_tokens(
    checkpoint: Checkpoint, conditioning: Conditioning, codes: torch.Tensor | None
) -> torch.Tensor:
    """Decoder tokens [B, K, P] of given codes [B, K, T] (P = 1 + T + delay), or of BOS alone (P =
    1).
    """
    shape = checkpoint.shape
    if codes is None:
        size = (conditioning.rows, shape.codebooks, 1)
        return torch.full(size, checkpoint.bos, device=checkpoint.device)
    return delay(codes.to(checkpoint.device), checkpoint.bos, shape.channels)


def whole_positions(shape: ModelShape, frames: int) -> range:
    """Code positions of a teacher-forced pass whose column has a code of every codebook.

    Codebook k of the column at position p belongs to frame p - 1 - lag(k). The first of these
    positions, 1 + delay, completes frame 0. The last one is T, for T frames: it has read codebook 0
    of the last frame and all codebooks of frame T - 1 - delay, and an audio prompt of T frames is
    continued from it. Before and after them, some codebooks of the column are BOS, as at no
    position within a clip.
    """
    return whole_columns(frames, shape.codebooks, shape.channels)


class ReferenceEngine:
    """transformers' generate() with hooks, one call at a time per checkpoint.

    Args:
        checkpoint: to decode.
        self_check: compare this engine with the decoder at the checkpoint's first use.
    """

    name: ClassVar[str] = "reference"
    uniform_batches: ClassVar[bool] = True

    def __init__(self, checkpoint: Checkpoint, self_check: bool = False):
        if checkpoint.int8:
            raise TonearmError(
                "engine reference has no int8; use engine decoder, or dtype float32 or bfloat16"
            )
        checkpoint.check_whole()
        self.checkpoint, self.self_check = checkpoint, self_check

    def decode(
        self, request: DecodeRequest, progress: Progress | None = None, read: Taps | None = None
    ) -> torch.Tensor:
        # hooks on the shared modules would act on the takes of other threads
        with self.checkpoint.lock:
            self._check()
            return reference.decode(self.checkpoint, request, progress, read)

    def rows(
        self, request: DecodeRequest, progress: Progress | None = None
    ) -> Iterator[CompletedRows]:
        with self.checkpoint.lock:
            self._check()
            completed = reference.decode_rows(self.checkpoint, request, progress)
        yield completed

    def read(
        self, conditioning: Conditioning, taps: Taps, codes: torch.Tensor | None = None
    ) -> None:
        tokens = forced_tokens(self.checkpoint, conditioning, codes)
        with self.checkpoint.lock:
            self._check()
            reference.read(self.checkpoint, conditioning, tokens, taps)

    def release(self) -> bool:
        return False

    def _check(self) -> None:
        if self.self_check:
            check_reference(self.checkpoint)


class DecoderEngine:
    """Packs the weights when it is made, so that threads can share it from the first take on.

    Args:
        checkpoint: to decode.
        consume: free the checkpoint's own decoder weights; no other engine can use it afterwards.
    """

    name: ClassVar[str] = "decoder"
    uniform_batches: ClassVar[bool] = False

    def __init__(self, checkpoint: Checkpoint, consume: bool = False):
        self.checkpoint = checkpoint
        self.decoder = Decoder(checkpoint, consume)

    def decode(
        self, request: DecodeRequest, progress: Progress | None = None, read: Taps | None = None
    ) -> torch.Tensor:
        decoding = Decoding(self.decoder, request, read)
        assert decoding.end is not None
        for frames in decoding:
            if progress:
                progress(frames, decoding.end)
        return decoding.codes.cpu()

    def rows(
        self, request: DecodeRequest, progress: Progress | None = None
    ) -> Iterator[CompletedRows]:
        return Decoding(self.decoder, request).rows(progress)

    def read(
        self, conditioning: Conditioning, taps: Taps, codes: torch.Tensor | None = None
    ) -> None:
        tokens = forced_tokens(self.checkpoint, conditioning, codes)
        self.decoder.begin(conditioning, tokens.shape[-1]).forward(tokens, taps)

    def release(self) -> bool:
        return self.decoder.pool.release()


ENGINES = (DecoderEngine.name, ReferenceEngine.name)
DEFAULT_ENGINE = DecoderEngine.name


def engine_for(checkpoint: Checkpoint, name: str = DEFAULT_ENGINE, consume: bool = False) -> Engine:
    """Make the engine of this name. Raises TonearmError for an unknown name."""
    check_engine(name)
    if name == DecoderEngine.name:
        return DecoderEngine(checkpoint, consume)
    return ReferenceEngine(checkpoint, self_check=True)


def check_engine(name: str) -> str:
    if boundary.text(name, "engine") not in ENGINES:
        raise TonearmError(f"engine {name!r} is not known; use one of {', '.join(ENGINES)}")
    return name
