"""Reference engine: transformers' own `generate()` with hooks. Slow and plain; the oracle for
faster engines.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    StoppingCriteria,
    StoppingCriteriaList,
)
from transformers.modeling_outputs import BaseModelOutput

from tonearm.backend import Site, Span, Tap, Taps
from tonearm.musicgen.checkpoint import Checkpoint
from tonearm.musicgen.completed_rows import CompletedRows
from tonearm.musicgen.conditioning import Conditioning
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.delay import sequence_length
from tonearm.musicgen.hooks import tapped
from tonearm.musicgen.reference_monitor import ReferenceMonitor
from tonearm.musicgen.sampling import FINITE_CHECK_STEPS, RowSampler, check_finite
from tonearm.musicgen.steering_gates import GateNoise
from tonearm.progress import Progress
from tonearm.steering.intervention import Intervention


def decode(
    checkpoint: Checkpoint,
    request: DecodeRequest,
    progress: Progress | None = None,
    read: Taps | None = None,
) -> torch.Tensor:
    """Codes int64 [B, K, T], on the CPU. `read` adds taps that see the activations as steered."""
    return decode_rows(checkpoint, request, progress, read).codes


def decode_rows(
    checkpoint: Checkpoint,
    request: DecodeRequest,
    progress: Progress | None = None,
    read: Taps | None = None,
) -> CompletedRows:
    """All rows of a request; arguments as for `decode`."""
    conditioning = request.conditioning
    monitors = [
        ReferenceMonitor(one, request.prompt_frames) if one.monitors else None
        for one in request.plan
    ]
    taps = steering_taps(request, monitors)
    for place, more in (read or {}).items():
        taps.setdefault(place, []).extend(more)
    shape, frames = checkpoint.shape, request.frames
    assert frames is not None
    length = sequence_length(frames, shape.codebooks, shape.channels)
    arguments: dict[str, Any] = dict(
        input_ids=conditioning.text_ids, max_length=length, use_cache=True
    )
    if progress:
        arguments["stopping_criteria"] = StoppingCriteriaList(
            [_ProgressReport(frames, length, progress)]
        )
    states = conditioning.states.to(checkpoint.dtype)
    if conditioning.prefix:
        arguments |= dict(attention_mask=conditioning.text_mask, encoder_hidden_states=states)
    else:
        outputs = BaseModelOutput(last_hidden_state=states)
        arguments |= dict(attention_mask=conditioning.mask, encoder_outputs=outputs)
    if request.prompt_codes is not None:
        arguments["decoder_input_ids"] = request.prompt_codes.to(checkpoint.device).flatten(0, 1)
    first, drawer = request.sampling[0], None
    if request.shared_noise:
        torch.manual_seed(request.seeds[0])
        arguments |= dict(
            do_sample=first.temperature > 0,
            temperature=first.temperature or None,
            top_k=first.top_k,
            top_p=first.top_p,
            guidance_scale=first.guidance if conditioning.guided else 1.0,
            logits_processor=LogitsProcessorList([_FiniteLogits()]),
        )
    else:
        drawer = _RowDrawer(request, shape.codebooks, checkpoint.device)
        arguments |= dict(do_sample=False, guidance_scale=3.0 if conditioning.guided else 1.0)
        arguments["logits_processor"] = LogitsProcessorList([drawer])
    with (
        tapped(checkpoint, taps, conditioning.prefix),
        _catching_codes(checkpoint.model) as channels,
    ):
        checkpoint.model.generate(**arguments)
    if drawer:
        drawer.sampler.check_finite()
    codes = torch.stack(channels, dim=2).flatten(1, 2)  # stereo alternates left and right books
    rows = range(len(codes))
    return CompletedRows(rows, codes, [_acted(monitors, row, frames) for row in rows])


def _acted(
    monitors: Sequence[ReferenceMonitor | None], row: int, frames: int
) -> dict[int, torch.Tensor]:
    """Strengths of a row's monitored steers as they acted, float32 [frames], by position."""
    of_row = [one for one in monitors if one and row in one.rows]
    return {one.intervention.position: one.acted(row, frames) for one in of_row}


@torch.no_grad()
def read(
    checkpoint: Checkpoint, conditioning: Conditioning, tokens: torch.Tensor, taps: Taps
) -> None:
    """One forward pass over the conditioning and tokens [B, K, P]."""
    model = checkpoint.model
    ids = torch.cat([tokens, tokens]) if conditioning.guided else tokens
    ids = ids.flatten(0, 1)  # [R * K, P]
    states = conditioning.states.to(checkpoint.dtype)
    with tapped(checkpoint, taps, conditioning.prefix):
        if conditioning.prefix:
            checkpoint.decoder(input_ids=ids, encoder_hidden_states=states, use_cache=False)
        else:
            model(
                encoder_outputs=(states,),
                attention_mask=conditioning.mask,
                decoder_input_ids=ids,
                use_cache=False,
            )


def steering_taps(
    request: DecodeRequest, monitors: Sequence[ReferenceMonitor | None]
) -> dict[tuple[Site, int], list[Tap]]:
    """Taps that carry out the plan of a request on rows [conditional..., unconditional...].

    Args:
        request: with the plan.
        monitors: of its interventions. They read before any of them acts.
    """
    taps: dict[tuple[Site, int], list[Tap]] = {}
    for monitor in filter(None, monitors):
        for layer in monitor.monitors.all_layers:
            taps.setdefault(("heads", layer), []).append(partial(monitor.read, layer))
    for intervention, own in zip(request.plan, monitors, strict=True):
        is_gated = intervention.steer.gate < 1
        gates = GateNoise(intervention, request.seeds) if is_gated else None
        for layer in intervention.layers:
            tap = _SteeringTap(
                intervention, layer, request.conditioning, request.prompt_frames, gates, own
            )
            taps.setdefault((intervention.site, layer), []).append(tap)
    return taps


