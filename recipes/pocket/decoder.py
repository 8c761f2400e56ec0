"""Stage 3b, captions and codes -> text encoder + MusicGen-Melody decoder, trained together.

The same classes as `facebook/musicgen-melody`, at a small size. Teacher forcing goes through the delay pattern with BOS
(codebook k of frame t sits at position 1 + t + k), and a share of the rows has its text zeroed, as the unconditional
rows of guidance have it in `generate()`.
"""

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import (
    EncodecModel,
    MusicgenMelodyConfig,
    MusicgenMelodyDecoderConfig,
    MusicgenMelodyForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
)

from recipes.pocket import words
from recipes.pocket.captions import build_tokenizer, caption
from recipes.pocket.corpus import load_labels
from recipes.pocket.encode import codes_path
from recipes.pocket.settings import Settings
from tonearm.files import write_aside
from tonearm.musicgen.delay import delay

FRAMES = 250  # 10 s
SHIFTED_SHARE = 0.1  # rows that start in the middle of a piece, as an audio prompt may
CODE_EMBEDDING_STD = 0.6  # at the default 0.02 the sinusoidal positions drown the codes
IGNORED = -100
TEXT_PACE = 0.3  # learning rate of the text encoder, as a share of the decoder's


def build_model(
    settings: Settings, tokenizer: PreTrainedTokenizerFast, codec: EncodecModel
) -> MusicgenMelodyForConditionalGeneration:
    text = T5Config(
        vocab_size=len(tokenizer), d_model=settings.text_width, d_kv=32, d_ff=2 * settings.text_width,
        num_layers=settings.text_layers, num_heads=settings.text_width // 32, dropout_rate=0.0,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, feed_forward_proj="relu",
    )  # fmt: skip
    bos = settings.codebook_size
    decoder = MusicgenMelodyDecoderConfig(
        vocab_size=settings.codebook_size, hidden_size=settings.width, num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads, ffn_dim=4 * settings.width, num_codebooks=settings.codebooks,
        activation_function="gelu", dropout=0.0, attention_dropout=0.0, activation_dropout=0.0,
        pad_token_id=bos, bos_token_id=bos, eos_token_id=None, max_position_embeddings=2048,
    )  # fmt: skip
    config = MusicgenMelodyConfig(
        text_encoder=text.to_dict(), audio_encoder=codec.config.to_dict(), decoder=decoder.to_dict(),
        num_chroma=12, chroma_length=1,
    )  # fmt: skip
    model = MusicgenMelodyForConditionalGeneration(config)
    model.audio_encoder.load_state_dict(codec.state_dict())
    model.freeze_audio_encoder()
    # Text as loud as the positions; at the library's 0.02 it is a whisper that training does not hear.
    torch.nn.init.normal_(model.enc_to_dec_proj.weight, std=settings.text_width**-0.5)
    _start_from_thesaurus(model, tokenizer)
    for embedding in model.decoder.model.decoder.embed_tokens:
        torch.nn.init.normal_(embedding.weight, std=CODE_EMBEDDING_STD)
    generation = model.generation_config
    generation.decoder_start_token_id = generation.pad_token_id = generation.bos_token_id = bos
    generation.do_sample, generation.guidance_scale, generation.max_length = True, 3.0, FRAMES + settings.codebooks
    generation.top_k = settings.codebook_size // 2
    return model


