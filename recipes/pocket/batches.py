"""Codes and labels -> training batches: freshly written captions, and histories that make the decoder need them.

What a piece is like can be heard from its first frames, so a decoder that always sees them never needs the text, and ignores it. Two things
take them away: `drop_history` blanks them, and spliced rows have the start of another piece before the captioned one. And what a decoder hears of
itself is never quite right, as pieces are: `mistake_history` puts wrong codes among them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import PreTrainedTokenizerFast

from recipes.pocket.beat_init import CHROMA_FRAMES
from recipes.pocket.captions import caption
from recipes.pocket.corpus import MELODY_FRAMES, load_labels, load_melodies, shards_present
from recipes.pocket.encode import codes_path
from recipes.pocket.settings import Settings
from tonearm.musicgen.delay import delay

FRAMES = 250  # 10 s
IGNORED = -100
SHIFTED_SHARE = 0.35  # rows that start in the middle of a piece, as an audio prompt may, and the windows of a long take
SHIFT_FRAMES = (1, 128)
MISTAKEN = (0.02, 0.3)  # share of a row's codes that are another's
SPLICE_FRAMES = (8, 160)  # how much of another piece comes first
WRONG_CHROMA = 0.05  # frames of a melody that say something else


@dataclass
class Batch:
    codes: torch.Tensor  # [B, K, T], IGNORED where there is none
    text_ids: torch.Tensor  # [B, S]
    text_mask: torch.Tensor  # [B, S]
    chroma: torch.Tensor  # [B, MELODY_FRAMES, 12], one-hot; the null chroma is pitch class 0 throughout
    first_frames: torch.Tensor  # [B], which frame of the captioned piece frame 0 is; negative where that begins later
    beat_frames: torch.Tensor  # [B]

    @property
    def begins(self) -> torch.Tensor:
        """[B], the frame at which the captioned piece begins."""
        return (-self.first_frames).clamp(min=0)

    def frames(self, positions: int) -> torch.Tensor:
        """[B, positions], which frame of the captioned piece each decoder position foretells; negative where none."""
        place = torch.arange(positions)
        return (self.first_frames[:, None] + place).masked_fill(place >= self.codes.shape[-1], -1)


class Pieces:
    """All pieces of a split."""

    def __init__(self, corpus: Path, out: Path, split: str, tokenizer: PreTrainedTokenizerFast, settings: Settings):
        indices = shards_present(out / "codes", split)
        self.codes = np.concatenate([np.load(codes_path(out, split, i)) for i in indices])
        self.labels = [labels for i in indices for labels in load_labels(corpus, split, i)]
        self.melodies = np.concatenate([load_melodies(corpus, split, i) for i in indices])
        self.tokenizer, self.settings = tokenizer, settings

    def draw(self, rows: np.ndarray, rng: np.random.Generator, spliced: float = 0.0, sung: float = 0.0) -> Batch:
        """The pieces at `rows`; a share of them `spliced`, and a share of the others `sung`: their melody is told."""
        melodies = np.zeros((len(rows), MELODY_FRAMES), dtype=np.int64)
        codes = np.full((len(rows), self.codes.shape[1], FRAMES), IGNORED, dtype=np.int64)
        begins = np.where(rng.random(len(rows)) < spliced, rng.integers(*SPLICE_FRAMES, len(rows)), 0)
        first_frames = -begins
        for i, (row, begin) in enumerate(zip(rows, begins, strict=True)):
            start = int(rng.integers(*SHIFT_FRAMES)) if begin == 0 and rng.random() < SHIFTED_SHARE else 0
            first_frames[i] += start
            piece = self.codes[row, :, start : start + FRAMES - begin]
            codes[i, :, begin : begin + piece.shape[1]] = piece
            codes[i, :, :begin] = self.codes[rng.integers(len(self.codes)), :, :begin]
            if begin == 0 and rng.random() < sung:
                melodies[i] = self._melody(row, start, rng)
        ids, mask = self.tokenize([caption(self.labels[row], rng) for row in rows])
        if rng.random() < 0.15:  # so that a prompt padded otherwise is not far from home
            longest = int(mask.sum(1).max())
            width = int(rng.integers(longest, ids.shape[1] + 1))
            ids, mask = ids[:, -width:], mask[:, -width:]
        chroma = F.one_hot(torch.from_numpy(melodies), 12).float()
        return Batch(torch.from_numpy(codes), ids, mask, chroma, torch.from_numpy(first_frames), self.beat_frames(rows))

    def beat_frames(self, rows: Iterable[int]) -> torch.Tensor:
        return torch.tensor([self.labels[row]["beat_frames"] for row in rows])

    def _melody(self, row: int, start: int, rng: np.random.Generator) -> np.ndarray:
        """The melody of a piece from frame `start` on, [MELODY_FRAMES]; it comes round where the piece ends, as a short melody input does."""
        melody = self.melodies[row][round(start / CHROMA_FRAMES) :]
        melody = np.resize(melody, MELODY_FRAMES)
        wrong = rng.random(MELODY_FRAMES) < WRONG_CHROMA
        return np.where(wrong, rng.integers(12, size=MELODY_FRAMES), melody)

    def tokenize(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Ids and mask, [B, text_tokens], padded on the left."""
        tokens = self.tokenizer(texts, padding="longest", truncation=True, return_tensors="pt")
        pad = self.settings.text_tokens - tokens.input_ids.shape[1]
        return F.pad(tokens.input_ids, (pad, 0)), F.pad(tokens.attention_mask, (pad, 0))


def teacher_forced(
    codes: torch.Tensor, bos: int, begins: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes [B, K, T] -> decoder inputs [B, K, T + K - 1] and the targets they predict, IGNORED where there are none.

    Frames before `begins` are heard and not predicted.
    """
    delayed = delay(codes, IGNORED)
    inputs = delayed[..., :-1].masked_fill(delayed[..., :-1] == IGNORED, bos)
    if begins is not None:
        before = torch.arange(codes.shape[-1], device=codes.device) < begins.to(codes.device)[:, None, None]
        delayed = delay(codes.masked_fill(before, IGNORED), IGNORED)
    return inputs, delayed[..., 1:]


def drop_history(inputs: torch.Tensor, bos: int, share_of_rows: float, rng: np.random.Generator) -> torch.Tensor:
    """Take positions of the inputs [B, K, S] away in some of the rows: all of them, or a share between one half and all."""
    rows, _, positions = inputs.shape
    share = np.where(rng.random(rows) < 0.5, 1.0, rng.uniform(0.5, 1.0, rows)) * (rng.random(rows) < share_of_rows)
    dropped = rng.random((rows, positions)) < share[:, None]
    return inputs.masked_fill(torch.from_numpy(dropped).to(inputs.device)[:, None], bos)


def mistake_history(inputs: torch.Tensor, bos: int, share_of_rows: float, rng: np.random.Generator) -> torch.Tensor:
    """Put the next row's codes at a few places of the inputs [B, K, S], in some of the rows."""
    rows = len(inputs)
    share = rng.uniform(*MISTAKEN, rows) * (rng.random(rows) < share_of_rows)
    mistaken = torch.from_numpy(rng.random(inputs.shape) < share[:, None, None]).to(inputs.device)
    others = inputs.roll(1, 0)
    return torch.where(mistaken & (inputs != bos) & (others != bos), others, inputs)
