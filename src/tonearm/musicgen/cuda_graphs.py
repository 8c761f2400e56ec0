"""CUDA graphs of decode steps: one replay instead of a thousand kernel launches.

A captured step has constant shapes and addresses, so all values that change are in tensors that are
written in place: from step to step the tokens, the position and the strengths of steering, from
decoding to decoding also the cache, the text and the directions. All Python values that a step
reads are captured for good, so they are part of the GraphKey.

Attention reads the cache up to the end of a bucket, masked after the position; a graph is captured
for each bucket of BUCKET positions when it is reached, so that little more than the valid part is
read.
"""

import gc
import logging
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from tonearm.text import first_line

logger = logging.getLogger(__name__)

BUCKET = 256  # positions
# Sizes of captured steps are rounded up, so that prompts and clips of similar lengths share graphs.
CAPACITY_MULTIPLE = 32  # positions of the cache
TEXT_MULTIPLE = 16  # tokens of a text

Step = Callable[[], torch.Tensor]
GraphCapture = Callable[[Step, torch.device], Step | None]
"""Captures a step in a graph; calling the result replays it. None if that is not possible."""

FixedStep = Callable[[torch.Tensor, torch.Tensor, int], torch.Tensor]
"""(tokens [B, K, 1], position [1], bucket end) -> logits [R, K, V], with constant shapes."""

Keep = Callable[[str, torch.Tensor], torch.Tensor]
"""(name, value) -> the tensor that holds the value from then on."""


def rounded_up(size: int, multiple: int) -> int:
    """The least multiple that is not below `size`."""
    return -(-size // multiple) * multiple


def kernel_settings() -> tuple[Hashable, ...]:
    """Switches of the process that decide which kernels a step runs."""
    cuda = torch.backends.cuda
    # Reading allow_tf32 raises where fp32_precision, of torch 2.9 and later, was set.
    precision = getattr(cuda.matmul, "fp32_precision", None) or cuda.matmul.allow_tf32
    return (
        torch.is_autocast_enabled("cuda"),
        torch.get_autocast_dtype("cuda"),
        torch.are_deterministic_algorithms_enabled(),
        precision,
        cuda.matmul.allow_fp16_reduced_precision_reduction,
        cuda.matmul.allow_bf16_reduced_precision_reduction,
        cuda.flash_sdp_enabled(),
        cuda.mem_efficient_sdp_enabled(),
        cuda.cudnn_sdp_enabled(),
        cuda.math_sdp_enabled(),
    )


@dataclass(frozen=True)
class GraphKey:
    """All that decides the kernels of a decoder's captured step and the sizes of their tensors.

    rows, forward_rows  B and R
    capacity            positions of the cache
    text                layout of the text that cross-attention reads; None for prefix checkpoints
    taps                structure of the taps, without their values
    settings            see `kernel_settings`
    """

    rows: int
    forward_rows: int
    capacity: int
    text: Hashable
    taps: Hashable
    settings: Hashable


class StepGraphs:
    """Graphs of a decoding's steps, and the tensors that they read and write.

    They serve one decoding at a time. A later one of the same key writes its values into the
    tensors, by `keep` and `zeros`, and replays the graphs.

    Args:
        key: of the decoding.
        device: of the tensors.
        capture: captures a step.
    """

    def __init__(self, key: GraphKey, device: torch.device, capture: GraphCapture):
        self.key, self.device, self.capture = key, device, capture
        self.position = torch.zeros(1, dtype=torch.int64, device=device)
        self.tensors: dict[str, torch.Tensor] = {}
        self.steps: dict[int, Step] = {}  # by bucket end

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors; the graphs' own intermediate values are small beside them."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def keep(self, name: str, value: torch.Tensor) -> torch.Tensor:
        """Copy a value into the tensor of this name, which is made at its first use.

        Returns:
            The tensor.

        Raises:
            ValueError: a value of another shape or dtype than the tensor's.
        """
        tensor = self.tensors.get(name)
        if tensor is None:
            self.tensors[name] = tensor = value.clone(memory_format=torch.contiguous_format)
            return tensor
        if (value.shape, value.dtype) != (tensor.shape, tensor.dtype):
            raise ValueError(
                f"{name} is {list(value.shape)} {value.dtype}, its graphs read "
                f"{list(tensor.shape)} {tensor.dtype}: the key is not complete"
            )
        return tensor.copy_(value)

    def zeros(self, name: str, size: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """Fill the tensor of this name, which is made at its first use, with zeros.

        Returns:
            The tensor.
        """
        tensor = self.tensors.get(name)
        if tensor is None:
            self.tensors[name] = tensor = torch.zeros(size, dtype=dtype, device=self.device)
            return tensor
        return tensor.zero_()

    def __call__(self, tokens: torch.Tensor, position: int, step: FixedStep) -> torch.Tensor | None:
        """Run a step, captured if its bucket has no graph yet.

        Args:
            tokens: [B, K, 1].
            position: of the tokens.
            step: reads no tensors but those of `keep` and `zeros`, and constants.

        Returns:
            Logits [R, K, V], which the next call overwrites; None if capture is not possible.
        """
        tokens = self.keep("tokens", tokens)
        self.position.fill_(position)
        bucket_end = min(self.key.capacity, (position // BUCKET + 1) * BUCKET)
        if bucket_end not in self.steps:
            captured = self.capture(lambda: step(tokens, self.position, bucket_end), self.device)
            if captured is None:
                return None
            self.steps[bucket_end] = captured
        return self.steps[bucket_end]()


def capture_on_cuda(step: Step, device: torch.device) -> Step | None:
    """Capture a CUDA graph of a step on a device, which need not be the current one.

    If that is not possible, log a warning and return None.
    """
    try:
        return _graph_of(step, device)
    except RuntimeError as error:
        logger.warning(
            "CUDA graphs are not possible here (%s); decoding without them", first_line(error)
        )
        return None


def _graph_of(step: Step, device: torch.device) -> Step:
    with torch.cuda.device(device):
        return _captured(step)


def _captured(step: Step) -> Step:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # libraries initialise at first use, which must not be captured
        for _ in range(2):
            step()  # writes the same cell of the cache each time
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    # Other threads may allocate memory meanwhile.
    with _no_collection(), torch.cuda.graph(graph, capture_error_mode="thread_local"):
        logits = step()

    def replay() -> torch.Tensor:
        graph.replay()
        return logits

    return replay


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python from collecting garbage: an abandoned decoding that is collected puts its graphs
    back, which waits for the device, and that would break a capture.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
