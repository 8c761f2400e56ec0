"""Results of the clusters and probes, and their file.

Shapes: L layers; k labels; P permutations.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.files.text_file import read_json
from tonearm.schema import Declared, validated

INDICES = ("ari", "ami", "nmi")
AGAIN = "delete it and run the study again with --resume"


class _Result(Declared):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Index(_Result):
    """An index of agreement of clusters and labels.

    values      by seed of k-means
    null_mean   mean under permuted labels
    null_bound  that 5 % of the permutations exceed
    """

    values: tuple[float, ...] = Field(min_length=1)
    null_mean: float
    null_bound: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))


class LayerClusters(_Result):
    """Indices of one layer's clusters by name, of raw and of whitened rows."""

    raw: Mapping[Literal["ari", "ami", "nmi"], Index]
    whitened: Mapping[Literal["ari", "ami", "nmi"], Index]


class Probe(_Result):
    """Held-out accuracy of a linear probe.

    accuracy  balanced, by layer [L]
    null      accuracy of the best layer of each permutation [P]
    rows      that were used
    folds     description of the folds
    """

    accuracy: tuple[float, ...] = Field(min_length=1)
    null: tuple[float, ...] = Field(min_length=1)
    rows: int
    folds: str

    @property
    def best_layer(self) -> int:
        return int(np.argmax(self.accuracy))

    @property
    def null_bound(self) -> float:
        """Accuracy that 5 % of the permutations' best layers exceed."""
        return float(np.quantile(self.null, 0.95))


class SiteStructure(_Result):
    """Clusters and probe at one site.

    layers      clusters by layer [L]
    best_layer  with the highest mean ARI of raw rows
    best_bound  ARI that 5 % of the permutations exceed in any layer
    jaccard     of labels and clusters at the best layer, first seed, clusters matched [k, k]
    probe       None where a label has too few rows for held-out folds
    """

    layers: tuple[LayerClusters, ...] = Field(min_length=1)
    best_layer: int = Field(ge=0)
    best_bound: float
    jaccard: tuple[tuple[float, ...], ...]
    probe: Probe | None

    @property
    def best(self) -> LayerClusters:
        return self.layers[self.best_layer]

    def series(self, index: str, whitened: bool = False) -> list[Index]:
        """An index by layer.

        Args:
            index: of INDICES.
            whitened: of whitened rows instead of raw ones.
        """
        found = [one.whitened if whitened else one.raw for one in self.layers]
        return [one[index] for one in found]  # type: ignore[index]


class TaskStructure(_Result):
    """A musical concept.

    name      of the concept
    labels    sorted [k]
    n         rows of the clusters
    tracks    that they are from
    protocol  of k-means
    sites     by name
    """

    name: str
    labels: tuple[str, ...] = Field(min_length=2)
    n: int
    tracks: int
    protocol: str
    sites: Mapping[str, SiteStructure]

    @property
    def chance(self) -> float:
        """Balanced accuracy by chance."""
        return 1 / len(self.labels)


class Structure(_Result):
    """All concepts, in order; `source` identifies the activations that they are of."""

    format: Literal[1] = 1
    source: str = ""
    tasks: tuple[TaskStructure, ...]


def save_structure(results: Structure, path: Path) -> None:
    """Write results as JSON, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(results.model_dump_json(indent=1), encoding="utf-8")


def load_structure(path: Path) -> Structure:
    """Read results.

    Raises:
        TonearmError: no file, or a damaged one.
    """
    content = read_json(path, "file of clusters and probes", AGAIN)
    try:
        found: Structure = validated(Structure, content, where=str(path))
    except TonearmError as error:
        raise TonearmError(f"{error}; {AGAIN}") from None
    return found
