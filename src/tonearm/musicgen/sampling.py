"""Logits -> the next codes: guidance, temperature, top-k, top-p, and a draw, each row by its own settings."""

from dataclasses import dataclass

import torch

from tonearm.musicgen.noise import exponential


@dataclass(frozen=True)
class Sampling:
    """How one row draws. top_k 0 and top_p 1 switch those off; temperature 0 takes the likeliest code.

    top_k is audiocraft's 250, as in the papers; transformers' own default is 50.
    """

    guidance: float = 3.0
    temperature: float = 1.0
    top_k: int = 250
    top_p: float = 1.0


def guided(conditional: torch.Tensor, unconditional: torch.Tensor, guidance: torch.Tensor) -> torch.Tensor:
    """Classifier-free guidance, u + g (c - u); rows whose guidance is 1 or less keep c exactly. All [B, K, V], guidance [B]."""
    g = guidance[:, None, None]
    return torch.where(g > 1, unconditional + (conditional - unconditional) * g, conditional)


def filtered(logits: torch.Tensor, sampling: list[Sampling]) -> torch.Tensor:
    """Temperature, then top-k, then top-p, as transformers orders them; [B, K, V] -> float32 [B, K, V] with -inf outside."""
    logits = logits.float()
    device = logits.device
    temperature = torch.tensor([s.temperature or 1.0 for s in sampling], device=device)[:, None, None]
    logits = logits / temperature
    entries = logits.shape[-1]
    top_k = torch.tensor([min(s.top_k, entries) if s.top_k > 0 else entries for s in sampling], device=device)
    if (top_k < entries).any():
        ordered = logits.sort(-1, descending=True).values
        threshold = ordered.gather(-1, (top_k - 1)[:, None, None].expand(*logits.shape[:2], 1))
        logits = logits.masked_fill(logits < threshold, float("-inf"))
    # 1 - top_p is taken before it is rounded to float32, as transformers takes it: at exact ties that decides.
    cut = torch.tensor([1 - s.top_p for s in sampling], device=device)[:, None, None]
    if (cut > 0).any():
        ordered, order = logits.sort(-1, descending=False)
        below = ordered.softmax(-1).cumsum(-1) <= cut
        below[..., -1] = False
        below &= cut > 0
        logits = logits.masked_fill(torch.zeros_like(below).scatter(-1, order, below), float("-inf"))
    return logits


def draw(logits: torch.Tensor, sampling: list[Sampling], seeds: torch.Tensor, step: int) -> torch.Tensor:
    """One code per row and codebook, int64 [B, K], from guided logits [B, K, V].

    argmax(p / Exp(1) noise) is a draw from p (the exponential race); the noise is a function of (seed, step, codebook).
    """
    probabilities = filtered(logits, sampling).softmax(-1)
    greedy = torch.tensor([s.temperature == 0 for s in sampling], device=logits.device)[:, None]
    raced = (probabilities / exponential(seeds, step, logits.shape[1], logits.shape[2])).argmax(-1)
    return torch.where(greedy, logits.argmax(-1), raced)
