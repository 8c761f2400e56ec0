"""Embeddings of a set of clips, the input of distances, clusters and classifiers.

Rows come from an `Embedder` (CLAP, or a checkpoint's own EnCodec), or from .npy and .npz files
written elsewhere, for instance by fadtk or kadtk. A set records its embedder and its source, so
that sets of different embedding spaces are never compared and every number has a protocol.

Shapes: rows are [n clips, D dimensions].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import Embedder, describe_embedder
from tonearm.text import first_line

GIVEN = "given embeddings"
EMBEDDING_FILES = (".npy", ".npz")


@dataclass(frozen=True)
class EmbeddingSet:
    """Embeddings float64 [n, D] with their embedder and their source."""

    rows: np.ndarray
    embedder: str
    source: str

    def __post_init__(self) -> None:
        rows = np.asarray(self.rows, dtype=np.float64)
        if rows.ndim != 2 or not rows.size:
            raise TonearmError(
                f"embeddings of {self.source} have the shape {list(rows.shape)}; "
                "give one row for each clip, [n, width]"
            )
        if not np.isfinite(rows).all():
            raise TonearmError(
                f"embeddings of {self.source} hold NaN or infinite numbers; compute them again"
            )
        object.__setattr__(self, "rows", rows)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def width(self) -> int:
        return self.rows.shape[1]

    def check_comparable(self, other: "EmbeddingSet", distance: str) -> None:
        """Check that a distance between two sets is defined.

        Args:
            other: the other set.
            distance: with its article, such as "a Fréchet distance", for the message.

        Raises:
            TonearmError: the sets have different embedders or widths, or one has one clip alone.
        """
        names = {self.embedder, other.embedder} - {GIVEN}
        if len(names) > 1 or self.width != other.width:
            raise TonearmError(
                f"{self.source} is embedded by {self.embedder} (width {self.width}) and "
                f"{other.source} by {other.embedder} (width {other.width}); embed both alike"
            )
        for one in (self, other):
            if len(one) < 2:
                raise TonearmError(
                    f"{distance} needs two clips or more in each set; {one.source} has {len(one)}"
                )

    @classmethod
    def of_clips(cls, clips: Sequence[Clip], embedder: Embedder, source: str) -> "EmbeddingSet":
        """Embed clips; `source` names them in protocols."""
        return cls(embedder.embed(clips), describe_embedder(embedder), source)

    @classmethod
    def read(cls, path: Path) -> "EmbeddingSet":
        """Read [n, D] from .npy, or from .npz with one array. Raises TonearmError otherwise."""
        path = Path(path)
        if not path.is_file():
            raise TonearmError(
                f"no embeddings at {path}; give a .npy or .npz file with one row for each clip"
            )
        try:
            content = np.load(path, allow_pickle=False)
            if not isinstance(content, np.ndarray):
                with content:
                    if len(content.files) != 1:
                        raise TonearmError(
                            f"{path} holds {len(content.files)} arrays; give a file with one"
                        )
                    content = content[content.files[0]]
            rows = content.astype(np.float64)
        except (ValueError, OSError, EOFError, BadZipFile) as error:
            raise TonearmError(
                f"cannot read {path} as embeddings ({first_line(error)}); "
                "give a .npy or .npz file of numbers"
            ) from error
        return cls(rows, GIVEN, path.name)
