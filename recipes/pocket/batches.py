"""Training batches from codes and labels.

Every batch has new captions, and histories that make the decoder use them.

The first frames of a piece reveal its labels, so a decoder that always has the complete history can
ignore the text. Two augmentations remove the history: `drop_history` blanks it, and spliced rows
begin with another piece. At inference the history also contains sampling errors, unlike pieces;
`corrupt_history` inserts wrong codes.
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
SHIFTED_SHARE = 0.35  # of the rows start inside a piece, as audio prompts and later windows do
SHIFT_FRAMES = (1, 128)
CORRUPTED_CODES = (0.02, 0.3)  # share of a row's codes that come from another row
SPLICE_FRAMES = (8, 160)  # length of the other piece at the start
WRONG_CHROMA = 0.05  # share of melody frames with a random pitch class


@dataclass
class Batch:
    codes: torch.Tensor  # [B, K, T], IGNORED where there is none
    text_ids: torch.Tensor  # [B, S]
    text_mask: torch.Tensor  # [B, S]
    # [B, MELODY_FRAMES, 12], one-hot; the null chroma is pitch class 0 throughout
    chroma: torch.Tensor
    # [B], frame of the captioned piece at frame 0; negative if it begins later
    first_frames: torch.Tensor
    beat_frames: torch.Tensor  # [B]

    @property
    def begins(self) -> torch.Tensor:
        """[B], the frame at which the captioned piece begins."""
        return (-self.first_frames).clamp(min=0)

    def frames(self, positions: int) -> torch.Tensor:
        """Return the frame of the captioned piece that each position predicts, [B, positions].

        It is negative where there is none.
        """
        place = torch.arange(positions)
        return (self.first_frames[:, None] + place).masked_fill(place >= self.codes.shape[-1], -1)


class Pieces:
    """All pieces of a split."""

    def __init__(
        self,
        corpus: Path,
        out: Path,
        split: str,
        tokenizer: PreTrainedTokenizerFast,
        settings: Settings,
    ):
        indices = shards_present(out / "codes", split)
        self.codes = np.concatenate([np.load(codes_path(out, split, i)) for i in indices])
        self.labels = [labels for i in indices for labels in load_labels(corpus, split, i)]
        self.melodies = np.concatenate([load_melodies(corpus, split, i) for i in indices])
        self.tokenizer, self.settings = tokenizer, settings

    def draw(
        self,
        rows: np.ndarray,
        rng: np.random.Generator,
        spliced_share: float = 0.0,
        melody_share: float = 0.0,
    ) -> Batch:
        """Draw a batch.

        Args:
            rows: indices of pieces, [B].
            rng: source of randomness.
            spliced_share: share of the rows that begin with another piece.
            melody_share: share of the other rows with the melody as chroma input.

        Returns:
            The batch.
        """
        melodies = np.zeros((len(rows), MELODY_FRAMES), dtype=np.int64)
        codes = np.full((len(rows), self.codes.shape[1], FRAMES), IGNORED, dtype=np.int64)
        begins = np.where(
            rng.random(len(rows)) < spliced_share, rng.integers(*SPLICE_FRAMES, len(rows)), 0
        )
        first_frames = -begins
        for i, (row, begin) in enumerate(zip(rows, begins, strict=True)):
            start = (
                int(rng.integers(*SHIFT_FRAMES))
                if begin == 0 and rng.random() < SHIFTED_SHARE
                else 0
            )
            first_frames[i] += start
            piece = self.codes[row, :, start : start + FRAMES - begin]
            codes[i, :, begin : begin + piece.shape[1]] = piece
            codes[i, :, :begin] = self.codes[rng.integers(len(self.codes)), :, :begin]
            if begin == 0 and rng.random() < melody_share:
                melodies[i] = self._melody(row, start, rng)
        ids, mask = self.tokenize([caption(self.labels[row], rng) for row in rows])
        if rng.random() < 0.15:  # shorter padding, as other callers use
            longest = int(mask.sum(1).max())
            width = int(rng.integers(longest, ids.shape[1] + 1))
            ids, mask = ids[:, -width:], mask[:, -width:]
        chroma = F.one_hot(torch.from_numpy(melodies), 12).float()
        return Batch(
            torch.from_numpy(codes),
            ids,
            mask,
            chroma,
            torch.from_numpy(first_frames),
            self.beat_frames(rows),
        )

    def beat_frames(self, rows: Iterable[int]) -> torch.Tensor:
        return torch.tensor([self.labels[row]["beat_frames"] for row in rows])

    def _melody(self, row: int, start: int, rng: np.random.Generator) -> np.ndarray:
        """Return the melody from frame `start` on, [MELODY_FRAMES].

        It repeats where the piece ends, as a short melody input does.
        """
        melody = self.melodies[row][round(start / CHROMA_FRAMES) :]
        melody = np.resize(melody, MELODY_FRAMES)
        wrong = rng.random(MELODY_FRAMES) < WRONG_CHROMA
        return np.where(wrong, rng.integers(12, size=MELODY_FRAMES), melody)

    def tokenize(self, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return ids and mask, [B, text_tokens], padded on the left."""
        tokens = self.tokenizer(texts, padding="longest", truncation=True, return_tensors="pt")
        pad = self.settings.text_tokens - tokens.input_ids.shape[1]
        return F.pad(tokens.input_ids, (pad, 0)), F.pad(tokens.attention_mask, (pad, 0))


