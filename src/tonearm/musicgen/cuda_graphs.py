"""Steps captured as graphs: on a GPU a step is a thousand small kernels, and launching them one by one takes longer than running them.

A captured step has fixed shapes and fixed places in memory, so what changes from step to step stands in buffers: the tokens, the position, and the
strengths of steering (steered.py). Attention reads the cache up to the end of a stretch, masked after the position; a graph is captured for each
stretch of BUCKET positions when it is reached, so that little more than the valid part is read.
"""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from tonearm.musicgen.hooks import Taps

if TYPE_CHECKING:
    from tonearm.musicgen.decoder import DecoderState

BUCKET = 256  # positions
Step = Callable[[], torch.Tensor]
GraphCapture = Callable[[Step], Step]  # a step -> what does the same without asking Python


class StepGraphs:
    """The steps of one DecoderState. They belong to its taps: call it with the same ones."""

    def __init__(self, state: "DecoderState", capture: GraphCapture):
        checkpoint = state.decoder.checkpoint
        rows = state.conditioning.rows
        self.state, self.capture = state, capture
        self.tokens = torch.zeros(rows, checkpoint.codebooks, 1, dtype=torch.int64, device=checkpoint.device)
        self.position = torch.zeros(1, dtype=torch.int64, device=checkpoint.device)
        self.steps: dict[int, Step] = {}

    def __call__(self, tokens: torch.Tensor, taps: Taps) -> torch.Tensor:
        """Tokens [B, K, 1] at the next position -> logits [R, K, V], which the next call overwrites."""
        state = self.state
        self.tokens.copy_(tokens)
        self.position.fill_(state.length)
        stretch = min(state.room, (state.length // BUCKET + 1) * BUCKET)
        if stretch not in self.steps:
            self.steps[stretch] = self.capture(lambda: state.fixed_step(self.tokens, self.position, stretch, taps))
        return self.steps[stretch]()


def capture_on_cuda(step: Step) -> Step:
    """A CUDA graph of a step, or, where it cannot be captured, the step itself and a warning."""
    try:
        return _graph_of(step)
    except RuntimeError as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        warnings.warn(f"CUDA graphs are not possible here ({reason}); decoding goes on without them", stacklevel=2)
        return step


def _graph_of(step: Step) -> Step:
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # libraries set themselves up at first use, which must not be captured
        for _ in range(2):
            step()  # writes the same cell of the cache each time
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = step()

    def replay() -> torch.Tensor:
        graph.replay()
        return logits

    return replay
