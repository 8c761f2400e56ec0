"""Initial weights of the decoder.

They are larger than the library's, with heads that look back in time, at the text and at the
melody, and with beat counters.
"""

import math

import torch
from torch import nn
from transformers import MusicgenMelodyForConditionalGeneration

from recipes.pocket.beat_init import Coordinates, coordinates, frequency, init_beat_counters
from recipes.pocket.settings import Settings
from tonearm.datasets.rendering.compose import BEAT_LENGTHS, PROGRESSION_BEATS

CODE_EMBEDDING_STD = 0.6  # at the default 0.02 the sinusoidal positions dominate the codes
LOOKBACK_HEADS = 6  # per layer, at fixed distances
TEXT_HEADS = 1  # per layer, at the text's EOS; the last heads
MELODY_HEADS = 1  # per layer, at the melody frame of the predicted frame; before the text heads
LOOKBACK_SHARPNESS = 8.0  # logit of the target frame above that of a distant frame
HEAD_SCALE = 0.05  # of the output heads against the code embeddings
POSITION_SQUARED = 0.42  # of one sine or cosine after the first layer norm, with codes added


@torch.no_grad()
def initialise(model: MusicgenMelodyForConditionalGeneration, settings: Settings) -> None:
    """Set every initial weight; call `torch.manual_seed` first."""
    decoder = model.decoder.model.decoder
    for name, module in decoder.named_modules():
        if isinstance(module, nn.Linear):  # the library's 0.02 is a third of this at width 256
            quiet = 0.5 if name.endswith(("out_proj", "fc2")) else 1.0
            nn.init.normal_(module.weight, std=quiet * module.in_features**-0.5)
    # Text at the scale of the positions; at 0.02 training ignores it.
    nn.init.normal_(model.enc_to_dec_proj.weight, std=model.enc_to_dec_proj.in_features**-0.5)
    # chroma is one-hot, so its rows are embeddings
    nn.init.normal_(model.audio_enc_to_dec_proj.weight, std=CODE_EMBEDDING_STD)
    nn.init.zeros_(model.audio_enc_to_dec_proj.bias)
    for embedding in decoder.embed_tokens:
        nn.init.normal_(embedding.weight, std=CODE_EMBEDDING_STD)
    at = coordinates(settings.width, settings.heads)
    first = decoder.layers[0]
    for inward in (
        first.self_attn.out_proj,
        first.fc2,
        model.enc_to_dec_proj,
        model.audio_enc_to_dec_proj,
    ):
        inward.weight[at.reserved] = 0
    for embedding in decoder.embed_tokens:
        embedding.weight[:, at.reserved] = 0
    for head, embedding in zip(model.decoder.lm_heads, decoder.embed_tokens, strict=True):
        # a copied code is the predicted code
        head.weight.copy_(HEAD_SCALE * embedding.weight[: len(head.weight)])
    _init_attention(model, settings, at)
    init_beat_counters(first, at)


def lookback_distances() -> list[int]:
    """Return distances in positions.

    The last two frames, and the frames one beat, bar and progression before the predicted one.
    """
    return [0, 1, *(span * n - 1 for span in (1, PROGRESSION_BEATS, 4) for n in BEAT_LENGTHS)]


def _init_attention(
    model: MusicgenMelodyForConditionalGeneration, settings: Settings, at: Coordinates
) -> None:
    """Let the first heads of each layer attend to one fixed distance each.

    The last two attend to the melody and to the text's EOS.

    The rotation of a sine-cosine pair by a distance is linear, so a query matrix can match the key
    of a fixed distance. A query of slower sinusoids matches keys on a coarser grid: chroma frames
    are 3.2 codec frames long, and 16 steps down the ladder of frequencies are a factor of 3.19. A
    query that is constant over positions, made of the slowest cosine, matches one fixed key.
    """
    decoder = model.decoder.model.decoder
    heads, half, free = model.config.decoder.num_attention_heads, at.half, at.free
    size = 2 * half // heads
    pairs = size // 2
    prefix = model.config.chroma_length + settings.text_tokens
    gain = math.sqrt(LOOKBACK_SHARPNESS * math.sqrt(size) / (pairs * POSITION_SQUARED))
    distances = iter(lookback_distances())
    for layer in decoder.layers:
        attention = layer.self_attn
        query, key = attention.q_proj.weight, attention.k_proj.weight
        for head in range(heads):
            distance = next(distances, None) if head < LOOKBACK_HEADS else None
            if distance is None and head < heads - TEXT_HEADS - MELODY_HEADS:
                continue
            first = head * size + torch.arange(pairs)
            second = first + pairs
            for weight in (query, key):
                weight[head * size : (head + 1) * size] = 0
            key[first, at.lookback] = key[second, half + at.lookback] = gain
            if head >= heads - TEXT_HEADS:
                eos = frequency(at.lookback, half) * (prefix - 1)
                query[first, at.constant], query[second, at.constant] = (
                    gain * torch.cos(eos),
                    gain * torch.sin(eos),
                )
            else:
                seen, back = (
                    (at.lookback, distance) if distance is not None else (at.melody_lookup, prefix)
                )
                turned = frequency(seen, half) * back
                query[first, seen] = query[second, half + seen] = gain * torch.cos(turned)
                query[first, half + seen], query[second, seen] = (
                    gain * torch.sin(turned),
                    -gain * torch.sin(turned),
                )
            # The values pass on a random slice of the attended state; the sum over heads is a copy.
            slice_ = torch.zeros(2 * half, size)
            slice_[free] = torch.linalg.qr(torch.randn(len(free), size)).Q
            attention.v_proj.weight[head * size : (head + 1) * size] = slice_.T
            attention.out_proj.weight[:, head * size : (head + 1) * size] = slice_
