"""Labels of clips, from which features take their names: numbers by name.

    spectral_centroid ...  every measure of `tonearm.measures.describe` that is a number
    tag rock               probability of each tag of musicnn (tonearm/measures/tags.py)
    clap flute             CLAP score of each of some texts: the cosine of their embeddings

The audio of a clip is that of its codes. Labels are kept in the folder of the clips, in files of
FILE_CLIPS, so that several autoencoders share them and a stopped run resumes.

Shapes: c clips; n tracks; M labels.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ConfigDict

from tonearm.activations.clip_sources import clip_audio
from tonearm.activations.clips import Clips
from tonearm.audio import Clip
from tonearm.evaluators.base import AudioTextEmbedder, Tagger
from tonearm.files.atomic import atomic_write
from tonearm.files.text_file import parse_json, read_text
from tonearm.measures import describe, measure_tags, measure_zero_shot, measures
from tonearm.measures.zero_shot import check_labels
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.schema import Declared, validated

FILE_CLIPS = 16
PLAIN = "{}"  # template of a text as it is
AGAIN = "delete it and run the same command again"
TEXTS = (
    "jazz", "rock", "folk", "latin", "hip hop", "reggae", "classical", "electronic", "country",
    "flute", "piano", "guitar", "violin", "cello", "trumpet", "saxophone", "organ", "synth",
    "fast", "slow", "loud", "soft", "bright", "dark", "calm", "energetic", "dense", "sparse",
    "major", "minor", "acoustic",
)  # fmt: skip


@dataclass(frozen=True)
class Labels:
    """Labels of tracks: `names` M, and `values` float64 [n, M], NaN where one is not defined."""

    names: tuple[str, ...]
    values: np.ndarray


@dataclass(frozen=True)
class Labeller:
    """Evaluators that label a clip.

    tagger  of the tags
    clap    of the texts
    texts   whose agreement with the clip is scored
    """

    tagger: Tagger
    clap: AudioTextEmbedder
    texts: tuple[str, ...] = TEXTS

    def check(self) -> "Labeller":
        """Return the labeller.

        Raises:
            TonearmError: fewer than two texts, a repeated one, or one outside CLAP's vocabulary.
        """
        check_labels(self.texts, PLAIN, self.clap)
        return self

    @property
    def identity(self) -> str:
        """Hash of everything that the labels depend on beside the clip."""
        parts = [
            *(f"{one.name} {one.protocol}" for one in measures()),
            self.tagger.fingerprint,
            self.clap.fingerprint,
            *self.texts,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def label(self, clip: Clip) -> dict[str, float | None]:
        """Label a clip; None where a label is not defined, as for silence."""
        found: dict[str, float | None] = {
            one.name: one.number
            for one in describe(clip).measurements
            if not isinstance(one.value, str) and one.unit
        }
        tags = measure_tags(clip, self.tagger)
        for tag in tags.tags:
            found[f"tag {tag}"] = tags.probabilities[tag] if tags.probabilities else None
        cosines = measure_zero_shot(clip, self.clap, self.texts, PLAIN).cosines
        for text in self.texts:
            found[f"clap {text}"] = cosines[text] if cosines else None
        return found


class _LabelFile(Declared):
    """Labels of some clips; `key` identifies the clips and the labeller."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    key: str
    labels: tuple[dict[str, float | None], ...]


def label_clips(
    model: Model,
    clips: Clips,
    labeller: Labeller,
    folder: Path,
    progress: Progress | None = None,
) -> Labels:
    """Label clips, and average the labels of each track.

    Args:
        model: whose codec decodes the clips.
        clips: to label.
        labeller: evaluators.
        folder: that keeps the labels.
        progress: called with clips done and clips in all.
    """
    rows = list[dict[str, float | None]]()
    for number, first in enumerate(range(0, len(clips), FILE_CLIPS)):
        part = clips.chosen(range(first, min(first + FILE_CLIPS, len(clips))))
        path = folder / f"labels-{labeller.identity}-{number:05}.json"
        rows += _kept(path, part, labeller) or _labelled(model, path, part, labeller)
        if progress:
            progress(len(rows), len(clips))
    names = tuple(dict.fromkeys(name for row in rows for name in row))
    values = np.array([[np.nan if row.get(n) is None else row[n] for n in names] for row in rows])
    return Labels(names, _by_track(values.astype(np.float64), [one.track for one in clips.records]))


def _key(clips: Clips, labeller: Labeller) -> str:
    content = clips.codes.numpy().astype("<i2").tobytes()
    return hashlib.sha256(content + labeller.identity.encode()).hexdigest()


def _kept(path: Path, clips: Clips, labeller: Labeller) -> list[dict[str, float | None]] | None:
    """Labels in a file; None where there is none, or one of other clips."""
    if not path.is_file():
        return None
    content = parse_json(read_text(path, "labels", AGAIN), str(path), AGAIN)
    found: _LabelFile = validated(_LabelFile, content, where=str(path))
    is_whole = found.key == _key(clips, labeller) and len(found.labels) == len(clips)
    return list(found.labels) if is_whole else None


def _labelled(
    model: Model, path: Path, clips: Clips, labeller: Labeller
) -> list[dict[str, float | None]]:
    labels = [labeller.label(clip_audio(model.checkpoint, codes)) for codes in clips.codes]
    content = _LabelFile(key=_key(clips, labeller), labels=tuple(labels)).model_dump_json()
    with atomic_write(path) as temporary:
        temporary.write_text(content, encoding="utf-8")
    return labels


def _by_track(values: np.ndarray, tracks: Sequence[str]) -> np.ndarray:
    """Mean of the defined values of each track's clips, [c, M] -> [n, M]."""
    _, first, owner = np.unique(tracks, return_index=True, return_inverse=True)
    defined = np.isfinite(values)
    sums, counts = np.zeros((len(first), values.shape[1])), np.zeros((len(first), values.shape[1]))
    np.add.at(sums, owner, np.where(defined, values, 0))
    np.add.at(counts, owner, defined)
    means = np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)
    return means[np.argsort(first)]  # in the order of first occurrence, as `Clips.tracks`
