"""The training-time side of EnCodec's residual quantiser: k-means start, exponential moving averages, straight-through."""

import torch
import torch.nn.functional as F
from transformers import EncodecModel

EMA_DECAY = 0.99


class TrainedQuantizer:
    """Trains the codebooks that lie in `codec`."""

    def __init__(self, codec: EncodecModel):
        self.books = [layer.codebook for layer in codec.quantizer.layers]

    @torch.no_grad()
    def start(self, latents: torch.Tensor, rounds: int = 12) -> None:
        """k-means on latents [N, D], book by book on what the books before left over."""
        residual = latents.clone()
        for book in self.books:
            centres = residual[torch.randperm(len(residual))[: book.codebook_size]].clone()
            for _ in range(rounds):
                nearest = torch.cdist(residual, centres).argmin(1)
                counts = torch.bincount(nearest, minlength=len(centres)).clamp(min=1)
                sums = torch.zeros_like(centres).index_add_(0, nearest, residual)
                occupied = torch.bincount(nearest, minlength=len(centres)) > 0
                centres[occupied] = (sums / counts[:, None])[occupied]
                centres[~occupied] = residual[torch.randint(len(residual), (int((~occupied).sum()),))]
            book.embed.copy_(centres)
            book.embed_avg.copy_(centres)
            book.cluster_size.fill_(1.0)
            residual = residual - centres[torch.cdist(residual, centres).argmin(1)]

    def __call__(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Latents [B, D, T] -> quantised (straight-through), commitment loss, share of codes in use."""
        flat = latents.detach().transpose(1, 2).reshape(-1, latents.shape[1])
        residual, total, used = flat, torch.zeros_like(flat), []
        for book in self.books:
            codes = book.quantize(residual)
            chosen = F.embedding(codes, book.embed)
            self._follow(book, codes, residual)
            used.append(float((book.cluster_size > 0.05).float().mean()))
            total, residual = total + chosen, residual - chosen
        quantised = total.view(latents.shape[0], -1, latents.shape[1]).transpose(1, 2)
        commitment = F.mse_loss(latents, quantised)
        return latents + (quantised - latents).detach(), commitment, sum(used) / len(used)

    @torch.no_grad()
    def _follow(self, book, codes: torch.Tensor, residual: torch.Tensor) -> None:
        counts = torch.bincount(codes, minlength=book.codebook_size).float()
        sums = torch.zeros_like(book.embed).index_add_(0, codes, residual)
        book.cluster_size.mul_(EMA_DECAY).add_(counts, alpha=1 - EMA_DECAY)
        book.embed_avg.mul_(EMA_DECAY).add_(sums, alpha=1 - EMA_DECAY)
        book.embed.copy_(book.embed_avg / book.cluster_size.clamp(min=1e-5)[:, None])
        dead = book.cluster_size < 0.01
        if dead.any():
            fresh = residual[torch.randint(len(residual), (int(dead.sum()),), device=residual.device)]
            book.embed[dead] = fresh
            book.embed_avg[dead] = fresh
            book.cluster_size[dead] = 1.0
