"""Measures of the study: equal to those of the library, take by take."""

import json

import numpy as np
import pytest

from tests.measures.sounds import clicks, noise
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.librosa_tracker import LibrosaTracker
from tonearm.measures import describe, measure_clap_score, measure_tempo
from tonearm.studies.effects_measures import MeasureRequest, load_evaluators, measure_takes

FOLK, JAZZ = "A fast folk tune with flute", "A slow dark jazz piece"


@pytest.fixture(scope="module")
def evaluators():
    pytest.importorskip("beat_this.model.beat_tracker")
    return load_evaluators()


def test_each_value_is_that_of_its_measure(evaluators):
    clips, clap = [noise(3.0), clicks(120, 6.0)], evaluators.clap
    requests = [MeasureRequest(clips[0], FOLK, JAZZ), MeasureRequest(clips[1], JAZZ, FOLK)]
    for request, found in zip(requests, measure_takes(requests, evaluators), strict=True):
        clip = request.clip
        for name, text in (
            ("clap_score", request.text),
            ("clap_score_other_text", request.other_text),
        ):
            expected = measure_clap_score(clip, clap, text).value
            assert found[name]["value"] == pytest.approx(expected, abs=1e-5)
        bundled = measure_tempo(clip, evaluators.tracker).measurement
        assert found["bundled_tempo"] == bundled.to_dict()
        np.testing.assert_allclose(found["embedding"], clap.embed([clip])[0], atol=1e-5)
        description = describe(clip, LibrosaTracker())
        for name in (
            "tempo",
            "beat_regularity",
            "onset_rate",
            "spectral_centroid",
            "loudness",
            "static",
            "pulse_clarity",
        ):
            assert found[name] == description[name].to_dict()
        assert found["held_share"] == description["held_share"].to_dict()
        assert found["faulty"] is description.faulty
        assert found["faults"] == list(description.faults)


def test_silence_has_neither_embedding_nor_score(evaluators):
    silence = Clip(np.zeros((1, 32_000), np.float32), 16_000)
    (found,) = measure_takes([MeasureRequest(silence, FOLK, JAZZ)], evaluators)
    assert found["embedding"] is None
    assert found["clap_score"]["value"] is found["bundled_tempo"]["value"] is None
    json.dumps(found, allow_nan=False)


def test_a_text_without_a_known_word_is_refused(evaluators):
    with pytest.raises(TonearmError, match="no word of 'xyzzy'"):
        measure_takes([MeasureRequest(noise(1.0), "xyzzy", FOLK)], evaluators)
