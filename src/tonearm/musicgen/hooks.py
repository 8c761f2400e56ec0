"""Hooks on transformers' decoder blocks that run taps.

Place of each site (L = decoder.model.decoder.layers[i]):
    residual         output of L                      (a Tensor on Musicgen, a tuple on MusicgenMelody)
    attention        output of L.self_attn.out_proj   (before it is added to the stream)
    cross_attention  output of L.encoder_attn.out_proj
    heads            input of L.self_attn.out_proj    (the heads' outputs, concatenated)
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from tonearm.backend import Site, Span, Tap, Taps, run_taps
from tonearm.musicgen.checkpoint import Checkpoint


@contextmanager
def tapped(checkpoint: Checkpoint, taps: Taps, prefix: int) -> Iterator[None]:
    """Install taps, and remove all hooks afterwards, whatever happens.

    Args:
        checkpoint: whose decoder is hooked.
        taps: by site and layer.
        prefix: prefix length of the conditioning in use.
    """
    clock = _Clock(prefix)
    with ExitStack() as stack:

        def install(handle: Any) -> None:
            stack.callback(handle.remove)

        if taps:
            decoder = checkpoint.decoder.model.decoder
            install(decoder.register_forward_pre_hook(clock.before_forward, with_kwargs=True))
        for (site, layer), here in taps.items():
            module = _module(checkpoint.layers[layer], site)
            if site == "heads":
                install(module.register_forward_pre_hook(_before(here, clock)))
            else:
                install(module.register_forward_hook(_after(here, clock)))
        yield


class _Clock:
    """Positions of the running forward call, from the length of its cache; calls are never counted."""

    def __init__(self, prefix: int):
        self.prefix, self.past = prefix, 0

    def before_forward(self, _module: Any, _args: Any, kwargs: dict[str, Any]) -> None:
        cache = kwargs.get("past_key_values")
        self.past = int(cache.get_seq_length()) if cache is not None else 0

    def span(self, length: int) -> Span:
        if self.past == 0:
            return Span(self.prefix, 0, length)
        return Span(0, self.past - self.prefix, length)


def _module(layer: Any, site: Site) -> Any:
    if site == "residual":
        return layer
    return layer.encoder_attn.out_proj if site == "cross_attention" else layer.self_attn.out_proj


def _after(taps: Sequence[Tap], clock: _Clock) -> Callable[..., Any]:
    def hook(_module: Any, _args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (run_taps(taps, output[0], clock.span(output[0].shape[1])), *output[1:])
        return run_taps(taps, output, clock.span(output.shape[1]))

    return hook


def _before(taps: Sequence[Tap], clock: _Clock) -> Callable[..., Any]:
    def hook(_module: Any, args: tuple[torch.Tensor, ...]) -> Any:
        return (run_taps(taps, args[0], clock.span(args[0].shape[1])), *args[1:])

    return hook
