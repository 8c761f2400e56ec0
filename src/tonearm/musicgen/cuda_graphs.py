"""CUDA graphs of decode steps: one replay instead of a thousand kernel launches.

A captured step has constant shapes and addresses, so everything that changes from step to step is
in buffers: the tokens, the position, and the strengths of steering (steering_buffers.py). Attention
reads the cache up to the end of a bucket, masked after the position; a graph is captured for each
bucket of BUCKET positions when it is reached, so that little more than the valid part is read.
"""

import logging
from collections.abc import Callable

import torch

from tonearm.backend import Taps
from tonearm.text import first_line

logger = logging.getLogger(__name__)

BUCKET = 256  # positions
Step = Callable[[], torch.Tensor]
GraphCapture = Callable[[Step, torch.device], Step]
"""Wraps a decode step in a graph; calling the result replays it without Python overhead."""


FixedStep = Callable[[torch.Tensor, torch.Tensor, int, Taps], torch.Tensor]
"""(tokens [B, K, 1], position [1], bucket end, taps) -> logits [R, K, V], with constant shapes."""


class StepGraphs:
    """Graphs of the steps of one decoding, which belong to its taps: call it with the same ones.

    Args:
        step: one decode step.
        rows: batch rows B.
        codebooks: K.
        capacity: positions of the cache.
        device: of the tensors.
        capture: wraps a step in a graph.
    """

    def __init__(
        self,
        step: FixedStep,
        rows: int,
        codebooks: int,
        capacity: int,
        device: torch.device,
        capture: GraphCapture,
    ):
        self.step, self.capacity, self.capture = step, capacity, capture
        self.tokens = torch.zeros(rows, codebooks, 1, dtype=torch.int64, device=device)
        self.position = torch.zeros(1, dtype=torch.int64, device=device)
        self.steps: dict[int, Step] = {}

    def __call__(self, tokens: torch.Tensor, position: int, taps: Taps) -> torch.Tensor:
        """Read tokens [B, K, 1] at a position.

        Returns:
            Logits [R, K, V], which the next call overwrites.
        """
        self.tokens.copy_(tokens)
        self.position.fill_(position)
        bucket_end = min(self.capacity, (position // BUCKET + 1) * BUCKET)
        if bucket_end not in self.steps:
            self.steps[bucket_end] = self.capture(
                lambda: self.step(self.tokens, self.position, bucket_end, taps), self.tokens.device
            )
        return self.steps[bucket_end]()


def capture_on_cuda(step: Step, device: torch.device) -> Step:
    """Capture a CUDA graph of a step on a device, which need not be the current one.

    If that is not possible, log a warning and return the step.
    """
    try:
        return _graph_of(step, device)
    except RuntimeError as error:
        logger.warning(
            "CUDA graphs are not possible here (%s); decoding without them", first_line(error)
        )
        return step


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
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        logits = step()

    def replay() -> torch.Tensor:
        graph.replay()
        return logits

    return replay
