"""Stage 3, spectrograms and beats -> a small Beat This! model, in that project's own classes, loss and checkpoint format.

Beats and downbeats are frames of 20 ms; its loss lets a prediction be up to three frames off (Foscarin et al. 2024, 3.3). A row of a batch is one
piece of ten seconds, or two or four behind each other, so that the tracker stays at home in longer music and in changes of tempo.
"""

from pathlib import Path

import mir_eval
import numpy as np
import torch
from beat_this.model.beat_tracker import BeatThis
from beat_this.model.loss import ShiftTolerantBCELoss
from beat_this.model.postprocessor import Postprocessor

from recipes.evaluators.augment import vary_beats
from recipes.evaluators.clicks import click_track
from recipes.evaluators.corpus import KINDS, load
from recipes.evaluators.schedule import rate
from recipes.evaluators.settings import Settings
from recipes.training import Progress, decaying, keep, take_up
from tonearm.atomic import atomic_write
from tonearm.evaluators.beat_this import SAMPLE_RATE, spectrogram
from tonearm.measures.tempo import fitted_bpm

FRAME_RATE = 50  # spectrogram frames per second
PIECE_FRAMES = 500
# Of a positive frame. The paper has 19 and 79, about as many as there are negative ones to each; where two levels of the metre are as likely, such a
# tracker marks both, and the tempo read is of neither. A beat left out does the tempo no harm.
WEIGHTS = {"beat": 3.0, "downbeat": 6.0}
CLICKS = 0.1  # of the pieces drawn
DECODED = 0.5  # of the others
PIECES_A_ROW = ((1, 2, 4), (0.6, 0.2, 0.2))  # and how often


def hyper_parameters(settings: Settings) -> dict:
    """Without the partial transformers over frequency and time, and without dropout: both cost more than they give on a CPU at this size."""
    return dict(
        transformer_dim=settings.beat_width, n_layers=settings.beat_layers, head_dim=32, stem_dim=settings.beat_stem, ff_mult=4,
        dropout={"frontend": 0.0, "transformer": 0.0}, partial_transformers=False,
    )  # fmt: skip


