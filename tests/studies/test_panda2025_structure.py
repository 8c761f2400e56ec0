"""Structure of activations: planted concepts are found, permuted ones are not; files; sections."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.datasets.rendering.conftest import sines  # noqa: F401
from tonearm.errors import TonearmError
from tonearm.studies.panda2025 import structure
from tonearm.studies.panda2025.corpora import CorpusSizes, capture_corpora
from tonearm.studies.panda2025.structure import measure_structure, measure_task
from tonearm.studies.panda2025.structure_results import (
    Structure,
    TaskStructure,
    load_structure,
    save_structure,
)

LAYERS, WIDTH, PLANTED = 3, 12, 1
LABELS = [f"label {i % 4}" for i in range(80)]
TRACKS = [f"track {i}" for i in range(80)]


@pytest.fixture(autouse=True, scope="module")
def few_repetitions() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(structure, "SEEDS", (0, 1))
        patch.setattr(structure, "STARTS", 3)
        patch.setattr(structure, "PERMUTATIONS", 40)
        patch.setattr(structure, "PROBE_PERMUTATIONS", 10)
        yield


def planted(labels: list[str], seed: int = 0) -> torch.Tensor:
    """Noise, with clusters by label in one layer."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(len(labels), LAYERS, WIDTH))
    for label in sorted(set(labels)):
        rows[np.array(labels) == label, PLANTED] += 3 * rng.normal(size=WIDTH)
    return torch.from_numpy(rows).float()


@pytest.fixture(scope="module")
def found() -> TaskStructure:
    rows = planted(LABELS)
    noise = torch.from_numpy(np.random.default_rng(1).normal(size=rows.shape)).float()
    return measure_task("concept", {"residual": rows, "attention": noise}, LABELS, TRACKS)


def test_a_planted_concept_is_found_in_its_layer(found: TaskStructure) -> None:
    site = found.sites["residual"]
    assert site.best_layer == PLANTED and site.best.raw["ari"].mean > 0.9 > site.best_bound
    assert site.best.whitened["ari"].mean > 0.4
    np.testing.assert_allclose(np.diag(site.jaccard), 1, atol=0.2)
    assert site.probe is not None and site.probe.best_layer == PLANTED
    assert site.probe.accuracy[PLANTED] > 0.9 > site.probe.null_bound
    others = [index.mean for i, index in enumerate(site.series("ari")) if i != PLANTED]
    assert max(others) < site.best_bound + 0.1
    assert found.n == 80 and found.tracks == 80 and found.chance == 0.25
    assert found.protocol.startswith("k-means, k = 4, best of 3 starts, seeds 0 to 1, n = 80")


def test_noise_gives_no_finding(found: TaskStructure) -> None:
    site = found.sites["attention"]
    assert abs(site.best.raw["ari"].mean) < 0.1 and site.best_bound < 0.2
    assert site.probe is not None and max(site.probe.accuracy) <= max(site.probe.null)


def test_rows_of_a_track_are_in_one_fold() -> None:
    """Tracks that are clusters of their own, with labels at random: nothing can be predicted."""
    rng = np.random.default_rng(3)
    tracks = [f"track {i // 5}" for i in range(200)]
    rows = rng.normal(size=(40, 1, WIDTH)).repeat(5, 0) + 0.01 * rng.normal(size=(200, 1, WIDTH))
    labels = [f"label {i}" for i in rng.permutation(40).repeat(5) % 2]
    found = measure_task("tracks", {"residual": torch.from_numpy(rows)}, labels, tracks)
    probe = found.sites["residual"].probe
    assert probe is not None and probe.accuracy[0] <= max(probe.null)
    assert found.sites["residual"].best.raw["ari"].null_bound > 0.02  # of tracks, not of rows


