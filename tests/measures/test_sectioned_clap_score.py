"""CLAP score of clips whose text changes."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.measures.sounds import SAMPLE_RATE
from tonearm.audio import Clip
from tonearm.datasets.captions import SectionText
from tonearm.measures.clap_score import measure_clap_score
from tonearm.measures.sectioned_clap_score import measure_sectioned_clap_score


class LoudOrQuiet:
    """Cosine 1 of loud clips and "loud", and of quiet clips and "quiet"; 0 otherwise."""

    name, windows, fingerprint, logit_scale = "planted", "whole clips", "planted", 1.0

    def embed(self, clips: Sequence[Clip]) -> np.ndarray:
        loud = [float(np.abs(clip.samples).max() > 0.3) for clip in clips]
        return np.array([[one, 1 - one] for one in loud], np.float32)

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        return np.array([[text == "loud", text == "quiet"] for text in texts], np.float32)

    def check_words(self, text: str) -> None:
        pass


def clip_of(*parts: tuple[float, float]) -> Clip:
    """Tones, as pairs of peak and seconds."""
    times = [peak * np.sin(np.arange(round(seconds * SAMPLE_RATE)) / 5) for peak, seconds in parts]
    return Clip(np.concatenate(times).astype(np.float32), SAMPLE_RATE)


CLAP = LoudOrQuiet()


def test_each_section_is_scored_with_its_own_text_and_weighted_by_length() -> None:
    clip = clip_of((0.8, 3.0), (0.1, 6.0), (0.8, 3.0))
    sections = (SectionText(0, "loud"), SectionText(0.25, "quiet"), SectionText(0.75, "quiet"))
    found = measure_sectioned_clap_score(clip, CLAP, sections)
    assert [one.value for one in found.sections] == [1.0, 1.0, 0.0]
    assert [(one.start, one.end) for one in found.sections] == [(0, 3), (3, 9), (9, 12)]
    assert found.mean.value == pytest.approx(0.75)
    assert (found.mean.name, found.mean.unit) == ("clap_score", "cosine")
    assert "'loud | quiet | quiet'" in found.mean.protocol
    assert measure_clap_score(clip, CLAP, "loud").value == 1.0  # of the first text alone


def test_short_and_silent_sections_are_left_out() -> None:
    clip = clip_of((0.8, 4.0), (0.8, 1.0), (0.0, 5.0))
    sections = (SectionText(0, "loud"), SectionText(0.4, "quiet"), SectionText(0.5, "quiet"))
    found = measure_sectioned_clap_score(clip, CLAP, sections)
    assert [one.value for one in found.sections] == [1.0, None, None]
    assert found.mean.value == 1.0


def test_a_clip_of_short_sections_has_no_score() -> None:
    clip = clip_of((0.8, 2.0))
    sections = (SectionText(0, "loud"), SectionText(0.5, "quiet"))
    found = measure_sectioned_clap_score(clip, CLAP, sections)
    assert found.mean.value is None and "2 s or more" in found.mean.protocol
