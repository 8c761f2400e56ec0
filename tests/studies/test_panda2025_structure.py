"""Structure of activations: planted concepts are found, permuted ones are not; files; sections."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.activations.sounds import recordings
from tests.datasets.rendering.conftest import sines  # noqa: F401
from tonearm.activations import AudioSpec, capture_recordings
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.model import Model
from tonearm.studies.panda2025 import structure
from tonearm.studies.panda2025.corpora import CapturedCorpus, CorpusSizes, capture_corpora
from tonearm.studies.panda2025.structure import measure_structure, measure_task
from tonearm.studies.panda2025.structure_report import (
    indices_figure,
    structure_claims,
    structure_sections,
)
from tonearm.studies.panda2025.structure_results import (
    INDICES,
    Index,
    LayerClusters,
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


SIZES = CorpusSizes(
    pieces=4, notes=12, chords=8, progressions=6, tone_seconds=0.3, piece_seconds=0.3
)


def test_a_run_that_is_repeated_captures_nothing_again(
    sines: Path,  # noqa: F811
    tmp_path: Path,
    melody: Model,
) -> None:
    steps: list[tuple[int, int]] = []

    def capture() -> dict[str, CapturedCorpus]:
        return capture_corpora(
            melody,
            tmp_path,
            SIZES,
            sound_font=sines,
            progress=lambda done, total: steps.append((done, total)),
        )

    corpora = capture()
    assert list(corpora) == ["notes", "chords", "progressions", "pieces"]
    assert all(0 <= done <= total for done, total in steps) and steps[-1][0] == steps[-1][1]
    chords = corpora["chords"]
    assert set(chords.values("root_note_name")) == {"C"}
    assert [one.label for one in chords.store.segments] == chords.values("chord_type")
    assert chords.store.info.sites == ("residual", "attention")
    assert corpora["pieces"].has("lead") and not chords.has("lead")
    files = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    again = capture()
    assert again["pieces"].store.segments == corpora["pieces"].store.segments
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}


def test_genres_of_the_user_take_the_place_of_the_pieces(
    sines: Path,  # noqa: F811
    tmp_path: Path,
    melody: Model,
) -> None:
    for genre in ("jazz", "rock"):
        for i in range(2):
            samples = np.random.default_rng(i).uniform(-1, 1, (1, 1600))
            Clip(samples, 1600).write(tmp_path / "own" / genre / f"{i}.wav")
    corpora = capture_corpora(
        melody, tmp_path / "run", SIZES, genres=tmp_path / "own", sound_font=sines
    )
    pieces = corpora["pieces"]
    assert not (tmp_path / "run" / "corpora" / "pieces").exists() and not pieces.has("lead")
    assert len(pieces.store.segments) == 12 and len(set(pieces.tracks)) == 4
    assert set(pieces.values("genre")) == {"jazz", "rock"}


def test_every_concept_reads_its_own_rows_and_columns(tmp_path: Path, melody: Model) -> None:
    given = recordings(24, seconds=0.4)
    spec = AudioSpec(sites=("residual", "attention"), segment_seconds=0.4)
    store = capture_recordings(melody.engine, given, spec, tmp_path)
    columns = {
        f"clip {i}": {
            "root_note_name": "CDE"[i % 3],
            "chord_type": ("major", "minor")[i % 2],
            "midi_program_name": f"program {i % 8}",
            "inversion": ("5", "6", "64")[i // 8],
            "chord_progression": "xyz"[i % 3],
            "genre": ("jazz", "rock")[i % 2],
        }
        for i in range(24)
    }
    names = ("notes", "chords", "progressions", "pieces")
    corpora = {name: CapturedCorpus(name, store, columns, ()) for name in names}
    steps: list[tuple[int, int]] = []
    results = measure_structure(corpora, lambda *step: steps.append(step))
    by_name = {task.name: task for task in results.tasks}
    assert list(by_name) == [task.name for task in structure.TASKS if task.name != "leads"]
    instruments = by_name["instruments"]
    assert (instruments.n, len(instruments.labels)) == (12, 4)  # of the major chords alone
    probe = instruments.sites["attention"].probe
    assert probe is not None and probe.folds == "3 folds: 5, 6, 64"
    assert len(instruments.sites["residual"].layers) == melody.shape.layer_count
    assert steps[-1] == (5 * 2 * melody.shape.layer_count,) * 2


def test_sections_hold_a_figure_for_each_site_and_a_row_for_each_cell(found: TaskStructure) -> None:
    few = measure_task(
        "few", {site: planted(LABELS[:8]) for site in found.sites}, LABELS[:8], TRACKS[:8]
    )
    clusters, probes = structure_sections(Structure(tasks=(found, few)))
    assert [figure.name for figure in clusters.figures] == [
        "fig1-indices-residual",
        "fig2-indices-attention",
        "fig3-jaccard-residual",
        "fig4-jaccard-attention",
    ]
    assert all("label 3" in figure.svg for figure in clusters.figures[2:])
    assert "concept: layer 1" in clusters.figures[2].svg
    table = clusters.tables[0]
    assert [row[:5] for row in table.rows][:2] == [
        ["concept", "residual", "4", "80", "1"],
        ["concept", "attention", "4", "80", str(found.sites["attention"].best_layer)],
    ]
    assert table.rows[2][-2:] == ["–", "–"]  # too few rows for a probe
    assert len(probes.figures) == 1 and "few" not in probes.figures[0].svg
    assert [row[3] for row in probes.tables[0].rows][-1] == "too few rows of a label"


def test_equal_values_of_all_seeds_are_drawn(found: TaskStructure) -> None:
    """Their mean, rounded, is above the largest of them."""
    equal = Index(values=(0.1, 0.1, 0.1), null_mean=0.0, null_bound=0.01)
    assert equal.mean > 0.1
    layer = LayerClusters(raw=dict.fromkeys(INDICES, equal), whitened=dict.fromkeys(INDICES, equal))
    site = found.sites["residual"].model_copy(update={"layers": (layer,) * LAYERS})
    task = found.model_copy(update={"sites": {"residual": site}})
    assert "ARI" in indices_figure(Structure(tasks=(task,)), "residual").svg


def test_claims_compare_with_the_null_of_the_best_layer(found: TaskStructure) -> None:
    claims = structure_claims(Structure(tasks=(found,)))
    residual, attention = claims.clusters
    assert residual.is_found and residual.is_middle and residual.layer == PLANTED
    assert residual.bound == found.sites["residual"].best_bound and not attention.is_found
    assert [one.is_found for one in claims.probes] == [True, False]
    assert claims.probes[0].chance == 0.25
    edge = replace(residual, layer=2)
    assert not edge.is_middle and not replace(edge, layer=0).is_middle
