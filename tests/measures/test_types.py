"""Arguments of wrong types and values at the measures: one line, before any work."""

from pathlib import Path

import numpy as np
import pytest

from tests.evaluators import tiny_clap
from tonearm import measures
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.load import load_clap

CLIP = Clip(np.zeros(800), 1_600)
OF_A_CLIP = [
    getattr(measures, name)
    for name in ("faults", "measure_clipping", "measure_key", "measure_loudness", "measure_peak")
]
ROWS = np.random.default_rng(0).normal(size=(8, 3))
LABELS, TRACKS = ["a", "b"] * 4, [str(index) for index in range(8)]


@pytest.fixture(scope="module")
def clap(tmp_path_factory):
    return load_clap(str(tiny_clap.save_tiny(tmp_path_factory.mktemp("clap"))), "cpu")


def assert_refused(call, *arguments, **named):
    with pytest.raises(TonearmError) as error:
        call(*arguments, **named)
    assert str(error.value).count("\n") == 0


@pytest.mark.parametrize("clip", [None, 3, "a.wav", np.zeros(8), [CLIP]])
def test_a_clip_is_a_clip(clip, clap):
    for measure in OF_A_CLIP:
        assert_refused(measure, clip)
    assert_refused(measures.measures()[0].of, clip)
    assert_refused(measures.ClipAnalysis, clip)
    assert_refused(measures.measure_tempo, clip)
    assert_refused(measures.measure_clap_score, clip, clap, "jazz")
    assert_refused(measures.measure_zero_shot, clip, clap, ["jazz", "rock"])


@pytest.mark.parametrize("wrong", [None, 3, "bundled", object(), np.zeros(3)])
def test_an_evaluator_is_an_evaluator(wrong, clap):
    assert_refused(measures.measure_clap_scores, [CLIP], wrong, ["jazz"])
    assert_refused(measures.measure_zero_shots, [CLIP], wrong, ["jazz", "rock"])
    assert_refused(measures.ClapScoring, wrong)
    assert_refused(measures.train_classifier, "x", ROWS, LABELS, TRACKS, wrong)
    assert_refused(measures.measure_classifier, CLIP, wrong, clap)
    assert_refused(measures.save_classifier, wrong, "x.safetensors")


@pytest.mark.parametrize("texts", [None, 3, "jazz", [3], ["jazz", "rock"], ["\ud800"], []])
def test_texts_are_one_per_clip(texts, clap):
    assert_refused(measures.measure_clap_scores, [CLIP], clap, texts)


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": 3},
        {"labels": [3, 4]},
        {"labels": ("jazz", "rock"), "template": 3},
        {"texts": ["jazz"]},
        {"texts": {"a.wav": 3}},
        {"classifiers": 3},
        {"classifiers": [3]},
    ],
)
def test_scoring_checks_its_fields(wrong, clap):
    assert_refused(measures.ClapScoring, clap, **wrong)


def test_a_file_without_a_text_is_one_line(clap):
    scoring = measures.ClapScoring(clap, texts={"a.wav": "jazz"})
    assert_refused(scoring.scores, Path("b.wav"), CLIP)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 3},
        {"rows": 3},
        {"rows": ROWS[0]},
        {"rows": ROWS * np.nan},
        {"rows": ROWS * 1j},
        {"rows": ROWS[:3]},
        {"labels": 3},
        {"labels": LABELS[:3]},
        {"tracks": range(8)},
        {"seed": -1},
        {"seed": 2**32},
        {"seed": 1.0},
    ],
)
def test_training_checks_its_arguments(wrong, clap):
    valid = dict(name="x", rows=ROWS, labels=LABELS, tracks=TRACKS, embedder=clap)
    assert measures.train_classifier(**valid).labels == ("a", "b")
    assert_refused(measures.train_classifier, **valid | wrong)


def test_measures_and_their_registry_check_types():
    assert_refused(measures.Measure, 3, "", "", print)
    assert_refused(measures.Measure, "x", "", "", "print")
    assert_refused(measures.register, 3)
    assert_refused(measures.ClipAnalysis(CLIP).estimate, "tempo")
    assert_refused(measures.measures()[0].measurements, CLIP)
    assert_refused(measures.ClipAnalysis(CLIP).resampled_mono, "8000")


@pytest.mark.parametrize("estimated", [3, "x", ["120"], [120.0, 1.0], np.zeros((2, 2))])
def test_tempo_accuracy_checks_its_lists(estimated):
    assert_refused(measures.tempo_accuracy, estimated, [120.0])
    assert_refused(measures.is_right_tempo, 120.0, "120")
