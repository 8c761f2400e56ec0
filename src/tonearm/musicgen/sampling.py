"""Logits -> the next codes: guidance, temperature, top-k, top-p, and a draw, each row by its own settings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from tonearm.errors import TonearmError
from tonearm.musicgen.noise import ExponentialNoise
from tonearm.steering.schedule import Schedule


@dataclass(frozen=True)
class Sampling:
    """How one row draws. top_k 0 and top_p 1 switch those off; temperature 0 takes the likeliest code.

    top_k is audiocraft's 250, as in the papers; transformers' own default is 50. A schedule multiplies the guidance over time. A Sampling is whole:
    for a checkpoint's own guidance or temperature with something else in place, see `Model.sampling`.
    """

    guidance: float = 3.0
    temperature: float = 1.0
    top_k: int = 250
    top_p: float = 1.0
    guidance_schedule: Schedule | None = None

    def overridden(
        self,
        guidance: float | None = None,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> "Sampling":
        """Itself, with what is asked for in the place of its own; None keeps that."""
        return replace(
            self,
            guidance=self.guidance if guidance is None else guidance,
            temperature=self.temperature if temperature is None else temperature,
            top_k=self.top_k if top_k is None else top_k,
            top_p=self.top_p if top_p is None else top_p,
        )

    def guidance_at(self, seconds: Sequence[float]) -> torch.Tensor:
        """float32 [T]."""
        factors = self.guidance_schedule.factors(seconds) if self.guidance_schedule else [1.0] * len(seconds)
        return self.guidance * torch.as_tensor(factors, dtype=torch.float32)

    @property
    def strongest_guidance(self) -> float:
        factors = [factor for _, factor in self.guidance_schedule.points] if self.guidance_schedule else [1.0]
        return max(self.guidance * factor for factor in factors)


def check_guidance(guidance: float) -> None:
    """Raise TonearmError for a guidance that is not possible."""
    if not 0 <= guidance <= 100:
        raise TonearmError(
            f"guidance {guidance:g} is not possible; use 0 to 100 (3 is usual, 1 or less switches it off)"
        )


def guided(conditional: torch.Tensor, unconditional: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
    """Classifier-free guidance, u + g (c - u); rows whose guidance is 1 or less keep c exactly. All [B, K, V], guidance [B]."""
    g = guidance[:, None, None]
    return torch.where(g > 1, unconditional + (conditional - unconditional) * g, conditional)


class Filter:
    """Temperature, then top-k, then top-p, as transformers orders them; what a row needs is worked out once."""

    def __init__(self, sampling: Sequence[Sampling], device: torch.device):
        self.temperature = torch.tensor([s.temperature or 1.0 for s in sampling], device=device)[:, None, None]
        self.top_k = [s.top_k for s in sampling]
        # 1 - top_p is taken before it is rounded to float32, as transformers takes it: at exact ties that decides.
        self.cut = torch.tensor([1 - s.top_p for s in sampling], device=device)[:, None, None]
        self.cuts = any(s.top_p < 1 for s in sampling)

    def __call__(self, logits: torch.Tensor) -> torch.Tensor:
        """[B, K, V] -> float32 [B, K, V] with -inf outside."""
        logits = logits.float() / self.temperature
        entries = logits.shape[-1]
        kept = [k if 0 < k < entries else entries for k in self.top_k]
        if min(kept) < entries:
            if len(set(kept)) == 1:
                threshold = logits.kthvalue(entries - kept[0] + 1, dim=-1, keepdim=True).values  # needs no order
            else:
                place = torch.tensor(kept, device=logits.device)[:, None, None] - 1
                threshold = logits.topk(max(kept), dim=-1).values.gather(-1, place.expand(*logits.shape[:2], 1))
            logits = logits.masked_fill(logits < threshold, float("-inf"))
        if self.cuts:
            ordered, order = logits.sort(-1, descending=False)
            below = ordered.softmax(-1).cumsum(-1) <= self.cut
            below[..., -1] = False
            below &= self.cut > 0
            logits = logits.masked_fill(torch.zeros_like(below).scatter(-1, order, below), float("-inf"))
        return logits


class RowSampler:
    """Draws the next codes of a batch, each row by its own settings and its own noise.

    guidance [B, T] over frames, the last column held; left out, that of `sampling` throughout. It may be written to while decoding.
    """

    def __init__(
        self,
        sampling: Sequence[Sampling],
        seeds: Sequence[int],
        device: torch.device,
        guidance: torch.Tensor | None = None,
    ):
        constant = torch.tensor([[s.guidance] for s in sampling])
        self.guidance = (constant if guidance is None else guidance).to(device)
        self.greedy = torch.tensor([s.temperature == 0 for s in sampling], device=device)[:, None]
        self.seeds = torch.tensor(list(seeds), dtype=torch.int64, device=device)
        self.filter = Filter(sampling, device)
        self.noise: ExponentialNoise | None = None

    def __call__(self, logits: torch.Tensor, step: int, frame: int | None = None) -> torch.Tensor:
        """The codes at position `step`, int64 [B, K], from logits [R, K, V]: R = B, or 2 B with the unconditional rows last.
        The guidance is that of `frame`, left out, of the one whose first codebook stands at `step`.

        argmax(p / Exp(1) noise) is a draw from p (the exponential race); the noise is a function of (seed, step, codebook).
        """
        logits = logits.float()
        if len(logits) == 2 * len(self.seeds):
            conditional, unconditional = logits.chunk(2)
            frame = min(step - 1 if frame is None else frame, self.guidance.shape[1] - 1)
            logits = guided(conditional, unconditional, self.guidance[:, frame])
        return self.draw(logits, step)

    def draw(self, logits: torch.Tensor, step: int) -> torch.Tensor:
        """From guided logits [B, K, V]."""
        probabilities = self.filter(logits).softmax(-1)
        if self.noise is None:
            self.noise = ExponentialNoise(self.seeds, *logits.shape[1:])
        raced = (probabilities / self.noise.at(step)).argmax(-1)
        return torch.where(self.greedy, logits.argmax(-1), raced)


class SharedSampler(RowSampler):
    """Draws as plain `generate()` does: one generator for all rows, all rows by the settings of the first.

    argmax(p / Exp(1)) consumes the generator as torch.multinomial does, and gives the same codes.
    """

    def __init__(
        self,
        sampling: Sequence[Sampling],
        seeds: Sequence[int],
        device: torch.device,
        guidance: torch.Tensor | None = None,
    ):
        super().__init__([sampling[0]] * len(sampling), seeds, device, guidance)
        self.generator = torch.Generator(device).manual_seed(seeds[0])

    def draw(self, logits: torch.Tensor, step: int) -> torch.Tensor:
        probabilities = self.filter(logits).softmax(-1)
        noise = torch.empty_like(probabilities).exponential_(generator=self.generator)
        return torch.where(self.greedy, logits.argmax(-1), (probabilities / noise).argmax(-1))