@torch.no_grad()
def _start_from_thesaurus(model: MusicgenMelodyForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> None:
    """Words of one meaning start close together, as they would lie in a pretrained text encoder.

    Without it each of some 200 words has to be learned by itself, from a few hundred captions each.
    """
    table = model.text_encoder.get_input_embeddings().weight
    for group in words.thesaurus():
        ids = tokenizer.convert_tokens_to_ids(group)
        table[ids] = torch.randn(table.shape[1]) + 0.3 * torch.randn(len(ids), table.shape[1])


def teacher_forced(codes: torch.Tensor, bos: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes [B, K, T], IGNORED where absent -> decoder inputs [B, K, T + K - 1] and the targets they predict."""
    delayed = delay(codes, IGNORED)
    return delayed[..., :-1].masked_fill(delayed[..., :-1] == IGNORED, bos), delayed[..., 1:]


def history_dropout(progress: float) -> float:
    """Share of the rows whose history is dropped: most in the first third of the steps, when the text is learned."""
    return 0.85 if progress <= 1 / 3 else 0.35


def drop_history(inputs: torch.Tensor, bos: int, share_of_rows: float, rng: np.random.Generator) -> torch.Tensor:
    """Take positions of the inputs [B, K, S] away in some of the rows: all of them, or a share between one half and all.

    What a piece is like can be heard from its first frames, so a decoder that sees them all never needs the text, and ignores it.
    """
    rows, _, positions = inputs.shape
    share = np.where(rng.random(rows) < 0.5, 1.0, rng.uniform(0.5, 1.0, rows)) * (rng.random(rows) < share_of_rows)
    dropped = rng.random((rows, positions)) < share[:, None]
    return inputs.masked_fill(torch.from_numpy(dropped).to(inputs.device)[:, None], bos)


def next_code_loss(
    model, batch: "Batch", guidance_dropout: float, rng: np.random.Generator, dropped_rows: float = 0.0
) -> torch.Tensor:
    """Cross-entropy a book, [K], in nats."""
    device = model.device
    bos = model.config.decoder.pad_token_id
    inputs, targets = teacher_forced(batch.codes.to(device), bos)
    if dropped_rows:
        inputs = drop_history(inputs, bos, dropped_rows, rng)
    mask = batch.text_mask.clone()
    mask[torch.from_numpy(rng.random(len(mask)) < guidance_dropout)] = 0
    logits = model(
        input_ids=batch.text_ids.to(device),
        attention_mask=mask.to(device),
        decoder_input_ids=inputs.flatten(0, 1),
        use_cache=False,
    ).logits
    logits = logits.view(*inputs.shape[:2], *logits.shape[1:])[:, :, -inputs.shape[-1] :]
    books = range(logits.shape[1])
    return torch.stack(
        [F.cross_entropy(logits[:, k].flatten(0, 1), targets[:, k].flatten(), ignore_index=IGNORED) for k in books]
    )


class Batch:
    def __init__(self, codes: torch.Tensor, text_ids: torch.Tensor, text_mask: torch.Tensor):
        self.codes, self.text_ids, self.text_mask = codes, text_ids, text_mask


class Pieces:
    """Codes with their labels; batches with freshly written captions."""

    def __init__(self, corpus: Path, out: Path, split: str, tokenizer: PreTrainedTokenizerFast, settings: Settings):
        paths = sorted((out / "codes").glob(f"{split}-*.npy"))
        indices = [int(path.stem.rsplit("-", 1)[1]) for path in paths]
        self.codes = np.concatenate([np.load(codes_path(out, split, i)) for i in indices])
        self.labels = [labels for i in indices for labels in load_labels(corpus, split, i)]
        self.tokenizer, self.settings = tokenizer, settings

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> Batch:
        codes = np.full((len(rows), self.codes.shape[1], FRAMES), IGNORED, dtype=np.int64)
        for i, row in enumerate(rows):
            start = int(rng.integers(1, 64)) if rng.random() < SHIFTED_SHARE else 0
            piece = self.codes[row, :, start : start + FRAMES]
            codes[i, :, : piece.shape[1]] = piece
        texts = [caption(self.labels[row], rng) for row in rows]
        tokens = self.tokenizer(texts, padding="longest", truncation=True, return_tensors="pt")
        width = self.settings.text_tokens
        if rng.random() < 0.15:  # so that a prompt padded otherwise is not far from home
            width = int(rng.integers(tokens.input_ids.shape[1], width + 1))
        pad = width - tokens.input_ids.shape[1]
        return Batch(torch.from_numpy(codes), F.pad(tokens.input_ids, (pad, 0)), F.pad(tokens.attention_mask, (pad, 0)))


def build_optimizer(model, settings: Settings) -> torch.optim.Optimizer:
    """AdamW; the decoder's matrices decay; the text encoder learns slowly, or it collapses onto one vector for all prompts."""
    text = list(model.text_encoder.parameters())
    chosen = {id(p) for p in text}
    others = [p for p in model.parameters() if p.requires_grad and id(p) not in chosen]
    groups = [
        {"params": [p for p in others if p.ndim > 1], "weight_decay": 0.05, "pace": 1.0},
        {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0, "pace": 1.0},
        {"params": text, "weight_decay": 0.0, "pace": TEXT_PACE},
    ]
    return torch.optim.AdamW(groups, lr=settings.decoder_rate, betas=(0.9, 0.97), fused=True)


def train_decoder(
    corpus: Path, out: Path, settings: Settings, device: str = "cpu"
) -> MusicgenMelodyForConditionalGeneration:
    """Train, or take up again where `out/decoder.pt` stopped; the finished checkpoint lies in `out/pocket/`."""
    torch.manual_seed(settings.seed)
    tokenizer = build_tokenizer(settings.text_tokens, out / "pocket")
    codec = EncodecModel.from_pretrained(out / "codec")
    model = build_model(settings, tokenizer, codec).to(device)
    optimizer = build_optimizer(model, settings)
    pieces = Pieces(corpus, out, "train", tokenizer, settings)
    held_out = Pieces(corpus, out, "held-out", tokenizer, settings)
    checkpoint, first = out / "decoder.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    # The upper books are close to noise; the lower ones hold the music.
    weights = torch.tensor([1 / (1 + 0.3 * k) for k in range(settings.codebooks)], device=device)
    weights = weights / weights.sum()
    batches_per_epoch = len(pieces.labels) // settings.decoder_batch
    began, running = time.time(), None
    model.train()
    for step in range(first, settings.decoder_steps):
        epoch, place = divmod(step, batches_per_epoch)
        order = np.random.default_rng((settings.seed, 3, epoch)).permutation(len(pieces.labels))
        rows = order[place * settings.decoder_batch : (place + 1) * settings.decoder_batch]
        rng = np.random.default_rng((settings.seed, 4, step))
        progress = step / settings.decoder_steps
        rate = (
            settings.decoder_rate
            * min(1.0, (step + 1) / 100)
            * (1.0 if progress < 0.5 else 2 * (1 - progress) * 0.97 + 0.03)
        )
        for group in optimizer.param_groups:
            group["lr"] = rate * group["pace"]
        loss = next_code_loss(model, pieces.draw(rows, rng), settings.guidance_dropout, rng, history_dropout(progress))
        optimizer.zero_grad(set_to_none=True)
        (loss * weights).sum().backward()
        torch.nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], 1.0)
        optimizer.step()
        running = loss.detach() if running is None else 0.98 * running + 0.02 * loss.detach()
        if (step + 1) % 50 == 0:
            pace = (time.time() - began) / (step + 1 - first)
            print(f"decoder step {step + 1}: train {_nats(running)}, {pace:.2f} s a step", flush=True)
        if (step + 1) % settings.checkpoint_every == 0:
            print(f"decoder step {step + 1}: held-out {_nats(held_out_loss(model, held_out))}", flush=True)
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1}
            with write_aside(checkpoint) as aside:
                torch.save(state, aside)
    aside = out / "pocket.part"
    model.eval().half().save_pretrained(aside)
    for name in (
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ):  # the weights last: make.py takes them as the sign of being done
        (aside / name).replace(out / "pocket" / name)
    aside.rmdir()
    return model


@torch.inference_mode()
def held_out_loss(model, pieces: Pieces, batches: int = 4) -> torch.Tensor:
    """Mean cross-entropy a book on held-out pieces, text always given."""
    model.eval()
    losses = []
    for i in range(batches):
        rng = np.random.default_rng((5, i))
        rows = np.arange(i * 16, (i + 1) * 16)
        losses.append(next_code_loss(model, pieces.draw(rows, rng), 0.0, rng))
    model.train()
    return torch.stack(losses).mean(0)


def _nats(books: torch.Tensor) -> str:
    return f"{float(books.mean()):.3f} (" + " ".join(f"{float(x):.2f}" for x in books) + ")"
