"""What `tonearm measure` does: open what the options name, go through the files, keep going past bad ones."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tonearm.cli._measure_tables import Failure, MeasuredFile, Output, print_clusters, print_trained
from tonearm.cli._screen import Bar, Stopped, err, progress_bar, quieten, say_error
from tonearm.cli._takes import check_outputs
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    import numpy as np

    from tonearm.audio import Clip
    from tonearm.evaluators.base import AudioTextEmbedder, Embedder
    from tonearm.evaluators.embedding_set import EmbeddingSet
    from tonearm.measures import FAD, KAD, Classifier

BAD_FILES = 2  # the exit code where some could not be measured


@dataclass(frozen=True)
class Judges:
    """What the options name; loaded when it is first needed."""

    clap: str
    embedding: str
    model: str
    device: str

    @cached_property
    def judge(self) -> "AudioTextEmbedder":
        with err.status(f"loading {self.clap}") if err.is_interactive else nullcontext():
            quieten()
            from tonearm.evaluators.cache import CachedClap
            from tonearm.evaluators.load import load_clap

            return CachedClap(load_clap(self.clap, self.device))

    def embedder(self) -> "Embedder":
        """Of sets, clusters and classifiers."""
        if self.embedding == "clap":
            return self.judge
        quieten()
        from tonearm.evaluators.cache import CachedEmbedder
        from tonearm.musicgen.checkpoint import load_checkpoint
        from tonearm.musicgen.codec_embedder import CodecEmbedder

        return CachedEmbedder(CodecEmbedder(load_checkpoint(self.model, self.device, "float32")))


@dataclass(frozen=True)
class Scores:
    """What a judge is asked about each clip; nothing is asked where `judge` is None."""

    judge: "AudioTextEmbedder | None" = None
    labels: tuple[str, ...] = ()
    template: str = ""
    texts: Mapping[Path, str] = field(default_factory=dict)  # one for each file, or none at all
    classifiers: tuple["Classifier", ...] = ()

    @classmethod
    def opened(
        cls,
        judges: Judges,
        labels: str | None,
        template: str | None,
        texts: Mapping[Path, str],
        classifiers: Sequence[Path],
    ) -> "Scores":
        """Loads the judge, and refuses at once what it could not score."""
        from tonearm.measures import load_classifier, measure_zero_shots
        from tonearm.measures.classifier import check_embedder
        from tonearm.measures.zero_shot import TEMPLATE

        trained = tuple(load_classifier(path) for path in classifiers)
        names = [classifier.name for classifier in trained]
        if len(set(names)) < len(names):
            raise TonearmError(
                f"two classifiers have one name ({', '.join(names)}); give each once, or train one by another name"
            )
        if labels is None and not texts and not trained:
            return cls()
        judge = judges.judge
        split = tuple(label.strip() for label in labels.split(",")) if labels is not None else ()
        template = TEMPLATE if template is None else template
        if labels is not None:
            measure_zero_shots([], judge, split, template)
        for text in dict.fromkeys(texts.values()):
            judge.check_words(text)
        for classifier in trained:
            check_embedder(classifier, judge)
        return cls(judge, split, template, texts, trained)

    def of(self, path: Path, clip: "Clip") -> list[dict[str, object]]:
        """The scores of one file, as they stand in JSON."""
        from tonearm.measures import measure_clap_score, measure_classifier, measure_zero_shot

        if self.judge is None:
            return []
        found: list[dict[str, object]] = []
        if self.labels:
            found.append(measure_zero_shot(clip, self.judge, self.labels, self.template).to_dict())
        if self.texts:
            text = self.texts[path]
            found.append({**measure_clap_score(clip, self.judge, text).to_dict(), "text": text})
        return found + [measure_classifier(clip, classifier, self.judge).to_dict() for classifier in self.classifiers]


@dataclass(frozen=True)
class Distances:
    """Which distances to which reference."""

    reference: Path
    frechet: bool
    kernel: bool
    extrapolate: bool
    seed: int

    def of(self, clips: "EmbeddingSet", reference: "EmbeddingSet") -> list["FAD | KAD"]:
        from tonearm.measures import measure_fad, measure_kad

        found: list[FAD | KAD] = []
        if self.frechet:
            found.append(measure_fad(clips, reference, self.extrapolate, self.seed))
        if self.kernel:
            found.append(measure_kad(clips, reference))
        return found


def measure_files(
    paths: Sequence[Path],
    source: str,
    beats: str,
    judges: Judges,
    scores: Scores,
    distances: Distances | None,
    form: str,
) -> None:
    """Measure each file, then all as a set called `source`; prints what there is when it is stopped."""
    from tonearm.evaluators.load import load_tracker
    from tonearm.measures import describe

    tracker = load_tracker(beats, judges.device)
    embedder = None if distances is None else judges.embedder()
    reference = None if distances is None or embedder is None else _reference(distances.reference, embedder)
    output, rows, failures = Output(form), [], list[Failure]()
    try:
        with progress_bar("measuring") as bar:
            for path, clip in _clips(paths, bar, failures):
                if embedder is not None:
                    rows.append(embedder.embed([clip])[0])
                measured = MeasuredFile(
                    path, clip.sample_rate, len(clip.samples), describe(clip, tracker), scores.of(path, clip)
                )
                with bar.aside() if form == "csv" else nullcontext():
                    output.add(measured)
    except KeyboardInterrupt:
        output.finish([], failures)
        raise Stopped(f"stopped; measured {len(output.files)} of {len(paths)} files") from None
    found = []
    if distances is not None and embedder is not None and reference is not None and rows:
        try:
            found = distances.of(_set(rows, embedder, source), reference)
        except TonearmError:  # what was measured is worth showing all the same
            output.finish([], failures)
            raise
    output.finish(found, failures)
    if failures:
        raise typer.Exit(BAD_FILES)


def measure_embeddings(files: Sequence[Path], distances: Distances | None, form: str) -> None:
    """Compare one file of embeddings with another."""
    from tonearm.evaluators.embedding_set import EmbeddingSet

    if len(files) > 1 or distances is None:
        raise TonearmError(
            "embeddings can be compared and nothing else; give one .npy or .npz file, and --reference with another"
        )
    clips = EmbeddingSet.read(files[0])
    reference = EmbeddingSet.read(distances.reference)
    Output(form).finish(distances.of(clips, reference), [])


def train_and_save(name: str, folders: Sequence[Path], judges: Judges, seed: int, force: bool, as_json: bool) -> None:
    """Train a classifier from labelled folders and write it to `name`.safetensors."""
    from tonearm.measures.classifier import SUFFIX, save_classifier, train_classifier

    path = Path(name) if name.endswith(SUFFIX) else Path(f"{name}{SUFFIX}")
    check_outputs([path], force)
    embedder = judges.embedder()
    corpus = _embedded_corpus(folders, embedder)
    classifier = train_classifier(path.stem, corpus.rows, corpus.labels, corpus.tracks, embedder, seed)
    save_classifier(classifier, path)
    print_trained(classifier, path, corpus.failures, as_json)
    if corpus.failures:
        raise typer.Exit(BAD_FILES)


def cluster(folders: Sequence[Path], judges: Judges, seed: int, as_json: bool) -> None:
    """Cluster a labelled corpus."""
    from tonearm.analysis.clusters import measure_clusters
    from tonearm.evaluators.base import described

    embedder = judges.embedder()
    corpus = _embedded_corpus(folders, embedder)
    print_clusters(measure_clusters(corpus.rows, corpus.labels, described(embedder), seed), corpus.failures, as_json)
    if corpus.failures:
        raise typer.Exit(BAD_FILES)


@dataclass(frozen=True)
class EmbeddedCorpus:
    rows: "np.ndarray"  # [n, D]
    labels: list[str]
    tracks: list[str]
    failures: list[Failure]


def _embedded_corpus(folders: Sequence[Path], embedder: "Embedder") -> EmbeddedCorpus:
    import numpy as np

    from tonearm.datasets.labelled_audio import read_corpus
    from tonearm.frame_levels import is_sounding

    by_path = {file.path: file for file in read_corpus(folders)}
    rows, labels, tracks, failures = [], [], [], list[Failure]()
    with progress_bar("listening") as bar:
        for path, clip in _clips(list(by_path), bar, failures):
            if not is_sounding(clip):
                _note(Failure(path, f"{path} is silent; it is left out"), bar, failures)
                continue
            rows.append(embedder.embed([clip])[0])
            labels.append(by_path[path].label)
            tracks.append(by_path[path].track)
    if not rows:
        raise TonearmError(
            f"nothing to learn from in {', '.join(map(str, folders))}; give folders of audio with sound in it"
        )
    return EmbeddedCorpus(np.stack(rows), labels, tracks, failures)


def _reference(path: Path, embedder: "Embedder") -> "EmbeddingSet":
    """A folder's files, or a file of embeddings. Here one bad file is too many: values compare by this set."""
    from tonearm.audio import Clip
    from tonearm.datasets.labelled_audio import audio_files
    from tonearm.evaluators.embedding_set import EMBEDDING_FILES, EmbeddingSet

    if path.suffix in EMBEDDING_FILES:
        return EmbeddingSet.read(path)
    if not path.is_dir():
        raise TonearmError(f"no folder at {path}; --reference takes a folder of audio, or a .npy or .npz file")
    rows, paths = [], audio_files([path])
    with progress_bar("listening to the reference") as bar:
        for done, file in enumerate(paths):
            bar.update(done, len(paths))
            rows.append(embedder.embed([Clip.read(file)])[0])
    return _set(rows, embedder, source_of([path]))


def _set(rows: Sequence["np.ndarray"], embedder: "Embedder", source: str) -> "EmbeddingSet":
    import numpy as np

    from tonearm.evaluators.base import described
    from tonearm.evaluators.embedding_set import EmbeddingSet

    return EmbeddingSet(np.stack(rows), described(embedder), source)


def source_of(paths: Sequence[Path]) -> str:
    """What a set was made of, in few words."""
    return paths[0].resolve().name if len(paths) == 1 else f"{len(paths)} files"


def _clips(paths: Sequence[Path], bar: Bar, failures: list[Failure]) -> Iterator[tuple[Path, "Clip"]]:
    """Each file that can be read; the others are told of at once, and kept in `failures`."""
    from tonearm.audio import Clip

    for done, path in enumerate(paths):
        bar.update(done, len(paths))
        try:
            clip = Clip.read(path)
        except TonearmError as error:
            _note(Failure(path, str(error)), bar, failures)
            continue
        yield path, clip


def _note(failure: Failure, bar: Bar, failures: list[Failure]) -> None:
    failures.append(failure)
    with bar.aside():
        say_error(failure.reason)
