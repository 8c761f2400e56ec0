"""Probes of MusicRFM's concepts on rendered audio: RFM against linear probes, and vectors of pitch
classes.

    corpora/notes, activations/notes     one note on many instruments; means over frames
    corpora/tempos, activations/tempos   a metronome; the position after the last frame
    note-probes.json                     held-out scores

Both corpora follow SynTheory, which the paper uses (Zhao et al. 2025). The paper's probes of large
have all 12 pitch classes and a search of 100 settings per layer; here some classes are probed against
the rest, by the search of method rfm.

Shapes: n clips; L layers; D width.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ConfigDict

from tonearm.activations.audio import AudioSpec
from tonearm.activations.corpus import capture_recordings
from tonearm.activations.store import ActivationStore
from tonearm.datasets.labelled_audio import read_corpus
from tonearm.datasets.recordings import recordings_of
from tonearm.datasets.rendering.corpus import render_corpus
from tonearm.files.atomic import atomic_write
from tonearm.files.text_file import read_json
from tonearm.methods.base import Fit, method_named
from tonearm.methods.from_store import Sides, stored_activations
from tonearm.methods.layer_weights import layer_weights
from tonearm.methods.regression import fit_regression
from tonearm.methods.vector_of_store import vector_of_store
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.schema import Declared, validated
from tonearm.steering import SteeringVector, load_vector, save_vector
from tonearm.studies.methods2026.design import Design
from tonearm.studies.methods2026.vectors import FOLDER as VECTORS

PITCH_CLASSES = ("C", "F#")  # that are probed and steered to
RFM, DIFFMEAN = "rfm", "diffmean"
CLASSIFIERS = (RFM, "lda", "mse-probe", DIFFMEAN)
STEERED = (RFM, DIFFMEAN)
REGRESSIONS: Mapping[str, Mapping[str, object]] = {
    RFM: {"method": RFM},
    "ridge with Ledoit & Wolf's shrinkage": {},
    "least squares": {"lam": 0.0},
}
SEGMENT = 4.0  # seconds of a clip
REST = "the rest"
FILE = "note-probes.json"
AGAIN = "delete it and run the study again with --resume, which makes no take again"


class Probe(Declared):
    """Held-out score of a probe, at the layer that validation parts chose.

    task    pitch class or tempo
    method  that fitted it; the predictor of RFM and the projection on its axis are two probes
    metric  auc or correlation
    score   on parts that chose nothing
    null    limit that 95 % of permutations do not exceed
    layer   with the best score on validation parts, 0-based
    clips   of the corpus
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    task: str
    method: str
    metric: str
    score: float
    null: float
    layer: int
    clips: int


