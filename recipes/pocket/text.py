"""Stage 3c: train a text encoder to predict labels from captions, then freeze it.

The labels are predicted from the EOS state.

MusicGen's own T5 is pretrained and frozen. A text encoder trained jointly with the decoder from
random weights gets only the decoder's weak gradient. A separate stage gives it a direct one, after
which its EOS state encodes each label.

Numbers are 201 tokens, most of them rare. Their embeddings start as points of one smooth curve, so
that each also learns from its neighbours.
"""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedTokenizerFast, T5Config, T5EncoderModel

from recipes.pocket.captions import build_tokenizer, caption
from recipes.pocket.corpus import load_labels, shards_present
from recipes.pocket.settings import Settings
from recipes.training import save_pretrained_atomic
from tonearm.datasets.rendering.compose import BPM_NUMBERS, bpm_numbers_for

HALF_CORRELATION_DISTANCE = (
    0.04  # numbers whose ratio differs from 1 by this start at a correlation of one half
)
LABELS = ("tempo", "beat_frames", "brightness", "density", "dynamics", "mode", "genre", "lead")


def text_config(settings: Settings, tokenizer: PreTrainedTokenizerFast) -> T5Config:
    return T5Config(
        vocab_size=len(tokenizer),
        d_model=settings.text_width,
        d_kv=32,
        d_ff=2 * settings.text_width,
        num_layers=settings.text_layers,
        num_heads=settings.text_width // 32,
        dropout_rate=0.0,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        feed_forward_proj="relu",
    )


@torch.no_grad()
def init_number_embeddings(encoder: T5EncoderModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Initialise the embeddings of BPM_NUMBERS along the logarithm of the number.

    Each coordinate is a Gaussian process of variance 1.
    """
    positions = torch.tensor([*BPM_NUMBERS], dtype=torch.float64).log()
    covariance = torch.exp(
        -math.log(2) * ((positions[:, None] - positions) / HALF_CORRELATION_DISTANCE) ** 2
    )
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors * values.clamp(min=0).sqrt()
    embeddings = encoder.shared.weight
    embeddings[number_ids(tokenizer)] = (
        root @ torch.randn(len(positions), embeddings.shape[1]).double()
    ).float()


def number_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return tokenizer.convert_tokens_to_ids([str(number) for number in BPM_NUMBERS])


def train_text_encoder(corpus: Path, out: Path, settings: Settings) -> None:
    """Train the encoder and write it to `out/text/`. It takes minutes and does not resume."""
    torch.manual_seed(settings.seed)
    tokenizer = build_tokenizer(settings.text_tokens)
    encoder = T5EncoderModel(text_config(settings, tokenizer))
    init_number_embeddings(encoder, tokenizer)
    pieces, held_out = (
        [labels for i in shards_present(corpus, split) for labels in load_labels(corpus, split, i)]
        for split in ("train", "held-out")
    )
    values = {label: sorted({str(piece[label]) for piece in pieces}) for label in LABELS}
    heads = nn.ModuleDict(
        {label: nn.Linear(settings.text_width, len(values[label])) for label in LABELS}
    )

    def eos_of(texts: list[str]) -> torch.Tensor:
        tokens = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
        return encoder(
            input_ids=tokens.input_ids, attention_mask=tokens.attention_mask
        ).last_hidden_state[:, -1]

    def predict(
        batch: list[dict], rng: np.random.Generator
    ) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        eos = eos_of([caption(piece, rng) for piece in batch])
        truth = {
            label: torch.tensor([values[label].index(str(p[label])) for p in batch])
            for label in LABELS
        }
        return {label: (heads[label](eos), truth[label]) for label in LABELS}

    lengths = values["beat_frames"]
    beat_of_number = {
        number: lengths.index(n) for n in lengths for number in bpm_numbers_for(int(n))
    }
    parameters = [*encoder.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.text_rate, weight_decay=0.01)
    for step in range(settings.text_steps):
        rng = np.random.default_rng((settings.seed, 6, step))
        for group in optimizer.param_groups:
            group["lr"] = (
                settings.text_rate * min(1.0, (step + 1) / 50) * (1 - step / settings.text_steps)
            )
        batch = [pieces[i] for i in rng.integers(len(pieces), size=settings.text_batch)]
        loss = sum(F.cross_entropy(*pair) for pair in predict(batch, rng).values())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if (step + 1) % 100 == 0:
            with torch.no_grad():
                evaluated = predict(held_out, np.random.default_rng(0))
                predicted = heads["beat_frames"](
                    eos_of([f"a song at {number} bpm" for number in beat_of_number])
                )
                evaluated["each number"] = predicted, torch.tensor([*beat_of_number.values()])
            accuracy = {
                label: float((logits.argmax(-1) == truth).float().mean())
                for label, (logits, truth) in evaluated.items()
            }
            shares = ", ".join(f"{label} {share:.0%}" for label, share in accuracy.items())
            print(
                f"text step {step + 1}: loss {loss.item():.3f}; "
                f"accuracy on held-out captions: {shares}",
                flush=True,
            )
    save_pretrained_atomic(encoder, out / "text")
