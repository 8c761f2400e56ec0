from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.evaluators.embedders import Statistics
from tests.measures.sounds import noise, silence, tone
from tonearm.errors import TonearmError
from tonearm.measures.classifier import (
    METADATA_KEY,
    Classifier,
    load_classifier,
    measure_classifier,
    measure_classifiers,
    save_classifier,
    train_classifier,
)

EMBEDDER = Statistics()


def planted(
    n: int, labels: tuple[str, ...] = ("calm", "energetic"), apart: float = 6.0, seed: int = 0
):
    """Rows around one corner of the space per label, in turn; each a track of its own."""
    rng = np.random.default_rng(seed)
    truth = [labels[i % len(labels)] for i in range(n)]
    rows = apart * np.eye(8)[[labels.index(label) for label in truth]] + rng.normal(size=(n, 8))
    return rows, truth, [str(i) for i in range(n)]


def trained(n: int = 60, **settings) -> Classifier:
    return train_classifier("energy", *planted(n, **settings), EMBEDDER)


@pytest.mark.parametrize("labels", [("calm", "energetic"), ("folk", "jazz", "rock")])
def test_planted_labels_are_learned_with_their_held_out_accuracy(
    labels: tuple[str, ...],
) -> None:
    classifier = trained(labels=labels)
    assert classifier.labels == labels
    assert (
        classifier.accuracy.value == 1
        and classifier.accuracy.low > 0.9
        and classifier.accuracy.n == 60
    )
    assert np.trace(classifier.confusion) == 60
    rows, truth, _ = planted(40, labels, seed=1)
    probabilities = classifier.probabilities(rows)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    assert [labels[i] for i in probabilities.argmax(1)] == truth


def test_random_labels_have_a_held_out_accuracy_at_chance() -> None:
    classifier = trained(400, apart=0.0)
    assert classifier.accuracy.low < 0.5 < classifier.accuracy.high
    assert classifier.chance == 0.5


def test_rows_of_one_track_are_never_split() -> None:
    # Each track has its own corner and a random label, which a split by row could memorise.
    rng = np.random.default_rng(0)
    tracks = np.repeat(np.arange(40), 5)
    labels = [("calm", "energetic")[track % 2] for track in tracks]
    rows = rng.normal(size=(40, 64))[tracks] + 0.01 * rng.normal(size=(200, 64))
    by_track = train_classifier("a", rows, labels, [str(track) for track in tracks], EMBEDDER)
    by_clip = train_classifier("a", rows, labels, [str(i) for i in range(200)], EMBEDDER)
    assert by_clip.accuracy.value > 0.95
    assert by_track.accuracy.value < 0.75
    assert by_track.accuracy.n == 40


def test_scale_and_offset_of_the_embedding_do_not_matter() -> None:
    rows, labels, tracks = planted(60, apart=1.0)
    plain = train_classifier("a", rows, labels, tracks, EMBEDDER)
    moved = train_classifier("a", 1e-3 * rows + 5, labels, tracks, EMBEDDER)
    np.testing.assert_allclose(
        moved.probabilities(1e-3 * rows + 5), plain.probabilities(rows), atol=1e-4
    )


def test_two_kinds_of_sound_are_separated_and_silence_has_no_label() -> None:
    sounds = [
        *(noise(0.3, seed=s) for s in range(10)),
        *(tone(200 + 20 * s, 0.3) for s in range(10)),
    ]
    labels = ["noise"] * 10 + ["tone"] * 10
    classifier = train_classifier(
        "kind", EMBEDDER.embed(sounds), labels, [str(i) for i in range(20)], EMBEDDER
    )
    predictions = measure_classifiers(
        [noise(0.3, seed=99), tone(333, 0.3), silence()], classifier, EMBEDDER
    )
    assert [prediction.best for prediction in predictions] == ["noise", "tone", None]
    assert predictions[0].to_dict()["probabilities"]["noise"] > 0.5
    assert (
        "held-out accuracy" in predictions[0].protocol
        and "statistics, whole clip" in predictions[0].protocol
    )
    assert measure_classifier(tone(333, 0.3), classifier, EMBEDDER) == predictions[1]


def test_a_classifier_is_read_as_it_was_written(tmp_path: Path) -> None:
    classifier = trained(labels=("folk", "jazz", "rock"))
    again = load_classifier(save_classifier(classifier, tmp_path / "energy.safetensors"))
    assert again.to_dict() == classifier.to_dict()
    rows = planted(10, seed=3)[0]
    np.testing.assert_array_equal(again.probabilities(rows), classifier.probabilities(rows))


def test_another_embedder_is_refused() -> None:
    with pytest.raises(TonearmError, match="was trained on statistics"):
        measure_classifier(noise(), trained(), Statistics(fingerprint="two"))


def test_other_files_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("not a classifier")
    save_file({"layer.0": np.zeros(3)}, tmp_path / "vector.safetensors")
    save_file(
        {"weights": np.zeros((2, 3)), "offsets": np.zeros(2)},
        tmp_path / "bare.safetensors",
        {METADATA_KEY: "{}"},
    )
    for path in [*tmp_path.iterdir(), tmp_path / "absent.safetensors"]:
        with pytest.raises(TonearmError, match="tonearm classifier") as caught:
            load_classifier(path)
        assert "\n" not in str(caught.value)


def test_too_few_labels_or_tracks_are_refused() -> None:
    rows, labels, tracks = planted(6)
    with pytest.raises(TonearmError, match="two labels"):
        train_classifier("a", rows, ["calm"] * 6, tracks, EMBEDDER)
    with pytest.raises(TonearmError, match="one track"):
        train_classifier("a", rows, labels, ["0", "1", "0", "2", "0", "3"], EMBEDDER)
