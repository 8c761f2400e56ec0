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
import transformers

from tonearm.backend import Site, Span, Tap, Taps, run_taps
from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import Checkpoint


@contextmanager
def tapped(checkpoint: Checkpoint, taps: Taps, prefix: int) -> Iterator[None]:
    """Install taps, and remove all hooks afterwards, whatever happens.

    Args:
        checkpoint: whose decoder is hooked.
        taps: by site and layer.
        prefix: prefix length of the conditioning in use.

    Raises:
        TonearmError: a forward call whose positions cannot be derived.
    """
    clock = _Clock(prefix, checkpoint.bos)
    with ExitStack() as stack:

        def install(handle: Any) -> None:
            stack.callback(handle.remove)

        if taps:
            decoder = checkpoint.decoder.model.decoder
            install(decoder.register_forward_pre_hook(clock.before_forward, with_kwargs=True))
            install(decoder.register_forward_hook(clock.after_forward))
        for (site, layer), here in taps.items():
            module = _module(checkpoint.layers[layer], site)
            if site == "heads":
                install(module.register_forward_pre_hook(_before(here, clock)))
            else:
                install(module.register_forward_hook(_after(here, clock)))
        yield


class _Clock:
    """Positions of the running forward call, from its tokens and its cache; calls are never counted.

    The names of a call's arguments change between releases of transformers, so that the cache is
    found by its type. A missed cache would make every call look like the first one; the tokens
    decide independently of it: position 0, and no other, holds BOS in all codebooks.
    """

    def __init__(self, prefix: int, bos: int):
        self.prefix, self.bos = prefix, bos
        self.running: Span | None = None

    def before_forward(self, _module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.running = self._span(kwargs.get("input_ids", args[0] if args else None), args, kwargs)

    def after_forward(self, *_: Any) -> None:
        self.running = None

    def _span(self, tokens: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
        if not isinstance(tokens, torch.Tensor) or tokens.is_floating_point():
            raise _unknown_call("it has no tensor of tokens")
        found = [x for x in (*args, *kwargs.values()) if isinstance(x, transformers.Cache)]
        caches = {id(cache): cache for cache in found}
        if len(caches) > 1:
            raise _unknown_call(f"it has {len(caches)} caches")
        past = sum(int(cache.get_seq_length()) for cache in caches.values())
        starts = bool((tokens[..., 0] == self.bos).all())
        if starts and past == 0:
            return Span(self.prefix, 0, self.prefix + tokens.shape[-1])
        if starts:
            raise _unknown_call(f"it starts with BOS after {past} cached positions")
        if past <= self.prefix:
            raise _unknown_call(
                f"it continues earlier codes with {past} cached positions, {self.prefix} of them "
                "prefix"
            )
        return Span(0, past - self.prefix, tokens.shape[-1])

    def span(self, length: int) -> Span:
        """Span of the running call, whose activations have `length` positions."""
        if self.running is None:
            raise _unknown_call("a block runs outside the decoder's own call")
        if self.running.length != length:
            raise _unknown_call(
                f"a block has {length} positions, and the call has {self.running.length}"
            )
        return self.running


def _unknown_call(reason: str) -> TonearmError:
    return TonearmError(
        f"transformers {transformers.__version__} calls its decoder in a form unknown to engine "
        f"reference ({reason}); use engine decoder, or a version of transformers that "
        "docs/verified.md lists"
    )


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
