"""Listening: that the ears' numbers are those of the measures, take by take."""

import json

import numpy as np
import pytest

from tests.measures.sounds import clicks, noise
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import measure_clap_score, measure_tempo
from tonearm.studies.effects_measures import Heard, listen, open_ears

FOLK, JAZZ = "A fast folk tune with flute", "A slow dark jazz piece"


@pytest.fixture(scope="module")
def ears():
    pytest.importorskip("beat_this.model.beat_tracker")
    return open_ears()


def test_each_number_is_that_of_its_measure(ears):
    clips = [noise(3.0), clicks(120, 6.0)]
    heard = listen([Heard(clips[0], FOLK, JAZZ), Heard(clips[1], JAZZ, FOLK)], ears)
    for clip, text, other, told in zip(clips, (FOLK, JAZZ), (JAZZ, FOLK), heard, strict=True):
        assert told["text_agreement"] == pytest.approx(measure_clap_score(clip, ears.judge, text).value, abs=1e-5)
        assert told["others_agreement"] == pytest.approx(measure_clap_score(clip, ears.judge, other).value, abs=1e-5)
        assert told["embedded_tempo"]["value"] == measure_tempo(clip, ears.tracker).bpm
        np.testing.assert_allclose(told["embedding"], ears.judge.embed([clip])[0], atol=1e-5)
        assert "librosa" in told["tempo"]["protocol"] and "embedded beats" in told["embedded_tempo"]["protocol"]


def test_silence_has_no_embedding_and_no_agreement(ears):
    (told,) = listen([Heard(Clip(np.zeros((1, 32_000), np.float32), 16_000), FOLK, JAZZ)], ears)
    assert told["embedding"] is told["text_agreement"] is told["embedded_tempo"]["value"] is None
    json.dumps(told, allow_nan=False)


def test_a_text_without_a_known_word_is_refused(ears):
    with pytest.raises(TonearmError, match="knows no word"):
        listen([Heard(noise(1.0), "xyzzy", FOLK)], ears)
