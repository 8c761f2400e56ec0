"""Stage 3c, captions -> a text encoder that understands them: trained to name a piece's labels from its caption's EOS, then frozen.

MusicGen's own T5 comes pretrained and stays frozen. A text encoder that starts from nothing and learns with the decoder has only the decoder's faint
gradient to learn words from; here it knows them beforehand, and its EOS state holds each label.

A word for each number is 201 words, most of them rare. They start as points of one smooth curve, so that each also learns what its neighbours mean.
"""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from recipes.pocket.captions import build_tokenizer, caption
from recipes.pocket.compose import BPM_NUMBERS, numbers_for
from recipes.pocket.corpus import load_labels, shards_present
from recipes.pocket.settings import Settings
from recipes.training import save_whole

NEIGHBOURS = 0.04  # numbers whose ratio is that far from 1 begin half alike
NAMED = ("tempo", "beat_frames", "brightness", "density", "dynamics", "mode", "genre", "lead")


def text_config(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> T5Config:
    return T5Config(
        vocab_size=len(tokenizer), d_model=settings.text_width, d_kv=32, d_ff=2 * settings.text_width,
        num_layers=settings.text_layers, num_heads=settings.text_width // 32, dropout_rate=0.0,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, feed_forward_proj="relu",
    )  # fmt: skip


@torch.no_grad()
def line_up_numbers(encoder: T5EncoderModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Let the embeddings of BPM_NUMBERS start as a curve along the logarithm of the number, each coordinate a Gaussian process of variance 1."""
    places = torch.tensor([*BPM_NUMBERS], dtype=torch.float64).log()
    alike = torch.exp(-math.log(2) * ((places[:, None] - places) / NEIGHBOURS) ** 2)
    values, vectors = torch.linalg.eigh(alike)
    root = vectors * values.clamp(min=0).sqrt()
    embeddings = encoder.shared.weight
    embeddings[number_ids(tokenizer)] = (root @ torch.randn(len(places), embeddings.shape[1]).double()).float()


def number_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return tokenizer.convert_tokens_to_ids([str(number) for number in BPM_NUMBERS])


def train_text_encoder(corpus: Path, out: Path, settings: Settings) -> None:
    """The finished encoder lies in `out/text/`."""
    torch.manual_seed(settings.seed)
    tokenizer = build_tokenizer(settings.text_tokens)
    encoder = T5EncoderModel(text_config(settings, tokenizer))
    line_up_numbers(encoder, tokenizer)
    pieces, held_out = (
        [labels for i in shards_present(corpus, split) for labels in load_labels(corpus, split, i)]
        for split in ("train", "held-out")
    )
    values = {label: sorted({str(piece[label]) for piece in pieces}) for label in NAMED}
    heads = nn.ModuleDict({label: nn.Linear(settings.text_width, len(values[label])) for label in NAMED})

    def eos_of(texts: list[str]) -> torch.Tensor:
        tokens = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
        return encoder(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask).last_hidden_state[:, -1]

    def named(batch: list[dict], rng: np.random.Generator) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        eos = eos_of([caption(piece, rng) for piece in batch])
        truth = {label: torch.tensor([values[label].index(str(p[label])) for p in batch]) for label in NAMED}
        return {label: (heads[label](eos), truth[label]) for label in NAMED}

    lengths = values["beat_frames"]
    meant = {number: lengths.index(n) for n in lengths for number in numbers_for(int(n))}
    parameters = [*encoder.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.text_rate, weight_decay=0.01)
    for step in range(settings.text_steps):
        rng = np.random.default_rng((settings.seed, 6, step))
        for group in optimizer.param_groups:
            group["lr"] = settings.text_rate * min(1.0, (step + 1) / 50) * (1 - step / settings.text_steps)
        batch = [pieces[i] for i in rng.integers(len(pieces), size=settings.text_batch)]
        loss = sum(F.cross_entropy(*pair) for pair in named(batch, rng).values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if (step + 1) % 100 == 0:
            with torch.no_grad():
                judged = named(held_out, np.random.default_rng(0))
                guessed = heads["beat_frames"](eos_of([f"a song at {number} bpm" for number in meant]))
                judged["each number"] = guessed, torch.tensor([*meant.values()])
            right = {
                label: float((guess.argmax(-1) == truth).float().mean()) for label, (guess, truth) in judged.items()
            }
            shares = ", ".join(f"{label} {share:.0%}" for label, share in right.items())
            print(
                f"text step {step + 1}: loss {loss.item():.3f}; named right on held-out captions: {shares}", flush=True
            )
    save_whole(encoder, out / "text")
