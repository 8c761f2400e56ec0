"""How the decoder and its text encoder start: not from the library's whisper, and not without ears for time and words."""

import math

import torch
from torch import nn
from transformers import MusicgenMelodyForConditionalGeneration, PreTrainedTokenizerFast

from recipes.pocket import words
from recipes.pocket.compose import BEAT_FRAMES

CODE_EMBEDDING_STD = 0.6  # at the default 0.02 the sinusoidal positions drown the codes
LOOKING_HEADS = 6  # a layer; the others start at random, free for the text
LOOKING_SHARPNESS = 8.0  # logit of the frame looked for above that of a frame far from it
HEAD_SCALE = 0.05  # of the output heads against the code embeddings
POSITION_SQUARED = 0.42  # of one sine or cosine after the first layer norm, where codes stand beside it


@torch.no_grad()
def initialise(model: MusicgenMelodyForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> None:
    """Set every weight that training starts from; `torch.manual_seed` first."""
    decoder = model.decoder.model.decoder
    for name, module in decoder.named_modules():
        if isinstance(module, nn.Linear):  # the library's 0.02 is a third of this at width 256
            quiet = 0.5 if name.endswith(("out_proj", "fc2")) else 1.0
            nn.init.normal_(module.weight, std=quiet * module.in_features**-0.5)
    # Text as loud as the positions; at 0.02 training does not hear it.
    nn.init.normal_(model.enc_to_dec_proj.weight, std=model.enc_to_dec_proj.in_features**-0.5)
    for embedding in decoder.embed_tokens:
        nn.init.normal_(embedding.weight, std=CODE_EMBEDDING_STD)
    _start_from_thesaurus(model, tokenizer)
    _look_back(model)


def _start_from_thesaurus(model: MusicgenMelodyForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> None:
    """Words of one meaning start close together, as they would lie in a pretrained text encoder.

    Without it each of some 200 words has to be learned by itself, from a few hundred captions each.
    """
    table = model.text_encoder.get_input_embeddings().weight
    for group in words.thesaurus():
        ids = tokenizer.convert_tokens_to_ids(group)
        table[ids] = torch.randn(table.shape[1]) + 0.3 * torch.randn(len(ids), table.shape[1])


def looked_back_at() -> list[int]:
    """Distances in positions: the last two frames; then, to predict a frame, the one a beat, a bar and a progression before it."""
    beats = sorted(n for frames in BEAT_FRAMES.values() for n in frames)
    return [0, 1, *(span * n - 1 for span in (1, 8, 4) for n in beats)]


def _look_back(model: MusicgenMelodyForConditionalGeneration) -> None:
    """Some heads start with their attention on one fixed distance each.

    A query turned by the distance meets the key whose sinusoidal position is that far back: the rotation of each sine and cosine pair is
    linear. The coordinates used for it are kept free of codes and text at the start.
    """
    decoder = model.decoder.model.decoder
    width, heads = model.config.decoder.hidden_size, model.config.decoder.num_attention_heads
    size, half = width // heads, width // 2
    pairs = size // 2
    cosine = torch.arange(pairs) * (3 * half // 128)  # cosines lie in the first half of a position, sines in the second
    frequency = torch.exp(cosine * (-math.log(10_000) / (half - 1)))
    gain = math.sqrt(LOOKING_SHARPNESS * math.sqrt(size) / (pairs * POSITION_SQUARED))
    places = [(layer, head) for layer in range(len(decoder.layers)) for head in range(min(LOOKING_HEADS, heads))]
    for (layer, head), distance in zip(places, looked_back_at(), strict=False):
        attention = decoder.layers[layer].self_attn
        query, key = attention.q_proj.weight, attention.k_proj.weight
        first = head * size + torch.arange(pairs)
        second = first + pairs
        for weight in (query, key):
            weight[head * size : (head + 1) * size] = 0
        turned_cosine, turned_sine = gain * torch.cos(frequency * distance), gain * torch.sin(frequency * distance)
        key[first, cosine] = key[second, half + cosine] = gain
        query[first, cosine] = query[second, half + cosine] = turned_cosine
        query[first, half + cosine], query[second, cosine] = turned_sine, -turned_sine
        # ... and passes on what it finds there, a random slice of it: summed over heads, a copy.
        slice_ = torch.linalg.qr(torch.randn(width, size)).Q
        attention.v_proj.weight[head * size : (head + 1) * size] = slice_.T
        attention.out_proj.weight[:, head * size : (head + 1) * size] = slice_
    kept_free = torch.cat([cosine, half + cosine])
    for embedding in decoder.embed_tokens:
        embedding.weight[:, kept_free] = 0
    model.enc_to_dec_proj.weight[kept_free] = 0
    for head, embedding in zip(model.decoder.lm_heads, decoder.embed_tokens, strict=True):
        head.weight.copy_(HEAD_SCALE * embedding.weight[: len(head.weight)])  # what is copied is what is predicted
