"""Sampling of the next codes from logits: guidance, temperature, top-k, top-p, and a draw, per row.

Shapes: B batch rows; R forward rows; K codebooks; V entries; T frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.musicgen.frame_table import FrameTable
from tonearm.musicgen.noise import ExponentialNoise
from tonearm.steering.controls import MAX_GUIDANCE, MAX_TEMPERATURE
from tonearm.steering.schedule import Schedule

NOT_FINITE = (
    "the model's logits are not finite, so there is no music to draw; lower the strengths of the "
    "steering, or use dtype float32 if this happens without steering"
)
MAX_TOP_K = 2**31 - 1  # far above any codebook
FINITE_CHECK_STEPS = 64  # between two checks of the logits
DEFAULT_TOP_K = 250  # audiocraft's, as in the papers; transformers' own default is 50


@dataclass(frozen=True)
class Sampling:
    """Sampling settings of one row.

    guidance     classifier-free guidance; 1 or less switches it off
    temperature  0 takes the most likely code
    top_k        0 for no limit
    top_p        1 for no limit
    The schedules multiply guidance and temperature over time. See `Model.sampling` for a
    checkpoint's own guidance and temperature with other values in place.
    """

    guidance: float = 3.0
    temperature: float = 1.0
    top_k: int = DEFAULT_TOP_K
    top_p: float = 1.0
    guidance_schedule: Schedule | None = None
    temperature_schedule: Schedule | None = None

    def __post_init__(self) -> None:
        checked = dict(
            guidance=boundary.number(self.guidance, "guidance"),
            temperature=boundary.number(self.temperature, "temperature"),
            top_k=boundary.integer(self.top_k, "top_k"),
            top_p=boundary.number(self.top_p, "top_p"),
            guidance_schedule=boundary.optional(
                _schedule, self.guidance_schedule, "guidance_schedule"
            ),
            temperature_schedule=boundary.optional(
                _schedule, self.temperature_schedule, "temperature_schedule"
            ),
        )
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        check_sampling(self)

    def overridden(
        self,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> "Sampling":
        """Replace the values that are not None."""
        given: dict[str, Any] = dict(
            guidance=guidance, temperature=temperature, top_k=top_k, top_p=top_p
        )
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def guidance_at(self, seconds: Sequence[float]) -> torch.Tensor:
        """Guidance at each time, float32 [T]."""
        return self.guidance * _factors(self.guidance_schedule, seconds)

    def temperature_at(self, seconds: Sequence[float]) -> torch.Tensor:
        """Temperature at each time, float32 [T]."""
        return self.temperature * _factors(self.temperature_schedule, seconds)

    @property
    def scheduled(self) -> bool:
        return self.guidance_schedule is not None or self.temperature_schedule is not None

    @property
    def strongest_guidance(self) -> float:
        schedule = self.guidance_schedule
        factors = [factor for _, factor in schedule.points] if schedule else [1.0]
        return max(self.guidance * factor for factor in factors)


def _schedule(value: object, name: str) -> Schedule:
    return boundary.instance(value, name, Schedule, "a Schedule")


def _factors(schedule: Schedule | None, seconds: Sequence[float]) -> torch.Tensor:
    at = boundary.array(seconds, "seconds")
    factors = schedule.factors(at) if schedule else torch.ones(len(at))
    return torch.as_tensor(factors, dtype=torch.float32)


def check_sampling(sampling: Sampling) -> None:
    """Raise TonearmError for settings outside their ranges."""
    if not 0 <= sampling.guidance <= MAX_GUIDANCE:
        raise TonearmError(
            f"guidance {sampling.guidance:g} is not possible; use 0 to {MAX_GUIDANCE:g} "
            "(3 is usual, 1 or less switches it off)"
        )
    if not 0 <= sampling.temperature <= MAX_TEMPERATURE:
        raise TonearmError(
            f"temperature {sampling.temperature:g} is not possible; use 0 to {MAX_TEMPERATURE:g} "
            "(1 is usual, 0 takes the most likely code)"
        )
    if not 0 <= sampling.top_k <= MAX_TOP_K:
        raise TonearmError(
            f"top_k {sampling.top_k} is not possible; use 1 to {MAX_TOP_K}, or 0 for no limit"
        )
    if not 0 < sampling.top_p <= 1:
        raise TonearmError(
            f"top_p {sampling.top_p:g} is not possible; use above 0 up to 1 (1 for no limit)"
        )
    _check_schedule("guidance", sampling.guidance, sampling.guidance_schedule, MAX_GUIDANCE)
    _check_schedule(
        "temperature", sampling.temperature, sampling.temperature_schedule, MAX_TEMPERATURE
    )


def _check_schedule(name: str, value: float, schedule: Schedule | None, largest: float) -> None:
    for _, factor in schedule.points if schedule else ():
        if not 0 <= value * factor <= largest:
            raise TonearmError(
                f"the schedule of {name} has factor {factor:g}, which makes {value * factor:g} of "
                f"{value:g}; stay within 0 to {largest:g}"
            )


def guided(
    conditional: torch.Tensor, unconditional: torch.Tensor, guidance: torch.Tensor
) -> torch.Tensor:
    """Classifier-free guidance u + g (c - u); rows with g <= 1 keep c exactly.

    Args:
        conditional: logits c [B, K, V].
        unconditional: logits u [B, K, V].
        guidance: g [B].
    """
    g = guidance[:, None, None]
    return torch.where(g > 1, unconditional + (conditional - unconditional) * g, conditional)


def check_finite(logit_sum: torch.Tensor) -> None:
    """Raise TonearmError if a sum of logits, [], is not finite; waits for the device."""
    if not logit_sum.isfinite():
        raise TonearmError(NOT_FINITE)


class Filter:
    """Temperature, then top-k, then top-p, in transformers' order."""

    def __init__(self, sampling: Sequence[Sampling], device: torch.device):
        self.top_k = [s.top_k for s in sampling]
        # 1 - top_p before rounding to float32, as transformers: this decides exact ties
        self.cut = torch.tensor([1 - s.top_p for s in sampling], device=device)[:, None, None]
        self.cuts = any(s.top_p < 1 for s in sampling)

    def __call__(self, logits: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
        """Filter logits [B, K, V] at temperature [B]; returns float32 [B, K, V], -inf outside."""
        logits = logits.float() / temperature[:, None, None]
        entries = logits.shape[-1]
        kept = [k if 0 < k < entries else entries for k in self.top_k]
        if min(kept) < entries:
            if len(set(kept)) == 1:  # kthvalue needs no sorting
                threshold = logits.kthvalue(entries - kept[0] + 1, dim=-1, keepdim=True).values
            else:
                rank = torch.tensor(kept, device=logits.device)[:, None, None] - 1
                rank = rank.expand(*logits.shape[:2], 1)
                threshold = logits.topk(max(kept), dim=-1).values.gather(-1, rank)
            logits = logits.masked_fill(logits < threshold, float("-inf"))
        if self.cuts:
            ordered, order = logits.sort(-1, descending=False)
            below = ordered.softmax(-1).cumsum(-1) <= self.cut
            below[..., -1] = False
            below &= self.cut > 0
            removed = torch.zeros_like(below).scatter(-1, order, below)
            logits = logits.masked_fill(removed, float("-inf"))
        return logits


class RowSampler:
    """Draws the next codes of a batch, each row by its own settings and its own noise.

    Args:
        sampling: settings of each row.
        seeds: of each row.
        device: of the logits.
        guidance: [B, T] over frames; default: that of `sampling` throughout.
        temperature: likewise.
    """

    def __init__(
        self,
        sampling: Sequence[Sampling],
        seeds: Sequence[int],
        device: torch.device,
        guidance: torch.Tensor | None = None,
        temperature: torch.Tensor | None = None,
    ):
        constant = torch.tensor([[s.guidance, s.temperature] for s in sampling])
        guidance = constant[:, :1] if guidance is None else guidance
        temperature = constant[:, 1:] if temperature is None else temperature
        self.guidance = FrameTable(guidance.to(device))
        self.temperature = FrameTable(temperature.to(device))
        self.seeds = torch.tensor(list(seeds), dtype=torch.int64, device=device)
        self.filter = Filter(sampling, device)
        # Sum of all logits so far: one NaN or infinity stays in it, and reading it is a device
        # synchronisation that is needed once in many steps.
        self.logit_sum = torch.zeros((), device=device)
        self.noise: ExponentialNoise | None = None

    def set_guidance(self, value: float, frame: int) -> None:
        """Set the guidance of all rows from `frame` on."""
        for row in range(len(self.seeds)):
            self.guidance.set_from(row, frame, value)

    def set_temperature(self, value: float, frame: int) -> None:
        """Set the temperature of all rows from `frame` on."""
        for row in range(len(self.seeds)):
            self.temperature.set_from(row, frame, value)

    def __call__(self, logits: torch.Tensor, step: int, frame: int | None = None) -> torch.Tensor:
        """Draw the codes at position `step`.

        Args:
            logits: [R, K, V]; R = B, or 2 B with the unconditional rows last.
            step: position, which the noise depends on.
            frame: whose guidance and temperature hold; default: the one whose first codebook is at
                `step`.

        Returns:
            int64 [B, K].
        """
        logits = logits.float()
        frame = step - 1 if frame is None else frame
        if len(logits) == 2 * len(self.seeds):
            conditional, unconditional = logits.chunk(2)
            logits = guided(conditional, unconditional, self.guidance.at(frame))
        self.logit_sum = self.logit_sum + logits.sum()
        return self.draw(logits, step, self.temperature.at(frame))

    def check_finite(self) -> None:
        """Raise TonearmError if any logits so far were not finite; waits for the device."""
        check_finite(self.logit_sum)

    def draw(self, logits: torch.Tensor, step: int, temperature: torch.Tensor) -> torch.Tensor:
        """Draw from guided logits [B, K, V] at temperature [B].

        argmax(p / Exp(1) noise) is a draw from p (the exponential race); the noise is a function of
        (seed, step, codebook, entry).
        """
        is_greedy = temperature == 0
        probabilities = self.filter(logits, temperature.masked_fill(is_greedy, 1.0)).softmax(-1)
        if self.noise is None:
            self.noise = ExponentialNoise(self.seeds, *logits.shape[1:])
        raced = (probabilities / self.noise.at(step)).argmax(-1)
        return torch.where(is_greedy[:, None], logits.argmax(-1), raced)


class SharedSampler(RowSampler):
    """Draws as plain `generate()` does: one generator for all rows, all rows by the first row's
    settings.

    argmax(p / Exp(1)) consumes the generator as torch.multinomial does, and gives the same codes.
    """

    def __init__(
        self,
        sampling: Sequence[Sampling],
        seeds: Sequence[int],
        device: torch.device,
        guidance: torch.Tensor | None = None,
        temperature: torch.Tensor | None = None,
    ):
        super().__init__([sampling[0]] * len(sampling), seeds, device, guidance, temperature)
        self.generator = torch.Generator(device).manual_seed(seeds[0])

    def draw(self, logits: torch.Tensor, step: int, temperature: torch.Tensor) -> torch.Tensor:
        is_greedy = temperature == 0
        probabilities = self.filter(logits, temperature.masked_fill(is_greedy, 1.0)).softmax(-1)
        noise = torch.empty_like(probabilities).exponential_(generator=self.generator)
        raced = (probabilities / noise).argmax(-1)
        return torch.where(is_greedy[:, None], logits.argmax(-1), raced)
