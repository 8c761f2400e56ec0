"""Embedding: clips -> points in a space where near means alike.

Fréchet and kernel distance, clusters and classifiers stand on it.

An embedder is anything that has the attributes of `Embedder`: a CLAP judge, a checkpoint's own EnCodec (given from
outside; nothing here knows MusicGen). Rows made elsewhere, by fadtk or kadtk for instance, come from .npy or .npz
files.

A set of rows knows who made it from what, so that no two spaces are ever compared and every number can tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import Embedder, described

GIVEN = "given embeddings"
EMBEDDING_FILES = (".npy", ".npz")


@dataclass(frozen=True)
class EmbeddingSet:
    """`rows` float64 [n, D], who made them, and from what."""

    rows: np.ndarray
    embedder: str
    source: str

    def __post_init__(self) -> None:
        rows = np.asarray(self.rows, dtype=np.float64)
        if rows.ndim != 2 or not rows.size:
            raise TonearmError(
                f"embeddings of {self.source} have the shape {list(rows.shape)}; give one row for each clip, [n, width]"
            )
        if not np.isfinite(rows).all():
            raise TonearmError(f"embeddings of {self.source} hold NaN or infinite numbers; make them again")
        object.__setattr__(self, "rows", rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:
        return self.rows.shape[1]

    def check_comparable(self, other: "EmbeddingSet", distance: str) -> None:
        """Raise TonearmError where the two do not live in one space, or one is too small for a `distance` ("a Fréchet distance")."""
        names = {self.embedder, other.embedder} - {GIVEN}
        if len(names) > 1 or self.width != other.width:
            raise TonearmError(
                f"{self.source} is embedded by {self.embedder} (width {self.width}) and {other.source} by {other.embedder} "
                f"(width {other.width}); embed both alike"
            )
        for one in (self, other):
            if len(one) < 2:
                raise TonearmError(f"{distance} needs two clips or more in each set; {one.source} has {len(one)}")

    @classmethod
    def of_clips(cls, clips: Sequence[Clip], embedder: Embedder, source: str) -> "EmbeddingSet":
        return cls(embedder.embed(clips), described(embedder), source)

    @classmethod
    def read(cls, path: Path) -> "EmbeddingSet":
        """Read [n, D] from .npy, or from .npz that holds one array. Raises TonearmError for anything else."""
        path = Path(path)
        if not path.is_file():
            raise TonearmError(f"no embeddings at {path}; give a .npy or .npz file with one row for each clip")
        try:
            content = np.load(path, allow_pickle=False)
            if not isinstance(content, np.ndarray):
                with content:
                    if len(content.files) != 1:
                        raise TonearmError(f"{path} holds {len(content.files)} arrays; give a file with one")
                    content = content[content.files[0]]
            rows = content.astype(np.float64)
        except (ValueError, OSError, EOFError, BadZipFile) as error:
            raise TonearmError(
                f"cannot read {path} as embeddings ({str(error).splitlines()[0]}); give a .npy or .npz file of numbers"
            ) from error
        return cls(rows, GIVEN, path.name)
