"""Training of EnCodec's residual quantiser.

k-means initialisation, exponential moving averages, straight-through gradients.
"""

import torch
import torch.nn.functional as F
from transformers import EncodecModel

EMA_DECAY = 0.99


class TrainedQuantizer:
    """Train the codebooks of `codec` in place."""

    def __init__(self, codec: EncodecModel):
        self.codebooks = [layer.codebook for layer in codec.quantizer.layers]

    @torch.no_grad()
    def initialise(self, latents: torch.Tensor, rounds: int = 12) -> None:
        """Initialise the codebooks by k-means, each on the residual of those before.

        Args:
            latents: [N, D].
            rounds: iterations of k-means.
        """
        residual = latents.clone()
        for codebook in self.codebooks:
            centres = residual[torch.randperm(len(residual))[: codebook.codebook_size]].clone()
            for _ in range(rounds):
                nearest = torch.cdist(residual, centres).argmin(1)
                counts = torch.bincount(nearest, minlength=len(centres)).clamp(min=1)
                sums = torch.zeros_like(centres).index_add_(0, nearest, residual)
                occupied = torch.bincount(nearest, minlength=len(centres)) > 0
                centres[occupied] = (sums / counts[:, None])[occupied]
                centres[~occupied] = residual[
                    torch.randint(len(residual), (int((~occupied).sum()),))
                ]
            codebook.embed.copy_(centres)
            codebook.embed_avg.copy_(centres)
            codebook.cluster_size.fill_(1.0)
            residual = residual - centres[torch.cdist(residual, centres).argmin(1)]

    def __call__(self, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Quantise latents and update the codebooks.

        Args:
            latents: [B, D, T].

        Returns:
            Quantised latents (straight-through), commitment loss, share of codes in use.
        """
        flat = latents.detach().transpose(1, 2).reshape(-1, latents.shape[1])
        residual, total, used = flat, torch.zeros_like(flat), []
        for codebook in self.codebooks:
            codes = codebook.quantize(residual)
            chosen = F.embedding(codes, codebook.embed)
            self._update(codebook, codes, residual)
            used.append(float((codebook.cluster_size > 0.05).float().mean()))
            total, residual = total + chosen, residual - chosen
        quantised = total.view(latents.shape[0], -1, latents.shape[1]).transpose(1, 2)
        commitment = F.mse_loss(latents, quantised)
        return latents + (quantised - latents).detach(), commitment, sum(used) / len(used)

    @torch.no_grad()
    def _update(self, codebook, codes: torch.Tensor, residual: torch.Tensor) -> None:
        counts = torch.bincount(codes, minlength=codebook.codebook_size).float()
        sums = torch.zeros_like(codebook.embed).index_add_(0, codes, residual)
        codebook.cluster_size.mul_(EMA_DECAY).add_(counts, alpha=1 - EMA_DECAY)
        codebook.embed_avg.mul_(EMA_DECAY).add_(sums, alpha=1 - EMA_DECAY)
        codebook.embed.copy_(codebook.embed_avg / codebook.cluster_size.clamp(min=1e-5)[:, None])
        dead = codebook.cluster_size < 0.01
        if dead.any():
            fresh = residual[
                torch.randint(len(residual), (int(dead.sum()),), device=residual.device)
            ]
            codebook.embed[dead] = fresh
            codebook.embed_avg[dead] = fresh
            codebook.cluster_size[dead] = 1.0
