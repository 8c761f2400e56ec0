"""Judge: an embedder that reads words too. `ClapJudge` is one."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from tonearm.audio import Clip
from tonearm.measures.embedding import Embedder
from tonearm.measures.levels import is_sounding


class Judge(Embedder, Protocol):
    """Puts clips and texts into one space."""

    @property
    def logit_scale(self) -> float:
        """What cosines are multiplied by before a softmax."""
        ...

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Unit rows, float32 [n, D]."""
        ...

    def check_words(self, text: str) -> None:
        """Raise TonearmError for a text that says nothing to this judge."""
        ...


def embed_sounding(clips: Sequence[Clip], embedder: Embedder) -> list[np.ndarray | None]:
    """A row float64 [D] for each clip; None for those with nothing to hear, which a judge would score all the same."""
    heard = [index for index, clip in enumerate(clips) if is_sounding(clip)]
    rows: list[np.ndarray | None] = [None] * len(clips)
    if heard:
        for index, row in zip(heard, embedder.embed([clips[index] for index in heard]), strict=True):
            rows[index] = row.astype(np.float64)
    return rows
