import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
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


def saved(folder: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors and metadata of the file of a classifier."""
    with safe_open(
        save_classifier(trained(labels=("calm", "fast")), folder / "c.safetensors"), "numpy"
    ) as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118  # no dict
        return tensors, json.loads(file.metadata()[METADATA_KEY])


VALUES = (None, True, -1, 0.5, 1e308, 10**30, float("nan"), "", "a", "\ud800", [], [[1]], ["a"], {})


def test_edited_metadata_are_used_or_refused_in_one_line(tmp_path: Path) -> None:
    tensors, content = saved(tmp_path)
    path, refused = tmp_path / "edited.safetensors", 0
    edits = [{**content, key: value} for key in content for value in VALUES]
    edits += [{key: value for key, value in content.items() if key != one} for one in content]
    edits += [
        {**content, "accuracy": {**content["accuracy"], key: value}}
        for key in ("value", "n", "other")
        for value in VALUES
    ]
    for edited in [*edits, {**content, "labels": ["calm", "calm"]}, [content], "x", None]:
        save_file(tensors, path, {METADATA_KEY: json.dumps(edited)})
        try:
            classifier = load_classifier(path)
        except TonearmError as error:
            refused += 1
            assert "\n" not in str(error) and str(path) in str(error) and len(str(error)) < 500
        else:
            assert np.isfinite(classifier.probabilities(np.ones((1, 8)))).all()
            json.dumps(classifier.to_dict(), allow_nan=False, ensure_ascii=False).encode()
    assert refused > len(edits) * 0.8


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"weights": np.full((2, 3), np.nan)}, "not finite"),
        ({"offsets": np.array([0.0, np.inf])}, "not finite"),
        ({"weights": np.full((2, 3), 1e31)}, "beyond 1e"),
        ({"weights": np.zeros((3, 3))}, "do not match"),
        ({"weights": np.zeros(2)}, "do not match"),
        ({"offsets": np.zeros((2, 1))}, "do not match"),
        ({"weights": None}, "cannot load"),
    ],
)
def test_edited_tensors_are_refused(
    tmp_path: Path, edit: dict[str, np.ndarray | None], message: str
) -> None:
    tensors, content = saved(tmp_path)
    kept = {key: value for key, value in {**tensors, **edit}.items() if value is not None}
    save_file(kept, tmp_path / "x.safetensors", {METADATA_KEY: json.dumps(content)})
    with pytest.raises(TonearmError, match=message):
        load_classifier(tmp_path / "x.safetensors")


def test_mutated_files_are_used_or_refused_in_one_line(tmp_path: Path) -> None:
    saved(tmp_path)
    whole, rng, refused = (tmp_path / "c.safetensors").read_bytes(), random.Random(0), 0
    for _ in range(200):
        content = bytearray(whole)
        for _ in range(rng.choice([1, 3])):
            content[rng.randrange(min(len(content), 900))] = rng.randrange(256)
        (tmp_path / "x.safetensors").write_bytes(content[: rng.choice([len(whole), 2000, 700, 9])])
        try:
            load_classifier(tmp_path / "x.safetensors")
        except TonearmError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 600
    assert refused > 100


def test_weights_of_gigabytes_are_refused_before_memory_is_reserved(tmp_path: Path) -> None:
    _, content = saved(tmp_path)
    size = 2 * 2**29 * 8
    header = {
        "weights": {"dtype": "F64", "shape": [2, 2**29], "data_offsets": [0, size]},
        "offsets": {"dtype": "F64", "shape": [2], "data_offsets": [size, size + 16]},
        "__metadata__": {METADATA_KEY: json.dumps(content)},
    }
    text = json.dumps(header).encode()
    with (tmp_path / "x.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + size + 16)
    with pytest.raises(TonearmError, match="has 1073741824 weights, of which"):
        load_classifier(tmp_path / "x.safetensors")


def test_embeddings_of_another_width_are_refused() -> None:
    with pytest.raises(TonearmError, match=r"takes embeddings \[n, 8\], and these are \[3, 5\]"):
        trained().probabilities(np.zeros((3, 5)))


def test_too_few_labels_or_tracks_are_refused() -> None:
    rows, labels, tracks = planted(6)
    with pytest.raises(TonearmError, match="two labels"):
        train_classifier("a", rows, ["calm"] * 6, tracks, EMBEDDER)
    with pytest.raises(TonearmError, match="one track"):
        train_classifier("a", rows, labels, ["0", "1", "0", "2", "0", "3"], EMBEDDER)
