"""Stage 3d: train the MusicGen-Melody decoder on captions and codes, with a frozen text encoder.

The classes are those of `facebook/musicgen-melody`, at a small size. Teacher forcing applies the
delay pattern with BOS (codebook k of frame t is at position 1 + t + k). The text of a share of the
rows is zeroed, as in the unconditional rows of `generate()`. Training starts with `first_layers`
layers and continues with `layers` (growth.py).
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
from recipes.pocket.batches import (
    FRAMES,
    IGNORED,
    Batch,
    Pieces,
    corrupt_history,
    drop_history,
    teacher_forced,
)
from recipes.pocket.beat_aux_loss import BeatHead
from recipes.pocket.captions import build_tokenizer
from recipes.pocket.corpus import MELODY_FRAMES
from recipes.pocket.data_parallel import Replica
from recipes.pocket.growth import copy_into_deeper
from recipes.pocket.initial import initialise
from recipes.pocket.settings import Settings
from recipes.training import (
    TrainingProgress,
    completed_steps,
    resume,
    save_training_state,
    weight_decay_groups,
)

SPLICED_SHARE = 0.05  # share of the rows that begin with another piece
MELODY_SHARE = 0.4  # share of the others with a melody
CORRUPTED_ROWS = 0.2  # share of the rows with wrong codes in their history
# a more regular beat than MusicGen's 3 and 1, at some cost to prompt adherence (LOG.md)
GUIDANCE, TEMPERATURE = (2.0, 0.9)
NULL_CHROMA = torch.eye(12)[0]  # as generate() gives the unconditional rows
START_FRAMES, START_WEIGHT = 40, 3.0  # the caption has most influence on the first frames


def build_model(
    settings: Settings, text_encoder: T5EncoderModel, codec: EncodecModel
) -> MusicgenMelodyForConditionalGeneration:
    """Build the untrained model with `settings.layers` layers.

    Args:
        settings: sizes.
        text_encoder: copied and frozen.
        codec: copied and frozen.

    Returns:
        The model, with a BeatHead for training.
    """
    bos = settings.codebook_size
    decoder = MusicgenMelodyDecoderConfig(
        vocab_size=settings.codebook_size,
        hidden_size=settings.width,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        ffn_dim=4 * settings.width,
        num_codebooks=settings.codebooks,
        activation_function="gelu",
        dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        pad_token_id=bos,
        bos_token_id=bos,
        eos_token_id=None,
        max_position_embeddings=2048,
    )
    config = MusicgenMelodyConfig(
        text_encoder=_without_path(text_encoder.config),
        audio_encoder=_without_path(codec.config),
        decoder=decoder.to_dict(),
        num_chroma=12,
        chroma_length=MELODY_FRAMES,
    )
    model = MusicgenMelodyForConditionalGeneration(config)
    model.audio_encoder.load_state_dict(codec.state_dict())
    model.text_encoder.load_state_dict(text_encoder.state_dict())
    model.audio_encoder.requires_grad_(False)
    model.text_encoder.requires_grad_(False)
    initialise(model, settings)
    # For training only; removed before the checkpoint is saved.
    model.beat_head = BeatHead(settings.width, settings.layers // 2)
    generation = model.generation_config
    generation.decoder_start_token_id = generation.pad_token_id = generation.bos_token_id = bos
    generation.do_sample, generation.max_length = True, FRAMES + settings.codebooks
    generation.guidance_scale, generation.temperature = GUIDANCE, TEMPERATURE
    generation.top_k = settings.codebook_size // 2
    return model


def _without_path(config: PretrainedConfig) -> dict:
    """Return the config without the path it was loaded from."""
    return {key: value for key, value in config.to_dict().items() if key != "_name_or_path"}


def history_dropout(progress: float) -> float:
    """Return the share of rows with dropped history.

    It is larger in the first part of training, when the text is learned.
    """
    return 0.4 if progress <= 0.15 else 0.15


def beat_loss_weight(progress: float) -> float:
    """Return the weight of the beat losses.

    Below 0.5 they start to fall only after thousands of steps.
    """
    return 0.5 if progress <= 0.3 else 0.2


def code_losses(
    model,
    batch: Batch,
    guidance_dropout: float,
    rng: np.random.Generator,
    dropped: float = 0.0,
    corrupted: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Compute the losses of a batch.

    Args:
        model: decoder with its BeatHead.
        batch: B rows.
        guidance_dropout: share of rows without text and melody.
        rng: source of randomness.
        dropped: share of rows with dropped history.
        corrupted: share of rows with wrong codes in their history.

    Returns:
        Cross-entropy of each code in nats [B, K, S] (0 where there is no target), its weight [B, K,
        S], and the beat losses [3].
    """
    device = model.device
    bos = model.config.decoder.pad_token_id
    inputs, targets = teacher_forced(batch.codes.to(device), bos, batch.begins)
    rows, books, positions = targets.shape
    if corrupted:
        inputs = corrupt_history(inputs, bos, corrupted, rng)
    if dropped:
        inputs = drop_history(inputs, bos, dropped, rng)
    mask = batch.text_mask.clone()
    # Spliced rows are included. If splices occurred only with a caption, guidance would amplify the
    # start of a new piece at every frame.
    unconditional = torch.from_numpy(rng.random(len(mask)) < guidance_dropout)
    mask[unconditional] = 0
    chroma = batch.chroma.clone()
    chroma[unconditional] = NULL_CHROMA
    with torch.autocast(device.type, torch.bfloat16):
        out = model(
            input_ids=batch.text_ids.to(device),
            attention_mask=mask.to(device),
            input_features=chroma.to(device),
            decoder_input_ids=inputs.flatten(0, 1),
            use_cache=False,
            output_hidden_states=True,
        )
        hidden = out.hidden_states[model.beat_head.layer][:, -positions:]
        frames, beat_frames = batch.frames(positions).to(device), batch.beat_frames.to(device)
        beat_losses = model.beat_head.losses(hidden, frames, beat_frames)
    logits = out.logits.float()
    logits = logits.view(rows, books, *logits.shape[1:])[:, :, -positions:]
    losses = F.cross_entropy(
        logits.flatten(0, 2), targets.flatten(), ignore_index=IGNORED, reduction="none"
    )
    since = torch.arange(positions, device=device) - batch.begins.to(device)[:, None, None]
    weights = (targets != IGNORED) * torch.where(since < START_FRAMES, START_WEIGHT, 1.0)
    return losses.view_as(targets), weights, beat_losses