def test_folds_of_a_column_predict_its_values_from_the_others() -> None:
    labels, folds = [f"{i // 3:02d}" for i in range(60)], [str(i % 3) for i in range(60)]
    rows = {"residual": planted(labels)}
    found = measure_task("instruments", rows, labels, TRACKS[:60], folds)
    probe = found.sites["residual"].probe
    assert probe is not None and probe.folds == "3 folds: 0, 1, 2" and probe.rows == 60
    assert probe.accuracy[PLANTED] > 0.6 > probe.null_bound
    alone = measure_task("instruments", rows, labels, TRACKS[:60], ["0"] * 60)
    assert alone.sites["residual"].probe is None


def test_a_probe_uses_equally_many_rows_of_each_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structure, "PROBE_ROWS", 40)
    labels = ["a"] * 60 + ["b"] * 20
    found = measure_task("two", {"residual": planted(labels)}, labels, TRACKS)
    assert found.sites["residual"].probe.rows == 40
    few = measure_task("few", {"residual": planted(labels[50:65])}, labels[50:65], TRACKS[:15])
    assert few.sites["residual"].probe is None


def test_one_label_alone_is_refused() -> None:
    with pytest.raises(TonearmError, match="rows of one have the label a alone"):
        measure_task("one", {"residual": planted(["a"] * 9)}, ["a"] * 9, TRACKS[:9])


def test_results_are_read_as_they_were_written(found: TaskStructure, tmp_path: Path) -> None:
    path = tmp_path / "structure.json"
    results = Structure(tasks=(found,))
    save_structure(results, path)
    assert load_structure(path) == results


@pytest.mark.parametrize("damage", ["", "{}", '{"tasks": [{"name": 3}]}', "[1"])
def test_a_damaged_file_gives_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "structure.json"
    path.write_text(damage)
    with pytest.raises(TonearmError, match="run the study again with --resume") as caught:
        load_structure(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_the_corpora_are_captured_once_and_measured(
    sines: Path,  # noqa: F811
    tmp_path: Path,
    melody,
) -> None:
    sizes = CorpusSizes(
        pieces=8, notes=27, chords=24, progressions=19, tone_seconds=0.3, piece_seconds=0.3
    )
    steps: list[tuple[int, int]] = []

    def capture():
        return capture_corpora(
            melody, tmp_path, sizes, sound_font=sines,
            progress=lambda done, total: steps.append((done, total)),
        )  # fmt: skip

    corpora = capture()
    assert steps[-1][0] == steps[-1][1]
    chords = corpora["chords"]
    assert set(chords.values("root_note_name")) == {"C"}
    assert len(set(chords.values("midi_program_name"))) == 24
    assert {one.label for one in chords.store.segments} == {"major", "minor", "aug", "dim"}
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    again = capture()
    assert again["pieces"].store.segments == corpora["pieces"].store.segments
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    results = measure_structure(corpora)
    assert [task.name for task in results.tasks] == [task.name for task in structure.TASKS]
    instruments = results.tasks[1]
    assert instruments.n == 6 and set(instruments.sites) == {"residual", "attention"}


def test_genres_of_the_user_take_the_place_of_the_pieces(
    sines: Path,  # noqa: F811
    tmp_path: Path,
    melody,
) -> None:
    from tests.activations.sounds import noise_clip

    for genre in ("jazz", "rock"):
        for i in range(3):
            noise_clip(1.0, i).write(tmp_path / "own" / genre / f"{i}.wav")
    sizes = CorpusSizes(
        pieces=1, notes=27, chords=24, progressions=19, tone_seconds=0.3, piece_seconds=0.3
    )
    corpora = capture_corpora(
        melody, tmp_path / "run", sizes, genres=tmp_path / "own", sound_font=sines
    )
    pieces = corpora["pieces"]
    assert not (tmp_path / "run" / "corpora" / "pieces").exists() and not pieces.has("lead")
    assert len(pieces.store.segments) == 18 and set(pieces.values("genre")) == {"jazz", "rock"}
    assert [task.name for task in measure_structure(corpora).tasks][-1] == "genres"
