"""Labels of clips: measures, tags and CLAP scores of the decoded audio."""

import numpy as np
import pytest

from tests.evaluators.tiny_clap import save_tiny
from tonearm.activations.clip_sources import clip_audio, clips_of_prompts
from tonearm.errors import TonearmError
from tonearm.evaluators.load import load_clap, load_tagger
from tonearm.features import labels as labels_module
from tonearm.features.labels import Labeller, label_clips
from tonearm.measures import describe, measure_clap_score, measure_tags

PROMPTS = ["a fast folk tune", "slow dark jazz piece"]


@pytest.fixture(scope="module")
def labeller(tmp_path_factory):
    clap = load_clap(str(save_tiny(tmp_path_factory.mktemp("clap"))))
    return Labeller(load_tagger(), clap, ("jazz", "folk"))


@pytest.fixture
def clips(melody, tmp_path):
    return clips_of_prompts(melody.engine, PROMPTS, tmp_path / "c", takes=3, seconds=3.2)


def test_labels_are_those_of_the_decoded_audio(melody, clips, labeller, tmp_path):
    found = label_clips(melody, clips, labeller, tmp_path / "l")
    assert found.values.shape == (2, len(found.names))

    def of(index):
        return clip_audio(melody.checkpoint, clips.codes[index])

    expected = {
        "loudness": lambda clip: describe(clip)["loudness"].number,
        "tag rock": lambda clip: measure_tags(clip).probabilities["rock"],
        "clap jazz": lambda clip: measure_clap_score(clip, labeller.clap, "jazz").number,
    }
    for name, measure in expected.items():
        column = found.values[:, found.names.index(name)]
        assert column[1] == pytest.approx(measure(of(1)), rel=1e-4), name
        both = np.mean([measure(of(0)), measure(of(2))])  # the takes of one prompt
        assert column[0] == pytest.approx(both, rel=1e-4), name
    assert "key" not in found.names


def test_labels_are_kept_and_not_measured_again(melody, clips, labeller, tmp_path, monkeypatch):
    monkeypatch.setattr(labels_module, "FILE_CLIPS", 2)
    folder, measured = tmp_path / "l", []
    original = Labeller.label
    monkeypatch.setattr(
        Labeller, "label", lambda self, clip: (measured.append(1), original(self, clip))[1]
    )

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        label_clips(melody, clips, labeller, folder, stop)
    assert len(measured) == 2
    found = label_clips(melody, clips, labeller, folder)
    assert len(measured) == 3
    again = label_clips(melody, clips, labeller, folder)
    assert len(measured) == 3
    assert np.array_equal(found.values, again.values, equal_nan=True)


def test_kept_labels_of_other_clips_and_of_other_texts_are_not_used(
    melody, clips, labeller, tmp_path
):
    folder = tmp_path / "l"
    first = label_clips(melody, clips, labeller, folder)
    turned = label_clips(melody, clips.chosen([1, 0, 2]), labeller, folder)
    assert turned.values[1] == pytest.approx(first.values[0], nan_ok=True, rel=1e-4)
    other = Labeller(labeller.tagger, labeller.clap, ("rock", "folk"))
    assert "clap rock" in label_clips(melody, clips, other, folder).names


def test_a_text_outside_the_vocabulary_is_refused(labeller):
    labeller.check()
    with pytest.raises(TonearmError, match="vocabulary"):
        Labeller(labeller.tagger, load_clap("bundled"), ("rock", "zzqx")).check()


def test_the_texts_are_in_the_bundled_vocabulary():
    Labeller(load_tagger(), load_clap("bundled")).check()
