"""Stage 3d, captions and codes -> MusicGen-Melody decoder, over the frozen text encoder.

The same classes as `facebook/musicgen-melody`, at a small size. Teacher forcing goes through the delay pattern with BOS
(codebook k of frame t sits at position 1 + t + k), and a share of the rows has its text zeroed, as the unconditional
rows of guidance have it in `generate()`. It starts with `first_layers` layers and goes on with `layers` (growth.py).
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from transformers import (
    EncodecModel,
    MusicgenMelodyConfig,
    MusicgenMelodyDecoderConfig,
    MusicgenMelodyForConditionalGeneration,
    PretrainedConfig,
    T5EncoderModel,
)

from recipes.pocket.attention import use_causal_blocks
from recipes.pocket.batches import FRAMES, IGNORED, Batch, Pieces, drop_history, mistake_history, teacher_forced
from recipes.pocket.beat_aux_loss import Timekeeper
from recipes.pocket.captions import build_tokenizer
from recipes.pocket.corpus import MELODY_FRAMES
from recipes.pocket.data_parallel import Team
from recipes.pocket.growth import hand_over
from recipes.pocket.initial import initialise
from recipes.pocket.settings import Settings
from recipes.training import Progress, decaying, keep, steps_taken, take_up

SPLICED = 0.05  # share of the rows that begin with another piece
SUNG = 0.4  # share of the others whose melody is told
MISTAKEN_ROWS = 0.2  # share of the rows with wrong codes in their history
GUIDANCE, TEMPERATURE = 2.0, 0.9  # steadier than MusicGen's 3 and 1, at some cost to what a prompt says (LOG.md)
NULL_CHROMA = torch.eye(12)[0]  # as generate() gives the unconditional rows
START_FRAMES, START_WEIGHT = 40, 3.0  # the first frames of a piece are where its caption tells most


def build_model(
    settings: Settings, text_encoder: T5EncoderModel, codec: EncodecModel
) -> MusicgenMelodyForConditionalGeneration:
    """With `settings.layers` layers."""
    bos = settings.codebook_size
    decoder = MusicgenMelodyDecoderConfig(
        vocab_size=settings.codebook_size, hidden_size=settings.width, num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads, ffn_dim=4 * settings.width, num_codebooks=settings.codebooks,
        activation_function="gelu", dropout=0.0, attention_dropout=0.0, activation_dropout=0.0,
        pad_token_id=bos, bos_token_id=bos, eos_token_id=None, max_position_embeddings=2048,
    )  # fmt: skip
    config = MusicgenMelodyConfig(
        text_encoder=_without_path(text_encoder.config), audio_encoder=_without_path(codec.config), decoder=decoder.to_dict(),
        num_chroma=12, chroma_length=MELODY_FRAMES,
    )  # fmt: skip
    model = MusicgenMelodyForConditionalGeneration(config)
    model.audio_encoder.load_state_dict(codec.state_dict())
    model.text_encoder.load_state_dict(text_encoder.state_dict())
    model.audio_encoder.requires_grad_(False)
    model.text_encoder.requires_grad_(False)
    initialise(model, settings)
    # For training only; taken off again before the checkpoint is saved.
    model.timekeeper = Timekeeper(settings.width, settings.layers // 2)
    generation = model.generation_config
    generation.decoder_start_token_id = generation.pad_token_id = generation.bos_token_id = bos
    generation.do_sample, generation.max_length = True, FRAMES + settings.codebooks
    generation.guidance_scale, generation.temperature = GUIDANCE, TEMPERATURE
    generation.top_k = settings.codebook_size // 2
    return model


def _without_path(config: PretrainedConfig) -> dict:
    """The folder that a part was read from is nobody's business."""
    return {key: value for key, value in config.to_dict().items() if key != "_name_or_path"}


def dropped_rows(progress: float) -> float:
    """Share of the rows whose history is dropped: more in the first part of the steps, when the text is learned."""
    return 0.4 if progress <= 0.15 else 0.15


def time_weight(progress: float) -> float:
    """Weight of the timekeeper's losses against the codes': at less than 0.5 it takes thousands of steps before it takes hold."""
    return 0.5 if progress <= 0.3 else 0.2


