"""Distributions of the codes of a given take, in place of drawn codes: one pass over all positions.

Shapes: B rows, K codebooks, V entries, T frames, P = T + delay positions.
"""

from collections.abc import Iterator

import torch

from tonearm.backend import Taps
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.delay import lags
from tonearm.musicgen.engine import forced_tokens
from tonearm.musicgen.sampling import guided


@torch.inference_mode()
def forced_log_probabilities(
    decoder: Decoder, request: DecodeRequest, codes: torch.Tensor, read: Taps | None = None
) -> Iterator[torch.Tensor]:
    """Compute the distributions that sampling would draw from, at temperature 1 and without top-k.

    Args:
        decoder: to run.
        request: of one window; its steering and guidance apply, its seeds to gates alone.
        codes: [B, K, T], read in place of drawn ones.
        read: further taps, which see the activations as steered and may replace them.

    Yields:
        For each position, log-probabilities float32 [B, K, V].
    """
    decoding = Decoding(decoder, request, read, may_capture=False)
    assert decoding.state is not None
    tokens = forced_tokens(decoder.checkpoint, request.conditioning, codes)
    last = decoding.frames.stop - 1
    decoding.buffers.seek(0)
    states = decoding.state.hidden(tokens[..., :-1], decoding.taps)
    for position in range(1, tokens.shape[-1]):
        frame = min(position - 1, last)
        logits = decoder.heads_of(states[:, position - 1]).float()
        if request.conditioning.guided:
            conditional, unconditional = logits.chunk(2)
            logits = guided(conditional, unconditional, decoding.sampler.guidance.at(frame))
        yield logits.log_softmax(-1)


def mean_divergence(
    decoder: Decoder,
    steered: DecodeRequest,
    plain: DecodeRequest,
    codes: torch.Tensor,
    read: Taps | None = None,
) -> torch.Tensor:
    """Compute KL(steered || plain), teacher-forced on the plain take's codes.

    Unlike a distance between two takes, it does not saturate when they part at one code.

    Args:
        decoder: to run.
        steered: the request with steering.
        plain: the same without.
        codes: of the plain takes, [B, K, T].
        read: further taps of the steered pass.

    Returns:
        Nats per frame, summed over codebooks and averaged over frames, float32 [B].
    """
    pairs = zip(
        forced_log_probabilities(decoder, steered, codes, read),
        forced_log_probabilities(decoder, plain, codes),
        strict=True,
    )
    divergences = ((moved.exp() * (moved - unmoved)).sum(-1) for moved, unmoved in pairs)
    return _mean_over_frames(decoder, codes, divergences)


def mean_cross_entropy(
    decoder: Decoder, request: DecodeRequest, codes: torch.Tensor, read: Taps | None = None
) -> torch.Tensor:
    """Compute the cross-entropy of given codes under the model's predictions.

    Args:
        decoder: to run.
        request: of one window, as for `forced_log_probabilities`.
        codes: [B, K, T].
        read: further taps, which may replace activations.

    Returns:
        Nats per frame, summed over codebooks and averaged over frames, float32 [B].
    """
    tokens = forced_tokens(decoder.checkpoint, request.conditioning, codes)
    predicted = forced_log_probabilities(decoder, request, codes, read)
    # BOS, where a codebook has no frame, is no entry; `_mean_over_frames` leaves it out.
    losses = (
        -one.gather(-1, tokens[..., at + 1, None].clamp(max=one.shape[-1] - 1))[..., 0]
        for at, one in enumerate(predicted)
    )
    return _mean_over_frames(decoder, codes, losses)


def _mean_over_frames(
    decoder: Decoder, codes: torch.Tensor, values: Iterator[torch.Tensor]
) -> torch.Tensor:
    """Sum over codebooks and average over frames.

    Args:
        decoder: of the predictions.
        codes: [B, K, T].
        values: of each position, [B, K].

    Returns:
        float32 [B].
    """
    shape, frames = decoder.checkpoint.shape, codes.shape[-1]
    total = torch.zeros(len(codes), device=decoder.checkpoint.device)
    lag = torch.tensor(lags(shape.codebooks, shape.channels), device=total.device)
    for position, value in enumerate(values):
        frame = position - lag  # that each codebook decides here
        total += torch.where((frame >= 0) & (frame < frames), value, 0).sum(-1)
    return total / frames
