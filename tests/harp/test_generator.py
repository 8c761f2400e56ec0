"""Takes for requests on a tiny model: continuations, labels, files, and mistakes."""

import json
from dataclasses import replace

import numpy as np
import pytest

from tests.harp.values import values_of
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.measures.describe import describe
from tonearm.replaying import replay


def silent(done: int, total: int) -> None:
    pass


def request_of(panel, **changed):
    return panel.read(values_of(panel, **changed))


def test_a_selection_is_continued_and_the_take_replays(generator, panel, melody, selection):
    made = generator.make(selection, request_of(panel, brightness=4), silent)
    clip = Clip.read(made.path)
    assert made.path.name == "take-1.wav" and clip.sample_rate == melody.shape.sample_rate
    assert clip.seconds == pytest.approx(2.0, abs=0.05)
    first, new, knob = made.labels[:3]
    assert (first.text, first.start) == ("selection", 0)
    assert new.text == "new, seed 3" and new.start == pytest.approx(first.seconds)
    assert new.start + new.seconds == pytest.approx(clip.seconds)
    assert knob.text == "brightness +4.0 st"
    sidecar = made.path.with_suffix(".json")
    assert "measured" in json.loads(sidecar.read_text())
    assert replay(sidecar, model=melody).identical


def test_the_label_of_the_new_music_has_its_own_measurements(
    generator, panel, selection, monkeypatch
):
    described = []

    def recorded(clip):
        described.append(clip.seconds)
        return describe(clip)

    monkeypatch.setattr("tonearm.harp.generator.describe", recorded)
    made = generator.make(selection, request_of(panel), silent)
    whole, new = described
    assert whole == pytest.approx(Clip.read(made.path).seconds)
    assert new == pytest.approx(made.labels[1].seconds, abs=0.01) and new < whole


def test_the_melody_of_a_selection_is_kept(generator, panel, selection):
    made = generator.make(selection, request_of(panel, use="keep its melody", seconds=0), silent)
    assert Clip.read(made.path).seconds == pytest.approx(selection.seconds, abs=0.05)
    content = json.loads(made.path.with_suffix(".json").read_text())
    assert content["melody"] and not content["audio_prompt"]
    assert made.labels[0].text == "new, seed 3" and made.labels[0].start == 0


def test_a_knob_at_zero_is_no_steering(generator, panel, melody):
    made = generator.make(None, request_of(panel, brightness=0, measured=True), silent)
    plain = melody.generate("a folk tune", seconds=1, seed=3)
    written = Clip.read(made.path)
    assert np.array_equal(written.samples, Clip.decode(plain.clip.encoded(".wav"), "x").samples)
    assert [label.text for label in made.labels if "brightness" in label.text] == []


def test_the_change_by_a_knob_is_measured_against_a_plain_twin(generator, panel, selection):
    made = generator.make(selection, request_of(panel, brightness=4, measured=True), silent)
    (text,) = [label.text for label in made.labels if label.text.startswith("brightness")]
    assert text.startswith("brightness +4.0 st: measured ") and text.endswith(" st")


def test_takes_get_the_next_free_name(generator, panel):
    names = [generator.make(None, request_of(panel), silent).path.name for _ in range(2)]
    assert names == ["take-1.wav", "take-2.wav"]


def test_progress_can_end_the_work_and_the_next_take_is_as_ever(generator, panel):
    class Ended(Exception):
        pass

    def end(done, total):
        if done > 3:
            raise Ended

    with pytest.raises(Ended):
        generator.make(None, request_of(panel), end)
    assert not generator._folder.exists()
    assert generator.make(None, request_of(panel), silent).path.exists()


def test_mistakes_are_one_line(generator, panel):
    melody = request_of(panel, use="keep its melody")
    with pytest.raises(TonearmError, match="no selection whose melody could be kept"):
        generator.make(None, melody, silent)
    long = Clip(np.full(61 * 8000, 0.1, np.float32), 8000)
    with pytest.raises(TonearmError, match="the selection lasts 61 s, but at most 60 s"):
        generator.make(long, request_of(panel, seconds=0), silent)
    with pytest.raises(TonearmError, match="null character"):
        generator.make(None, replace(melody, keeps_melody=False, prompt="a\0b"), silent)