class _SteeringTap:
    def __init__(
        self,
        intervention: Intervention,
        layer: int,
        conditioning: Conditioning,
        prompt_frames: int,
        gates: GateNoise | None,
        monitor: ReferenceMonitor | None,
    ):
        steer, rows = intervention.steer, intervention.rows
        which = intervention.layers[layer]
        halves = []
        if steer.branch in ("both", "conditional"):
            halves.append(rows)
        if steer.branch in ("both", "unconditional") and conditioning.guided:
            halves.append(rows + conditioning.rows)
        copies = len(halves)
        self.intervention, self.which, self.copies = intervention, which, copies
        self.rows = torch.cat(halves) if halves else rows[:0]
        self.directions = intervention.directions[which].repeat(copies, 1)
        self.readers: torch.Tensor | None = None
        if intervention.readers is not None:
            self.readers = intervention.readers[which].repeat(copies, 1)[:, None]
        self.first_frame = prompt_frames if steer.positions == "generated" else 0
        self.in_prefix = steer.positions == "all"
        self.gates, self.index = gates, list(intervention.layers).index(layer)
        self.monitor = monitor

    def __call__(self, h: torch.Tensor, span: Span) -> torch.Tensor | None:
        strength = self._strength(span)
        if self.gates:
            strength = strength * self._open(self.gates, span)
        if self.monitor:
            strength = strength * self.monitor.over(span)
        if not strength.any():
            return None
        edited = self.intervention.apply(
            h[self.rows],
            self.directions[:, None],
            self._of_forward_rows(strength),
            target=self._target(span),
            readers=self.readers,
        )
        return h.index_copy(0, self.rows, edited)

    def _strength(self, span: Span) -> torch.Tensor:
        """[n, S]: the schedule at each position; the prefix gets the strength of frame 0, or none."""
        table = self.intervention.strengths
        codes = _over(table, span) * (_frames(span, table.device) >= self.first_frame)
        prefix = table[:, :1].expand(-1, span.prefix) * float(self.in_prefix)
        return torch.cat([prefix, codes], dim=1)

    def _open(self, gates: GateNoise, span: Span) -> torch.Tensor:
        """[n, S]: 1 where the gate is open; the prefix has that of frame 0."""
        last = self.intervention.strengths.shape[1] - 1
        frames = [0] * span.prefix + [min(frame, last) for frame in span.code_positions]
        of_rows = torch.tensor(frames, device=self.rows.device).expand(
            len(self.intervention.rows), -1
        )
        return gates.open_at(of_rows)[self.index]

    def _target(self, span: Span) -> torch.Tensor | None:
        """Targets at each position; the prefix has those of frame 0."""
        table = self.intervention.levels
        if table is None:
            return None
        levels = torch.cat([table[:, :1].expand(-1, span.prefix), _over(table, span)], dim=1)
        return self._of_forward_rows(self.intervention.targets(levels)[self.which])

    def _of_forward_rows(self, values: torch.Tensor) -> torch.Tensor:
        """Values [n, S] of the batch rows as those of all rows that are edited, [copies * n, S, 1]."""
        return values.repeat(self.copies, 1)[..., None]


def _frames(span: Span, device: torch.device) -> torch.Tensor:
    """Frames that the code positions of a span decide, int64."""
    return torch.tensor(list(span.code_positions), device=device, dtype=torch.int64)


def _over(table: torch.Tensor, span: Span) -> torch.Tensor:
    """Values of a table [n, T] at the code positions of a span."""
    return table[:, _frames(span, table.device).clamp(max=table.shape[1] - 1)]


class _RowDrawer(LogitsProcessor):
    """Applies guidance and draws for each row by its own settings, then leaves one code to
    `generate()`.

    It runs before `generate()`'s own guidance, which maps equal halves onto themselves, and before
    its argmax.
    """

    def __init__(self, request: DecodeRequest, codebooks: int, device: torch.device):
        self.sampler = RowSampler(
            request.sampling, request.seeds, device, request.guidance, request.temperature
        )
        self.codebooks, self.guided = codebooks, request.conditioning.guided

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        logits = scores.view(-1, self.codebooks, scores.shape[-1])
        step = int(input_ids.shape[-1])
        codes = self.sampler(logits, step)
        if step % FINITE_CHECK_STEPS == 0:
            self.sampler.check_finite()
        chosen = torch.nn.functional.one_hot(codes, scores.shape[-1]).to(scores.dtype).flatten(0, 1)
        return torch.cat([chosen, chosen]) if self.guided else chosen


class _FiniteLogits(LogitsProcessor):
    """Checks the logits of every step, since torch.multinomial fails on those that are not finite."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        check_finite(scores.sum())
        return scores


class _ProgressReport(StoppingCriteria):
    """Reports the progress of `generate()`; never stops it."""

    def __init__(self, frames: int, length: int, progress: Progress):
        self.frames, self.lead, self.progress = frames, length - frames, progress

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> Any:
        self.progress(max(0, input_ids.shape[-1] - self.lead), self.frames)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


@contextmanager
def _catching_codes(model: Any) -> Iterator[list[torch.Tensor]]:
    """Collect the codes of `generate()`, [B, K / channels, T] per channel, instead of decoding them
    to audio.
    """
    codec, caught = model.audio_encoder, []
    silence = type("NoAudio", (), {"audio_values": torch.zeros(1, 1, 1)})()

    def catch(codes: torch.Tensor, *_args: Any, **_kwargs: Any) -> Any:
        caught.append(codes[0].cpu())
        return silence

    codec.decode = catch
    try:
        yield caught
    finally:
        del codec.decode