def teacher_forced(
    codes: torch.Tensor, bos: int, begins: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply the delay pattern for teacher forcing.

    Args:
        codes: [B, K, T].
        bos: token of empty positions.
        begins: [B], first frame to predict; earlier frames are input only.

    Returns:
        Decoder inputs and their targets, both [B, K, T + K - 1]; IGNORED where there is no target.
    """
    delayed = delay(codes, IGNORED)
    inputs = delayed[..., :-1].masked_fill(delayed[..., :-1] == IGNORED, bos)
    if begins is not None:
        before = (
            torch.arange(codes.shape[-1], device=codes.device)
            < begins.to(codes.device)[:, None, None]
        )
        delayed = delay(codes.masked_fill(before, IGNORED), IGNORED)
    return inputs, delayed[..., 1:]


def drop_history(
    inputs: torch.Tensor, bos: int, share_of_rows: float, rng: np.random.Generator
) -> torch.Tensor:
    """Blank positions of the inputs in some rows: all of them, or a share between one half and all.

    Args:
        inputs: [B, K, S].
        bos: token of blank positions.
        share_of_rows: probability of a row to be changed.
        rng: source of randomness.

    Returns:
        The changed inputs.
    """
    rows, _, positions = inputs.shape
    share = np.where(rng.random(rows) < 0.5, 1.0, rng.uniform(0.5, 1.0, rows)) * (
        rng.random(rows) < share_of_rows
    )
    dropped = rng.random((rows, positions)) < share[:, None]
    return inputs.masked_fill(torch.from_numpy(dropped).to(inputs.device)[:, None], bos)


def corrupt_history(
    inputs: torch.Tensor, bos: int, share_of_rows: float, rng: np.random.Generator
) -> torch.Tensor:
    """Replace a few codes of some rows by those of the next row.

    Args:
        inputs: [B, K, S].
        bos: token of the delay pattern, which stays.
        share_of_rows: probability of a row to be changed.
        rng: source of randomness.

    Returns:
        The changed inputs.
    """
    rows = len(inputs)
    share = rng.uniform(*CORRUPTED_CODES, rows) * (rng.random(rows) < share_of_rows)
    mistaken = torch.from_numpy(rng.random(inputs.shape) < share[:, None, None]).to(inputs.device)
    others = inputs.roll(1, 0)
    return torch.where(mistaken & (inputs != bos) & (others != bos), others, inputs)
