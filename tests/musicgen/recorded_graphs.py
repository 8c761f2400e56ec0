"""Model of a CUDA graph on the CPU: the operators of a step, recorded and run again without Python.

Like a CUDA graph, a recording reads and writes the tensors of the time of capture, keeps all Python
values of that time, and refuses operators that read a tensor's value from Python.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tonearm.model import Model
from tonearm.musicgen.cuda_graphs import Step, StepGraphs
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.graph_pool import GraphPool

NEEDS_VALUES = ("_local_scalar_dense", "item", "is_nonzero", "equal", "nonzero")


class GraphRecorder:
    """A capture (cuda_graphs.GraphCapture); counts its calls in `captures`."""

    def __init__(self) -> None:
        self.captures = 0

    def __call__(self, step: Step, device: torch.device) -> Step:
        self.captures += 1
        for _ in range(2):  # as before a capture on CUDA
            step()
        with _Recording() as recording:
            logits = step()
        for tensor in recording.made:
            spoil(tensor)  # a capture does not run the step

        def replay() -> torch.Tensor:
            recording.replay()
            return logits

        return replay


class _Recording(TorchDispatchMode):
    """Operators that ran while it was active, with the tensors that they read and wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Callable, tuple, dict, list[torch.Tensor]]] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        if func.overloadpacket.__name__ in NEEDS_VALUES:
            raise RuntimeError(f"{func} is not permitted while a stream is captured")
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        new = _made(result, args, kwargs)
        if new or func._schema.is_mutable:  # not of views, which no kernel makes
            self.calls.append((func, args, kwargs, new))
        return result

    @property
    def made(self) -> Iterator[torch.Tensor]:
        """All intermediate values."""
        return (tensor for *_, new in self.calls for tensor in new)

    def replay(self) -> None:
        for func, args, kwargs, new in self.calls:
            again = _made(func(*args, **kwargs), args, kwargs)
            for tensor, value in zip(new, again, strict=True):
                assert tensor.shape == value.shape
                tensor.copy_(value)


def _made(result: Any, args: tuple, kwargs: dict) -> list[torch.Tensor]:
    """The tensors of a result that share no memory with the arguments."""
    read = {_memory(tensor) for tensor in _tensors((args, kwargs))}
    return [tensor for tensor in _tensors(result) if _memory(tensor) not in read]


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _memory(tensor: torch.Tensor) -> int:
    """Identity of a tensor's memory; packed weights have no storage."""
    packed = tensor.layout == torch._mkldnn
    return id(tensor) if packed else tensor.untyped_storage()._cdata


def spoil(tensor: torch.Tensor) -> None:
    """Overwrite with NaN, or zeros, so that everything that depends on the values is wrong."""
    tensor.fill_(float("nan") if tensor.is_floating_point() else 0)


class SpoilingPool(GraphPool):
    """Overwrites the tensors of graphs when these are put back, as another decoding may."""

    @torch.inference_mode()
    def put(self, graphs: StepGraphs) -> None:
        for tensor in graphs.tensors.values():
            spoil(tensor)
        super().put(graphs)


def recording_decoder(model: Model) -> tuple[Decoder, GraphRecorder]:
    """A decoder of the model's weights whose steps are recorded, and the recorder."""
    decoder, recorder = Decoder(model.checkpoint), GraphRecorder()
    decoder.capture, decoder.pool = recorder, SpoilingPool(model.checkpoint.device)
    return decoder, recorder


def codes_of(decoder: Decoder, request: DecodeRequest) -> torch.Tensor:
    """Codes [B, K, T] of a decoding."""
    decoding = Decoding(decoder, request)
    for _ in decoding:
        pass
    return decoding.codes
