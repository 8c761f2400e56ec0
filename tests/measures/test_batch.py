"""Measurement of many files as a library function: results, failures and progress."""

from pathlib import Path

import numpy as np
import pytest

from tests.evaluators.embedders import Statistics
from tests.measures.sounds import clicks, noise, tone
from tonearm.datasets.audio_files import FailedFile
from tonearm.datasets.captions import SectionText
from tonearm.errors import TonearmError
from tonearm.evaluators.embedding_set import EmbeddingSet
from tonearm.measures import (
    FAD,
    KAD,
    ClapScoring,
    MeasuredFile,
    describe,
    measure_distances,
    measure_files,
    train_from_folders,
)


class TextStatistics(Statistics):
    """An embedder of clips and texts whose vocabulary is "fast" and "slow"."""

    logit_scale = 1.0

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        return np.array([[len(text), 1.0, 0.0] for text in texts], dtype=np.float32)

    def check_words(self, text: str) -> None:
        if not {"fast", "slow"} & set(text.split()):
            raise TonearmError(f"no word of {text!r} is in the vocabulary")


def test_files_are_measured_one_by_one_and_failures_are_results(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clicks(120).write(tmp_path / "a.wav")
    (tmp_path / "b.wav").write_text("")
    tone(440).write(tmp_path / "c.wav")
    progress: list[tuple[int, int]] = []
    found = measure_files([tmp_path], progress=lambda done, total: progress.append((done, total)))
    first = next(found)
    assert isinstance(first, MeasuredFile) and progress == [(0, 3)]
    assert first.description == describe(clicks(120))
    second, third = found
    assert isinstance(second, FailedFile) and second.path == tmp_path / "b.wav"
    assert isinstance(third, MeasuredFile) and third.path == tmp_path / "c.wav"
    assert progress[-1] == (3, 3)
    assert capsys.readouterr() == ("", "")


def test_a_clip_that_cannot_be_resampled_is_a_failure_and_the_next_file_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clicks(120, 6).resampled(8000).write(tmp_path / "long.wav")
    clicks(120, 2).write(tmp_path / "short.wav")
    monkeypatch.setattr("tonearm.audio.MAX_SAMPLES", 60_000)
    failed, measured = measure_files([tmp_path / "long.wav", tmp_path / "short.wav"])
    assert isinstance(failed, FailedFile) and "too long for" in failed.reason
    assert isinstance(measured, MeasuredFile)


def test_a_folder_without_audio_is_refused_before_measuring(tmp_path: Path) -> None:
    with pytest.raises(TonearmError, match="no audio in"):
        measure_files([tmp_path])


def test_scores_are_added_in_the_order_of_their_kinds(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    noise().write(path)
    clap = TextStatistics()
    scoring = ClapScoring(clap, labels=("fast", "slow"), texts={path: "fast"})
    (found,) = measure_files([path], scoring=scoring)
    assert isinstance(found, MeasuredFile)
    assert [score["name"] for score in found.scores] == ["zero_shot", "clap_score"]
    assert found.scores[1]["text"] == "fast"
    assert set(found.to_dict()["scores"]) == {"zero_shot", "clap_score"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": ("fast",)}, "two or more"),
        ({"labels": ("fast", "jazz")}, "no word of 'jazz'"),
        ({"labels": ("fast", "slow"), "template": "a sound"}, "no place for the label"),
        ({"texts": {Path("a.wav"): "jazz"}}, "no word of 'jazz'"),
        ({"texts": {Path("a.wav"): (SectionText(0.0, "jazz"),)}}, "no word of 'jazz'"),
        ({"texts": {Path("a.wav"): ("fast", "slow")}}, "a text"),
    ],
)
def test_invalid_scores_are_refused_before_measuring(options: dict, message: str) -> None:
    with pytest.raises(TonearmError, match=message):
        ClapScoring(TextStatistics(), **options)


def test_distances_are_those_requested() -> None:
    rng = np.random.default_rng(0)
    sets = [EmbeddingSet(rng.normal(size=(20, 3)), "planted", name) for name in ("a", "b")]
    both = measure_distances(*sets)
    assert [type(one) for one in both] == [FAD, KAD]
    assert measure_distances(*sets, kad=False) == both[:1]
    assert measure_distances(*sets, fad=False) == both[1:]


def test_a_classifier_is_trained_from_folders(tmp_path: Path) -> None:
    for i in range(6):
        noise(0.5, seed=i).write(tmp_path / "noise" / f"{i}.wav")
        tone(330 + 4 * i, 0.5).write(tmp_path / "tone" / f"{i}.wav")
    (tmp_path / "tone" / "broken.wav").write_text("")
    classifier, corpus = train_from_folders("kind", [tmp_path], Statistics())
    assert classifier.labels == ("noise", "tone") and classifier.accuracy.value == 1
    assert [Path(name).name for one in corpus.skipped for name in one.names] == ["broken.wav"]


def a_set(count: int, width: int, size: float = 1.0) -> EmbeddingSet:
    rows = size * np.random.default_rng(count).normal(size=(count, width))
    return EmbeddingSet(rows, "statistics", f"{count} rows")


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((None, a_set(3, 2)), {}, "clips None is of type NoneType; give an EmbeddingSet"),
        ((a_set(3, 2), a_set(3, 2).rows), {}, "reference .* give an EmbeddingSet"),
        ((a_set(3, 2), a_set(4, 2)), {"seed": "a"}, "seed 'a'"),
        ((a_set(3, 2), a_set(4, 2)), {"seed": -1}, "seed -1 is not possible"),
        ((a_set(3, 2), a_set(4, 2)), {"fad": "yes"}, "fad 'yes' .* give True or False"),
        ((a_set(3, 2), a_set(16_385, 1)), {"fad": False}, "most 16384|embed both alike"),
        ((a_set(3, 1), a_set(16_385, 1)), {"fad": False}, "has 16385; give at most 16384"),
        ((a_set(2, 8193), a_set(3, 8193)), {"kad": False}, "have 8193; give at most 8192"),
        ((a_set(3, 2), a_set(4, 2, 1e-200)), {"fad": False}, "most clips of the reference"),
    ],
)
def test_distances_that_cannot_be_measured_are_refused_in_one_line(
    arguments: tuple[EmbeddingSet, EmbeddingSet], options: dict[str, bool], message: str
) -> None:
    with pytest.raises(TonearmError, match=message) as error:
        measure_distances(*arguments, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [1e-29, 1e29])
def test_distances_of_very_small_and_very_large_embeddings_are_finite(size: float) -> None:
    found = measure_distances(a_set(5, 2, size), a_set(6, 2, size))
    assert all(np.isfinite(distance.value) for distance in found)
