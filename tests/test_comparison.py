"""compare(): takes of one prompt and seed, their measurements, and the saved folder."""

from dataclasses import replace

import numpy as np
import pytest

import tonearm
from tests.steering.vectors import vector_of
from tonearm.audio import Clip
from tonearm.comparison import Comparison
from tonearm.errors import TonearmError
from tonearm.generation.provenance import read_sidecar


def test_the_takes_share_the_seed_and_differ_in_steering(melody):
    vector = vector_of(melody, "push", size=6.0)
    comparison = tonearm.compare(
        melody, "a folk tune", [{vector: "raw:2"}, {vector: "raw:-2"}], seconds=0.5, seed=7
    )
    assert [one.name for one in comparison.takes] == ["plain", "steered-1", "steered-2"]
    provenances = [one.take.provenance for one in comparison.takes]
    assert {provenance.seed for provenance in provenances} == {7}
    assert [str(p.steering) for p in provenances] == ["plain", "push raw +2", "push raw -2"]
    assert len({provenance.codes_sha256 for provenance in provenances}) == 3
    alone = melody.generate("a folk tune", seconds=0.5, seed=7)
    assert (comparison.takes[0].take.codes == alone.codes).all()


def test_a_saved_comparison_holds_takes_sidecars_page_and_copies_at_one_loudness(melody, tmp_path):
    vector = vector_of(melody, "push", size=6.0)
    made = tonearm.compare(melody, "a folk tune", [{vector: "raw:2"}], seconds=0.5, seed=7)
    noise = (np.random.default_rng(0).normal(size=16_000) * 0.1).astype(np.float32)
    clips = [Clip(noise, 16_000), Clip(noise * 0.05, 16_000)]
    takes = tuple(
        replace(one, take=replace(one.take, clip=clip))
        for one, clip in zip(made.takes, clips, strict=True)
    )
    page = Comparison(made.prompt, takes, made.details).save(tmp_path / "cmp")
    text = page.read_text()
    assert "a folk tune" in text and "push raw +2" in text and "melody" in text
    for name in ("plain", "steered-1"):
        assert read_sidecar(tmp_path / "cmp" / f"{name}.json").seed == 7
    copies = [Clip.read(tmp_path / "cmp" / "listen" / f"{one.name}.wav") for one in takes]
    first, second = (clip.loudness for clip in copies)
    assert first == pytest.approx(second, abs=0.05) and np.isfinite(first)
    original = Clip.read(tmp_path / "cmp" / "plain.wav")
    assert np.array_equal(original.samples, clips[0].samples)


def test_a_comparison_without_steering_is_refused(melody):
    with pytest.raises(TonearmError, match="nothing to compare"):
        tonearm.compare(melody, "a folk tune", [], seconds=0.5)


def test_the_tempi_are_those_of_the_tracker_that_was_given(melody):
    class Metronome:
        name = "a metronome"

        def track(self, clip):
            return np.arange(0.0, clip.seconds, 0.5)

    made = tonearm.compare(
        melody,
        "a folk tune",
        [{vector_of(melody, "push"): "raw:2"}],
        seconds=0.5,
        tracker=Metronome(),
    )
    assert {"a metronome" in one.description["tempo"].protocol for one in made.takes} == {True}


def test_a_name_means_one_vector_in_all_steerings(melody):
    push, other = vector_of(melody, "push"), vector_of(melody, "push", size=9.0)
    for steerings in ([{push: 1.0}, {other: 1.0}], [{push: 1.0}, "push=0.5"]):
        with pytest.raises(TonearmError, match="two vectors are named 'push'"):
            tonearm.compare(melody, "a folk tune", steerings, seconds=0.5)