def per_codebook(losses: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean over rows and positions, [K]."""
    return (losses * weights).sum((0, 2)) / weights.sum((0, 2))


def grow(
    model: MusicgenMelodyForConditionalGeneration, settings: Settings
) -> MusicgenMelodyForConditionalGeneration:
    """Return the model with `settings.layers` layers and the same output.

    Its BeatHead stays half-way up.
    """
    torch.manual_seed(settings.seed)  # equal new layers in every replica, resumed or not
    deeper = build_model(settings, model.text_encoder, model.audio_encoder).to(model.device)
    copy_into_deeper(model, deeper)
    return deeper


def build_optimizer(model, settings: Settings) -> torch.optim.Optimizer:
    """Build AdamW; matrices decay."""
    groups = weight_decay_groups(
        (parameter for parameter in model.parameters() if parameter.requires_grad), 0.05
    )
    return torch.optim.AdamW(groups, lr=settings.decoder_rate, betas=(0.9, 0.97), fused=True)


def prepare_training(
    model, settings: Settings
) -> tuple[torch.optim.Optimizer, list[torch.nn.Parameter]]:
    """Set the model to training mode; return its optimiser and the trained parameters."""
    if model.device.type == "cpu":
        use_causal_blocks(model.decoder)
    model.train()
    optimizer = build_optimizer(model, settings)
    return optimizer, [
        parameter for group in optimizer.param_groups for parameter in group["params"]
    ]


def train_decoder(
    corpus: Path, out: Path, settings: Settings, device: str = "cpu", replica: Replica = Replica()
) -> None:
    """Train, or resume from `out/decoder.pt`; write the finished checkpoint to `out/pocket/`.

    Args:
        corpus: folder of labels and melodies.
        out: folder of checkpoints, with `codes/`, `text/` and `codec_finetuned/`.
        settings: sizes and steps.
        device: torch device.
        replica: this process among those that train together.
    """
    transformers.logging.set_verbosity_error()
    torch.manual_seed(settings.seed)
    is_main = replica.rank == 0
    tokenizer = (
        build_tokenizer(settings.text_tokens, out / "pocket")
        if is_main
        else build_tokenizer(settings.text_tokens)
    )
    text_encoder, codec = (
        T5EncoderModel.from_pretrained(out / "text"),
        EncodecModel.from_pretrained(out / "codec_finetuned"),
    )
    checkpoint = out / "decoder.pt"
    has_grown = completed_steps(checkpoint) > settings.decoder_growth_step
    layers = settings.layers if has_grown else settings.first_layers
    model = build_model(replace(settings, layers=layers), text_encoder, codec).to(device)
    optimizer, trained = prepare_training(model, settings)
    pieces = Pieces(corpus, out, "train", tokenizer, settings)
    held_out = Pieces(corpus, out, "held-out", tokenizer, settings)
    first = resume(checkpoint, model, optimizer, device)
    # The upper codebooks are close to noise.
    book_weights = torch.tensor([1 / (1 + k) for k in range(settings.codebooks)], device=device)
    book_weights = book_weights / book_weights.sum()
    batches_per_epoch = len(pieces.labels) // settings.decoder_batch
    # `first_step` of the optimiser
    progress, first_step = (TrainingProgress(), settings.decoder_growth_step if has_grown else 0)
    for step in range(first, settings.decoder_steps):
        if step == settings.decoder_growth_step:
            model = grow(model, settings)
            optimizer, trained = prepare_training(model, settings)
            progress, first_step = TrainingProgress(), step
        epoch, position = divmod(step, batches_per_epoch)
        order = np.random.default_rng((settings.seed, 3, epoch)).permutation(len(pieces.labels))
        rows = order[position * settings.decoder_batch : (position + 1) * settings.decoder_batch][
            replica.rank :: replica.size
        ]
        rng = np.random.default_rng((settings.seed, 4, step, replica.rank))
        share_done = step / settings.decoder_steps
        warm_up, decay = (
            min(1.0, (step + 1 - first_step) / 100),
            min(1.0, 2 * (1 - share_done) * 0.97 + 0.03),
        )
        for group in optimizer.param_groups:
            group["lr"] = settings.decoder_rate * warm_up * decay
        batch = pieces.draw(rows, rng, SPLICED_SHARE, MELODY_SHARE)
        losses, weights, beat_losses = code_losses(
            model,
            batch,
            settings.guidance_dropout,
            rng,
            history_dropout(share_done),
            CORRUPTED_ROWS,
        )
        loss = per_codebook(losses, weights)
        optimizer.zero_grad(set_to_none=True)
        ((loss * book_weights).sum() + beat_loss_weight(share_done) * beat_losses.sum()).backward()
        replica.average_gradients(trained)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        progress.step(loss)
        if not is_main:
            continue
        if (step + 1) % 50 == 0:
            print(
                f"decoder step {step + 1}: train {_nats(progress.loss)}, {progress.pace}",
                flush=True,
            )
        if (step + 1) % settings.checkpoint_every == 0:
            print(
                f"decoder step {step + 1}: held-out {_nats(held_out_loss(model, held_out))}",
                flush=True,
            )
            costs = ", ".join(
                f"{label} {wrong_word_cost(model, held_out, label):.3f}"
                for label in ("tempo", "brightness", "genre")
            )
            print(
                f"decoder step {step + 1}: a wrong word costs {costs} nats, "
                f"a wrong melody {wrong_melody_cost(model, held_out):.3f}",
                flush=True,
            )
            save_training_state(checkpoint, model, optimizer, step + 1)
    if not is_main:
        return
    del model.beat_head
    temporary = out / "pocket.part"
    model.eval().half().save_pretrained(temporary)
    # The weights are last, since make.py takes their presence as the sign of a finished stage.
    for name in ("config.json", "generation_config.json", "model.safetensors"):
        (temporary / name).replace(out / "pocket" / name)
    temporary.rmdir()


@torch.inference_mode()
def held_out_loss(model, pieces: Pieces, batches: int = 4) -> torch.Tensor:
    """Return the mean cross-entropy per codebook on held-out pieces, with text."""
    model.eval()
    books = []
    for i in range(batches):
        rng = np.random.default_rng((5, i))
        losses, weights, _ = code_losses(
            model, pieces.draw(np.arange(i * 16, (i + 1) * 16), rng), 0.0, rng
        )
        books.append(per_codebook(losses, weights > 0))
    model.train()
    return torch.stack(books).mean(0)


@torch.inference_mode()
def wrong_word_cost(model, pieces: Pieces, label: str, piece_count: int = 48) -> float:
    """Measure the effect of the text on the prediction.

    Guidance amplifies this difference. At 0 the model ignores this label of a prompt.

    Args:
        model: decoder with its BeatHead.
        pieces: held-out pieces.
        label: label whose word is replaced.
        piece_count: number of pieces.

    Returns:
        Nats per code of the first codebook, over the first START_FRAMES, that a wrong word costs.
    """
    model.eval()
    chosen = [
        i for i, labels in enumerate(pieces.labels) if labels[label] not in ("medium", "neutral")
    ][:piece_count]
    words = sorted({pieces.labels[i][label] for i in chosen})
    means = []
    for shift in (0, 1):
        texts = []
        for i in chosen:
            word = words[(words.index(pieces.labels[i][label]) + shift) % len(words)]
            labels = pieces.labels[i] | {label: word}
            brightness = "" if labels["brightness"] == "neutral" else labels["brightness"] + " "
            texts.append(
                f"a {labels['tempo']} {brightness}{labels['genre']} track with {labels['lead']}"
            )
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
def wrong_melody_cost(model, pieces: Pieces, piece_count: int = 32) -> float:
    """Return nats per code of the first codebook that the melody of another piece costs."""
    model.eval()
    rows = np.arange(piece_count)
    means = []
    for shift in (0, 1):
        rng = np.random.default_rng(8)
        batch = pieces.draw(rows, rng, melody_share=1.0)
        batch.chroma = batch.chroma.roll(shift, 0)
        losses, weights, _ = code_losses(model, batch, 0.0, rng)
        means.append(float(per_codebook(losses, weights > 0)[0]))
    model.train()
    return means[1] - means[0]


def _nats(books: torch.Tensor) -> str:
    return f"{float(books.mean()):.3f} (" + " ".join(f"{float(x):.2f}" for x in books) + ")"