def code_losses(
    model, batch: Batch, guidance_dropout: float, rng: np.random.Generator, dropped: float = 0.0, mistaken: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cross-entropy of each code in nats, 0 where there is none, and its weight, [B, K, S] both; and the timekeeper's losses."""
    device = model.device
    bos = model.config.decoder.pad_token_id
    inputs, targets = teacher_forced(batch.codes.to(device), bos, batch.begins)
    rows, books, positions = targets.shape
    if mistaken:
        inputs = mistake_history(inputs, bos, mistaken, rng)
    if dropped:
        inputs = drop_history(inputs, bos, dropped, rng)
    mask = batch.text_mask.clone()
    # Spliced rows as often as others: did pieces break off only where there is a caption, guidance would ask for nothing so much as for a new beginning.
    unguided = torch.from_numpy(rng.random(len(mask)) < guidance_dropout)
    mask[unguided] = 0
    chroma = batch.chroma.clone()
    chroma[unguided] = NULL_CHROMA
    with torch.autocast(device.type, torch.bfloat16):
        out = model(
            input_ids=batch.text_ids.to(device),
            attention_mask=mask.to(device),
            input_features=chroma.to(device),
            decoder_input_ids=inputs.flatten(0, 1),
            use_cache=False,
            output_hidden_states=True,
        )
        hidden = out.hidden_states[model.timekeeper.layer][:, -positions:]
        frames, beat_frames = batch.frames(positions).to(device), batch.beat_frames.to(device)
        time_losses = model.timekeeper.losses(hidden, frames, beat_frames)
    logits = out.logits.float()
    logits = logits.view(rows, books, *logits.shape[1:])[:, :, -positions:]
    losses = F.cross_entropy(logits.flatten(0, 2), targets.flatten(), ignore_index=IGNORED, reduction="none")
    since = torch.arange(positions, device=device) - batch.begins.to(device)[:, None, None]
    weights = (targets != IGNORED) * torch.where(since < START_FRAMES, START_WEIGHT, 1.0)
    return losses.view_as(targets), weights, time_losses


def per_book(losses: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean over rows and positions, [K]."""
    return (losses * weights).sum((0, 2)) / weights.sum((0, 2))


def grown(model: MusicgenMelodyForConditionalGeneration, settings: Settings) -> MusicgenMelodyForConditionalGeneration:
    """With `settings.layers` layers, and doing what it did: its timekeeper listens half-way up as before."""
    torch.manual_seed(settings.seed)  # every process of a team, taken up or not, starts the new layers alike
    deeper = build_model(settings, model.text_encoder, model.audio_encoder).to(model.device)
    hand_over(model, deeper)
    return deeper


def build_optimizer(model, settings: Settings) -> torch.optim.Optimizer:
    """AdamW; matrices decay."""
    groups = decaying((parameter for parameter in model.parameters() if parameter.requires_grad), 0.05)
    return torch.optim.AdamW(groups, lr=settings.decoder_rate, betas=(0.9, 0.97), fused=True)


def ready(model, settings: Settings) -> tuple[torch.optim.Optimizer, list[torch.nn.Parameter]]:
    """A model about to be trained: its optimiser, and what that trains."""
    if model.device.type == "cpu":
        use_causal_blocks(model.decoder)
    model.train()
    optimizer = build_optimizer(model, settings)
    return optimizer, [parameter for group in optimizer.param_groups for parameter in group["params"]]


def train_decoder(corpus: Path, out: Path, settings: Settings, device: str = "cpu", team: Team = Team()) -> None:
    """Train, or take up again where `out/decoder.pt` stopped; the finished checkpoint lies in `out/pocket/`."""
    transformers.logging.set_verbosity_error()
    torch.manual_seed(settings.seed)
    leads = team.rank == 0
    tokenizer = (
        build_tokenizer(settings.text_tokens, out / "pocket") if leads else build_tokenizer(settings.text_tokens)
    )
    text_encoder, codec = T5EncoderModel.from_pretrained(out / "text"), EncodecModel.from_pretrained(out / "polished")
    checkpoint = out / "decoder.pt"
    is_grown = steps_taken(checkpoint) > settings.decoder_grows
    layers = settings.layers if is_grown else settings.first_layers
    model = build_model(replace(settings, layers=layers), text_encoder, codec).to(device)
    optimizer, trained = ready(model, settings)
    pieces = Pieces(corpus, out, "train", tokenizer, settings)
    held_out = Pieces(corpus, out, "held-out", tokenizer, settings)
    first = take_up(checkpoint, model, optimizer, device)
    # The upper books are close to noise; the lower ones hold the music.
    book_weights = torch.tensor([1 / (1 + k) for k in range(settings.codebooks)], device=device)
    book_weights = book_weights / book_weights.sum()
    batches_per_epoch = len(pieces.labels) // settings.decoder_batch
    progress, begun = Progress(), settings.decoder_grows if is_grown else 0  # `begun`: where the optimiser did
    for step in range(first, settings.decoder_steps):
        if step == settings.decoder_grows:
            model = grown(model, settings)
            optimizer, trained = ready(model, settings)
            progress, begun = Progress(), step
        epoch, place = divmod(step, batches_per_epoch)
        order = np.random.default_rng((settings.seed, 3, epoch)).permutation(len(pieces.labels))
        rows = order[place * settings.decoder_batch : (place + 1) * settings.decoder_batch][team.rank :: team.size]
        rng = np.random.default_rng((settings.seed, 4, step, team.rank))
        share_done = step / settings.decoder_steps
        warm, cool = min(1.0, (step + 1 - begun) / 100), min(1.0, 2 * (1 - share_done) * 0.97 + 0.03)
        for group in optimizer.param_groups:
            group["lr"] = settings.decoder_rate * warm * cool
        batch = pieces.draw(rows, rng, SPLICED, SUNG)
        losses, weights, time_losses = code_losses(
            model, batch, settings.guidance_dropout, rng, dropped_rows(share_done), MISTAKEN_ROWS
        )
        loss = per_book(losses, weights)
        optimizer.zero_grad(set_to_none=True)
        ((loss * book_weights).sum() + time_weight(share_done) * time_losses.sum()).backward()
        team.average_gradients(trained)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        progress.step(loss)
        if not leads:
            continue
        if (step + 1) % 50 == 0:
            print(f"decoder step {step + 1}: train {_nats(progress.loss)}, {progress.pace}", flush=True)
        if (step + 1) % settings.checkpoint_every == 0:
            print(f"decoder step {step + 1}: held-out {_nats(held_out_loss(model, held_out))}", flush=True)
            worth = ", ".join(
                f"{label} {word_worth(model, held_out, label):.3f}" for label in ("tempo", "brightness", "genre")
            )
            print(
                f"decoder step {step + 1}: the right word is worth {worth} nats, the melody {melody_worth(model, held_out):.3f}",
                flush=True,
            )
            keep(checkpoint, model, optimizer, step + 1)
    if not leads:
        return
    del model.timekeeper
    aside = out / "pocket.part"
    model.eval().half().save_pretrained(aside)
    for name in (
        "config.json",
        "generation_config.json",
        "model.safetensors",
    ):  # the weights last: make.py takes them as the sign of being done
        (aside / name).replace(out / "pocket" / name)
    aside.rmdir()


@torch.inference_mode()
def held_out_loss(model, pieces: Pieces, batches: int = 4) -> torch.Tensor:
    """Mean cross-entropy a book on held-out pieces, text always given."""
    model.eval()
    books = []
    for i in range(batches):
        rng = np.random.default_rng((5, i))
        losses, weights, _ = code_losses(model, pieces.draw(np.arange(i * 16, (i + 1) * 16), rng), 0.0, rng)
        books.append(per_book(losses, weights > 0))
    model.train()
    return torch.stack(books).mean(0)


@torch.inference_mode()
def word_worth(model, pieces: Pieces, label: str, pieces_judged: int = 48) -> float:
    """Nats a code of the first book, over the first START_FRAMES of held-out pieces, that a wrong word costs against the right one.

    Guidance works on this difference: at 0 nothing that a prompt says of this label is heard.
    """
    model.eval()
    chosen = [i for i, labels in enumerate(pieces.labels) if labels[label] not in ("medium", "neutral")][:pieces_judged]
    words = sorted({pieces.labels[i][label] for i in chosen})
    means = []
    for shift in (0, 1):
        texts = []
        for i in chosen:
            word = words[(words.index(pieces.labels[i][label]) + shift) % len(words)]
            said = pieces.labels[i] | {label: word}
            brightness = "" if said["brightness"] == "neutral" else said["brightness"] + " "
            texts.append(f"a {said['tempo']} {brightness}{said['genre']} track with {said['lead']}")
        ids, mask = pieces.tokenize(texts)
        codes = torch.from_numpy(pieces.codes[chosen, :, :FRAMES].astype(np.int64))
        chroma = NULL_CHROMA.expand(len(chosen), MELODY_FRAMES, -1)
        first_frames = torch.zeros(len(chosen), dtype=torch.int64)
        batch = Batch(codes, ids, mask, chroma, first_frames, pieces.beat_frames(chosen))
        losses, *_ = code_losses(model, batch, 0.0, np.random.default_rng(0))
        means.append(float(losses[:, 0, :START_FRAMES].mean()))
    model.train()
    return means[1] - means[0]


@torch.inference_mode()
def melody_worth(model, pieces: Pieces, pieces_judged: int = 32) -> float:
    """Nats a code of the first book that another piece's melody costs against the right one."""
    model.eval()
    rows = np.arange(pieces_judged)
    means = []
    for shift in (0, 1):
        rng = np.random.default_rng(8)
        batch = pieces.draw(rows, rng, sung=1.0)
        batch.chroma = batch.chroma.roll(shift, 0)
        losses, weights, _ = code_losses(model, batch, 0.0, rng)
        means.append(float(per_book(losses, weights > 0)[0]))
    model.train()
    return means[1] - means[0]


def _nats(books: torch.Tensor) -> str:
    return f"{float(books.mean()):.3f} (" + " ".join(f"{float(x):.2f}" for x in books) + ")"
