"""Stage 3: train a small Beat This! model.

Classes, loss and checkpoint format are those of that project.

Beats and downbeats are spectrogram frames of 20 ms. The loss tolerates a shift of up to three
frames (Foscarin et al. 2024, section 3.3). A batch row is one piece of ten seconds, or two or four
pieces in sequence, so that the tracker also learns longer music and changes of tempo.
"""

from pathlib import Path

import mir_eval
import numpy as np
import torch
from beat_this.model.beat_tracker import BeatThis
from beat_this.model.loss import ShiftTolerantBCELoss
from beat_this.model.postprocessor import Postprocessor

from recipes.evaluators.augment import augment_beats
from recipes.evaluators.clicks import click_track
from recipes.evaluators.corpus import KINDS, load
from recipes.evaluators.schedule import learning_rate
from recipes.evaluators.settings import Settings
from recipes.training import TrainingProgress, resume, save_training_state, weight_decay_groups
from tonearm.evaluators.beat_this import SAMPLE_RATE, spectrogram
from tonearm.files.atomic import atomic_write
from tonearm.measures.tempo import fitted_bpm

FRAME_RATE = 50  # spectrogram frames per second
PIECE_FRAMES = 500
# Loss weights of positive frames. The paper uses 19 and 79, about the ratio of negative to positive
# frames. With these, a tracker marks both of two equally likely metrical levels, and the tempo read
# belongs to neither. A missed beat does not change the tempo.
WEIGHTS = {"beat": 3.0, "downbeat": 6.0}
CLICK_TRACK_SHARE = 0.1  # of the pieces drawn
DECODED_SHARE = 0.5  # of the other pieces drawn
PIECES_PER_ROW = ((1, 2, 4), (0.6, 0.2, 0.2))  # counts and their probabilities


def hyper_parameters(settings: Settings) -> dict:
    """Return the arguments of BeatThis.

    Partial transformers and dropout are off: at this size on a CPU both cost more than they gain.
    """
    return dict(
        transformer_dim=settings.beat_width,
        n_layers=settings.beat_layers,
        head_dim=32,
        stem_dim=settings.beat_stem,
        ff_mult=4,
        dropout={"frontend": 0.0, "transformer": 0.0},
        partial_transformers=False,
    )


