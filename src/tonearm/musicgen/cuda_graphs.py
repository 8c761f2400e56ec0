"""CUDA graphs of decode steps: one replay instead of a thousand kernel launches.

A captured step has constant shapes and addresses, so everything that changes from step to step is
in buffers: the tokens, the position, and the strengths of steering (steering_buffers.py). Attention
reads the cache up to the end of a bucket, masked after the position; a graph is captured for each
bucket of BUCKET positions when it is reached, so that little more than the valid part is read.
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from tonearm.backend import Taps

if TYPE_CHECKING:
    from tonearm.musicgen.decoder import DecoderState

logger = logging.getLogger(__name__)

BUCKET = 256  # positions
Step = Callable[[], torch.Tensor]
GraphCapture = Callable[[Step], Step]
"""Wraps a decode step in a graph; calling the result replays it without Python overhead."""


class StepGraphs:
    """Graphs of the steps of one DecoderState, which belong to its taps: call it with the same
    ones.
    """

    def __init__(self, state: "DecoderState", capture: GraphCapture):
        checkpoint = state.decoder.checkpoint
        rows, books = state.conditioning.rows, checkpoint.shape.codebooks
        self.state, self.capture = state, capture
        self.tokens = torch.zeros(rows, books, 1, dtype=torch.int64, device=checkpoint.device)
        self.position = torch.zeros(1, dtype=torch.int64, device=checkpoint.device)
        self.steps: dict[int, Step] = {}

    def __call__(self, tokens: torch.Tensor, taps: Taps) -> torch.Tensor:
        """Read tokens [B, K, 1] at the next position.

        Returns:
            Logits [R, K, V], which the next call overwrites.
        """
        state = self.state
        self.tokens.copy_(tokens)
        self.position.fill_(state.length)
        bucket_end = min(state.capacity, (state.length // BUCKET + 1) * BUCKET)
        if bucket_end not in self.steps:
            self.steps[bucket_end] = self.capture(
                lambda: state.fixed_step(self.tokens, self.position, bucket_end, taps)
            )
        return self.steps[bucket_end]()


def capture_on_cuda(step: Step) -> Step:
    """Capture a CUDA graph of a step; if that is not possible, log a warning and return the step."""
    try:
        return _graph_of(step)
    except RuntimeError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        logger.warning("CUDA graphs are not possible here (%s); decoding without them", reason)
        return step


def _graph_of(step: Step) -> Step:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):  # libraries initialise at first use, which must not be captured
        for _ in range(2):
            step()  # writes the same cell of the cache each time
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = step()

    def replay() -> torch.Tensor:
        graph.replay()
        return logits

    return replay