class Probes(Declared):
    """All probes; `source` identifies the activations that they are of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    probes: tuple[Probe, ...]


@dataclass(frozen=True)
class NoteMaterials:
    """Probes, and vectors of pitch classes by name, in units of η."""

    probes: Sequence[Probe]
    vectors: Mapping[str, SteeringVector]


def note_vector(pitch_class: str, method: str) -> str:
    """Name of a vector."""
    return f"note {pitch_class}, {method}"


def make_notes(
    model: Model, folder: Path, design: Design, progress: Progress | None = None
) -> NoteMaterials:
    """Render, capture and fit, as far as the folder of the run lacks it.

    Args:
        model: the checkpoint.
        folder: of the run.
        design: sizes.
        progress: called with steps done and steps in all of each part.

    Raises:
        TonearmError: a corpus cannot be rendered or captured, or has too few clips for a probe.
    """
    notes = _captured(model, folder, "notes", "root_note_name", design.notes, "mean", progress)
    tempos = _captured(model, folder, "tempos", "bpm", design.tempos, "last", progress)
    identity = [
        (one.info.fingerprint, one.info.recordings_hash, one.info.pooling)
        for one in (notes, tempos)
    ]
    source = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    path = folder / FILE
    vectors = _vectors(model, notes, folder / VECTORS, source)
    if not path.is_file() or read_probes(path).source != source:
        found = Probes(source=source, probes=(*_of_notes(notes), *_of_tempos(tempos)))
        with atomic_write(path) as temporary:
            temporary.write_text(found.model_dump_json(indent=1), encoding="utf-8")
    return NoteMaterials(read_probes(path).probes, vectors)


def read_probes(path: Path) -> Probes:
    """Read the scores. Raises TonearmError where the file is missing or damaged."""
    found: Probes = validated(Probes, read_json(path, "file of probes", AGAIN), where=str(path))
    return found


def _captured(
    model: Model,
    folder: Path,
    recipe: str,
    label: str,
    clips: int,
    pooling: str,
    progress: Progress | None,
) -> ActivationStore:
    place = folder / "corpora" / recipe
    render_corpus(recipe, place, clips=clips, progress=progress)
    recordings = recordings_of(read_corpus([place], label=label))
    spec = AudioSpec(pooling=pooling, segment_seconds=SEGMENT)
    return capture_recordings(
        model.engine, recordings, spec, folder / "activations" / recipe, progress
    )


def _sides(store: ActivationStore, pitch_class: str) -> Sides:
    labels = frozenset(one.label for one in store.segments)
    return Sides(frozenset([pitch_class]), labels - {pitch_class})


def _of_notes(store: ActivationStore) -> list[Probe]:
    moments, found = store.moments("residual"), list[Probe]()
    for pitch_class in PITCH_CLASSES:
        activations = stored_activations(store, "residual", _sides(store, pitch_class), moments)
        for method in CLASSIFIERS:
            fit = method_named(method).fit(activations)
            found += _probes(f"pitch class {pitch_class}", method, fit, "auc", len(store.segments))
    return found


def _of_tempos(store: ActivationStore) -> list[Probe]:
    layers = [store.layer("residual", layer) for layer in range(store.info.layer_count)]
    rows = torch.stack(layers, dim=1)  # [n, L, D]
    bpm = [float(one.label) for one in store.segments]
    tracks, found = [one.track for one in store.segments], list[Probe]()
    for name, options in REGRESSIONS.items():
        fit = fit_regression(rows, bpm, tracks, **options)  # type: ignore[arg-type]
        found += _probes("tempo", name, fit, "correlation", len(store.segments))
    return found


def _probes(task: str, method: str, fit: Fit, metric: str, clips: int) -> list[Probe]:
    """The probe of a fit; of RFM its predictor, too."""
    assert fit.best_layer is not None
    names = {method: f"best_{metric}"}
    if method == RFM:
        names = {"rfm, predictor": f"best_predictor_{metric}", "rfm, axis": f"best_{metric}"}
    return [
        Probe(
            task=task,
            method=name,
            metric=metric,
            score=round(fit.statistics[key], 4),
            null=round(fit.statistics[f"null_{metric}"], 4),
            layer=fit.best_layer,
            clips=clips,
        )
        for name, key in names.items()
    ]


def _vectors(
    model: Model, store: ActivationStore, folder: Path, source: str
) -> dict[str, SteeringVector]:
    """Vectors of the pitch classes, from their files where they are there."""
    moments, found = store.moments("residual"), dict[str, SteeringVector]()
    for pitch_class in PITCH_CLASSES:
        for method in STEERED:
            name = note_vector(pitch_class, method)
            slug = name.replace("#", "-sharp").replace(", ", "-").replace(" ", "-").lower()
            path = folder / f"{slug}-{source}.safetensors"
            if not path.is_file():
                vector, _ = vector_of_store(
                    model.shape,
                    store,
                    "residual",
                    _sides(store, pitch_class),
                    moments,
                    method_named(method),
                    name,
                    positive_label=pitch_class,
                    negative_label=REST,
                )
                save_vector(vector, path)
            found[name] = weighted(load_vector(path))
    return found


def weighted(vector: SteeringVector) -> SteeringVector:
    """Unit directions times the layer weights of the paper, so that the strength is its η."""
    scores = torch.tensor([vector.info.scores["validation_auc"][i] for i in vector.layers])
    weights = layer_weights(scores)
    directions = {
        layer: torch.nn.functional.normalize(vector[layer], dim=0) * float(weight)
        for layer, weight in zip(vector.layers, weights, strict=True)
    }
    return SteeringVector(directions, vector.info.model_copy(update={"calibration": None}))
