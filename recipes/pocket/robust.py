"""Stage 3e: train the decoder further with perturbed residual streams.

A decoder that has only ever seen its own activations loses the beat under any added direction.
Here the residual stream of most rows is moved by a random direction, held over the whole window as
a steering vector is, with a norm of up to `LARGEST_NORM` per layer, and single layers are left out.
Rows with and without text are perturbed alike, since steering acts on both guidance branches.
Codec and text encoder are unchanged. The result is a weighted mean of the weights before and after,
which keeps nearly all of the robustness at half of the cost in held-out loss (LOG.md).

Source of the ideas: training of activations against perturbations that stay within a norm (Casper
et al. 2024, "Defending against unforeseen failure modes with latent adversarial training");
stochastic depth (Huang et al. 2016); weight-space ensembles (Wortsman et al. 2022, "Robust
fine-tuning of zero-shot models").
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, MusicgenMelodyForConditionalGeneration

from recipes.pocket.batches import Pieces
from recipes.pocket.beat_aux_loss import BeatHead
from recipes.pocket.corpus import MELODY_FRAMES
from recipes.pocket.data_parallel import Replica
from recipes.pocket.decoder import (
    CORRUPTED_ROWS,
    MELODY_SHARE,
    SPLICED_SHARE,
    beat_loss_weight,
    code_losses,
    held_out_loss,
    history_dropout,
    per_codebook,
    prepare_training,
    wrong_melody_cost,
    wrong_word_cost,
)
from recipes.pocket.settings import Settings
from recipes.training import TrainingProgress, resume, save_training_state

PERTURBED_ROWS = 0.7
LARGEST_NORM = 5.0  # per layer; the bundled vectors have 25 to 40 at strength 1, 2.5 to 4 at 0.1
# how the direction of a row enters the layers, as the injection strategies of steering do
PATTERNS = {"one_to_all": 0.5, "all_to_all": 0.25, "one_layer": 0.25}
ONE_LAYER_FACTOR = 3.0
LAYER_DROPOUT = 0.04
WARM_UP = 100  # steps
TRAINED_SHARE = 0.7  # of the trained weights in the result; the rest are those before


def draw_shifts(
    rows: int, layers: int, width: int, rng: np.random.Generator, largest: float = LARGEST_NORM
) -> torch.Tensor:
    """Draw what is added to the residual stream.

    Args:
        rows: B.
        layers: L.
        width: D of the residual stream.
        rng: source of randomness.
        largest: upper bound of the norm per layer, uniform from 0.

    Returns:
        float32 [L, B, D]; zeros for rows without a perturbation.
    """
    shifts = np.zeros((layers, rows, width), np.float32)
    for row in range(rows):
        if rng.random() >= PERTURBED_ROWS:
            continue
        norm = rng.uniform(0, largest)
        pattern = rng.choice(list(PATTERNS), p=list(PATTERNS.values()))
        directions = rng.standard_normal((layers, width))
        directions *= norm / np.linalg.norm(directions, axis=1, keepdims=True)
        if pattern == "one_to_all":
            shifts[:, row] = directions[0]
        elif pattern == "all_to_all":
            shifts[:, row] = directions
        else:
            layer = rng.integers(layers)
            shifts[layer, row] = ONE_LAYER_FACTOR * directions[layer]
    return torch.from_numpy(shifts)


@dataclass
class Perturbation:
    """Shifts and left-out layers of the present step; none at first.

    shifts   added after each layer at the positions after the prefix, [L, B, D]
    dropped  layers that pass their input on
    prefix   positions of melody and text, which are not shifted
    """

    shifts: torch.Tensor | None = None
    dropped: frozenset[int] = frozenset()
    prefix: int = 0

    @contextmanager
    def installed(self, model) -> Iterator["Perturbation"]:
        """Perturb a decoder whose layers return tuples.

        The hooks stay over all steps: transformers reads `hidden_states` by hooks of its own, which
        see the shifts only if they are installed later.
        """
        handles = [
            block.register_forward_hook(partial(self._shifted, layer), with_kwargs=True)
            for layer, block in enumerate(model.decoder.model.decoder.layers)
        ]
        try:
            yield self
        finally:
            for handle in handles:
                handle.remove()

    def _shifted(self, layer: int, _module, args, kwargs, output):
        is_tuple = isinstance(output, tuple)
        hidden = output[0] if is_tuple else output
        if layer in self.dropped:
            hidden = args[0] if args else kwargs["hidden_states"]
        if self.shifts is not None:
            shift = self.shifts[layer].to(hidden.dtype)[:, None]
            hidden = torch.cat([hidden[:, : self.prefix], hidden[:, self.prefix :] + shift], dim=1)
        return (hidden, *output[1:]) if is_tuple else hidden


def train_robust(
    corpus: Path, out: Path, settings: Settings, device: str = "cpu", replica: Replica = Replica()
) -> None:
    """Train `out/pocket/` further, or resume from `out/robust.pt`; write `out/pocket_robust/`.

    Args:
        corpus: folder of labels and melodies.
        out: folder of checkpoints, with `codes/` and `pocket/`.
        settings: sizes and steps.
        device: torch device.
        replica: this process among those that train together.
    """
    transformers.logging.set_verbosity_error()
    torch.manual_seed(settings.seed)
    is_main = replica.rank == 0
    tokenizer = AutoTokenizer.from_pretrained(out / "pocket")
    model = MusicgenMelodyForConditionalGeneration.from_pretrained(out / "pocket")
    model = model.float().to(device)
    model.audio_encoder.requires_grad_(False)
    model.text_encoder.requires_grad_(False)
    shape = model.config.decoder
    # For training only; removed before the checkpoint is saved.
    model.beat_head = BeatHead(shape.hidden_size, shape.num_hidden_layers // 2).to(device)
    optimizer, trained = prepare_training(model, settings)
    pieces = Pieces(corpus, out, "train", tokenizer, settings)
    held_out = Pieces(corpus, out, "held-out", tokenizer, settings)
    checkpoint = out / "robust.pt"
    first = resume(checkpoint, model, optimizer, device)
    book_weights = torch.tensor([1 / (1 + k) for k in range(shape.num_codebooks)], device=device)
    book_weights = book_weights / book_weights.sum()
    progress, perturbation, hooks = TrainingProgress(), Perturbation(), ExitStack()
    hooks.enter_context(perturbation.installed(model))
    if is_main and first == 0:
        _report(model, held_out, 0, perturbation)
    for step in range(first, settings.robust_steps):
        rng = np.random.default_rng((settings.seed, 6, step, replica.rank))
        shared = np.random.default_rng((settings.seed, 7, step))  # equal in all replicas
        rows = shared.integers(len(pieces.labels), size=settings.decoder_batch)
        rows = rows[replica.rank :: replica.size]
        dropped = frozenset(np.flatnonzero(shared.random(shape.num_hidden_layers) < LAYER_DROPOUT))
        share_done = step / settings.robust_steps
        rate = min(1.0, (step + 1) / WARM_UP) * ((1 - share_done) * 0.95 + 0.05)
        for group in optimizer.param_groups:
            group["lr"] = settings.robust_rate * rate
        batch = pieces.draw(rows, rng, SPLICED_SHARE, MELODY_SHARE)
        shifts = draw_shifts(len(rows), shape.num_hidden_layers, shape.hidden_size, rng)
        perturbation.prefix = batch.chroma.shape[1] + batch.text_ids.shape[1]
        perturbation.shifts, perturbation.dropped = shifts.to(device), dropped
        losses, weights, beat_losses = code_losses(
            model, batch, settings.guidance_dropout, rng, history_dropout(1.0), CORRUPTED_ROWS
        )
        loss = per_codebook(losses, weights)
        optimizer.zero_grad(set_to_none=True)
        ((loss * book_weights).sum() + beat_loss_weight(1.0) * beat_losses.sum()).backward()
        replica.average_gradients(trained)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        progress.step(loss)
        if not is_main:
            continue
        if (step + 1) % 50 == 0:
            mean = float(progress.loss.mean())
            print(f"robust step {step + 1}: train {mean:.3f}, {progress.pace}", flush=True)
        if (step + 1) % settings.checkpoint_every == 0:
            _report(model, held_out, step + 1, perturbation)
            save_training_state(checkpoint, model, optimizer, step + 1)
    hooks.close()
    if is_main:
        del model.beat_head
        save_average(model, out / "pocket", out / "pocket_robust", TRAINED_SHARE)


def save_average(model, before: Path, folder: Path, share: float) -> None:
    """Write the mean of the trained weights and those before, in float16, as a checkpoint.

    Args:
        model: trained.
        before: checkpoint of the weights before; its other files are copied.
        folder: of the result, which gets its name once complete.
        share: of the trained weights.
    """
    temporary = folder.with_suffix(".part")
    shutil.copytree(before, temporary, dirs_exist_ok=True)
    stored = load_file(before / "model.safetensors")
    trained = model.state_dict()
    averaged = {
        name: torch.lerp(old.float(), trained[name].float().cpu(), share).half()
        if old.is_floating_point()
        else old
        for name, old in stored.items()
    }
    save_file(averaged, temporary / "model.safetensors", metadata={"format": "pt"})
    temporary.rename(folder)


def _report(model, held_out: Pieces, step: int, perturbation: Perturbation) -> None:
    """Print held-out losses, undisturbed and under fixed shifts of the size of steering."""
    shape = model.config.decoder
    perturbation.shifts, perturbation.dropped = None, frozenset()
    clean = held_out_loss(model, held_out)
    costs = ", ".join(
        f"{label} {wrong_word_cost(model, held_out, label):.3f}"
        for label in ("tempo", "brightness", "genre")
    )
    melody = wrong_melody_cost(model, held_out)
    shift = np.random.default_rng(8).standard_normal(shape.hidden_size).astype(np.float32)
    shift *= 3.0 / np.linalg.norm(shift)
    shifts = torch.from_numpy(shift).to(model.device)
    perturbation.shifts = shifts.expand(shape.num_hidden_layers, 16, -1)
    perturbation.prefix = MELODY_FRAMES + held_out.settings.text_tokens
    moved = held_out_loss(model, held_out)
    print(
        f"robust step {step}: held-out {float(clean.mean()):.3f} (first {float(clean[0]):.3f}), "
        f"under a direction of norm 3 in every layer {float(moved.mean()):.3f} "
        f"(first {float(moved[0]):.3f}); a wrong word costs {costs}, "
        f"a wrong melody {melody:.3f}",
        flush=True,
    )
