"""The engines behind one face: what decodes requests and reads activations.

decoder    Tonearm's own forward pass and loop (decoder.py, decoding.py): the default
reference  transformers' generate() with hooks (reference.py): slow and plain, the oracle
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

import torch

from tonearm.errors import TonearmError
from tonearm.musicgen import reference
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import DecodeRequest, OnFrame
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.hooks import Taps


class Engine(Protocol):
    name: ClassVar[str]
    plain: ClassVar[bool]  # one window, rows of one length

    @property
    def checkpoint(self) -> Checkpoint: ...

    def decode(self, request: DecodeRequest, on_frame: OnFrame | None = None, read: Taps | None = None) -> torch.Tensor:
        """Codes int64 [B, K, T], on the CPU. `read` adds taps that see the activations as steered."""
        ...

    def rows(self, request: DecodeRequest, on_frame: OnFrame | None = None) -> Iterator[tuple[int, torch.Tensor]]:
        """Each row with its codes int64 [K, T of the row], on the CPU, as soon as it is done."""
        ...

    def read_prefix(self, conditioning: Conditioning, taps: Taps) -> None:
        """One forward pass over the conditioning and the BOS position, for what taps read there."""
        ...


@dataclass(frozen=True)
class ReferenceEngine:
    checkpoint: Checkpoint
    name: ClassVar[str] = "reference"
    plain: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.checkpoint.int8:
            raise TonearmError("engine reference has no int8; use engine decoder, or dtype float32 or bfloat16")

    def decode(self, request: DecodeRequest, on_frame: OnFrame | None = None, read: Taps | None = None) -> torch.Tensor:
        with self.checkpoint.lock:  # hooks on the shared modules would act on the takes of other threads
            return reference.decode(self.checkpoint, request, on_frame, read)

    def rows(self, request: DecodeRequest, on_frame: OnFrame | None = None) -> Iterator[tuple[int, torch.Tensor]]:
        yield from enumerate(self.decode(request, on_frame))

    def read_prefix(self, conditioning: Conditioning, taps: Taps) -> None:
        with self.checkpoint.lock:
            reference.read_prefix(self.checkpoint, conditioning, taps)


class DecoderEngine:
    """Packs the weights when it is made, so that threads can share it from the first take on.

    Unless `keep_weights`, the checkpoint's own decoder weights are consumed: no other engine can use them afterwards.
    """

    name: ClassVar[str] = "decoder"
    plain: ClassVar[bool] = False

    def __init__(self, checkpoint: Checkpoint, keep_weights: bool = True):
        self.checkpoint = checkpoint
        self.decoder = Decoder(checkpoint, keep_weights)

    def decode(self, request: DecodeRequest, on_frame: OnFrame | None = None, read: Taps | None = None) -> torch.Tensor:
        decoding = Decoding(self.decoder, request, read)
        for frames in decoding:
            if on_frame:
                on_frame(frames, request.frames)
        return decoding.codes.cpu()

    def rows(self, request: DecodeRequest, on_frame: OnFrame | None = None) -> Iterator[tuple[int, torch.Tensor]]:
        return Decoding(self.decoder, request).rows(on_frame)

    def read_prefix(self, conditioning: Conditioning, taps: Taps) -> None:
        bos = torch.full((conditioning.rows, self.checkpoint.codebooks, 1), self.checkpoint.bos)
        self.decoder.begin(conditioning, 1).forward(bos.to(self.checkpoint.device), taps)


ENGINES = (DecoderEngine.name, ReferenceEngine.name)
DEFAULT_ENGINE = DecoderEngine.name


def engine_for(checkpoint: Checkpoint, name: str = DEFAULT_ENGINE, keep_weights: bool = True) -> Engine:
    """The engine of this name; raises TonearmError for one that is not there."""
    check_engine(name)
    return DecoderEngine(checkpoint, keep_weights) if name == DecoderEngine.name else ReferenceEngine(checkpoint)


def check_engine(name: str) -> str:
    if name not in ENGINES:
        raise TonearmError(f"engine {name!r} is not known; use one of {', '.join(ENGINES)}")
    return name