class Pieces:
    """Spectrograms of a split, as rendered or decoded, with their beats; all kinds of music."""

    def __init__(self, corpus: Path, split: str):
        self.rows: list[np.ndarray] = []
        self.truths: list[dict] = []
        self.kinds: list[str] = []
        for kind in KINDS:
            arrays, truths = load(corpus, kind, split, "beats")
            self.rows += [row for array in arrays for row in array]
            self.truths += truths
            self.kinds += [kind] * len(truths)

    def draw(self, pieces: np.ndarray, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Spectrograms [B, T, 128] and targets [B, 2, T] (beats, downbeats)."""
        latest = self.rows[0].shape[1] - PIECE_FRAMES
        spectrograms, targets = [], np.zeros((len(pieces), 2, PIECE_FRAMES), np.float32)
        for i, piece in enumerate(pieces):
            if rng.random() < CLICKS:
                clip, beats = click_track(rng, PIECE_FRAMES / FRAME_RATE, SAMPLE_RATE)
                spectrograms.append(vary_beats(spectrogram(clip).numpy()[:PIECE_FRAMES], rng))
                targets[i, 0, np.round(beats * FRAME_RATE).astype(int)] = 1  # all alike: no downbeats
                continue
            start = int(rng.integers(latest + 1))
            crop = self.rows[piece][int(rng.random() < DECODED), start : start + PIECE_FRAMES]
            spectrograms.append(vary_beats(np.asarray(crop, dtype=np.float32), rng))
            for j, key in enumerate(("beats", "downbeats")):
                frames = np.round(np.array(self.truths[piece][key]) * FRAME_RATE).astype(int) - start
                targets[i, j, frames[(frames >= 0) & (frames < PIECE_FRAMES)]] = 1
        return torch.from_numpy(np.stack(spectrograms)), torch.from_numpy(targets)


def in_rows(pieces: torch.Tensor, count: int, time_axis: int) -> torch.Tensor:
    """[B, ...] -> [B / count, ...] with `count` pieces behind each other along `time_axis`."""
    return torch.cat(pieces.chunk(count), dim=time_axis)


def train_beats(corpus: Path, out: Path, settings: Settings) -> None:
    """Train, or take up again where `out/beats.pt` stopped; the finished tracker is `out/beats.ckpt`."""
    torch.manual_seed(settings.seed)
    model = BeatThis(**hyper_parameters(settings))
    optimizer = torch.optim.AdamW(decaying(model.parameters(), 0.02), lr=settings.beat_rate, fused=True)
    losses = {head: ShiftTolerantBCELoss(pos_weight=weight) for head, weight in WEIGHTS.items()}
    pieces, held_out = Pieces(corpus, "train"), Pieces(corpus, "held-out")
    checkpoint = out / "beats.pt"
    first = take_up(checkpoint, model, optimizer)
    progress = Progress()
    model.train()
    for step in range(first, settings.beat_steps):
        rng = np.random.default_rng((settings.seed, 2, step))
        for group in optimizer.param_groups:
            group["lr"] = rate(settings.beat_rate, step, settings.beat_steps)
        count = int(rng.choice(PIECES_A_ROW[0], p=PIECES_A_ROW[1]))
        drawn = rng.integers(len(pieces.rows), size=max(1, settings.beat_batch // count) * count)
        spectrograms, targets = pieces.draw(drawn, rng)
        targets = in_rows(targets, count, 2)
        with torch.autocast("cpu", torch.bfloat16):
            predicted = model(in_rows(spectrograms, count, 1))
        loss = sum(losses[head](predicted[head].float(), targets[:, i]) for i, head in enumerate(WEIGHTS))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        progress.step(loss)
        if (step + 1) % 50 == 0:
            print(f"beats step {step + 1}: loss {progress.loss:.3f}, {progress.pace}", flush=True)
        if (step + 1) % settings.checkpoint_every == 0:
            print(f"beats step {step + 1}: {watch(model, held_out)}", flush=True)
            keep(checkpoint, model, optimizer, step + 1)
    save_beats(model, settings, out / "beats.ckpt")


@torch.inference_mode()
def watch(model: BeatThis, pieces: Pieces, every: int = 5) -> str:
    """Beat F-measure and tempo accuracy 1 on every fifth held-out piece, kind by kind."""
    model.eval()
    told: dict[str, list[tuple[float, float]]] = {}
    for i in range(0, len(pieces.rows), every):
        truth = np.array(pieces.truths[i]["beats"])
        for copy, state in enumerate(("rendered", "decoded")):
            with torch.autocast("cpu", torch.bfloat16):
                predicted = model(torch.from_numpy(np.asarray(pieces.rows[i][copy], dtype=np.float32))[None])
            beats = Postprocessor("minimal")(predicted["beat"][0].float(), predicted["downbeat"][0].float())[0]
            bpm, true = fitted_bpm(np.asarray(beats)), fitted_bpm(truth)
            right = bpm is not None and true is not None and abs(bpm / true - 1) < 0.04
            told.setdefault(f"{pieces.kinds[i]} {state}", []).append(
                (mir_eval.beat.f_measure(truth, np.asarray(beats)), float(right))
            )
    model.train()
    means = {name: np.mean(values, axis=0) for name, values in told.items()}
    return ", ".join(f"{name} F {f:.2f} tempo {right:.0%}" for name, (f, right) in means.items())


def save_beats(model: BeatThis, settings: Settings, path: Path) -> None:
    """Beat This!'s own format, float16."""
    weights = {
        f"model.{name}": value.half() if value.is_floating_point() else value
        for name, value in model.state_dict().items()
    }
    with atomic_write(path) as aside:
        torch.save({"state_dict": weights, "hyper_parameters": hyper_parameters(settings)}, aside)
