"""Tags by musicnn: known sounds, silence and short clips, and another tagger."""

import numpy as np
import pytest

from tests.evaluators.musicnn_original import signals
from tests.measures.sounds import clicks, noise, silence
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures import measure_tags


class TwoTags:
    """A tagger of one-second windows that gives the peak of each."""

    name, training_data, windows = "peaks", "nothing", "1-s windows averaged"
    tags, min_seconds = ("high", "low"), 1.0

    def tag(self, clip: Clip) -> np.ndarray:
        peaks = np.abs(clip.mono.reshape(-1, clip.sample_rate)).max(1)
        return np.stack([peaks, 1 - peaks], 1)


@pytest.mark.parametrize(
    ("name", "expected", "absent"),
    [("beat", "drums", "violin"), ("plucked", "piano", "drums"), ("strings", "violin", "beat")],
)
def test_planted_sounds_have_their_tags(name: str, expected: str, absent: str) -> None:
    found = measure_tags(Clip(signals()[name], 16_000)).probabilities
    assert found is not None and found[expected] > 0.3 > 3 * found[absent]


def test_every_tag_is_a_measurement_with_the_training_data_in_its_protocol() -> None:
    found = measure_tags(clicks(120, 3.0))
    assert len(found.measurements) == 50
    first = found.measurements[0]
    assert first.name == "tag guitar" and first.unit == "probability"
    assert first.number == found.to_dict()["probabilities"]["guitar"]
    assert "musicnn" in first.protocol and "MagnaTagATune" in first.protocol
    assert found.best == max(found.probabilities, key=found.probabilities.get)


@pytest.mark.parametrize("clip", [silence(4.0), noise(2.9), Clip(np.zeros(0), 16_000)])
def test_silence_and_short_clips_have_no_tags(clip: Clip) -> None:
    found = measure_tags(clip)
    assert found.best is None and found.to_dict()["probabilities"] is None
    assert {one.value for one in found.measurements} == {None}


def test_windows_are_averaged() -> None:
    clip = Clip(np.repeat([0.2, 0.4], 8_000), 8_000)
    assert measure_tags(clip, TwoTags()).probabilities == pytest.approx({"high": 0.3, "low": 0.7})


@pytest.mark.parametrize("wrong", [3, "musicnn", object()])
def test_a_tagger_is_a_tagger(wrong: object) -> None:
    with pytest.raises(TonearmError, match="give a tagger"):
        measure_tags(clicks(120, 3.0), wrong)  # type: ignore[arg-type]
