"""Measurement of many files: single clips, distances of sets, classifiers from labelled folders.

Nothing is printed. A file that cannot be read becomes a `FailedFile` among the results.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.datasets.audio_files import FailedFile, audio_files, read_clips
from tonearm.datasets.captions import Caption, SectionText
from tonearm.errors import TonearmError
from tonearm.evaluators.base import (
    AudioTextEmbedder,
    BeatTracker,
    Embedder,
    Tagger,
    Transcriber,
    as_tagger,
    as_text_embedder,
    as_tracker,
    as_transcriber,
)
from tonearm.evaluators.corpora import EmbeddedCorpus, embed_corpus
from tonearm.evaluators.embedding_set import EmbeddingSet
from tonearm.measures.base import Measurement
from tonearm.measures.clap_score import measure_clap_score
from tonearm.measures.classifier import (
    Classifier,
    as_classifier,
    check_embedder,
    measure_classifier,
    train_classifier,
)
from tonearm.measures.describe import Description, describe
from tonearm.measures.fad import FAD, measure_fad
from tonearm.measures.kad import KAD, measure_kad
from tonearm.measures.notes import measure_notes
from tonearm.measures.sectioned_clap_score import joined, measure_sectioned_clap_score
from tonearm.measures.tags import measure_tags
from tonearm.measures.zero_shot import TEMPLATE, check_labels, measure_zero_shot
from tonearm.progress import Progress


@dataclass(frozen=True)
class MeasuredFile:
    """Measurements of one file.

    Attributes:
        path: of the file.
        sample_rate: Hz.
        channels: of the file.
        description: every registered measure.
        scores: by CLAP, classifiers and a tagger, in the form of their `to_dict`.
        notes: measurements by a transcriber.
    """

    path: Path
    sample_rate: int
    channels: int
    description: Description
    scores: tuple[dict[str, Any], ...] = ()
    notes: tuple[Measurement, ...] = ()

    def to_dict(self) -> dict[str, object]:
        return {
            "file": str(self.path),
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            **self.description.to_dict(),
            **{one.name: one.to_dict() for one in self.notes},
            "scores": {str(score["name"]): score for score in self.scores},
        }


@dataclass(frozen=True)
class ClapScoring:
    """Scores of each file by a CLAP evaluator and by classifiers of its embeddings.

    Invalid requests are refused at construction, before any file is measured.

    Attributes:
        clap: the evaluator.
        labels: of a zero-shot score; none for no such score.
        template: text with one {} for the label.
        texts: of the CLAP score, one per file, or one per section; empty for no such score.
        classifiers: trained on the evaluator's embeddings.

    Raises:
        TonearmError: invalid labels, template or text, or a classifier of another evaluator.
    """

    clap: AudioTextEmbedder
    labels: tuple[str, ...] | None = None
    template: str = TEMPLATE
    texts: Mapping[Path, Caption] = field(default_factory=dict)
    classifiers: tuple[Classifier, ...] = ()

    def __post_init__(self) -> None:
        as_text_embedder(self.clap, "clap")
        boundary.sequence(self.classifiers, "classifiers", as_classifier, "a tuple of classifiers")
        if not isinstance(self.texts, Mapping):
            raise boundary.refusal(self.texts, "texts", "a mapping of paths to texts")
        texts = [text for caption in self.texts.values() for text in _texts(caption)]
        names = [classifier.name for classifier in self.classifiers]
        if len(set(names)) < len(names):
            raise TonearmError(
                f"two classifiers have one name ({', '.join(names)}); "
                "give each once, or train one by another name"
            )
        if self.labels is not None:
            boundary.sequence(self.labels, "labels", boundary.text, "a tuple of labels")
            check_labels(self.labels, self.template, self.clap)
        for text in dict.fromkeys(texts):
            self.clap.check_words(text)
        for classifier in self.classifiers:
            check_embedder(classifier, self.clap)

    def scores(self, path: Path, clip: Clip) -> tuple[dict[str, Any], ...]:
        """Score one file.

        Args:
            path: its key in `texts`.
            clip: its audio.

        Returns:
            One entry per score.
        """
        found: list[dict[str, Any]] = []
        if self.labels is not None:
            zero_shot = measure_zero_shot(clip, self.clap, self.labels, self.template)
            found.append(zero_shot.to_dict())
        if self.texts:
            if path not in self.texts:
                raise TonearmError(f"there is no text for {path}; give one for each file")
            found.append(self._clap_score(clip, self.texts[path]))
        for classifier in self.classifiers:
            found.append(measure_classifier(clip, classifier, self.clap).to_dict())
        return tuple(found)

    def _clap_score(self, clip: Clip, caption: Caption) -> dict[str, Any]:
        if isinstance(caption, str):
            return {**measure_clap_score(clip, self.clap, caption).to_dict(), "text": caption}
        found = measure_sectioned_clap_score(clip, self.clap, caption)
        return {
            **found.mean.to_dict(),
            "text": joined(caption),
            "sections": [asdict(one) for one in found.sections],
        }


def _texts(caption: Any) -> list[str]:
    """The texts of a caption. Raises TonearmError for another type."""
    if isinstance(caption, tuple) and all(isinstance(one, SectionText) for one in caption):
        return [boundary.text(one.text, "a text") for one in caption]
    return [boundary.text(caption, "a text")]


def measure_files(
    paths: Sequence[str | os.PathLike[str]],
    *,
    tracker: BeatTracker | None = None,
    scoring: ClapScoring | None = None,
    tagger: Tagger | None = None,
    transcriber: Transcriber | None = None,
    progress: Progress | None = None,
) -> Iterator[MeasuredFile | FailedFile]:
    """Measure audio files one by one.

    Args:
        paths: files and folders.
        tracker: beat tracker; `tonearm.defaults.TRACKER` where none is given.
        scoring: scores by CLAP, where they are wanted.
        tagger: of the tags, where they are wanted.
        transcriber: of the notes, where they are wanted.
        progress: called with (done, total) files.

    Returns:
        Measurements of each file as they are made, or the reason where a file cannot be read.

    Raises:
        TonearmError: a folder has no audio.
    """
    files = boundary.sequence(paths, "paths", boundary.path, "a list of paths")
    boundary.optional(as_tracker, tracker, "tracker")
    boundary.optional(_scoring, scoring, "scoring")
    boundary.optional(as_tagger, tagger, "tagger")
    boundary.optional(as_transcriber, transcriber, "transcriber")
    progress = boundary.optional(boundary.function, progress, "progress")
    paths = audio_files([Path(file) for file in files])
    return _measured(paths, tracker, scoring, tagger, transcriber, progress)


def _scoring(value: object, name: str) -> ClapScoring:
    return boundary.instance(value, name, ClapScoring, "a ClapScoring")


def _measured(
    paths: Sequence[Path],
    tracker: BeatTracker | None,
    scoring: ClapScoring | None,
    tagger: Tagger | None,
    transcriber: Transcriber | None,
    progress: Progress | None,
) -> Iterator[MeasuredFile | FailedFile]:
    for path, clip in read_clips(paths, progress):
        if isinstance(clip, FailedFile):
            yield clip
            continue
        try:
            description = describe(clip, tracker)
            scores = () if scoring is None else scoring.scores(path, clip)
            if tagger is not None:
                scores += (measure_tags(clip, tagger).to_dict(),)
            notes = () if transcriber is None else measure_notes(clip, transcriber).measurements
        except TonearmError as error:
            yield FailedFile(path, f"{path}: {error}")
            continue
        yield MeasuredFile(path, clip.sample_rate, len(clip.samples), description, scores, notes)


def measure_distances(
    clips: EmbeddingSet,
    reference: EmbeddingSet,
    *,
    fad: bool = True,
    kad: bool = True,
    extrapolate: bool = False,
    seed: int = 0,
) -> list[FAD | KAD]:
    """Measure the distances of a set to a reference.

    Args:
        clips: the set.
        reference: by the same embedder.
        fad: measure the Fréchet distance.
        kad: measure the kernel distance.
        extrapolate: also extrapolate the Fréchet distance to infinitely many clips.
        seed: of the extrapolation's subsets.

    Returns:
        The distances, FAD first.

    Raises:
        TonearmError: as `measure_fad` and `measure_kad`.
    """
    found: list[FAD | KAD] = []
    if boundary.flag(fad, "fad"):
        found.append(measure_fad(clips, reference, extrapolate, seed))
    if boundary.flag(kad, "kad"):
        found.append(measure_kad(clips, reference))
    return found


def train_from_folders(
    name: str,
    folders: Sequence[Path],
    embedder: Embedder,
    *,
    label: str | None = None,
    where: Mapping[str, str] | None = None,
    layout: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Classifier, EmbeddedCorpus]:
    """Train a classifier from labelled folders.

    Args:
        name: of the attribute.
        folders: one corpus, or one folder per label.
        embedder: of the classifier.
        label: column of the labels; default: that of the layout.
        where: values by column; other items are left out.
        layout: name of the layout; default: found by the files in the folder.
        seed: of the folds.
        progress: called with (done, total) files.

    Returns:
        The classifier, and the corpus with the files that were left out.

    Raises:
        TonearmError: no labelled corpus, too few tracks of a label, or an argument of a wrong type.
    """
    name = boundary.text(name, "name")
    seed = boundary.seed(seed, boundary.MAX_SKLEARN_SEED)  # before hours of embedding
    corpus = embed_corpus(
        folders, embedder, label=label, where=where, layout=layout, progress=progress
    )
    classifier = train_classifier(name, corpus.rows, corpus.labels, corpus.tracks, embedder, seed)
    return classifier, corpus
