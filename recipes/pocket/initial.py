"""How the decoder starts: not from the library's whisper, with some heads that already look back in time and listen to the text, and counting every tempo's beats."""

import math

import torch
from torch import nn
from transformers import MusicgenMelodyForConditionalGeneration

from recipes.pocket.beat_init import Coordinates, coordinates, count, frequency
from recipes.pocket.compose import BEAT_LENGTHS, PROGRESSION_BEATS
from recipes.pocket.settings import Settings

CODE_EMBEDDING_STD = 0.6  # at the default 0.02 the sinusoidal positions drown the codes
LOOKING_HEADS = 6  # a layer, those that look back
LISTENING_HEADS = 1  # a layer, those that look at the text's EOS
MELODY_HEADS = 1  # a layer, those that look at the melody's place of the frame to come; before the listening ones
LOOKING_SHARPNESS = 8.0  # logit of the frame looked for above that of a frame far from it
HEAD_SCALE = 0.05  # of the output heads against the code embeddings
POSITION_SQUARED = 0.42  # of one sine or cosine after the first layer norm, where codes stand beside it


@torch.no_grad()
def initialise(model: MusicgenMelodyForConditionalGeneration, settings: Settings) -> None:
    """Set every weight that training starts from; `torch.manual_seed` first."""
    decoder = model.decoder.model.decoder
    for name, module in decoder.named_modules():
        if isinstance(module, nn.Linear):  # the library's 0.02 is a third of this at width 256
            quiet = 0.5 if name.endswith(("out_proj", "fc2")) else 1.0
            nn.init.normal_(module.weight, std=quiet * module.in_features**-0.5)
    # Text as loud as the positions; at 0.02 training does not hear it.
    nn.init.normal_(model.enc_to_dec_proj.weight, std=model.enc_to_dec_proj.in_features**-0.5)
    nn.init.normal_(model.audio_enc_to_dec_proj.weight, std=CODE_EMBEDDING_STD)  # of one-hot chroma: embeddings too
    nn.init.zeros_(model.audio_enc_to_dec_proj.bias)
    for embedding in decoder.embed_tokens:
        nn.init.normal_(embedding.weight, std=CODE_EMBEDDING_STD)
    at = coordinates(settings.width, settings.heads)
    taken = at.taken
    first = decoder.layers[0]
    for inward in (first.self_attn.out_proj, first.fc2, model.enc_to_dec_proj, model.audio_enc_to_dec_proj):
        inward.weight[taken] = 0
    for embedding in decoder.embed_tokens:
        embedding.weight[:, taken] = 0
    for head, embedding in zip(model.decoder.lm_heads, decoder.embed_tokens, strict=True):
        head.weight.copy_(HEAD_SCALE * embedding.weight[: len(head.weight)])  # what is copied is what is predicted
    _look(model, settings, at)
    count(first, at)


def looked_back_at() -> list[int]:
    """Distances in positions: the last two frames; then, to predict a frame, the one a beat, a bar and a progression before it."""
    return [0, 1, *(span * n - 1 for span in (1, PROGRESSION_BEATS, 4) for n in BEAT_LENGTHS)]


def _look(model: MusicgenMelodyForConditionalGeneration, settings: Settings, at: Coordinates) -> None:
    """The first heads of each layer start with their attention on one fixed distance each, the last two on the melody and on the text's EOS.

    A query turned by a distance meets the key whose sinusoidal position is that far back: the rotation of each sine and cosine pair is
    linear. A query made from slower sinusoids meets keys on a grid as much coarser: chroma frames are 3.2 codes long, and 16 steps down the
    ladder of frequencies are a factor of 3.19. A query that is the same everywhere, made from the slowest cosine, meets one fixed key.
    """
    decoder = model.decoder.model.decoder
    heads, half, content = model.config.decoder.num_attention_heads, at.half, at.content
    size = 2 * half // heads
    pairs = size // 2
    prefix = model.config.chroma_length + settings.text_tokens
    gain = math.sqrt(LOOKING_SHARPNESS * math.sqrt(size) / (pairs * POSITION_SQUARED))
    distances = iter(looked_back_at())
    for layer in decoder.layers:
        attention = layer.self_attn
        query, key = attention.q_proj.weight, attention.k_proj.weight
        for head in range(heads):
            distance = next(distances, None) if head < LOOKING_HEADS else None
            if distance is None and head < heads - LISTENING_HEADS - MELODY_HEADS:
                continue
            first = head * size + torch.arange(pairs)
            second = first + pairs
            for weight in (query, key):
                weight[head * size : (head + 1) * size] = 0
            key[first, at.looking] = key[second, half + at.looking] = gain
            if head >= heads - LISTENING_HEADS:
                eos = frequency(at.looking, half) * (prefix - 1)
                query[first, at.constant], query[second, at.constant] = gain * torch.cos(eos), gain * torch.sin(eos)
            else:
                seen, back = (at.looking, distance) if distance is not None else (at.coarser, prefix)
                turned = frequency(seen, half) * back
                query[first, seen] = query[second, half + seen] = gain * torch.cos(turned)
                query[first, half + seen], query[second, seen] = gain * torch.sin(turned), -gain * torch.sin(turned)
            # What is found there is passed on, a random slice of it: summed over heads, a copy.
            slice_ = torch.zeros(2 * half, size)
            slice_[content] = torch.linalg.qr(torch.randn(len(content), size)).Q
            attention.v_proj.weight[head * size : (head + 1) * size] = slice_.T
            attention.out_proj.weight[:, head * size : (head + 1) * size] = slice_
