"""Embeddings of a set of clips, the input of distances, clusters and classifiers.

Rows come from an `Embedder` (CLAP, or a checkpoint's own EnCodec), or from .npy and .npz files
written elsewhere, for instance by fadtk or kadtk. A set records its embedder and its source, so
that sets of different embedding spaces are never compared and every number has a protocol.

Shapes: rows are [n clips, D dimensions].
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.array_file import read_array
from tonearm.evaluators.base import Embedder, as_clips, as_embedder, describe_embedder

GIVEN = "given embeddings"
MAX_MAGNITUDE = 1e30  # of a value; a Fréchet distance has its fourth power


@dataclass(frozen=True)
class EmbeddingSet:
    """Embeddings float64 [n, D] with their embedder and their source."""

    rows: np.ndarray
    embedder: str
    source: str

    def __post_init__(self) -> None:
        boundary.text(self.embedder, "embedder")
        boundary.text(self.source, "source")
        rows = _as_rows(self.rows, self.source)
        if rows.ndim != 2 or not rows.size:
            raise TonearmError(
                f"embeddings of {self.source} have the shape {list(rows.shape)}; "
                "give one row for each clip, [n, width]"
            )
        if not np.isfinite(rows).all():
            raise TonearmError(
                f"embeddings of {self.source} hold NaN or infinite numbers; compute them again"
            )
        if np.abs(rows).max() > MAX_MAGNITUDE:
            raise TonearmError(
                f"embeddings of {self.source} hold numbers beyond {MAX_MAGNITUDE:g}; scale them, "
                "or compute them again"
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
        clips, embedder = as_clips(clips, "clips"), as_embedder(embedder, "embedder")
        if not clips:
            raise TonearmError(f"{source} has no clips; give one or more")
        return cls(embedder.embed(clips), describe_embedder(embedder), source)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "EmbeddingSet":
        """Read [n, D] from .npy, or from .npz with one array. Raises TonearmError otherwise."""
        return cls(read_array(path), GIVEN, Path(path).name)


def check_sets(clips: object, reference: object) -> None:
    """Raise TonearmError where one of the arguments of a distance is no EmbeddingSet."""
    for value, name in ((clips, "clips"), (reference, "reference")):
        boundary.instance(value, name, EmbeddingSet, "an EmbeddingSet")


def _as_rows(given: object, source: str) -> np.ndarray:
    try:
        rows = np.asarray(given)
    except (TypeError, ValueError, RuntimeError):  # rows of several lengths, tensors on CUDA
        rows = np.empty(0, dtype=object)
    if rows.dtype.kind not in "fiub":
        raise TonearmError(
            f"embeddings of {source} are no numbers but of type {rows.dtype}; "
            "give an array of floats, [n, width]"
        )
    with np.errstate(over="ignore"):  # of longer floats; infinities are refused
        return rows.astype(np.float64, copy=False)
