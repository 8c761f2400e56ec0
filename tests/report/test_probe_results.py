"""Files of probes: strict JSON, a PNG, and a vector for each site and label."""

import io
import json
from dataclasses import replace

import matplotlib.image
import pytest
import torch

from tests.steering.vectors import vector_of
from tonearm.datasets.skips import SILENT, Skipped
from tonearm.methods.corpus_probes import LabelCount, Probes
from tonearm.report.probe_results import (
    file_names,
    label_table,
    save_probes,
    score_table,
    shown_scores,
    to_dict,
)
from tonearm.steering import SteeringVector, load_vector

SITES = ("residual", "heads")
LABELS = ("jazz", "drum & bass")
SCORES = {"auc": 0.5, "accuracy": 0.25}


@pytest.fixture
def probes(small) -> Probes:
    """Scores of layer i: that of the table above, plus i / 10; of the second label 0.1 more."""
    layers = range(small.shape.layer_count)

    def vector(site: str, index: int) -> SteeringVector:
        scores = {
            name: {layer: value + (layer + index) / 10 for layer in layers}
            for name, value in SCORES.items()
        }
        found = vector_of(small, LABELS[index])
        update = {"site": site, "scores": scores, "source": "audio", "segment_seconds": 10.0}
        return SteeringVector(found.directions, found.info.model_copy(update=update))

    return Probes(
        {site: {label: vector(site, i) for i, label in enumerate(LABELS)} for site in SITES},
        {"jazz": LabelCount(6, 2), "drum & bass": LabelCount(3, 1)},
        (Skipped(SILENT, ("a.wav",), "a.wav is silent", False),),
    )


def test_the_table_of_labels_has_the_best_layer_and_its_test(probes):
    statistics = {"best_auc": 0.91, "null_auc": 0.62, "p_value": 0.005}
    vector = probes.vectors["heads"]["jazz"]
    info = vector.info.model_copy(update={"statistics": statistics, "best_layer": 2})
    vectors = {"heads": {"jazz": SteeringVector(vector.directions, info)}}
    (row,) = label_table(replace(probes, vectors=vectors)).rows
    assert row[:3] == ["jazz", "heads", "2"] and "held-out auc 0.91" in row[3]
    assert label_table(probes).rows[0][3] == "not tested"


def test_scores_that_not_every_label_has_are_left_out(probes):
    vector = probes.vectors["heads"]["jazz"]
    info = vector.info.model_copy(update={"scores": {"auc": vector.info.scores["auc"]}})
    vectors = {
        "heads": {**probes.vectors["heads"], "jazz": SteeringVector(vector.directions, info)}
    }
    assert score_table(replace(probes, vectors=vectors)).columns == ("layer", "auc, heads")


def test_scores_of_held_out_rows_are_shown_before_others(probes):
    layers = range(3)
    scores = {"separation": dict.fromkeys(layers, 9.0), "auc": dict.fromkeys(layers, 0.5)}
    vectors = {}
    for label, vector in probes.vectors["heads"].items():
        info = vector.info.model_copy(update={"scores": scores})
        vectors[label] = SteeringVector(vector.directions, info)
    assert shown_scores(replace(probes, vectors={"heads": vectors})) == ("auc",)


def test_the_table_has_the_mean_over_labels_by_layer(probes):
    table = score_table(probes)
    assert table.columns == (
        "layer", "accuracy, residual", "accuracy, heads", "auc, residual", "auc, heads"
    )  # fmt: skip
    assert table.rows[2] == ["2", "0.500", "0.500", "0.750", "0.750"]


def test_the_files_hold_counts_scores_vectors_and_a_figure(probes, tmp_path):
    path = save_probes(probes, tmp_path / "out")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["labels"]["jazz"] == {"segments": 6, "tracks": 2}
    assert content["scores"]["auc"]["heads"]["drum & bass"] == pytest.approx([0.6, 0.7, 0.8])
    assert content["skipped"] == [{"reason": "silent", "count": 1, "names": ["a.wav"]}]
    assert content["best_layers"]["heads"] == dict.fromkeys(LABELS, 1)
    assert (content["segment_seconds"], content["pooling"]) == (10.0, "eos")
    for site in SITES:
        for label in LABELS:
            vector = load_vector(path.parent / content["vectors"][site][label])
            assert vector.name == label and vector.info.site == site
            assert torch.equal(vector[0], probes.vectors[site][label][0])
    image = matplotlib.image.imread(io.BytesIO((tmp_path / "out" / "scores.png").read_bytes()))
    assert image.shape[1] > image.shape[0] > 300 and image.std() > 0
    assert to_dict(probes).items() <= content.items()


def test_a_second_result_replaces_the_first_and_keeps_other_files(probes, tmp_path):
    save_probes(probes, tmp_path)
    before = (tmp_path / "scores.png").read_bytes()
    (tmp_path / "notes.txt").write_text("mine")
    save_probes(probes, tmp_path)
    assert (tmp_path / "scores.png").read_bytes() == before
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_names_of_files_are_plain_and_different():
    labels = ["jazz", "Jazz", "a/b", "a\\b", "../x", "...", "é", "x" * 300, "x" * 301]
    names = file_names(labels)
    assert list(names) == labels
    lower = [name.lower() for name in names.values()]
    assert len(set(lower)) == len(lower)
    assert all(
        name and set(name) <= set("abcdefghijklmnopqrstuvwxyzJ0123456789_.-")
        for name in names.values()
    )
    assert max(map(len, lower)) < 100 and not any(name.startswith(".") for name in lower)
    assert names["a/b"] == "a-b" and names["../x"] == "x"
