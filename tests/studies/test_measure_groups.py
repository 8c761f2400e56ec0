"""Groups of measures: equal to the library's, take by take, with fingerprints."""

import json

import numpy as np
import pytest

from tests.measures.sounds import clicks, noise
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.librosa_tracker import LibrosaTracker
from tonearm.evaluators.load import load_clap, load_tagger, load_tracker
from tonearm.measures import describe, measure_clap_score, measure_tempo
from tonearm.studies.measure_groups import ALL_GROUPS, MeasureRequest, group, tag_probabilities

FOLK, JAZZ = "A fast folk tune with flute", "A slow dark jazz piece"


pytest.importorskip("beat_this.model.beat_tracker")


def measured(requests):
    """The values of all groups, by take."""
    records = [{} for _ in requests]
    for name in ALL_GROUPS:
        for record, values in zip(records, group(name).measure(requests), strict=True):
            assert not record.keys() & values.keys()
            record |= values
    return records


def test_each_value_is_that_of_its_measure():
    clips, clap = [noise(3.0), clicks(120, 6.0)], load_clap("bundled")
    requests = [MeasureRequest(clips[0], FOLK, JAZZ), MeasureRequest(clips[1], JAZZ, FOLK)]
    for request, found in zip(requests, measured(requests), strict=True):
        clip = request.clip
        for name, text in (
            ("clap_score", request.text),
            ("clap_score_other_text", request.other_text),
        ):
            expected = measure_clap_score(clip, clap, text).value
            assert found[name]["value"] == pytest.approx(expected, abs=1e-5)
        bundled = measure_tempo(clip, load_tracker("bundled")).measurement
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
        assert found["tags"] == tag_probabilities(clip, load_tagger())


def test_silence_has_neither_embedding_nor_score():
    silence = Clip(np.zeros((1, 32_000), np.float32), 16_000)
    (found,) = measured([MeasureRequest(silence, FOLK, JAZZ)])
    assert found["embedding"] is found["tags"] is None
    assert found["clap_score"]["value"] is found["bundled_tempo"]["value"] is None
    json.dumps(found, allow_nan=False)


def test_a_text_without_a_known_word_is_refused():
    with pytest.raises(TonearmError, match="no word of 'xyzzy'"):
        group("clap").measure([MeasureRequest(noise(1.0), "xyzzy", FOLK)])


def test_groups_have_different_fingerprints_and_an_unknown_one_is_refused():
    assert len({group(name).fingerprint for name in ALL_GROUPS}) == len(ALL_GROUPS)
    with pytest.raises(TonearmError, match="no group of measures 'pitch'; there are signal"):
        group("pitch")
