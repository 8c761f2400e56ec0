"""Vectors of the study: of every attribute and method, and random ones. Each is kept in a file.

    OUT/vectors/<name>-<hash>.safetensors

The hash is of the checkpoint, the examples and the method. Files hold vectors before they are
normalised.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.activations import measure_frame_scales
from tonearm.datasets import prompts
from tonearm.hashing import hash_texts
from tonearm.methods.base import NoDirection
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import SteeringVector, load_vector, save_vector
from tonearm.studies.methods2026.design import Design
from tonearm.studies.methods2026.examples import Examples
from tonearm.studies.methods2026.operators import SET
from tonearm.studies.methods2026.variants import (
    Candidate,
    normalised,
    random_direction,
    vector_name,
)

FOLDER = "vectors"
RANDOM_SEED = 900


@dataclass(frozen=True)
class Vectors:
    """Vectors of the study.

    by_name   normalised, with random ones
    left_out  reason by name, where a method finds no direction
    """

    by_name: Mapping[str, SteeringVector]
    left_out: Mapping[str, str]


def make_vectors(
    model: Model,
    examples: Mapping[str, Examples],
    candidates: Sequence[Candidate],
    design: Design,
    folder: Path,
    progress: Progress | None = None,
) -> Vectors:
    """Fit the vectors that the folder lacks, and draw random ones.

    Args:
        model: the checkpoint.
        examples: by attribute.
        candidates: methods.
        design: sizes.
        folder: of the run.
        progress: called with vectors done and vectors in all.

    Raises:
        TonearmError: the examples cannot be made or captured.
    """
    cells = [(attribute, one) for attribute in examples for one in candidates]
    found, left_out = dict[str, SteeringVector](), dict[str, str]()
    for done, (attribute, candidate) in enumerate(cells):
        if progress:
            progress(done, len(cells))
        name = vector_name(attribute, candidate.name)
        fitted = _fitted(model, examples[attribute], candidate, name, design, folder / FOLDER)
        if isinstance(fitted, SteeringVector):
            found[name] = normalised(fitted)
        else:
            left_out[name] = fitted
    for site in dict.fromkeys(one.site for one in candidates):
        members = [vector for vector in found.values() if vector.info.site == site]
        for draw in range(design.random if members else 0):
            like = max(members, key=lambda vector: len(vector.layers))
            vector = random_direction(like, draw, RANDOM_SEED + draw)
            found[vector.name] = vector
    return Vectors(found, left_out)


def _fitted(
    model: Model,
    examples: Examples,
    candidate: Candidate,
    name: str,
    design: Design,
    folder: Path,
) -> SteeringVector | str:
    """Read a vector, or fit and save it; the reason where the method finds none.

    A vector that operator set injects has the scales of generated frames, too.
    """
    keys = [model.shape.fingerprint, examples.identity, candidate.name, candidate.identity]
    identity = hash_texts(keys)[:12]
    path = folder / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}-{identity}.safetensors"
    if path.is_file():
        return load_vector(path)
    try:
        vector = candidate.fit(model, examples, name)
    except NoDirection as error:
        return str(error)
    if SET in candidate.operators:
        vector = measure_frame_scales(
            model.engine, vector, prompts.neutral()[: design.scaled], seconds=design.seconds
        )
    save_vector(vector, path)
    return vector