class Pieces:
    """Spectrograms of a split, rendered and decoded, with their beats; all kinds of music."""

    def __init__(self, corpus: Path, split: str):
        self.rows: list[np.ndarray] = []
        self.truths: list[dict] = []
        self.kinds: list[str] = []
        for kind in KINDS:
            arrays, truths = load(corpus, kind, split, "beats")
            self.rows += [row for array in arrays for row in array]
            self.truths += truths
            self.kinds += [kind] * len(truths)

    def draw(
        self, pieces: np.ndarray, rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Draw a random augmented crop of each piece.

        Args:
            pieces: indices of pieces, [B].
            rng: source of randomness.

        Returns:
            Spectrograms [B, PIECE_FRAMES, 128] and targets [B, 2, PIECE_FRAMES] (beats, downbeats).
        """
        latest = self.rows[0].shape[1] - PIECE_FRAMES
        spectrograms, targets = [], np.zeros((len(pieces), 2, PIECE_FRAMES), np.float32)
        for i, piece in enumerate(pieces):
            if rng.random() < CLICK_TRACK_SHARE:
                clip, beats = click_track(rng, PIECE_FRAMES / FRAME_RATE, SAMPLE_RATE)
                spectrograms.append(augment_beats(spectrogram(clip).numpy()[:PIECE_FRAMES], rng))
                targets[i, 0, np.round(beats * FRAME_RATE).astype(int)] = (
                    1  # clicks are alike, so none is a downbeat
                )
                continue
            start = int(rng.integers(latest + 1))
            crop = self.rows[piece][int(rng.random() < DECODED_SHARE), start : start + PIECE_FRAMES]
            spectrograms.append(augment_beats(np.asarray(crop, dtype=np.float32), rng))
            for j, key in enumerate(("beats", "downbeats")):
                frames = (
                    np.round(np.array(self.truths[piece][key]) * FRAME_RATE).astype(int) - start
                )
                targets[i, j, frames[(frames >= 0) & (frames < PIECE_FRAMES)]] = 1
        return torch.from_numpy(np.stack(spectrograms)), torch.from_numpy(targets)


def concatenate_pieces(pieces: torch.Tensor, count: int, time_axis: int) -> torch.Tensor:
    """Reshape [B, ...] to [B / count, ...] by concatenating `count` pieces along `time_axis`."""
    return torch.cat(pieces.chunk(count), dim=time_axis)


def train_beat_tracker(corpus: Path, out: Path, settings: Settings) -> None:
    """Train, or resume from `out/beats.pt`; write the finished tracker to `out/beats.ckpt`."""
    torch.manual_seed(settings.seed)
    model = BeatThis(**hyper_parameters(settings))
    optimizer = torch.optim.AdamW(
        weight_decay_groups(model.parameters(), 0.02), lr=settings.beat_rate, fused=True
    )
    losses = {head: ShiftTolerantBCELoss(pos_weight=weight) for head, weight in WEIGHTS.items()}
    pieces, held_out = Pieces(corpus, "train"), Pieces(corpus, "held-out")
    checkpoint = out / "beats.pt"
    first = resume(checkpoint, model, optimizer)
    progress = TrainingProgress()
    model.train()
    for step in range(first, settings.beat_steps):
        rng = np.random.default_rng((settings.seed, 2, step))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(settings.beat_rate, step, settings.beat_steps)
        count = int(rng.choice(PIECES_PER_ROW[0], p=PIECES_PER_ROW[1]))
        drawn = rng.integers(len(pieces.rows), size=max(1, settings.beat_batch // count) * count)
        spectrograms, targets = pieces.draw(drawn, rng)
        targets = concatenate_pieces(targets, count, 2)
        with torch.autocast("cpu", torch.bfloat16):
            predicted = model(concatenate_pieces(spectrograms, count, 1))
        loss = sum(
            losses[head](predicted[head].float(), targets[:, i]) for i, head in enumerate(WEIGHTS)
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        progress.step(loss)
        if (step + 1) % 50 == 0:
            print(f"beats step {step + 1}: loss {progress.loss:.3f}, {progress.pace}", flush=True)
        if (step + 1) % settings.checkpoint_every == 0:
            print(f"beats step {step + 1}: {evaluate_held_out(model, held_out)}", flush=True)
            save_training_state(checkpoint, model, optimizer, step + 1)
    save_beat_tracker(model, settings, out / "beats.ckpt")


@torch.inference_mode()
def evaluate_held_out(model: BeatThis, pieces: Pieces, every: int = 5) -> str:
    """Return beat F-measure and tempo accuracy 1 per kind, over every `every`-th held-out piece."""
    model.eval()
    scores: dict[str, list[tuple[float, float]]] = {}
    for i in range(0, len(pieces.rows), every):
        truth = np.array(pieces.truths[i]["beats"])
        for copy, state in enumerate(("rendered", "decoded")):
            with torch.autocast("cpu", torch.bfloat16):
                predicted = model(
                    torch.from_numpy(np.asarray(pieces.rows[i][copy], dtype=np.float32))[None]
                )
            beats = Postprocessor("minimal")(
                predicted["beat"][0].float(), predicted["downbeat"][0].float()
            )[0]
            bpm, true = fitted_bpm(np.asarray(beats)), fitted_bpm(truth)
            right = bpm is not None and true is not None and abs(bpm / true - 1) < 0.04
            scores.setdefault(f"{pieces.kinds[i]} {state}", []).append(
                (mir_eval.beat.f_measure(truth, np.asarray(beats)), float(right))
            )
    model.train()
    means = {name: np.mean(values, axis=0) for name, values in scores.items()}
    return ", ".join(f"{name} F {f:.2f} tempo {right:.0%}" for name, (f, right) in means.items())


def save_beat_tracker(model: BeatThis, settings: Settings, path: Path) -> None:
    """Save in Beat This!'s own format, as float16."""
    weights = {
        f"model.{name}": value.half() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    with atomic_write(path) as temporary:
        torch.save(
            {"state_dict": weights, "hyper_parameters": hyper_parameters(settings)}, temporary
        )
