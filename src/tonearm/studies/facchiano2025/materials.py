"""Vectors and prompt activations of the study: all that the model alone gives.

Every vector is DiffMean at the text's EOS (eq. 1 of the paper). Of subsets of the prompts the mean
difference is taken from the same activations.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from tonearm.activations import CaptureSpec, capture_rows
from tonearm.datasets.prompts import PAIRS, load_pair
from tonearm.methods.learn import learn
from tonearm.model import Model
from tonearm.steering import SteeringVector
from tonearm.steering.vector import NO_PROJECTIONS
from tonearm.studies.facchiano2025.design import PAIR, Design

SUBSET_SEED, RANDOM_SEED = 100, 500
RANDOM_SEEDS = 100  # of the random directions of one pair


@dataclass(frozen=True)
class Materials:
    """What the model gives.

    vectors  by name: of every pair, of subsets (`subset_name`), random ones (`random_name`)
    rows     prompt activations by pair, float32 [2, n, L, D]: positive and negative prompts
    """

    vectors: Mapping[str, SteeringVector]
    rows: Mapping[str, np.ndarray]


def subset_name(pair: str, size: int, draw: int) -> str:
    """Name of the vector of `size` prompts a side."""
    return f"{pair}, {size} prompts, draw {draw}"


def random_name(pair: str, index: int) -> str:
    """Name of a random direction with the norms of a pair's vector."""
    return f"random {index} like {pair}"


def make_materials(model: Model, design: Design) -> Materials:
    """Learn and draw the vectors of the study.

    Args:
        model: the checkpoint.
        design: sizes.
    """
    vectors, rows = dict[str, SteeringVector](), {}
    for name in design.pairs(tuple(PAIRS)):
        pair = load_pair(name)
        positive, negative = pair.positive[: design.prompts], pair.negative[: design.prompts]
        vectors[name] = learn(
            model,
            positive,
            negative,
            name,
            positive_label=pair.positive_label,
            negative_label=pair.negative_label,
        )
        rows[name] = np.stack([_rows(model, prompts) for prompts in (positive, negative)])
    for place, name in enumerate(PAIR.values()):
        for size in design.set_sizes:
            for draw in range(design.draws):
                found = _of_subset(vectors[name], rows[name], size, draw)
                vectors[subset_name(name, size, draw)] = found
        for index in range(design.random):
            # other directions for each pair, since two of them are added to each other
            seed = RANDOM_SEED + RANDOM_SEEDS * place + index
            vectors[random_name(name, index)] = vectors[name].random_like(seed)
    return Materials(vectors, rows)


def _rows(model: Model, prompts: tuple[str, ...]) -> np.ndarray:
    """Activations at every layer, float32 [n, L, D], in the order of the prompts."""
    found: np.ndarray | None = None
    for captured in capture_rows(model.engine, prompts, CaptureSpec()):
        batch = captured.rows.numpy()
        if found is None:
            found = np.empty((len(prompts), *batch.shape[1:]), np.float32)
        found[np.asarray(captured.examples)] = batch
    assert found is not None
    return found


def _of_subset(whole: SteeringVector, rows: np.ndarray, size: int, draw: int) -> SteeringVector:
    """DiffMean of a random subset of each side; the same lines of both sides."""
    rng = np.random.default_rng(SUBSET_SEED + draw)
    chosen = rng.permutation(rows.shape[1])[:size]
    difference = rows[0, chosen].mean(0) - rows[1, chosen].mean(0)
    info = whole.info.model_copy(
        update={
            "name": subset_name(whole.name, size, draw),
            "positive_count": len(chosen),
            "negative_count": len(chosen),
            "data_hash": "",
            "scores": {},
            "calibration": None,
            **NO_PROJECTIONS,
        }
    )
    layers = enumerate(torch.from_numpy(difference))
    return SteeringVector({layer: row.clone() for layer, row in layers}, info)
